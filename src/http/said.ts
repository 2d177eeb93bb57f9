import * as v from 'valibot';
import { oneLine } from '../base/errors.js';
import { tryParse } from '../base/schema.js';

/** In bytes or characters. The rest of an error's body is cut off before any other processing. */
const MOST_READ = 16 * 1024;
const MOST_SHOWN = 400;

/** Escaped text could hide a secret from the log's masks, and markup is not a sentence. */
const ESCAPED = /[<>]|\\[ux0-7]|&#?\w{1,8};|%[0-9a-f]{2}/i;

const word = v.optional(v.nullable(v.union([v.string(), v.number()])));
const errorSchema = v.object({ code: word, message: word, detail: v.optional(v.unknown()) });
const bodySchema = v.object({
  /** OCI distribution spec v1.1, "Error Codes". */
  errors: v.fallback(v.optional(v.nullable(v.array(v.fallback(v.nullable(errorSchema), null)))), undefined),
  /** RFC 6749 section 5.2, and many APIs. */
  error: v.optional(v.unknown()),
  error_description: v.optional(v.unknown()),
  message: v.optional(v.unknown()),
  title: v.optional(v.unknown()),
  detail: v.optional(v.unknown()),
  details: v.optional(v.unknown()),
});

const errorFieldsSchema = v.pick(bodySchema, ['errors', 'error', 'message']);

/** A server's explanation of why it refuses a request. */
export interface Said {
  /** One line of at most 400 characters; empty if the server says nothing that can be shown. */
  readonly text: string;
  /** The error codes of the OCI distribution spec, as in `DENIED`. */
  readonly codes: readonly string[];
}

const NOTHING: Said = { text: '', codes: [] };

/** An answer, with the start of its body. */
interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly elsewhere?: string | undefined;
  readonly body: string | Buffer;
}

/**
 * Extracts the message from an error's body: the error fields of JSON, the title of HTML, or one line of plain text.
 * Ignores an answer that came from another host after a redirect.
 */
export function readSaid(answer: Body): Said {
  if (answer.elsewhere !== undefined) return NOTHING;
  const body = startOf(answer);
  const parsed = parseObject(body);
  if (parsed !== undefined) return parsed;
  if (body.startsWith('<')) return { text: shown([titleOf(body)]), codes: [] };
  const isText = /^text\/plain\b/i.test(answer.headers['content-type'] ?? '') && !/[\r\n].*[\r\n]/.test(body);
  return { text: isText ? shown([body]) : '', codes: [] };
}

/**
 * Extracts an error's message from an answer whose status is a success. Only the error fields of JSON are read, since
 * anything else may be what was asked for, such as a token.
 */
export function readErrorFields(answer: Body): string {
  if (answer.elsewhere !== undefined) return '';
  const parsed = tryParse(errorFieldsSchema, tryJson(startOf(answer)));
  return 'problem' in parsed ? '' : saidBy(parsed.value).text;
}

function startOf({ body }: Body): string {
  const whole = typeof body === 'string' ? body : body.toString('utf8', 0, MOST_READ);
  return whole.slice(0, MOST_READ).trim();
}

/** Undefined if the text is no JSON. */
function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseObject(body: string): Said | undefined {
  const json = tryJson(body);
  if (json === undefined) return undefined;
  const parsed = tryParse(bodySchema, json);
  return 'problem' in parsed ? NOTHING : saidBy(parsed.value);
}

function saidBy(body: v.InferOutput<typeof bodySchema>): Said {
  const { errors, error, error_description, message, title, detail, details } = body;
  const all = (errors ?? []).flatMap((one) => one ?? []);
  const sentences = all.map((one) => {
    const [code, ...words] = [...leaves(one.code), ...leaves(one.message), ...leaves(one.detail)];
    return words.length === 0 ? (code ?? '') : `${code} (${words.join('; ')})`;
  });
  const others = [error, error_description, message, title, detail, details].flatMap((one) => leaves(one));
  return { text: shown([...sentences, ...others]), codes: all.flatMap(({ code }) => leaves(code)) };
}

/** The strings and numbers in a value, at most 8, with their names below the top. */
function leaves(value: unknown, depth = 0): readonly string[] {
  if (typeof value === 'string') return value.trim() === '' ? [] : [oneLine(value, MOST_SHOWN)];
  if (typeof value === 'number') return [String(value)];
  if (typeof value !== 'object' || value === null || depth === 3) return [];
  return Object.entries(value)
    .flatMap(([name, inner]) => {
      const below = leaves(inner, depth + 1);
      return Array.isArray(value) ? below : below.map((leaf) => `${oneLine(name, 40)}: ${leaf}`);
    })
    .slice(0, 8);
}

function shown(parts: readonly string[]): string {
  const fit = [...new Set(parts)].filter((part) => part !== '' && !ESCAPED.test(part));
  return oneLine(fit.join('; '), MOST_SHOWN);
}

function titleOf(html: string): string {
  const lower = html.toLowerCase();
  const start = lower.indexOf('<title>');
  const end = lower.indexOf('</title>', start);
  return start < 0 || end < 0 ? '' : html.slice(start + '<title>'.length, end).trim();
}
