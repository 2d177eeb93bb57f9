import type { Candidate, Digest, Repository, Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { History } from '../ledger/history.js';
import type { Label } from '../ledger/names.js';
import type { LedgerPosition } from '../ledger/record.js';
import type { Targets } from './targets.js';

/** What the rules know without asking. */
export interface Setting {
  readonly label: Label;
  /** Where candidates come from. */
  readonly source: Repository;
  readonly targets: Targets;
  /** The candidate that the evidence is about; undefined where a person names another image. */
  readonly candidate: Candidate | undefined;
  /** Why nothing must be promoted; undefined: promotion is not frozen. */
  readonly freeze: string | undefined;
  /** The lost ledgers that proofs at the targets name; empty where the label has a ledger. */
  readonly supersedes: readonly LedgerPosition[];
  readonly onRegression: 'warn' | 'hold' | 'rollback';
  readonly who: string;
  /** The id of the run, the same in all its attempts, and the number of this attempt. */
  readonly run: string;
  readonly attempt: number;
  /** RFC 3339. */
  readonly now: string;
  /** Compares versions: negative where `a` is lower; undefined where the two cannot be compared. */
  compareTags(a: Tag, b: Tag): number | undefined;
}

/** The questions that the rules ask. Each is asked only where the answer decides. */
export interface Facts {
  /** The evidence on an image, evaluated against the criteria. */
  report(image: Candidate): Promise<DecisionRecord>;
  /** What a tag points at; undefined where there is no such tag. */
  resolve(repository: Repository, tag: Tag): Promise<Digest | undefined>;
  /** What the store says a tag is; undefined where it was not published. */
  published(tag: Tag): Promise<Candidate | undefined>;
  /** The ledger, from the head backwards. */
  readonly history: History;
  /**
   * The digests of an image's platform manifests and of their configs, without attestation manifests; empty where the
   * image is gone.
   */
  contents(repository: Repository, digest: Digest): Promise<readonly Digest[]>;
}
