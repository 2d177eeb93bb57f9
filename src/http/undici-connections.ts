import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { buildConnector as connectors, Dispatcher } from 'undici';
import { ServiceError } from '../base/errors.js';
import { describeProxy, type HttpProxy, ProxyUnreachable, proxyFor } from './proxy.js';
import { explainTlsError } from './tls.js';

/** The connections to one origin. */
export interface Way {
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

// The HTTP policy and the transport set the time limits.
const COMMON = { headersTimeout: 0, bodyTimeout: 0 } as const;
const HTTP1 = { ...COMMON, connections: AT_ONCE, pipelining: 1 } as const;

/** What TLS connections trust; empty for Node's own authorities. */
export interface Trust {
  readonly secureContext?: SecureContext;
}

/** Opens the connections to the origin of a URL. Passes each dispatcher to `opened`, for the caller to end. */
export async function openWay(url: URL, trust: Trust, opened: (dispatcher: Dispatcher) => void): Promise<Way> {
  const proxy = proxyFor(url);
  return proxy === undefined ? openDirectly(url.origin, trust, opened) : openByProxy(proxy, trust, opened);
}

async function openByProxy(proxy: HttpProxy, trust: Trust, opened: (dispatcher: Dispatcher) => void): Promise<Way> {
  // All of undici, since a tunnel needs what only its index adds to the dispatchers.
  const { buildConnector, Pool, ProxyAgent } = await import('undici');
  const toProxy = { ...HTTP1, connect: blaming(proxy, buildConnector(trust)) };
  const agent = new ProxyAgent({
    ...HTTP1,
    uri: proxy.url.href,
    requestTls: trust,
    proxyTls: trust,
    proxyTunnel: false,
    // For tunnels.
    clientFactory: (origin) => new Pool(origin, toProxy),
    // For requests without a tunnel, which are sent to the proxy itself, and for those within a tunnel.
    factory: (origin, options) => new Pool(origin, origin === proxy.url.href ? toProxy : options),
  });
  opened(agent);
  return { requests: agent, uploads: agent, goodbyes: 0 };
}

/** A connector to a proxy, whose failures say so. */
function blaming(proxy: HttpProxy, connect: Connector): Connector {
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error === null) return callback(null, socket);
      const explained = explainTlsError(error, describeProxy(proxy));
      callback(explained instanceof ServiceError ? explained : new ProxyUnreachable(proxy, error), null);
    });
}

/** The protocol is only known after the TLS handshake, so this connects first and passes on that connection. */
async function openDirectly(origin: string, trust: Trust, opened: (dispatcher: Dispatcher) => void): Promise<Way> {
  const { default: buildConnector } = await import('undici/lib/core/connect.js');
  const connect = buildConnector({ ...trust, allowH2: true });
  // The rest of undici is loaded during the handshake.
  const connecting = origin.startsWith('https:') ? connected(connect, new URL(origin)) : undefined;
  connecting?.catch(() => undefined);
  const [{ default: Client }, { default: Pool }] = await Promise.all([
    import('undici/lib/dispatcher/client.js'),
    import('undici/lib/dispatcher/pool.js'),
  ]);
  const openPool = (by: Connector | Trust): Dispatcher => {
    const pool = new Pool(origin, { ...HTTP1, connect: by });
    opened(pool);
    return pool;
  };
  const single = (pool: Dispatcher): Way => ({ requests: pool, uploads: pool, goodbyes: 0 });
  if (connecting === undefined) return single(openPool(trust));
  const socket = await connecting;
  const first = handOver(socket, connect);
  if (!(socket instanceof TLSSocket && socket.alpnProtocol === 'h2')) return single(openPool(first));
  const client = new Client(origin, {
    ...COMMON,
    allowH2: true,
    pipelining: AT_ONCE,
    maxConcurrentStreams: AT_ONCE,
    initialWindowSize: STREAM_WINDOW,
    connectionWindowSize: CONNECTION_WINDOW,
    connect: first,
  });
  opened(client);
  return { requests: client, uploads: openPool(trust), goodbyes: 0 };
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
