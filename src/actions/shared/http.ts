import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { actionsTransport } from '../../http/actions-transport.js';
import { createHttp, defaultPolicy, type Http } from '../../http/policy.js';
import type { Transport } from '../../http/transport.js';
import { hasProxy } from '../../registry/undici-connections.js';
import { undiciTransport } from '../../registry/undici-transport.js';
import type { ParsedInputs } from '../../runner/inputs.js';
import { type caInput, readCertificates } from './ca-input.js';

/** An HTTP client for small APIs: DLRN, Zuul, forges, stores over HTTP. It also trusts the certificates in `ca-file`. */
export async function smallApis(log: Log, settings: ParsedInputs<typeof caInput>): Promise<Http> {
  const ca = await readCertificates(settings);
  return createHttp({ transport: transportFor(ca), policy: defaultPolicy, clock: systemClock, log });
}

/**
 * Requests that may need a proxy use the transport for registries. The runner's HTTP client opens a tunnel even for
 * http, which proxies refuse, and does not understand `*.` in NO_PROXY.
 */
function transportFor(ca: string | undefined): Transport {
  const direct = actionsTransport(ca);
  let throughProxy: Transport | undefined;
  return (request, signal) => {
    if (!hasProxy(request.url)) return direct(request, signal);
    throughProxy ??= undiciTransport(ca === undefined ? {} : { ca }).transport;
    return throughProxy(request, signal);
  };
}
