import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { actionsTransport } from '../../http/actions-transport.js';
import { createHttp, defaultPolicy, type Http } from '../../http/policy.js';

/** HTTP for the small APIs: DLRN, Zuul, the image server's pages. */
export function smallApis(log: Log): Http {
  return createHttp({ transport: actionsTransport(), policy: defaultPolicy, clock: systemClock, log });
}
