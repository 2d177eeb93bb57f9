import type { HttpClient } from '@actions/http-client';
import { USER_AGENT } from './policy.js';
import { explainTlsError, trustedCertificates } from './tls.js';
import { joinedHeaders, type Transport } from './transport.js';

/**
 * Sends requests with the runner's HTTP client. Used for the small APIs where no proxy is named (docs/decisions/0007).
 * Its own retries and redirects are off, since policy.ts does both. The client is loaded with the first request.
 * `ca` is PEM text of certificates to trust in addition to Node's own.
 */
export function actionsTransport(ca?: string): Transport {
  // A client keeps connections of one protocol and fails with the other.
  const clients = new Map<string, Promise<HttpClient>>();
  return async (request, signal) => {
    const { protocol } = request.url;
    const loading = clients.get(protocol) ?? load();
    clients.set(protocol, loading);
    const client = await loading;
    if (ca !== undefined && protocol === 'https:') trust(client, request.url, ca);
    if (typeof request.body === 'function') throw new TypeError('this transport sends no streams');
    const body = typeof request.body === 'string' ? request.body : Buffer.from(request.body ?? '').toString('utf8');
    signal.throwIfAborted();
    // The client cannot be stopped, so a late answer is dropped when it comes.
    const { message } = await abortable(
      client.request(request.method, request.url.href, body, { ...request.headers }),
      signal,
      ({ message: late }) => late.destroy(),
    ).catch((error: unknown) => {
      throw explainTlsError(error, request.url.host);
    });
    return { status: message.statusCode ?? 0, headers: joinedHeaders(message.headersDistinct), body: message };
  };
}

async function load(): Promise<HttpClient> {
  const { HttpClient } = await import('@actions/http-client');
  return new HttpClient(USER_AGENT, [], { allowRedirects: false, allowRetries: false, keepAlive: true });
}

/** The client creates its agent itself, with or without a proxy, keeps it, and returns it on request. */
function trust(client: HttpClient, url: URL, ca: string): void {
  const agent: unknown = client.getAgent(url.href);
  const options = (agent as { readonly options?: { ca?: string[] } }).options;
  if (options !== undefined) options.ca ??= trustedCertificates(ca);
}

function abortable<T>(work: Promise<T>, signal: AbortSignal, drop: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(signal.reason);
      work.then(drop, () => undefined);
    };
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
