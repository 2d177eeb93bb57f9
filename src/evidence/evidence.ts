import type { Log } from '../base/log.js';
import type { ImageSet } from '../candidate/image-set.js';
import type { Evidence } from '../criteria/job-result.js';
import type { Dlrn } from '../dlrn/client.js';
import { type DlrnScope, dlrnEvidence } from './dlrn.js';
import { type NeedsParts, needsEvidence } from './needs.js';
import { type ZuulParts, zuulEvidence } from './zuul.js';

export type EvidenceSource =
  | { readonly kind: 'dlrn'; readonly dlrn: Dlrn; readonly scope: DlrnScope }
  | ({ readonly kind: 'needs' } & Pick<NeedsParts, 'needs' | 'attempt'>)
  | ({ readonly kind: 'zuul' } & Pick<ZuulParts, 'http' | 'url' | 'tenant' | 'pipelines'>);

/**
 * Reads all results of `jobs` that the source has, once. Results from DLRN and Zuul can be on any image, so `evaluate`
 * can use them for several candidates. Results from needs are about `candidate` only. `now` in unix seconds.
 */
export async function readEvidence(
  source: EvidenceSource,
  jobs: readonly string[],
  candidate: ImageSet,
  now: number,
  log: Log,
): Promise<Evidence> {
  switch (source.kind) {
    case 'dlrn':
      return dlrnEvidence(source.dlrn, source.scope, jobs, log);
    case 'needs':
      return needsEvidence({ ...source, jobs, candidate, now });
    case 'zuul':
      return zuulEvidence({ ...source, jobs, log });
  }
}
