import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { ROOT } from './actions.js';
import { replacePart } from './markers.js';
import { jsonSchemas } from './schemas.js';

/** The pages of docs/reference/ whose tables come from the JSON Schemas, between markers named after the schema. */

const PAGES = {
  'criteria.md': ['criteria', 'criteria-test'],
  'files.md': ['candidate-file', 'ledger-record'],
  'decision-record.md': ['decision-record'],
  'statements.md': ['promotion-predicate', 'verification-summary-predicate'],
} as const;

interface Schema {
  readonly type?: string | undefined;
  readonly const?: unknown;
  readonly enum?: readonly unknown[] | undefined;
  readonly format?: string | undefined;
  readonly description?: string | undefined;
  readonly items?: Schema | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly anyOf?: readonly Schema[] | undefined;
  readonly additionalProperties?: Schema | boolean | undefined;
}

const schemaSchema: v.GenericSchema<unknown, Schema> = v.looseObject({
  type: v.optional(v.string()),
  enum: v.optional(v.array(v.unknown())),
  format: v.optional(v.string()),
  description: v.optional(v.string()),
  items: v.optional(v.lazy(() => schemaSchema)),
  properties: v.optional(
    v.record(
      v.string(),
      v.lazy(() => schemaSchema),
    ),
  ),
  required: v.optional(v.array(v.string())),
  anyOf: v.optional(v.array(v.lazy(() => schemaSchema))),
  additionalProperties: v.optional(v.union([v.boolean(), v.lazy(() => schemaSchema)])),
});

/** A type in the words of YAML and JSON. */
function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : typeOf(schema.items)}`;
  if (schema.type === 'object') return 'mapping';
  return schema.format ?? schema.type ?? 'anything';
}

interface Row {
  readonly key: string;
  readonly type: string;
  readonly description: string;
}

/** One row for each key, followed by the rows of its own keys. A decision record has a table of its own. */
function rowsOf(schema: Schema, prefix = ''): Row[] {
  const inner = schema.anyOf?.find(({ type }) => type === 'object') ?? schema;
  return Object.entries(inner.properties ?? {}).flatMap(([name, property]) => {
    const optional = inner.required?.includes(name) === true || prefix === '<label>.' ? '' : 'optional; ';
    const key = `${prefix}${name}`;
    const own = {
      key,
      type: typeOf(property),
      description: (optional + (property.description ?? '')).replace(/; $/, ''),
    };
    if (name === 'decision' && inner.properties?.['prev-sha256'] !== undefined) {
      return [{ ...own, type: '[decision record](decision-record.md) or null' }];
    }
    const held = property.items ?? property;
    return [own, ...rowsOf(held, `${key}${property.items === undefined ? '' : '[]'}.`)];
  });
}

/** Escapes a table's cell. `<` would begin HTML, except in code, which does not resolve entities. */
const cell = (text: string) =>
  text.replaceAll('|', '\\|').replace(/(`[^`]*`)|</g, (_, code: string | undefined) => code ?? '&lt;');

function table(schema: Schema): string {
  const { additionalProperties: byLabel } = schema;
  const ofLabel = (held: Schema) =>
    held.items === undefined ? rowsOf(held, '<label>.') : rowsOf(held.items, '<label>[].');
  const rows = typeof byLabel === 'object' ? ofLabel(byLabel) : rowsOf(schema);
  return [
    '| key | type | what it is |',
    '| --- | --- | --- |',
    ...rows.map(({ key, type, description }) => `| ${cell(`\`${key}\``)} | ${cell(type)} | ${cell(description)} |`),
  ].join('\n');
}

export function referencePages(): ReadonlyMap<string, string> {
  const schemas = jsonSchemas();
  return new Map(
    Object.entries(PAGES).map(([page, names]) => {
      const file = `docs/reference/${page}`;
      const text = names.reduce(
        (before, name) => {
          const schema = v.parse(schemaSchema, JSON.parse(schemas.get(`${name}.schema.json`) ?? ''));
          return replacePart(before, name, table(schema));
        },
        readFileSync(path.join(ROOT, file), 'utf8'),
      );
      return [file, text];
    }),
  );
}
