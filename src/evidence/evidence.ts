import type { Log } from '../base/log.js';
import type { Candidate } from '../candidate/reference.js';
import type { JobResult } from '../criteria/job-result.js';
import type { Dlrn } from '../dlrn/client.js';
import { type DlrnScope, dlrnEvidence } from './dlrn.js';
import { needsEvidence } from './needs.js';
import { type ZuulParts, zuulEvidence } from './zuul.js';

/** Where results come from. */
export type EvidenceSource =
  | { readonly kind: 'dlrn'; readonly dlrn: Dlrn; readonly scope: DlrnScope }
  | { readonly kind: 'needs'; readonly needs: string }
  | ({ readonly kind: 'zuul' } & Pick<ZuulParts, 'http' | 'url' | 'tenant' | 'pipelines'>);

/** All results of `jobs` that the source has; those on other images may be among them. `now` in unix seconds. */
export async function gatherEvidence(
  source: EvidenceSource,
  jobs: readonly string[],
  candidate: Candidate,
  now: number,
  log: Log,
): Promise<JobResult[]> {
  switch (source.kind) {
    case 'dlrn':
      return dlrnEvidence(source.dlrn, source.scope, jobs, log);
    case 'needs':
      return needsEvidence(source.needs, candidate, now);
    case 'zuul':
      return zuulEvidence({ ...source, jobs, log });
  }
}
