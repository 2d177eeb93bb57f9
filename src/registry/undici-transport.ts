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
 * Carries requests by undici: over TLS as HTTP/2 where the server has it, all on one connection; else as HTTP/1.1.
 * Proxies as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, over HTTP/1.1; none for loopback hosts.
 */
export interface UndiciTransport {
  readonly transport: Transport;
  /** Ends all connections, and what is under way with them. */
  close(): Promise<void>;
}

export interface UndiciOptions {
  /** PEM certificates to trust beside those that Node brings. */
  readonly ca?: string;
  /** How many milliseconds a body may make us wait for 64 KiB more of it. */
  readonly bodyIdleMs?: number;
}

/** How the requests to one origin go. */
interface Way {
  requests: Dispatcher;
  /** For bodies that are streams: undici sends such on HTTP/2 only while nothing else is under way. */
  readonly uploads: Dispatcher;
  /** How often the server has ended an HTTP/2 connection. */
  goodbyes: number;
}

type Connector = connectors.connector;

/** More than a session lets pass at once: nothing should wait in here, where that counts as a late answer. */
const AT_ONCE = 64;
/** HTTP/2 windows: undici's own are made for pages, and hold a download back where the way is long. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 8 * 1024 * 1024;

/** After so many an origin is asked by HTTP/1.1. */
const MANY_GOODBYES = 3;

const BODY_IDLE_MS = 60_000;
/** So much must come in that time; less is a server that only keeps us waiting. */
const LEAST_BYTES = 64 * 1024;
/** How often that is looked at within that time. */
const LOOKS = 20;

/**
 * undici's HTTP parser is WebAssembly, which V8 compiles once more when it has run for a while: that takes 36 MB, and
 * makes nothing faster that waits for servers.
 */
const COMPILED_ONCE = '--no-wasm-tier-up --no-wasm-dynamic-tiering';

/** Loads undici with the first request: not every run has one. */
export function undiciTransport({ ca, bodyIdleMs = BODY_IDLE_MS }: UndiciOptions): UndiciTransport {
  const tls = ca === undefined ? {} : { secureContext: createSecureContext({ ca: trustedCertificates(ca) }) };
  setFlagsFromString(COMPILED_ONCE);
  // Time limits are the policy's, and `attended`'s.
  const common = { headersTimeout: 0, bodyTimeout: 0 } as const;
  const http1 = { ...common, connections: AT_ONCE, pipelining: 1 } as const;
  const ways = new Map<string, Promise<Way>>();
  const opened: Dispatcher[] = [];
  let closed = false;
  const keep = <D extends Dispatcher>(dispatcher: D): D => {
    opened.push(dispatcher);
    return dispatcher;
  };

  /** Which protocol a server speaks is known once TLS is up: connects first, and hands that connection on. */
  async function direct(origin: string): Promise<Way> {
    const [{ default: buildConnector }, { default: Client }, { default: Pool }] = await Promise.all([
      import('undici/lib/core/connect.js'),
      import('undici/lib/dispatcher/client.js'),
      import('undici/lib/dispatcher/pool.js'),
    ]);
    const pool = (connect: Connector | typeof tls) => keep(new Pool(origin, { ...http1, connect }));
    const alone = (dispatcher: Dispatcher): Way => ({ requests: dispatcher, uploads: dispatcher, goodbyes: 0 });
    if (!origin.startsWith('https:')) return alone(pool(tls));
    const connect = buildConnector({ ...tls, allowH2: true });
    const socket = await connected(connect, new URL(origin));
    const first = handing(socket, connect);
    if (!(socket instanceof TLSSocket && socket.alpnProtocol === 'h2')) return alone(pool(first));
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
    if (closed) throw new ServiceError('unreachable', `${url.host}: not asked, since the connections were ended`);
    const known = ways.get(url.origin);
    if (known !== undefined) return known;
    const way = hasProxy(url) ? byProxy() : direct(url.origin);
    ways.set(url.origin, way);
    way.catch(() => ways.delete(url.origin));
    return way;
  }

  /** undici fails all that is under way when a server ends a connection: where that is often, HTTP/1.1 serves better. */
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
          // Only says that undici need not hold everything else back: whether to repeat is the policy's to know.
          idempotent: true,
        });
        return {
          status: answer.statusCode,
          headers: joinedHeaders(answer.headers),
          body: attended(answer.body, bodyIdleMs),
        };
      } catch (error) {
        await learn(error, url);
        throw explained(error, url);
      }
    },

    async close() {
      closed = true;
      await Promise.all(opened.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** Loopback hosts are never asked by way of a proxy, as Go has it. */
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

/** A connector that gives away `socket` first, if it still lives, and then connects. */
function handing(socket: Socket, connect: Connector): Connector {
  let unused = true;
  return (options, callback) => {
    // Not at once: undici would miss it.
    if (unused && !socket.destroyed) queueMicrotask(() => callback(null, socket));
    else connect(options, callback);
    unused = false;
  };
}

/**
 * A body that fails when its server lets us wait too long for its next bytes; our own pauses do not count. One timer
 * looks from time to time: a layer has so many pieces that a timer for each would show.
 */
async function* attended(body: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  // What fails before anyone reads is told to who reads.
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

/** Failures of TLS come again however often one asks; the error says what to set. */
function explained(error: unknown, { host }: URL): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return new ServiceError('unreachable', `${host}: speaks no TLS`, { hint: 'use-plain-http' });
  }
  return explainTlsError(error, host);
}
