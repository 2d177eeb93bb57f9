import type { Candidate, Digest, Repository, Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Label } from './names.js';

/** The target of one image of a record: the candidate or a companion. */
export interface LedgerTarget {
  readonly repository: Repository;
  /** The versioned tag, which never moves. */
  readonly tag: Tag;
  readonly digest: Digest;
  /** The image that was copied. */
  readonly source: Candidate;
}

/** A hold lasts until it is lifted or a newer version is promoted; a quarantine lasts forever. */
export interface Ban {
  readonly digest: Digest;
  readonly tag: Tag;
  readonly reason: string;
  readonly who: string;
  /** RFC 3339. */
  readonly since: string;
  /**
   * The digests of the image's platform manifests and configs, except those shared with the image that the same
   * decision promoted. Any image that has one of them is banned too, however its index is encoded. Empty for bans of
   * older records.
   */
  readonly contents: readonly Digest[];
}

/** A guard or verdict that a force overrode. */
export type Overridden = 'downgrade' | 'hold' | 'reject' | 'wait';

/** Identifies a ledger (by the SHA-256 of record 1's bytes) and one of its records. */
export interface LedgerPosition {
  readonly ledger: string;
  readonly n: number;
}

/** The fields of all records. Candidate, targets, previous, holds and quarantine are the state after the record. */
interface Common {
  /** `run/attempt/uuid`, different for every attempt to append. */
  readonly id: string;
  /** Starts at 1, without gaps. */
  readonly n: number;
  /** RFC 3339. */
  readonly when: string;
  readonly who: string;
  readonly runUrl: string | undefined;
  /** The event that started the run, such as `schedule`; empty outside a runner. */
  readonly event: string;
  readonly reason: string;
  readonly label: Label;
  readonly candidate: Candidate;
  /**
   * The images that were tested with the candidate. Absent in records without a set, although such a record may have
   * targets of companions.
   */
  readonly companions?: readonly Candidate[] | undefined;
  /** The candidate's first, then the companions'. */
  readonly targets: readonly LedgerTarget[];
  /** The image that `previous-<label>` names. */
  readonly previous: Candidate | undefined;
  readonly holds: readonly Ban[];
  readonly quarantine: readonly Ban[];
  /** The SHA-256 of record n-1's bytes; undefined for record 1. */
  readonly prevSha256: string | undefined;
}

/** The criteria were met. */
export interface EarnedRecord extends Common {
  readonly kind: 'earned';
  readonly decision: DecisionRecord;
}

/** A person promoted the candidate although the criteria were not met or a guard refused. */
export interface ForcedRecord extends Common {
  readonly kind: 'forced';
  readonly decision: DecisionRecord;
  /** The unmet jobs that the person named. */
  readonly skippedJobs: readonly string[];
  readonly overridden: readonly Overridden[];
}

/** Record 1 of a label that was promoted before it had a ledger. */
export interface AdoptedRecord extends Common {
  readonly kind: 'adopted';
  /** Ledgers that were lost. Their proofs up to `n` do not contradict this one. */
  readonly supersedes: readonly LedgerPosition[];
}

/** A decision without an evaluation. Only a rollback changes the candidate. */
export interface PlainRecord extends Common {
  readonly kind: 'rollback' | 'hold' | 'lift' | 'quarantine';
}

/** One record of the ledger, stored as `ledger/<label>/<n>.json`. */
export type LedgerRecord = EarnedRecord | ForcedRecord | AdoptedRecord | PlainRecord;

/** True if the record keeps the promoted image, and only changes which images may be promoted. */
export function keepsImage({ kind }: LedgerRecord): boolean {
  return kind === 'hold' || kind === 'lift' || kind === 'quarantine';
}

/** The decision record; undefined if nothing was evaluated. */
export function decisionOf(record: LedgerRecord): DecisionRecord | undefined {
  return record.kind === 'earned' || record.kind === 'forced' ? record.decision : undefined;
}

export function overriddenBy(record: LedgerRecord): readonly Overridden[] {
  return record.kind === 'forced' ? record.overridden : [];
}
