import { ServiceError } from '../base/errors.js';
import type { HttpResponse } from './transport.js';

/** One of our own time limits ran out. */
export class TimeLimit extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${Math.round(milliseconds / 100) / 10} s`);
  }
}

export function answerTooLarge(what: string, maxBytes: number): ServiceError {
  return new ServiceError('too-large', `${what}: an answer of more than ${maxBytes} bytes`);
}

/** In bytes. Reading this much costs less than a new connection. */
const MOST_DISCARDED = 1024 * 1024;

/** Reads the rest of a body and drops it, so that its connection can serve again. A long one is cut off. */
export async function discard({ body }: Pick<HttpResponse, 'body'>): Promise<void> {
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MOST_DISCARDED) break;
    }
  } catch {
    // Only the connection is lost.
  }
}

/** Reads a body of at most `maxBytes` within `limitMs`. Throws TimeLimit, or a ServiceError of kind `too-large`. */
export async function readBody(
  { body }: Pick<HttpResponse, 'body'>,
  maxBytes: number,
  limitMs: number,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const iterator = body[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeLimit(limitMs)), Math.max(1, limitMs));
  });
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), limit]);
      if (next.done === true) return Buffer.concat(chunks);
      size += next.value.length;
      if (size > maxBytes) throw answerTooLarge(what, maxBytes);
      chunks.push(next.value);
    }
  } catch (error) {
    // Not awaited: if a stream hangs, ending it hangs too.
    iterator.return?.()?.catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
