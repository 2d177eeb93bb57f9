import type { ImageSet } from '../candidate/image-set.js';
import type { Digest, Repository, Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { History } from '../ledger/history.js';
import type { Label } from '../ledger/names.js';
import type { LedgerPosition } from '../ledger/record.js';
import type { Targets } from './targets.js';

/** The values that the rules get without reading anything. */
export interface Setting {
  readonly label: Label;
  /** The repository that candidates come from. */
  readonly source: Repository;
  readonly targets: Targets;
  /** The candidate that the evidence is about; undefined if a person names another image. */
  readonly candidate: ImageSet | undefined;
  /** The reason for a freeze; undefined if there is none. */
  readonly freeze: string | undefined;
  /** The lost ledgers that proofs at the targets name; empty if the label has a ledger. */
  readonly supersedes: readonly LedgerPosition[];
  readonly onRegression: 'warn' | 'hold' | 'rollback';
  readonly who: string;
  /** The id of the run, which is the same in all its attempts. */
  readonly run: string;
  /** The number of this attempt, from 1; 0 if nobody counts attempts. */
  readonly attempt: number;
  /** RFC 3339. */
  readonly now: string;
}

/** The questions that the rules ask, each only if its answer matters. */
export interface Facts {
  /** Evaluates the evidence on a set against the criteria. */
  report(set: ImageSet): Promise<DecisionRecord>;
  /** The digest that a tag points at; undefined if there is no such tag. */
  resolve(repository: Repository, tag: Tag): Promise<Digest | undefined>;
  /** Existing tags with names similar to a tag that does not exist. */
  similarTags(repository: Repository, tag: Tag): Promise<readonly string[]>;
  /** The set that the store records for a tag; undefined if the tag was not published. */
  published(tag: Tag): Promise<ImageSet | undefined>;
  /** The ledger, from the head backwards. */
  readonly history: History;
  /**
   * The digests of an image's platform manifests and of their configs, without attestation manifests; empty if the
   * image is gone.
   */
  contents(repository: Repository, digest: Digest): Promise<readonly Digest[]>;
}
