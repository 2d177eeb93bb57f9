import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { actionsTransport } from '../../http/actions-transport.js';
import { createHttp, defaultPolicy, type Http } from '../../http/policy.js';
import type { ParsedInputs } from '../../runner/inputs.js';
import { type caInput, readCertificates } from './ca-input.js';

/** An HTTP client for the small APIs: DLRN, Zuul, the image server's pages. Trusts the certificates of `ca-file` too. */
export async function smallApis(log: Log, settings: ParsedInputs<typeof caInput>): Promise<Http> {
  const ca = await readCertificates(settings);
  return createHttp({ transport: actionsTransport(ca), policy: defaultPolicy, clock: systemClock, log });
}
