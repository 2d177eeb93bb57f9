import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { criteriaFileSchema } from '../src/criteria/criteria-file.js';
import { decisionRecordSchema } from '../src/criteria/decision-record.js';
import { policyTestsSchema } from '../src/criteria/policy-tests.js';
import { ledgerRecordSchema } from '../src/ledger/record.js';
import { dashboardSchema } from '../src/monitoring/model.js';
import { candidateFileSchema } from '../src/store/candidate-file.js';
import { lastDecisionSchema } from '../src/store/last-decision.js';
import { ROOT } from './actions.js';

/**
 * Writes schemas/<name>.schema.json, for editors and other readers of our files, from the schemas that we parse by.
 * With `--check` it writes nothing and fails where a file is not what it would write.
 */

const SCHEMAS: Readonly<Record<string, v.GenericSchema>> = {
  'candidate-file': candidateFileSchema,
  criteria: criteriaFileSchema,
  'criteria-test': policyTestsSchema,
  dashboard: dashboardSchema,
  'decision-record': decisionRecordSchema,
  'last-decision': lastDecisionSchema,
  'ledger-record': ledgerRecordSchema,
};

/** The files' texts by their names. What JSON Schema cannot say, such as that no job is named twice, is left out. */
export function jsonSchemas(): Map<string, string> {
  return new Map(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const json = toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' });
      return [`${name}.schema.json`, `${JSON.stringify(json, undefined, 2)}\n`];
    }),
  );
}

function main(check: boolean): void {
  const folder = path.join(ROOT, 'schemas');
  const stale = [...jsonSchemas()].filter(([file, text]) => {
    const written = path.join(folder, file);
    return !existsSync(written) || readFileSync(written, 'utf8') !== text;
  });
  if (check && stale.length > 0) {
    console.error(`not up to date, run \`npm run build\`: ${stale.map(([file]) => `schemas/${file}`).join(', ')}`);
    process.exitCode = 1;
    return;
  }
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of stale) writeFileSync(path.join(folder, file), text);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.includes('--check'));
