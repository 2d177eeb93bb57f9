import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { actionsTransport } from '../../http/actions-transport.js';
import { createHttp, defaultPolicy, type Http } from '../../http/policy.js';
import { namesProxy } from '../../http/proxy.js';
import type { Transport } from '../../http/transport.js';
import { undiciTransport } from '../../http/undici-transport.js';
import type { ParsedInputs } from '../../runner/inputs.js';
import { type caInput, readCertificates } from './ca-input.js';

/** An HTTP client for small APIs: DLRN, Zuul, forges, stores over HTTP. It also trusts the certificates in `ca-file`. */
export async function smallApis(log: Log, settings: ParsedInputs<typeof caInput>): Promise<Http> {
  const ca = await readCertificates(settings);
  return createHttp({ transport: transportFor(ca), policy: defaultPolicy, clock: systemClock, log });
}

/**
 * If a proxy is named, requests use the same transport as for registries, even those that NO_PROXY exempts: the
 * runner's HTTP client opens a tunnel even for http, which proxies refuse, and does not understand `*.` in NO_PROXY.
 */
function transportFor(ca: string | undefined): Transport {
  const direct = actionsTransport(ca);
  let asRegistries: Transport | undefined;
  return (request, signal) => {
    if (!namesProxy(request.url)) return direct(request, signal);
    asRegistries ??= undiciTransport(ca === undefined ? {} : { ca }).transport;
    return asRegistries(request, signal);
  };
}
