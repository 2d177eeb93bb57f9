import { gunzipSync } from 'node:zlib';
import type { Clock } from '../base/clock.js';
import { errorLine, type Hint, oneLine, ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { networkErrorLine } from '../base/network-errors.js';
import { answerTooLarge, discard, readBody, TimeLimit } from './body.js';
import { ProxyUnreachable } from './proxy.js';
import { isTransient } from './status.js';
import type { HttpRequest, HttpResponse, Transport } from './transport.js';

/**
 * The one HTTP policy: time limits, retries with backoff and Retry-After (RFC 9110 section 10.2.3), redirects that
 * never carry credentials to another origin, and a User-Agent that names this project.
 */
export interface HttpPolicy {
  /** A request is sent at most this often, including the first time. */
  readonly attempts: number;
  /** Milliseconds that a server may take for each piece of a streamed body, and then for the head of its answer. */
  readonly answerMs: number;
  /** Milliseconds for a whole body that `sendForBytes` or `sendForText` reads. */
  readonly bodyMs: number;
  /** Milliseconds for a request with all its retries and waits. */
  readonly totalMs: number;
  /** The longest wait that a server may ask for. */
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
/** For requests with a fallback. */
const FEW_ATTEMPTS = 3;
/** A refused connection or an unknown name may be a wrong address, so it is retried less often. */
const CONNECT_ATTEMPTS = 5;

export interface Http {
  /** Sends a request, with retries if it is `idempotent`. Returns every status that is not worth a retry. */
  send(request: HttpRequest, options: SendOptions): Promise<HttpResponse>;
  /** Sends a request and reads its whole body, of at most `maxBytes`. */
  sendForBytes(request: HttpRequest, options: BodyOptions): Promise<BytesResponse>;
  /** Sends a request and reads its whole body as UTF-8. */
  sendForText(request: HttpRequest, options: BodyOptions): Promise<TextResponse>;
}

export interface SendOptions {
  /** True if the request may be sent again when its answer was lost. */
  readonly idempotent: boolean;
  /** The caller can do without this request: give up after a few attempts. A 429 is still waited out. */
  readonly optional?: boolean;
  readonly pace?: Pace;
  /** What to check if the server cannot be reached and no input has its host. */
  readonly hint?: Hint | undefined;
}

export interface BodyOptions extends SendOptions {
  readonly maxBytes: number;
}

/** Keeps requests at a server's pace. It is asked before each attempt. */
export interface Pace {
  /** Resolves when a request may be sent. Call the function it returns with the head of the answer, or with nothing. */
  enter(): Promise<(answer?: AnswerHead) => void>;
}

export type AnswerHead = Omit<HttpResponse, 'body'>;

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

/** A server that answers 429 did nothing, so even a request that is not idempotent may be repeated. */
function isWorthRepeating(status: number, idempotent: boolean): boolean {
  return status === 429 || (idempotent && isTransient(status));
}

/**
 * The wait that the server asks for, in milliseconds; undefined if it asks for none. Retry-After is a number of seconds
 * or a date. A date is compared with the server's own clock, its Date header, if there is one.
 */
export function retryAfterMs(headers: HttpResponse['headers'], now: number): number | undefined {
  const value = headers['retry-after']?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  if (Number.isNaN(date)) return undefined;
  // A proxy may add its own Date. The latest one that is not after the requested date is taken for the server's.
  const clocks = (headers.date?.match(HTTP_DATE) ?? []).map((text) => Date.parse(text)).filter((time) => time <= date);
  return Math.max(0, date - (clocks.length === 0 ? now : Math.max(...clocks)));
}

/** IMF-fixdate (RFC 9110 section 5.6.7), which itself contains a comma. */
const HTTP_DATE = /[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT/g;

/** In milliseconds: between half and all of 0.25 s, 0.5 s, 1 s …, at most 10 s. `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), 10_000);
  return Math.round(ceiling * (0.5 + random / 2));
}

export function createHttp(parts: HttpParts): Http {
  const { policy, clock } = parts;

  const sendForBytes = (request: HttpRequest, options: BodyOptions): Promise<BytesResponse> =>
    retrying(parts, request, options, async (deadline) => {
      const response = await paced(parts, request, options.pace, deadline);
      const limit = Math.min(policy.bodyMs, deadline - clock.now());
      const sent = await readBody(response, options.maxBytes, limit, describe(request));
      const { body: _, ...head } = response;
      return { ...head, bytes: unpacked(sent, head, options.maxBytes, describe(request)) };
    });

  return {
    send: (request, options) =>
      retrying(
        parts,
        request,
        options,
        (deadline) => paced(parts, request, options.pace, deadline),
        (response) => discard(response),
      ),

    sendForBytes,

    async sendForText(request, options) {
      const { bytes, ...head } = await sendForBytes(request, options);
      return { ...head, text: bytes.toString('utf8') };
    },
  };
}

/** Repeats `attempt` while it fails in a way that may pass. `drop` releases an answer that is not returned. */
async function retrying<T extends AnswerHead>(
  { policy, clock, log }: HttpParts,
  request: HttpRequest,
  { idempotent, optional = false, hint }: SendOptions,
  attempt: (deadline: number) => Promise<T>,
  drop: (answer: T) => Promise<void> = async () => undefined,
): Promise<T> {
  const deadline = clock.now() + policy.totalMs;
  for (let count = 1; ; count += 1) {
    let failed: Failure;
    try {
      const answer = await attempt(deadline);
      const isLast = count >= attemptsFor(policy, optional && answer.status !== 429);
      if (isLast || !isWorthRepeating(answer.status, idempotent)) return answer;
      await drop(answer);
      failed = {
        kind: 'server-error',
        reason: `answered ${answer.status}`,
        isOfHost: false,
        waitMs: retryAfterMs(answer.headers, clock.now()) ?? 0,
        attempts: attemptsFor(policy, optional && answer.status !== 429),
      };
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      failed = {
        kind: error instanceof TimeLimit ? 'timeout' : 'unreachable',
        reason: networkErrorLine(error),
        isOfHost: !(error instanceof ProxyUnreachable),
        waitMs: 0,
        attempts: !idempotent
          ? 1
          : Math.min(attemptsFor(policy, optional), isNobodyThere(error) ? CONNECT_ATTEMPTS : policy.attempts),
      };
    }
    const reason = `${describe(request)}: ${failed.reason}`;
    const named = failed.isOfHost ? { hint, host: request.url.host } : {};
    if (count >= failed.attempts) throw new ServiceError(failed.kind, reason, named);
    const wait = Math.max(failed.waitMs, backoffMs(count, clock.random()));
    if (wait > policy.longestWaitMs || clock.now() + wait > deadline) {
      const due = `a retry would only be due in ${Math.ceil(wait / 1000)} s`;
      throw new ServiceError(failed.kind, `${reason}; ${due}`, named);
    }
    log.debug(`${reason}; retry ${count} of ${failed.attempts - 1} in ${wait} ms`);
    await clock.sleep(wait);
  }
}

interface Failure {
  readonly kind: 'timeout' | 'unreachable' | 'server-error';
  readonly reason: string;
  /** The address of the host may be wrong, so its input is named. */
  readonly isOfHost: boolean;
  readonly waitMs: number;
  /** The number of attempts for this kind of failure. */
  readonly attempts: number;
}

function attemptsFor({ attempts }: HttpPolicy, optional: boolean): number {
  return optional ? Math.min(attempts, FEW_ATTEMPTS) : attempts;
}

async function paced(
  parts: HttpParts,
  request: HttpRequest,
  pace: Pace | undefined,
  deadline: number,
): Promise<HttpResponse> {
  const leave = await pace?.enter();
  let response: HttpResponse | undefined;
  try {
    response = await follow(parts, request, deadline);
    return response;
  } finally {
    leave?.(response);
  }
}

/** Unpacks what a server compressed although we asked it not to. Returns other bytes unchanged. */
function unpacked(bytes: Buffer, { headers }: AnswerHead, maxBytes: number, what: string): Buffer {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!isGzip || !/^(?:x-)?gzip$/i.test(headers['content-encoding'] ?? '')) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw answerTooLarge(what, maxBytes);
    throw new ServiceError('bad-answer', `${what}: an answer whose gzip cannot be unpacked: ${errorLine(error)}`);
  }
}

async function follow(parts: HttpParts, request: HttpRequest, deadline: number): Promise<HttpResponse> {
  let current = request;
  for (let hop = 0; ; hop += 1) {
    const response = await once(parts, current, deadline);
    const { location } = response.headers;
    if (
      !mayFollow(current, response) ||
      location === undefined ||
      ![301, 302, 303, 307, 308].includes(response.status)
    ) {
      return current.url.origin === request.url.origin ? response : { ...response, elsewhere: current.url.host };
    }
    await discard(response);
    if (hop === MAX_REDIRECTS) {
      throw new ServiceError('bad-answer', `${describe(request)}: more than ${MAX_REDIRECTS} redirects`);
    }
    current = redirected(current, location);
  }
}

/**
 * GET and HEAD are safe to repeat. Other methods, with their bodies, are repeated only on the same origin, and only
 * after a status that keeps the method (RFC 9110 section 15.4). A body that is a stream starts again.
 */
function mayFollow({ method, url }: HttpRequest, { status, headers }: AnswerHead): boolean {
  if (method === 'GET' || method === 'HEAD') return true;
  const { location = '' } = headers;
  const isHere = URL.canParse(location, url.href) && new URL(location, url).origin === url.origin;
  return isHere && (status === 307 || status === 308);
}

async function once(
  { transport, policy, clock }: HttpParts,
  request: HttpRequest,
  deadline: number,
): Promise<HttpResponse> {
  const limit = Math.min(policy.answerMs, deadline - clock.now());
  const controller = new AbortController();
  // One timer, restarted for each piece of a body. A layer has so many pieces that a timer for each would cost time.
  let turn: 'server' | 'ours' | 'over' = 'server';
  const timer = setTimeout(() => turn === 'server' && controller.abort(new TimeLimit(limit)), Math.max(1, limit));
  const pass = (to: 'server' | 'ours') => {
    if (turn === 'over') return;
    turn = to;
    timer.refresh();
  };
  try {
    const headers = { 'user-agent': USER_AGENT, 'accept-encoding': 'identity', ...request.headers };
    return await transport({ ...request, headers, ...timedBody(request.body, pass) }, controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    turn = 'over';
    clearTimeout(timer);
  }
}

/** A long upload is not a late answer, so the limit covers only the server's time for each piece. */
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

function isNobodyThere(error: unknown): boolean {
  if (error instanceof ProxyUnreachable) return isNobodyThere(error.failure);
  const codes = [error, error instanceof AggregateError ? error.errors[0] : undefined].map(codeOf);
  return codes.some((code) => code === 'ECONNREFUSED' || code === 'ENOTFOUND');
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/** The name of a request in errors, as in `GET https://host/path`. The query is left out, since it may contain a token. */
export function describe(request: HttpRequest): string {
  return `${request.method} ${request.url.origin}${request.url.pathname}`;
}

/** The request after a redirect. Credentials are kept only while the origin stays the same, and never come back. */
function redirected(request: HttpRequest, location: string): HttpRequest {
  const url = URL.canParse(location, request.url.href) ? new URL(location, request.url) : undefined;
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
