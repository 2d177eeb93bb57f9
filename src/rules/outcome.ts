import type { Hint } from '../base/errors.js';
import type { Candidate } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Change } from '../ledger/next-record.js';
import type { Overridden } from '../ledger/record.js';
import type { Regression } from './regression.js';

export type Decision = 'promote' | 'wait' | 'reject' | 'force' | 'rollback' | 'adopt' | 'unchanged' | 'frozen';

/** What a run decided, and why. */
export interface Outcome {
  readonly decision: Decision;
  /** One sentence. */
  readonly reason: string;
  /** The image that the decision is about. */
  readonly candidate: Candidate;
  /** What `previous-<label>` names after it; undefined where there is no way back. */
  readonly previous: Candidate | undefined;
  /** The evaluation of the candidate. */
  readonly report: DecisionRecord | undefined;
  /** The unmet jobs that a force skips, and the guards that it overrides. */
  readonly skippedJobs?: readonly string[];
  readonly overridden?: readonly Overridden[];
  /** What is promoted has failed since. */
  readonly regression?: Regression;
}

/** Nothing to do, or one more record. */
export interface Decided {
  readonly outcome: Outcome;
  readonly change: Change | undefined;
}

/** A guard refuses the request: the run ends red, and nothing changes. */
export interface Refused {
  readonly refused: string;
  readonly hint?: Hint | undefined;
}

export function refuse(refused: string, hint?: Hint): Refused {
  return { refused, hint };
}
