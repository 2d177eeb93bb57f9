import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Candidate, Repository, Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Label } from '../ledger/names.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { Registry } from '../registry/registry.js';
import type { Store } from '../store/store.js';
import type { Author } from './plan.js';
import type { Targets } from './targets.js';

/** All that one promotion works on: one label, its ledger, its targets. */
export interface Promotion {
  readonly server: Store;
  readonly registry: Registry;
  readonly label: Label;
  /** Where candidates come from. */
  readonly source: Repository;
  readonly targets: Targets;
  /** Seals records by an HMAC; undefined: records are not sealed. */
  readonly ledgerKey: string | undefined;
  /** Do signatures and other referrers follow the digest? */
  readonly referrers: boolean;
  /** Only look: reads everything, changes nothing. */
  readonly dryRun: boolean;
  readonly author: Author;
  readonly clock: Clock;
  readonly log: Log;
  /** Holds the evidence on a candidate against the criteria. */
  evaluate(candidate: Candidate): Promise<DecisionRecord>;
  /** Evaluates a recorded decision again: what is wrong with it, or undefined. */
  replay(record: LedgerRecord): string | undefined;
  /** Negative where a's version is lower; undefined where the two cannot be compared. */
  compareTags(a: Tag, b: Tag): number | undefined;
}
