import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import type { buildConnector as connectors, Dispatcher } from 'undici';
import { errorLine, ServiceError } from '../base/errors.js';
import { isLoopback } from '../base/loopback.js';
import { explainTlsError, trustedCertificates } from '../http/tls.js';
import { joinedHeaders, type Transport } from '../http/transport.js';

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
  /** Milliseconds that a body may take for its next 64 KiB. */
  readonly bodyIdleMs?: number;
}

/** The connections to one origin. */
interface Way {
  requests: Dispatcher;
  /** For bodies that are streams: on HTTP/2 undici sends these only while no other request runs. */
  readonly uploads: Dispatcher;
  /** The number of times that the server ended an HTTP/2 connection (GOAWAY). */
  goodbyes: number;
}

type Connector = connectors.connector;

/** More than the rate limits allow, so that no request waits here, where waiting would count as a late answer. */
const AT_ONCE = 64;
/** HTTP/2 windows. undici's defaults are made for web pages and slow down a download over a long distance. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 8 * 1024 * 1024;

/** After this many, the origin is accessed over HTTP/1.1. */
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
export function undiciTransport({ ca, bodyIdleMs = BODY_IDLE_MS }: UndiciOptions): UndiciTransport {
  const tls = ca === undefined ? {} : { secureContext: createSecureContext({ ca: trustedCertificates(ca) }) };
  setFlagsFromString(COMPILED_ONCE);
  // The policy and `withIdleLimit` set the time limits.
  const common = { headersTimeout: 0, bodyTimeout: 0 } as const;
  const http1 = { ...common, connections: AT_ONCE, pipelining: 1 } as const;
  const ways = new Map<string, Promise<Way>>();
  const opened: Dispatcher[] = [];
  let closed = false;
  const keep = <D extends Dispatcher>(dispatcher: D): D => {
    opened.push(dispatcher);
    return dispatcher;
  };

  /** The protocol is only known after the TLS handshake, so this connects first and passes on that connection. */
  async function direct(origin: string): Promise<Way> {
    const { default: buildConnector } = await import('undici/lib/core/connect.js');
    const connect = buildConnector({ ...tls, allowH2: true });
    // The rest of undici is loaded during the handshake.
    const connecting = origin.startsWith('https:') ? connected(connect, new URL(origin)) : undefined;
    connecting?.catch(() => undefined);
    const [{ default: Client }, { default: Pool }] = await Promise.all([
      import('undici/lib/dispatcher/client.js'),
      import('undici/lib/dispatcher/pool.js'),
    ]);
    const pool = (connect: Connector | typeof tls) => keep(new Pool(origin, { ...http1, connect }));
    const single = (dispatcher: Dispatcher): Way => ({ requests: dispatcher, uploads: dispatcher, goodbyes: 0 });
    if (connecting === undefined) return single(pool(tls));
    const socket = await connecting;
    const first = handOver(socket, connect);
    if (!(socket instanceof TLSSocket && socket.alpnProtocol === 'h2')) return single(pool(first));
    const client = new Client(origin, {
      ...common,
      allowH2: true,
      pipelining: AT_ONCE,
      maxConcurrentStreams: AT_ONCE,
      initialWindowSize: STREAM_WINDOW,
      connectionWindowSize: CONNECTION_WINDOW,
      connect: first,
    });
    return { requests: keep(client), uploads: pool(tls), goodbyes: 0 };
  }

  async function byProxy(): Promise<Way> {
    const { EnvHttpProxyAgent } = await import('undici');
    const options = { ...http1, connect: tls, requestTls: tls, proxyTls: tls, proxyTunnel: false };
    const agent = keep(new EnvHttpProxyAgent(options));
    return { requests: agent, uploads: agent, goodbyes: 0 };
  }

  function wayTo(url: URL): Promise<Way> {
    if (closed) throw connectionsEnded(url);
    const known = ways.get(url.origin);
    if (known !== undefined) return known;
    const way = hasProxy(url) ? byProxy() : direct(url.origin);
    ways.set(url.origin, way);
    way.catch(() => ways.delete(url.origin));
    return way;
  }

  /** When a server ends a connection, undici fails all requests on it. If that happens often, HTTP/1.1 is better. */
  async function learn(error: unknown, url: URL): Promise<void> {
    if (!errorLine(error).includes('GOAWAY')) return;
    const way = await ways.get(url.origin);
    if (way === undefined) return;
    way.goodbyes += 1;
    if (way.goodbyes === MANY_GOODBYES) way.requests = way.uploads;
  }

  return {
    async transport({ method, url, headers = {}, body }, signal) {
      try {
        const { default: request } = await import('undici/lib/api/api-request.js');
        const way = await wayTo(url);
        signal.throwIfAborted();
        const answer = await request.call(typeof body === 'function' ? way.uploads : way.requests, {
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method,
          headers,
          body: typeof body === 'function' ? body() : (body ?? null),
          signal,
          // So that undici does not hold back other requests. The policy decides what is repeated.
          idempotent: true,
        });
        return {
          status: answer.statusCode,
          headers: joinedHeaders(answer.headers),
          body: withIdleLimit(answer.body, bodyIdleMs),
        };
      } catch (error) {
        if (closed) throw connectionsEnded(url);
        await learn(error, url);
        throw explainTlsError(error, url.host, 'use-plain-http');
      }
    },

    async close() {
      closed = true;
      await Promise.all(opened.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** A ServiceError, so that the request is not repeated. */
function connectionsEnded({ host }: URL): ServiceError {
  return new ServiceError('unreachable', `${host}: no answer, since the connections were ended`);
}

/** Loopback hosts never use a proxy, as in Go. */
function hasProxy({ protocol, hostname }: URL): boolean {
  const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  return !isLoopback(hostname) && (process.env[name] || process.env[name.toUpperCase()] || '') !== '';
}

function connected(connect: Connector, { protocol, hostname, host, port }: URL): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect({ protocol, hostname: hostname.replace(/^\[|\]$/g, ''), host, port }, (error, socket) => {
      if (socket) resolve(socket);
      else reject(error);
    });
  });
}

/** A connector that returns `socket` first, if it is still open, and then makes new connections. */
function handOver(socket: Socket, connect: Connector): Connector {
  let unused = true;
  return (options, callback) => {
    // Not synchronously: undici would miss it.
    if (unused && !socket.destroyed) queueMicrotask(() => callback(null, socket));
    else connect(options, callback);
    unused = false;
  };
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
