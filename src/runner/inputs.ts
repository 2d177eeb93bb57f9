import * as v from 'valibot';
import { UserError } from '../base/errors.js';

/**
 * The declaration of one input. It is the only source: the code parses with it, and action.yml and the README's table
 * are generated from it. Only here does an empty input become its default, or undefined.
 */
export interface Input<T> {
  readonly description: string;
  /** As in action.yml; empty if there is no default. */
  readonly default: string;
  /** Masked in the log before anything else happens. */
  readonly secret: boolean;
  readonly schema: v.GenericSchema<string, T>;
  /** The value if the input is empty and has no default. */
  readonly absent: 'error' | { readonly value: T };
  /** The former name, which is still read. */
  readonly alias?: string;
}

export type Inputs = Readonly<Record<string, Input<unknown>>>;
export type ParsedInputs<I extends Inputs> = { readonly [K in keyof I]: I[K] extends Input<infer T> ? T : never };

export function required<T>(description: string, schema: v.GenericSchema<string, T>): Input<T> {
  return { description, default: '', secret: false, schema, absent: 'error' };
}

export function optional<T>(description: string, schema: v.GenericSchema<string, T>): Input<T | undefined> {
  return { description, default: '', secret: false, schema, absent: { value: undefined } };
}

/** An input with a default, in the form that a user would write. */
export function withDefault<T>(description: string, value: string, schema: v.GenericSchema<string, T>): Input<T> {
  return { description, default: value, secret: false, schema, absent: 'error' };
}

export function secret(description: string): Input<string | undefined> {
  return { ...optional(description, v.string()), secret: true };
}

/** An input that was renamed: its former name is still read, with a warning. */
export function renamed<T>(input: Input<T>, formerName: string): Input<T> {
  return { ...input, alias: formerName };
}

/** A boolean by YAML 1.2's core schema, as `core.getBooleanInput` reads it. */
const booleanSchema = v.pipe(
  v.string(),
  v.regex(/^(?:true|True|TRUE|false|False|FALSE)$/, (issue) => `${issue.received} is not a boolean: true or false`),
  v.transform((text) => text.toLowerCase() === 'true'),
);

export function flag(description: string, value: 'true' | 'false'): Input<boolean> {
  return withDefault(description, value, booleanSchema);
}

/** Text as its lines, trimmed; blank lines are ignored. */
export const linesSchema = v.pipe(
  v.string(),
  v.transform((text) =>
    text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  ),
);

/** Turns a parser into a step of a schema. The message of its UserError becomes the problem in the input's error. */
export function parsing<I, T>(parse: (value: I) => T) {
  return v.rawTransform<I, T>(({ dataset, addIssue, NEVER }): T => {
    try {
      return parse(dataset.value);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      addIssue({ message: error.message });
      return NEVER;
    }
  });
}

/** A list with one item per line; blank lines are ignored. */
export function list<T>(description: string, item: v.GenericSchema<string, T>): Input<T[]> {
  const schema = v.pipe(linesSchema, v.array(item));
  return { description, default: '', secret: false, schema, absent: { value: [] } };
}

/** A list with at least one item. */
export function requiredList<T>(description: string, item: v.GenericSchema<string, T>): Input<T[]> {
  return { ...list(description, item), absent: 'error' };
}

/** One of the given words. */
export function choice<const W extends readonly string[]>(description: string, words: W, value: W[number]) {
  const schema = v.picklist(words, (issue) => `${issue.received} is not one of ${words.join(', ')}`);
  return withDefault(`${description} One of ${words.map((word) => `\`${word}\``).join(', ')}.`, value, schema);
}

/** A whole number that is not negative. */
export const countSchema = v.pipe(
  v.string(),
  v.regex(/^\d{1,12}$/, (issue) => `${issue.received} is not a whole number`),
  v.transform(Number),
);

/** Words, one per line or separated by blanks, since a dispatch form has only one line. */
export function words(description: string): Input<string[]> {
  const schema = v.pipe(
    v.string(),
    v.transform((text) => text.split(/\s+/).filter((word) => word !== '')),
  );
  return { description, default: '', secret: false, schema, absent: { value: [] } };
}

/** Any text on one line. */
export const lineSchema = v.pipe(
  v.string(),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  v.regex(/^[^\u0000-\u001f\u007f]{1,4096}$/, (issue) => `${issue.received.slice(0, 80)} is not one line of text`),
);

/** `name=value` on one line, parsed to a pair. */
export const assignmentSchema = v.pipe(
  lineSchema,
  v.regex(/^[\w-]+=/, (issue) => `${JSON.stringify(issue.received.slice(0, 80))} is not \`name=value\``),
  v.transform((line): readonly [string, string] => {
    const end = line.indexOf('=');
    return [line.slice(0, end), line.slice(end + 1)];
  }),
);

/** Text of any number of lines. */
export const textSchema = v.string();

/** As in `//user:password@`, or without the slashes. A password may itself have a slash in it. */
const MAYBE_CREDENTIALS = /[:/].*@/s;

/** An absolute http or https URL without credentials; a trailing slash makes no difference. */
export const urlSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): URL => {
    const url = URL.canParse(dataset.value) ? new URL(dataset.value) : undefined;
    const web = url !== undefined && (url.protocol === 'https:' || url.protocol === 'http:');
    const isSafe = url === undefined || (url.username === '' && url.password === '');
    if (web && isSafe) return url;
    const wanted = 'an http or https URL, as in https://host/path';
    // Never repeats credentials, not even those in text that is not a URL.
    if (!isSafe) addIssue({ message: 'has credentials in it: a URL is no place for them' });
    else if (!MAYBE_CREDENTIALS.test(dataset.value))
      addIssue({ message: `${JSON.stringify(dataset.value)} is not ${wanted}` });
    else addIssue({ message: `is not ${wanted}, and is not shown, since it may have credentials in it` });
    return NEVER;
  }),
);
