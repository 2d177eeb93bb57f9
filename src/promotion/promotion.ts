import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { ImageSet } from '../candidate/image-set.js';
import type { Repository } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Label } from '../ledger/names.js';
import type { Author } from '../ledger/next-record.js';
import type { LedgerRules } from '../ledger/reader.js';
import type { Signing } from '../proof/signer.js';
import type { Registry } from '../registry/registry.js';
import type { Targets } from '../rules/targets.js';
import type { Store } from '../store/store.js';

/** Everything that one promotion works on: one label, its ledger and its targets. */
export interface Promotion {
  readonly store: Store;
  readonly registry: Registry;
  readonly label: Label;
  /** The label that candidates are published under, in the same store. */
  readonly candidateLabel: Label;
  /** The repository that candidates come from. */
  readonly source: Repository;
  readonly targets: Targets;
  /** The key of the HMAC that seals records; without it they are not sealed. */
  readonly ledgerKey: string | undefined;
  /** The signer of the proofs; without it they are not signed. */
  readonly signing?: Signing | undefined;
  /** True to copy signatures and other referrers too. */
  readonly referrers: boolean;
  /** Reads everything and changes nothing. */
  readonly dryRun: boolean;
  readonly author: Author;
  readonly clock: Clock;
  readonly log: Log;
  /** Evaluates the evidence on a set, which is read only once. `tested` is the set that this run's jobs tested. */
  evaluate(set: ImageSet, tested: ImageSet): Promise<DecisionRecord>;
}

export function ledgerRulesOf({ label, ledgerKey }: Promotion): LedgerRules {
  return { label, key: ledgerKey };
}
