import * as core from '@actions/core';
import type { Log, Tone } from '../base/log.js';

/** In characters. Shorter lines of a secret are not secret: the `{` of a JSON key is in other texts too. */
const LEAST_LINE = 16;
/** Shorter encodings of a secret are not secret either. */
const LEAST_ENCODED = 8;

/**
 * Replaces secrets in text for people: the log, the summary, a webhook. Runners mask the secrets that they know, but
 * not in files, and not if a bundle is run without a runner; and a server's error page may echo what it was sent. Text
 * for machines is never rewritten: an output that contains a secret is an error.
 */
export class Redactor {
  /** The input that each form of a secret came from. */
  readonly #secrets = new Map<string, string>();

  /** Remembers the secret of an input, its longer lines, and the forms in which it could come back from a server. */
  add(input: string, value: string): void {
    for (const part of secretParts(value)) {
      const inUrl = encodeURIComponent(part);
      const inLowerCase = inUrl.replace(/%../g, (byte) => byte.toLowerCase());
      const escaped = [inUrl, inLowerCase, JSON.stringify(part).slice(1, -1)];
      for (const form of [part, ...escaped, ...inBase64(part), ...inHex(part)]) this.#secrets.set(form, input);
    }
  }

  redact(text: string): string {
    let redacted = text;
    for (const secret of [...this.#secrets.keys()].sort((a, b) => b.length - a.length)) {
      redacted = redacted.replaceAll(secret, '***');
    }
    return redacted;
  }

  /** The input whose secret the text has in it; undefined if there is none. */
  find(text: string): string | undefined {
    for (const [secret, input] of this.#secrets) if (text.includes(secret)) return input;
    return undefined;
  }
}

/** The base64 of a secret in the middle of other text, as in an Authorization header: one form for each alignment. */
function inBase64(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2]
    .map((before) => {
      const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
      return encoded.slice(Math.ceil((before * 4) / 3), Math.floor(((before + bytes.length) * 4) / 3));
    })
    .flatMap((encoded) => [encoded, encoded.replaceAll('+', '-').replaceAll('/', '_')])
    .filter(({ length }) => length >= LEAST_ENCODED);
}

function inHex(secret: string): string[] {
  const hex = Buffer.from(secret).toString('hex');
  return hex.length >= LEAST_ENCODED ? [hex, hex.toUpperCase()] : [];
}

/** The parts of a secret to hide: the whole, and each line that is long enough and not the frame of a PEM file. */
function secretParts(value: string): string[] {
  const whole = value.trim();
  const lines = value
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter((line) => line.length >= LEAST_LINE && !line.startsWith('-----'));
  return [...new Set([whole, ...lines])].filter((part) => part !== '');
}

/**
 * The parts of a secret that the runner should mask for the rest of the job. A runner splits a text of several lines
 * and masks every line, however short, so we pass it the longer lines one by one.
 */
export function runnerMasks(value: string): string[] {
  return secretParts(value).filter((part) => !/[\r\n]/.test(part));
}

/** Control characters except line feed and tab, line separators, and characters that change the text's direction. */
const CONTROL = /(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Makes text safe from being taken for a workflow command, wherever it came from. Control characters are shown as
 * escapes, since runners trim some of them, such as U+0085, before they look for a command at a line's start.
 */
export function inert(text: string): string {
  return (
    text
      .replaceAll('\r\n', '\n')
      .replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
      // Within one line: looking for a colon from each of many empty lines through the rest would take for ever.
      .replace(/^((?:(?!\n)[\s\p{Z}\p{Cf}])*):(?=:)/gmu, '$1: ')
      .replaceAll('##[', '## [')
  );
}

/** SGR codes (ECMA-48, section 8.3.117): green, red, yellow. */
const COLOURS: Readonly<Record<Tone, number>> = { good: 32, bad: 31, unsure: 33 };

/** True on a forge's runner and on a terminal, which show colours, unless the user sets NO_COLOR (no-color.org). */
function showsColours({ NO_COLOR: off, GITHUB_ACTIONS: runner }: NodeJS.ProcessEnv): boolean {
  return !off && (runner === 'true' || process.stdout.isTTY === true);
}

/** The logger of a run: the toolkit's commands, with secrets blanked and outside text made inert. */
export function createLog(redactor: Redactor): Log {
  const safe = (message: string) => inert(redactor.redact(message));
  const isColoured = showsColours(process.env);
  const paint = (text: string, tone: Tone | undefined) =>
    tone === undefined || !isColoured ? text : `\u001b[${COLOURS[tone]}m${text}\u001b[0m`;
  return {
    debug: (message) => core.debug(safe(message)),
    info: (message, tone) => core.info(paint(safe(message), tone)),
    warning: (message) => core.warning(safe(message)),
    group: (heading, phase) => core.group(safe(heading), phase),
  };
}
