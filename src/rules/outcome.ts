import type { Candidate } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { Change } from '../promotion/plan.js';

export type Decision = 'promote' | 'wait' | 'reject' | 'force' | 'rollback' | 'unchanged' | 'frozen';

/** What a run decided, and why. */
export interface Outcome {
  readonly decision: Decision;
  /** One sentence. */
  readonly reason: string;
  readonly candidate: Candidate;
  /** What `previous-<label>` is after it; undefined where there is no way back. */
  readonly previous: Candidate | undefined;
  /** The evaluation, where there was one. */
  readonly report: DecisionRecord | undefined;
  /** When an image was last promoted, other than by this run; undefined where none ever was. RFC 3339. */
  readonly lastPromotion?: string | undefined;
  /** The unmet jobs that a force skips, and the guards that it overrides. */
  readonly skippedJobs?: readonly string[];
  readonly overridden?: LedgerRecord['overridden'];
}

/** Nothing to do, or one more record. */
export interface Decided {
  readonly outcome: Outcome;
  readonly change: Change | undefined;
}
