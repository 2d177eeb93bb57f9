import { ServiceError } from '../base/errors.js';
import { isLoopback } from '../base/loopback.js';
import { networkErrorLine } from '../base/network-errors.js';

/** The one place that chooses the proxy for a URL, by http_proxy, https_proxy and no_proxy. */

/** A proxy that the environment names. */
export interface HttpProxy {
  readonly url: URL;
  /** The name of the variable, in errors. */
  readonly variable: string;
}

/** A connection to a proxy that failed: the host that was asked is not to blame. */
export class ProxyUnreachable extends Error {
  override readonly name = 'ProxyUnreachable';

  constructor(
    proxy: HttpProxy,
    readonly failure: unknown,
  ) {
    super(`${describeProxy(proxy)} cannot be reached: ${networkErrorLine(failure)}`);
  }
}

/** The name of a proxy in errors. Its URL may have a password in it, so only its host is shown. */
export function describeProxy({ url, variable }: HttpProxy): string {
  return `the proxy ${url.host} (${variable})`;
}

/** True if the environment names a proxy for this kind of URL, even if the URL's own host is reached without it. */
export function namesProxy(url: URL): boolean {
  return setting(variableFor(url)) !== undefined;
}

/** The proxy for a URL. Undefined without one, for a host in no_proxy and, as in Go, for a loopback host. */
export function proxyFor(url: URL): HttpProxy | undefined {
  const named = setting(variableFor(url));
  if (named === undefined || isLoopback(url.hostname) || isExcepted(url)) return undefined;
  const { variable, value } = named;
  const proxy = URL.canParse(value) ? new URL(value) : undefined;
  if (proxy !== undefined && PROTOCOLS.includes(proxy.protocol)) return { url: proxy, variable };
  // The value is not shown, since it may have a password in it.
  throw new ServiceError('unreachable', `${variable} is not the URL of a proxy, as in http://proxy.example:3128`);
}

/** What undici speaks to a proxy. */
const PROTOCOLS: readonly string[] = ['http:', 'https:', 'socks5:', 'socks:'];

function variableFor({ protocol }: URL): string {
  return protocol === 'https:' ? 'https_proxy' : 'http_proxy';
}

/** A variable by its name in lower case, or else in upper case. An empty one is not set. */
function setting(name: string): { readonly variable: string; readonly value: string } | undefined {
  for (const variable of [name, name.toUpperCase()]) {
    const value = process.env[variable];
    if (value !== undefined && value !== '') return { variable, value };
  }
  return undefined;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** True if no_proxy has the host: `*`, or a name, which covers the names below it, and may have a port. */
function isExcepted({ protocol, hostname, port }: URL): boolean {
  const entries =
    setting('no_proxy')
      ?.value.toLowerCase()
      .split(/[,\s]+/) ?? [];
  return entries.some((entry) => {
    if (entry === '*') return true;
    const [, name = '', only] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    if (name === '' || (only !== undefined && only !== (port || DEFAULT_PORTS[protocol]))) return false;
    return hostname === name || hostname.endsWith(`.${name}`);
  });
}
