import type { Clock } from '../base/clock.js';
import { errorLine, oneLine, ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { isTransient } from './status.js';
import type { HttpRequest, HttpResponse, Transport } from './transport.js';

/**
 * The one HTTP policy: time limits, retries with backoff and Retry-After (RFC 9110 section 10.2.3), redirects that
 * never carry credentials to another origin, and a User-Agent that says who asks.
 */
export interface HttpPolicy {
  /** How often a request is sent at most, the first time included. */
  readonly attempts: number;
  /** Milliseconds from sending a request, or the last piece of its body, to the head of the answer. */
  readonly answerMs: number;
  /** Milliseconds for a whole body that `sendForBytes` or `sendForText` reads. */
  readonly bodyMs: number;
  /** Milliseconds for a request with all its retries and waits. */
  readonly totalMs: number;
  /** The longest wait that a server may ask of us. */
  readonly longestWaitMs: number;
}

export const defaultPolicy: HttpPolicy = {
  attempts: 6,
  answerMs: 30_000,
  bodyMs: 60_000,
  totalMs: 180_000,
  longestWaitMs: 120_000,
};

export const USER_AGENT = 'ceph-promotion-actions (+https://github.com/rdo-infra/ceph-promotion-actions)';

const FIRST_WAIT_MS = 250;
const MAX_REDIRECTS = 5;
const ATTEMPTS_WHERE_NOBODY_IS = 5;

export interface Http {
  /** Sends with retries where `idempotent`; any status that is not worth a retry is returned as it is. */
  send(request: HttpRequest, options: SendOptions): Promise<HttpResponse>;
  /** The same, with the whole body, of at most `maxBytes`. */
  sendForBytes(request: HttpRequest, options: BodyOptions): Promise<BytesResponse>;
  /** The same, with the whole body as UTF-8. */
  sendForText(request: HttpRequest, options: BodyOptions): Promise<TextResponse>;
}

export interface SendOptions {
  /** May it be sent again when the answer was lost? */
  readonly idempotent: boolean;
  readonly pace?: Pace;
}

export interface BodyOptions extends SendOptions {
  readonly maxBytes: number;
}

/** Keeps requests at a server's pace: asked before each is sent, a repeated one too. */
export interface Pace {
  /** Resolves when a request may go; what it gives must be called with the head of the answer, or with nothing. */
  enter(): Promise<(answer?: AnswerHead) => void>;
}

export type AnswerHead = Pick<HttpResponse, 'status' | 'headers'>;

export interface BytesResponse extends AnswerHead {
  readonly bytes: Buffer;
}

export interface TextResponse extends AnswerHead {
  readonly text: string;
}

export interface HttpParts {
  readonly transport: Transport;
  readonly policy: HttpPolicy;
  readonly clock: Clock;
  readonly log: Log;
}

/** A refusal for pace (429) was not acted on, so that even what is not idempotent may be sent again. */
function worthRepeating(status: number, idempotent: boolean): boolean {
  return status === 429 || (idempotent && isTransient(status));
}

/** How long the server asks us to wait, in milliseconds: Retry-After as seconds or as a date. */
export function retryAfterMs(headers: HttpResponse['headers'], now: number): number | undefined {
  const value = headers['retry-after']?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Full jitter under a doubling ceiling: attempt 1 waits up to 0.25 s, then 0.5 s, 1 s … but never less than half of it. */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), 10_000);
  return Math.round(ceiling * (0.5 + random / 2));
}

/** An Http that sends by `transport` under `policy`. */
export function createHttp({ transport, policy, clock, log }: HttpParts): Http {
  async function once(request: HttpRequest, deadline: number): Promise<HttpResponse> {
    const limit = Math.min(policy.answerMs, deadline - clock.now());
    const controller = new AbortController();
    // One timer, started anew for each piece of a body: a layer has so many that a timer for each would show.
    let turn: 'server' | 'ours' | 'over' = 'server';
    const timer = setTimeout(() => turn === 'server' && controller.abort(new TimeLimit(limit)), Math.max(1, limit));
    const pass = (to: 'server' | 'ours') => {
      if (turn === 'over') return;
      turn = to;
      timer.refresh();
    };
    try {
      const headers = { 'user-agent': USER_AGENT, ...request.headers };
      return await transport({ ...request, headers, ...timedBody(request.body, pass) }, controller.signal);
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      turn = 'over';
      clearTimeout(timer);
    }
  }

  async function paced(request: HttpRequest, pace: Pace | undefined, deadline: number): Promise<HttpResponse> {
    const leave = await pace?.enter();
    let response: HttpResponse | undefined;
    try {
      response = await follow(request, deadline);
      return response;
    } finally {
      leave?.(response);
    }
  }

  async function follow(request: HttpRequest, deadline: number): Promise<HttpResponse> {
    let current = request;
    for (let hop = 0; ; hop += 1) {
      const response = await once(current, deadline);
      const location = response.headers.location;
      const safe = current.method === 'GET' || current.method === 'HEAD';
      if (!safe || location === undefined || ![301, 302, 303, 307, 308].includes(response.status)) return response;
      await discard(response);
      if (hop === MAX_REDIRECTS) {
        throw new ServiceError('bad-answer', `${describe(request)}: more than ${MAX_REDIRECTS} redirects`);
      }
      current = redirected(current, location);
    }
  }

  async function retrying<T>(request: HttpRequest, attemptOnce: Attempt<T>): Promise<T> {
    const deadline = clock.now() + policy.totalMs;
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await attemptOnce(deadline, attempt === policy.attempts);
      if ('answer' in outcome) return outcome.answer;
      const wait = Math.max(outcome.waitMs ?? 0, backoffMs(attempt, clock.random()));
      const reason = `${describe(request)}: ${outcome.reason}`;
      const attempts = outcome.nobodyThere ? Math.min(ATTEMPTS_WHERE_NOBODY_IS, policy.attempts) : policy.attempts;
      if (attempt >= attempts) throw new ServiceError(outcome.kind, reason);
      if (wait > policy.longestWaitMs || clock.now() + wait > deadline) {
        throw new ServiceError(outcome.kind, `${reason}; a retry would only be due in ${Math.ceil(wait / 1000)} s`);
      }
      log.debug(`${reason}; retry ${attempt} of ${attempts - 1} in ${wait} ms`);
      await clock.sleep(wait);
    }
  }

  function failure(request: HttpRequest, error: unknown, last: boolean): Retry {
    if (error instanceof ServiceError) throw error;
    const kind = error instanceof TimeLimit ? 'timeout' : 'unreachable';
    if (last) throw new ServiceError(kind, `${describe(request)}: ${errorLine(error)}`);
    return { kind, reason: errorLine(error), nobodyThere: isNobodyThere(error) };
  }

  const sendForBytes = (request: HttpRequest, { idempotent, pace, maxBytes }: BodyOptions): Promise<BytesResponse> =>
    retrying(request, async (deadline, last) => {
      try {
        const response = await paced(request, pace, deadline);
        const limit = Math.min(policy.bodyMs, deadline - clock.now());
        const bytes = await readBody(response, maxBytes, limit, describe(request));
        if (!last && worthRepeating(response.status, idempotent)) return busy(response, clock.now());
        return { answer: { status: response.status, headers: response.headers, bytes } };
      } catch (error) {
        return failure(request, error, last || !idempotent);
      }
    });

  return {
    send: (request, { idempotent, pace }) =>
      retrying(request, async (deadline, last) => {
        try {
          const response = await paced(request, pace, deadline);
          if (last || !worthRepeating(response.status, idempotent)) return { answer: response };
          await discard(response);
          return busy(response, clock.now());
        } catch (error) {
          return failure(request, error, last || !idempotent);
        }
      }),

    sendForBytes,

    async sendForText(request, options) {
      const { bytes, ...head } = await sendForBytes(request, options);
      return { ...head, text: bytes.toString('utf8') };
    },
  };
}

/** A long upload is not a late answer: the limit is on what the server takes for each piece, and for none of ours. */
function timedBody(body: HttpRequest['body'], pass: (turn: 'server' | 'ours') => void): Pick<HttpRequest, 'body'> {
  if (typeof body !== 'function') return {};
  return {
    body: async function* () {
      pass('ours');
      for await (const piece of body()) {
        pass('server');
        yield piece;
        pass('ours');
      }
      pass('server');
    },
  };
}

type Retry = {
  readonly kind: 'timeout' | 'unreachable' | 'server-error';
  readonly reason: string;
  readonly nobodyThere?: boolean;
  waitMs?: number;
};
type Attempt<T> = (deadline: number, last: boolean) => Promise<{ readonly answer: T } | Retry>;

function busy(response: HttpResponse, now: number): Retry {
  const waitMs = retryAfterMs(response.headers, now);
  const retry: Retry = { kind: 'server-error', reason: `answered ${response.status}` };
  return waitMs === undefined ? retry : { ...retry, waitMs };
}

/** A wrong address looks like a server that restarts: those few seconds are waited for, and no more. */
function isNobodyThere(error: unknown): boolean {
  const codes = [error, error instanceof AggregateError ? error.errors[0] : undefined].map((one) =>
    typeof one === 'object' && one !== null && 'code' in one ? one.code : undefined,
  );
  return codes.some((code) => code === 'ECONNREFUSED' || code === 'ENOTFOUND');
}

class TimeLimit extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${Math.round(milliseconds / 100) / 10} s`);
  }
}

/** `GET https://host/path`: what errors call a request. The query is left out: it may hold a token. */
export function describe(request: HttpRequest): string {
  return `${request.method} ${request.url.origin}${request.url.pathname}`;
}

/** The request after a redirect: credentials stay only while the origin does, and never come back. */
function redirected(request: HttpRequest, location: string): HttpRequest {
  const url = parseUrl(location, request.url);
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ServiceError('bad-answer', `${describe(request)}: redirected to ${oneLine(location, 200)}`);
  }
  if (request.url.protocol === 'https:' && url.protocol === 'http:') {
    throw new ServiceError('bad-answer', `${describe(request)}: redirected from https to ${url.origin}`);
  }
  if (url.origin === request.url.origin) return { ...request, url };
  const { authorization: _, cookie: __, ...headers } = request.headers ?? {};
  return { ...request, url, headers };
}

function parseUrl(text: string, base: URL): URL | undefined {
  return URL.canParse(text, base.href) ? new URL(text, base) : undefined;
}

/** Reads a body to its end and drops it, so that its connection can serve again. */
export async function discard(response: HttpResponse): Promise<void> {
  try {
    for await (const chunk of response.body) void chunk;
  } catch {
    // Only the connection is lost by it.
  }
}

/** Reads a body of at most `maxBytes` within `limitMs`. */
export async function readBody(
  response: HttpResponse,
  maxBytes: number,
  limitMs: number,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const iterator = response.body[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeLimit(limitMs)), Math.max(1, limitMs));
  });
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), limit]);
      if (next.done === true) return Buffer.concat(chunks);
      size += next.value.length;
      if (size > maxBytes) throw new ServiceError('too-large', `${what}: an answer of more than ${maxBytes} bytes`);
      chunks.push(next.value);
    }
  } catch (error) {
    // Not awaited: a stream that hangs would hang its own end too.
    iterator.return?.()?.catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
