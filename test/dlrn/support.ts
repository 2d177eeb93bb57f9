import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import type { Clock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import type { Log } from '../../src/base/log.js';
import { candidateSchema } from '../../src/candidate/reference.js';
import { createDlrn, type DlrnParts } from '../../src/dlrn/client.js';
import type { Report } from '../../src/dlrn/post-report.js';
import { dlrnEvidence } from '../../src/evidence/dlrn.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { createHttp, defaultPolicy, type HttpPolicy } from '../../src/http/policy.js';
import { sandbox } from '../sandbox/current.js';
import { type FaultProxy, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import type { Stoppable } from '../sandbox/process.js';

export const silent: Log = { debug() {}, info() {}, warning() {}, group: (_, phase) => phase() };

/** A clock on which waiting takes no time. */
function fastClock(): Clock {
  let skipped = 0;
  return {
    now: () => Date.now() + skipped,
    sleep: async (milliseconds) => {
      skipped += milliseconds;
    },
    random: () => 0.5,
  };
}

export const clock = fastClock();

export function http(policy: Partial<HttpPolicy> = {}) {
  return createHttp({ transport: actionsTransport(), policy: { ...defaultPolicy, ...policy }, clock, log: silent });
}

/** The API of the sandbox's master branch, or a proxy in front of it. */
export function dlrnAt(origin: string, rest: Partial<DlrnParts> = {}) {
  const { dlrn } = sandbox();
  const { pathname } = new URL(dlrn.branches.master.url);
  return createDlrn({
    http: http(),
    url: new URL(pathname, origin),
    credentials: dlrn.login,
    clock,
    log: silent,
    ...rest,
  });
}

/** DLRN's results without its remarks. */
export async function dlrnResults(...args: Parameters<typeof dlrnEvidence>) {
  return (await dlrnEvidence(...args)).results;
}

export const master = () => sandbox().dlrn.branches.master;

export const CANDIDATE = v.parse(
  candidateSchema,
  `quay.io/ceph/daemon:v6.0.10-stable-6.0-pacific-centos-stream8-x86_64@sha256:${'a'.repeat(64)}`,
);

/** A report by a job of its own: votes stay for the whole run. */
export function newReport(rest: Partial<Report> = {}): Report {
  return {
    subject: { kind: 'aggregate', hash: master().hashes[0] ?? '' },
    jobId: `job-${randomUUID()}`,
    jobUrl: 'https://ci.example/1',
    success: true,
    timestamp: 1_795_000_000,
    notes: `${CANDIDATE.tag}@${CANDIDATE.digest}`,
    ...rest,
  };
}

export async function errorOf(work: Promise<unknown>): Promise<ServiceError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof ServiceError) return thrown;
  throw new Error(`no ServiceError: ${thrown}`);
}

const proxies: Stoppable[] = [];

export async function faultyDlrn(...rules: Rule[]): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ upstream: new URL(master().url).origin, rules });
  proxies.push(proxy);
  return proxy;
}

export async function stopProxies(): Promise<void> {
  for (const proxy of proxies.splice(0)) await proxy.stop();
}
