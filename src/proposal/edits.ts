import { isScalar, parseAllDocuments, type Scalar } from 'yaml';
import { oneLine } from '../base/errors.js';

/** One place in a file, and its new value. */
export interface Edit {
  /** Relative to the repository's root. */
  readonly file: string;
  readonly place: Place;
  readonly value: string;
}

export type Place =
  | { readonly kind: 'yaml-path'; readonly path: readonly (string | number)[] }
  /** The text of the one group is replaced, at the one match or, if `all`, at each. */
  | { readonly kind: 'pattern'; readonly pattern: RegExp; readonly all: boolean };

/** A file after its edits, and the values that were there before; or the reason why an edit is not possible. */
export type Edited = { readonly text: string; readonly before: readonly string[] } | { readonly problem: string };

/**
 * Edits a file's text. Only the bytes of the values change: comments, order and style stay, since each value is
 * replaced in place and the file is not written anew.
 */
export function editText(text: string, edits: readonly Pick<Edit, 'place' | 'value'>[]): Edited {
  let edited = text;
  const before: string[] = [];
  for (const { place, value } of edits) {
    const result = place.kind === 'yaml-path' ? editYaml(edited, place.path, value) : editPattern(edited, place, value);
    if ('problem' in result) return result;
    edited = result.text;
    before.push(...result.before);
  }
  return { text: edited, before };
}

const STEP = /\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]|(?:^|\.)([^.[\]"]+)/gy;

/**
 * Parses a path such as `spec.images[0].tag` or `data["ceph.conf"]`: keys of mappings, and indexes of sequences from 0.
 * Undefined for any other text.
 */
export function parseYamlPath(text: string): (string | number)[] | undefined {
  const steps: (string | number)[] = [];
  let end = 0;
  for (const [match, index, quoted, key] of text.matchAll(STEP)) {
    end += match.length;
    if (index !== undefined) steps.push(Number(index));
    else steps.push(quoted === undefined ? (key ?? '') : quoted.replaceAll(/\\(.)/g, '$1'));
  }
  return steps.length > 0 && end === text.length ? steps : undefined;
}

export function formatYamlPath(path: readonly (string | number)[]): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      if (/^[^.[\]"]+$/.test(step)) return index === 0 ? step : `.${step}`;
      return `["${step.replaceAll(/[\\"]/g, '\\$&')}"]`;
    })
    .join('');
}

/** Parses a pattern with exactly one group; a problem otherwise. */
export function parsePattern(text: string): RegExp | { readonly problem: string } {
  let pattern: RegExp;
  try {
    pattern = new RegExp(text, 'dgm');
  } catch (error) {
    return { problem: error instanceof Error ? oneLine(error.message) : 'is not a regular expression' };
  }
  const groups = (new RegExp(`${text}|`).exec('')?.length ?? 1) - 1;
  return groups === 1
    ? pattern
    : { problem: `has ${groups} groups, but needs exactly one, around the text to replace` };
}

function editYaml(text: string, path: readonly (string | number)[], value: string): Edited {
  const where = formatYamlPath(path);
  const documents = parseAllDocuments(text, { keepSourceTokens: true, logLevel: 'silent' });
  const wrong = [...documents].flatMap((document) => document.errors)[0];
  if (wrong !== undefined) return { problem: `is not YAML: ${oneLine(wrong.message, 200)}` };
  const found = [...documents].flatMap((document) => {
    const node = document.getIn(path, true);
    return node === undefined ? [] : [node];
  });
  if (found.length > 1) return { problem: `${where} is in ${found.length} documents of the file` };
  const [scalar] = found;
  if (scalar === undefined) return { problem: `there is no ${where}` };
  if (!isScalar(scalar)) return { problem: `${where} is not a plain value` };
  if (scalar.type === 'BLOCK_FOLDED' || scalar.type === 'BLOCK_LITERAL') {
    return { problem: `${where} is a block of text: use a pattern` };
  }
  const { range, tag } = scalar;
  // Another tag says how to read the value, such as Ansible's !vault, and the new value is plain text.
  if (tag !== undefined && tag !== 'tag:yaml.org,2002:str') return { problem: `${where} has the tag ${tag}` };
  if (range == null) return { problem: `${where} has no place in the file` };
  const [start, end] = range;
  const before = typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? String(scalar.value ?? ''));
  if (typeof scalar.value === 'string' && scalar.value === value) return { text, before: [before] };
  const written = `${text.slice(0, start)}${quoteLike(scalar, value)}${text.slice(end)}`;
  return hasValue(written, path, value)
    ? { text: written, before: [before] }
    : { problem: `${where} cannot be replaced` };
}

/** A value in the style of the one that it replaces; quoted if YAML would read it as something other than text. */
function quoteLike({ type, source }: Scalar, value: string): string {
  if (type === 'QUOTE_SINGLE' && !/[\r\n]/.test(value)) return `'${value.replaceAll("'", "''")}'`;
  const isEmpty = type === 'PLAIN' && (source ?? '') === '';
  if (type === 'PLAIN' && isPlain(value)) return isEmpty ? ` ${value}` : value;
  return `${isEmpty ? ' ' : ''}${JSON.stringify(value)}`;
}

/** Texts of YAML 1.2 that YAML 1.1, which Ansible reads, takes for a boolean, a date, a time or a number. */
const OTHER_IN_YAML_1_1 = /^(?:y|n|yes|no|on|off|[-+.\d][-+.:_\d]*)$/i;

/** True if YAML reads the text as itself without quotes, both in block and in flow style. */
function isPlain(value: string): boolean {
  if (OTHER_IN_YAML_1_1.test(value)) return false;
  if (!/^[A-Za-z0-9_./][A-Za-z0-9_./@:+-]*$/.test(value) || value.endsWith(':')) return false;
  const [document] = parseAllDocuments(`[${value}]`, { logLevel: 'silent' });
  const parsed: unknown = document?.toJS();
  return Array.isArray(parsed) && parsed.length === 1 && parsed[0] === value;
}

function hasValue(text: string, path: readonly (string | number)[], value: string): boolean {
  const documents = [...parseAllDocuments(text, { logLevel: 'silent' })];
  return (
    documents.every(({ errors }) => errors.length === 0) &&
    documents.filter((document) => document.getIn(path) === value).length === 1
  );
}

function editPattern(text: string, { pattern, all }: Extract<Place, { kind: 'pattern' }>, value: string): Edited {
  const { source } = pattern;
  const places = findGroups(text, pattern);
  if (places.length === 0) return { problem: `nothing matches ${source}` };
  if (places.length > 1 && !all) return { problem: `${places.length} places match ${source}: make it match only one` };
  let edited = text;
  for (const place of [...places].reverse()) {
    if (place === undefined) return { problem: `${source} matches a place without its group` };
    edited = edited.slice(0, place[0]) + value + edited.slice(place[1]);
  }
  // Otherwise the next run would fail, or would write the value once more.
  const again = findGroups(edited, pattern);
  const isFound =
    again.length === places.length && again.every((place) => place !== undefined && edited.slice(...place) === value);
  if (!isFound) return { problem: `${source} would not find the new value ${oneLine(value, 100)} again` };
  return { text: edited, before: places.flatMap((place) => (place === undefined ? [] : [text.slice(...place)])) };
}

/** The place of the one group in each match; undefined for a match without it. */
function findGroups(text: string, pattern: RegExp): (readonly [number, number] | undefined)[] {
  return [...text.matchAll(pattern)].map(({ indices }) => indices?.[1]);
}
