import type { Candidate, Digest, Repository, Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Label } from './names.js';

/** Where one image of a record went: the candidate, or a companion. */
export interface LedgerTarget {
  readonly repository: Repository;
  /** The versioned tag, which never moves. */
  readonly tag: Tag;
  readonly digest: Digest;
  /** Where it was copied from. */
  readonly source: Candidate;
}

/** An image that must not be promoted: until the hold is lifted, or ever, if it is quarantined. */
export interface Ban {
  readonly digest: Digest;
  readonly tag: Tag;
  readonly reason: string;
  readonly who: string;
  /** RFC 3339. */
  readonly since: string;
  /**
   * The digests of its platform manifests and configs that the image promoted by the same decision does not share. An
   * image that has one of them is banned too, however its index is encoded. Empty for bans of older records.
   */
  readonly contents: readonly Digest[];
}

/** What a force overrode. */
export type Overridden = 'downgrade' | 'hold' | 'reject' | 'wait';

/** Identifies a ledger (the SHA-256 of record 1's bytes) and a record of it. */
export interface LedgerPosition {
  readonly ledger: string;
  readonly n: number;
}

/** What all records have. Candidate, targets, previous, holds and quarantine are the state after the record. */
interface Common {
  /** `run/attempt/uuid`, different for every attempt to append. */
  readonly id: string;
  /** From 1, without a gap. */
  readonly n: number;
  /** RFC 3339. */
  readonly when: string;
  readonly who: string;
  readonly runUrl: string | undefined;
  /** What started the run, as in `schedule`; empty outside a runner. */
  readonly event: string;
  readonly reason: string;
  readonly label: Label;
  readonly candidate: Candidate;
  /** The candidate's, then the companions'. */
  readonly targets: readonly LedgerTarget[];
  /** What `previous-<label>` names. */
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

/** A person promoted it although the criteria were not met, or a guard spoke against it. */
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
  /** Ledgers that were lost: their proofs up to `n` do not contradict this one. */
  readonly supersedes: readonly LedgerPosition[];
}

/** A decision without an evaluation. Only a rollback changes the candidate. */
export interface PlainRecord extends Common {
  readonly kind: 'rollback' | 'hold' | 'lift' | 'quarantine';
}

/** One record of the ledger, `ledger/<label>/<n>.json`. */
export type LedgerRecord = EarnedRecord | ForcedRecord | AdoptedRecord | PlainRecord;

/** Records that change only what may be promoted. */
export function keepsImage({ kind }: LedgerRecord): boolean {
  return kind === 'hold' || kind === 'lift' || kind === 'quarantine';
}

/** The decision that a record rests on; undefined where nothing was evaluated. */
export function decisionOf(record: LedgerRecord): DecisionRecord | undefined {
  return record.kind === 'earned' || record.kind === 'forced' ? record.decision : undefined;
}

/** What a record overrode. */
export function overriddenBy(record: LedgerRecord): readonly Overridden[] {
  return record.kind === 'forced' ? record.overridden : [];
}
