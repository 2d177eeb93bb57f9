import type { Readable } from 'node:stream';
import { createSecureContext } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import type { Dispatcher } from 'undici';
import { errorLine, type Hint, ServiceError } from '../base/errors.js';
import { explainTlsError, trustedCertificates } from './tls.js';
import { type HttpRequest, joinedHeaders, type Transport } from './transport.js';
import { openWay, type Way } from './undici-connections.js';

/**
 * Sends requests with undici: over HTTP/2 on one connection if a server offers it over TLS, else over HTTP/1.1. It
 * obeys HTTP_PROXY, HTTPS_PROXY and NO_PROXY, over HTTP/1.1, and uses no proxy for loopback hosts.
 */
export interface UndiciTransport {
  readonly transport: Transport;
  /** Ends all connections and the requests on them. */
  close(): Promise<void>;
}

export interface UndiciOptions {
  /** PEM certificates to trust in addition to Node's own. */
  readonly ca?: string;
  /** The way out if a server speaks no TLS. Without one, the error has the host instead. */
  readonly withoutTls?: Hint;
  /** Milliseconds that a body may take for its next 64 KiB. */
  readonly bodyIdleMs?: number;
}

/** After the server has ended this many HTTP/2 connections, the origin is accessed over HTTP/1.1. */
const MANY_GOODBYES = 3;

const BODY_IDLE_MS = 60_000;
/** The least that a body must deliver within the idle limit. */
const LEAST_BYTES = 64 * 1024;
/** The number of checks within that time. */
const LOOKS = 20;

/**
 * undici's HTTP parser is WebAssembly. After a while V8 would recompile it, which takes 36 MB and brings nothing to a
 * client that mostly waits.
 */
const COMPILED_ONCE = '--no-wasm-tier-up --no-wasm-dynamic-tiering';

/** undici is loaded with the first request, since not every run makes one. */
export function undiciTransport({ ca, withoutTls, bodyIdleMs = BODY_IDLE_MS }: UndiciOptions): UndiciTransport {
  const trust = ca === undefined ? {} : { secureContext: createSecureContext({ ca: trustedCertificates(ca) }) };
  setFlagsFromString(COMPILED_ONCE);
  const ways = new Map<string, Promise<Way>>();
  const opened: Dispatcher[] = [];
  let closed = false;

  function wayTo(url: URL): Promise<Way> {
    if (closed) throw connectionsEnded(url);
    const known = ways.get(url.origin);
    if (known !== undefined) return known;
    const way = openWay(url, trust, (dispatcher) => opened.push(dispatcher));
    ways.set(url.origin, way);
    way.catch(() => ways.delete(url.origin));
    return way;
  }

  return {
    async transport(request, signal) {
      const { url } = request;
      try {
        const answer = await send(request, await wayTo(url), signal);
        return {
          status: answer.statusCode,
          headers: joinedHeaders(answer.headers),
          body: withIdleLimit(answer.body, bodyIdleMs),
        };
      } catch (error) {
        if (closed) throw connectionsEnded(url);
        if (errorLine(error).includes('GOAWAY')) noteGoodbye(await ways.get(url.origin));
        throw explainTlsError(error, url.host, withoutTls);
      }
    },

    async close() {
      closed = true;
      await Promise.all(opened.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

async function send({ method, url, headers = {}, body }: HttpRequest, way: Way, signal: AbortSignal) {
  const { default: request } = await import('undici/lib/api/api-request.js');
  signal.throwIfAborted();
  const isStream = typeof body === 'function';
  return request.call(isStream ? way.uploads : way.requests, {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    body: isStream ? body() : (body ?? null),
    signal,
    // So that undici does not delay other requests. The policy decides what is repeated.
    idempotent: true,
  });
}

/** When a server ends a connection, undici fails all requests on it. If that happens often, HTTP/1.1 is better. */
function noteGoodbye(way: Way | undefined): void {
  if (way === undefined) return;
  way.goodbyes += 1;
  if (way.goodbyes === MANY_GOODBYES) way.requests = way.uploads;
}

/** A ServiceError, so that the request is not repeated. */
function connectionsEnded({ host }: URL): ServiceError {
  return new ServiceError('unreachable', `${host}: no answer, since the connections were ended`);
}

/**
 * A body that fails if its server is too slow. Our own pauses do not count. One timer checks now and then, since a
 * layer has so many pieces that a timer for each would cost time.
 */
async function* withIdleLimit(body: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  // An error before anyone reads is reported to the reader later.
  body.on('error', () => undefined);
  let isWaiting = true;
  let looks = 0;
  let got = 0;
  const timer = setInterval(() => {
    if (isWaiting) looks += 1;
    if (looks === LOOKS) body.destroy(new Error(`less than ${LEAST_BYTES} bytes within ${idleMs / 1000} s`));
  }, idleMs / LOOKS).unref();
  try {
    for await (const chunk of body) {
      isWaiting = false;
      got += chunk.length;
      if (got >= LEAST_BYTES) {
        looks = 0;
        got = 0;
      }
      yield chunk;
      isWaiting = true;
    }
  } finally {
    clearInterval(timer);
  }
}
