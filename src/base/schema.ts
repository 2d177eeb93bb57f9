import * as v from 'valibot';
import { oneLine, UserError } from './errors.js';

/** A value that fits the schema, or the first problem, as `path: problem`. */
type Parsed<T> = { readonly value: T } | { readonly problem: string };

/**
 * Parses a value from outside. The problem is one line: the place in the value, what was expected, and what was found.
 */
export function tryParse<S extends v.GenericSchema>(schema: S, value: unknown): Parsed<v.InferOutput<S>> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  if (result.success) return { value: result.output };
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  return { problem: oneLine(path === null ? issue.message : `${path}: ${issue.message}`, 400) };
}

/** Parses a value from outside, or throws the error that `fail` makes of the problem. */
export function parseWith<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  fail: (problem: string) => Error,
): v.InferOutput<S> {
  const parsed = tryParse(schema, value);
  if ('problem' in parsed) throw fail(parsed.problem);
  return parsed.value;
}

/** Parses JSON text with a schema, or throws the error that `fail` makes of the problem. */
export function parseJson<S extends v.GenericSchema>(
  schema: S,
  text: string,
  fail: (problem: string) => Error,
): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // V8's message may quote the text, which may contain a secret or come from a server that must not be quoted.
    const [problem = ''] = error instanceof Error ? error.message.split(/(?:, )?(?:\.\.\.)?"/) : [];
    throw fail(`not JSON: ${oneLine(problem || 'unexpected text', 200)}`);
  }
  return parseWith(schema, value, fail);
}

/** Parses a user's value, or throws a UserError. `what` names the value in the error, as in `input reference`. */
export function parseUser<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  return parseWith(schema, value, (problem) => new UserError(`${what}: ${problem}`));
}

const UNIT_SECONDS = { minute: 60, hour: 3600, day: 86_400 } as const;

/** A duration as people write it, `<integer> minutes|hours|days`, parsed to seconds. */
export const durationSchema = v.pipe(
  v.string(),
  v.regex(/^\d{1,6} (?:minute|hour|day)s?$/, (issue) => `${issue.received} is not a duration such as "14 days"`),
  v.transform((text) => {
    const [amount, unit] = text.split(' ');
    const seconds = UNIT_SECONDS[unit?.replace(/s$/, '') as keyof typeof UNIT_SECONDS];
    return Number(amount) * seconds;
  }),
);

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** A time in unix seconds or RFC 3339, parsed to unix seconds. */
export const timeSchema = v.pipe(
  v.string(),
  v.check(
    (text) => /^\d{1,12}$/.test(text) || (RFC_3339.test(text) && !Number.isNaN(Date.parse(text))),
    (issue) => `${JSON.stringify(issue.input)} is neither unix seconds nor RFC 3339 such as 2026-11-24T02:00:00Z`,
  ),
  v.transform((text) => (/^\d+$/.test(text) ? Number(text) : Math.floor(Date.parse(text) / 1000))),
);

/** RFC 3339 in UTC with whole seconds: the form of times in our files. */
export const timestampSchema = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/, (issue) => `${issue.received} is not an RFC 3339 time in UTC`),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'is not a time'),
);

/** The page of a run; null outside a runner. Only http and https, since our pages link to it. */
export const runUrlSchema = v.nullable(
  v.pipe(
    v.string(),
    v.regex(/^https?:\/\/[^\s"'<>]{1,2000}$/, (issue) => `${issue.received} is not the URL of a run`),
  ),
);
