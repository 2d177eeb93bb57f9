import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { buildConnector as connectors, Dispatcher } from 'undici';
import { isLoopback } from '../base/loopback.js';

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

/** Opens the connections to the origin of a URL. Each of undici's dispatchers is passed to `opened`, which ends it. */
export function openWay(url: URL, trust: Trust, opened: (dispatcher: Dispatcher) => void): Promise<Way> {
  return hasProxy(url) ? openByProxy(trust, opened) : openDirectly(url.origin, trust, opened);
}

async function openByProxy(trust: Trust, opened: (dispatcher: Dispatcher) => void): Promise<Way> {
  const { EnvHttpProxyAgent } = await import('undici');
  const options = { ...HTTP1, connect: trust, requestTls: trust, proxyTls: trust, proxyTunnel: false };
  const agent = new EnvHttpProxyAgent(options);
  opened(agent);
  return { requests: agent, uploads: agent, goodbyes: 0 };
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

/** True if the environment names a proxy for this kind of URL. Loopback hosts never use one, as in Go. */
export function hasProxy({ protocol, hostname }: URL): boolean {
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
