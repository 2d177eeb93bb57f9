import type { Hint } from '../base/errors.js';
import type { Candidate } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { RegressedJob } from '../criteria/regressions.js';
import type { Change } from '../ledger/next-record.js';
import type { Overridden } from '../ledger/record.js';

export type Decision = 'promote' | 'wait' | 'reject' | 'force' | 'rollback' | 'adopt' | 'unchanged' | 'frozen';

/** A regression of the promoted image. */
export interface Regression {
  /** The jobs that passed when it was promoted and fail now, each with its link and the start of its failure. */
  readonly jobs: readonly [RegressedJob, ...RegressedJob[]];
}

export interface Outcome {
  readonly decision: Decision;
  /** One sentence. */
  readonly reason: string;
  /** The image that the decision is about. */
  readonly candidate: Candidate;
  /** The image that `previous-<label>` names afterwards; undefined if no rollback is possible. */
  readonly previous: Candidate | undefined;
  readonly report: DecisionRecord | undefined;
  /** The unmet jobs that a force skips. */
  readonly skippedJobs?: readonly string[];
  /** The verdict and the guards that a force overrides. */
  readonly overridden?: readonly Overridden[];
  /** Set if the promoted image has regressed. */
  readonly regression?: Regression;
}

/** The outcome, and the record to append; without one nothing changes. */
export interface Decided {
  readonly outcome: Outcome;
  readonly change: Change | undefined;
}

/** A guard refuses the request: the run fails, and nothing changes. */
export interface Refused {
  readonly refused: string;
  readonly hint?: Hint | undefined;
}

export function refuse(refused: string, hint?: Hint): Refused {
  return { refused, hint };
}
