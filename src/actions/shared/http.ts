import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { actionsTransport } from '../../http/actions-transport.js';
import { createHttp, defaultPolicy, type Http } from '../../http/policy.js';
import type { ParsedInputs } from '../../runner/inputs.js';
import { type caInput, readCertificates } from './ca-input.js';

/** An HTTP client for small APIs: DLRN, Zuul, forges, stores over HTTP. It also trusts the certificates in `ca-file`. */
export async function smallApis(log: Log, settings: ParsedInputs<typeof caInput>): Promise<Http> {
  const ca = await readCertificates(settings);
  return createHttp({ transport: actionsTransport(ca), policy: defaultPolicy, clock: systemClock, log });
}
