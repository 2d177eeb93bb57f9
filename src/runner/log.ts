import * as core from '@actions/core';
import type { Log } from '../base/log.js';

/**
 * Replaces secrets in text. Runners mask by themselves what they are told of, but not in files, not in outputs, and
 * not where a bundle is run by hand; and a server's error page may echo what it was sent.
 */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** Remembers a secret, each of its lines, and the forms in which it could come back from a server. */
  add(value: string): void {
    for (const line of secretLines(value)) {
      for (const form of [line, encodeURIComponent(line), ...inBase64(line)]) this.#secrets.add(form);
    }
  }

  redact(text: string): string {
    let redacted = text;
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) {
      redacted = redacted.replaceAll(secret, '***');
    }
    return redacted;
  }
}

/** What shows of a secret in base64 of something that has it in its middle, as an Authorization header has. */
function inBase64(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2]
    .map((before) => {
      const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
      return encoded.slice(Math.ceil((before * 4) / 3), Math.floor(((before + bytes.length) * 4) / 3));
    })
    .filter(({ length }) => length >= 8);
}

/** The lines of a secret that are secret: not the blank ones, and not the frame of a PEM file. */
export function secretLines(value: string): string[] {
  return value.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('-----'));
}

/** Text that the runner cannot take for a workflow command, whatever it came from. */
export function inert(text: string): string {
  return text.replace(/^(\s*):(?=:)/gm, '$1: ').replaceAll('##[', '## [');
}

/** The logger of a run: the toolkit's commands, with secrets blanked and outside text made inert. */
export function createLog(redactor: Redactor): Log {
  const safe = (message: string) => inert(redactor.redact(message));
  return {
    debug: (message) => core.debug(safe(message)),
    info: (message) => core.info(safe(message)),
    warning: (message) => core.warning(safe(message)),
    group: (heading, phase) => core.group(safe(heading), phase),
  };
}
