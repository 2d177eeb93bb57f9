import type { LedgerPosition } from './record.js';

/**
 * A proof is a record attached, in a target repository, to the image that it promotes. A person who can write the store
 * cannot write there, so proofs reveal a ledger that was cut, replaced or removed.
 */
export interface Proof extends LedgerPosition {
  /** The hash of the record's bytes. */
  readonly sha256: string;
}

/** A ledger's id and its newest record. */
export interface LedgerEnd extends Proof {
  /** The lost ledgers that this one replaces. */
  readonly supersedes: readonly LedgerPosition[];
}

/**
 * Why a proof contradicts the store's ledger; undefined if it does not. `stored` is the hash of the store's record of
 * the proof's number, where an earlier record was read: a ledger that was cut and has grown since has another one there.
 */
export function contradiction(proof: Proof, end: LedgerEnd, stored?: string): string | undefined {
  const { supersedes } = end;
  if (proof.ledger !== end.ledger) {
    if (supersedes.some(({ ledger, n }) => proof.ledger === ledger && proof.n <= n)) return undefined;
    return `it proves record ${proof.n} of another ledger, ${proof.ledger.slice(0, 12)}`;
  }
  if (proof.n > end.n) return `it proves record ${proof.n}, and the newest record in the store is ${end.n}`;
  const own = proof.n === end.n ? end.sha256 : stored;
  if (own !== undefined && proof.sha256 !== own) return `it proves another record ${proof.n} than the store has`;
  return undefined;
}

/**
 * The number of the earlier record that must be compared with the proofs on one image; undefined if none must. The
 * newest is enough, since each record is chained to those before it.
 */
export function earlierRecord(proofs: readonly Proof[], end: LedgerEnd): number | undefined {
  const newest = Math.max(0, ...proofs.filter(({ ledger }) => ledger === end.ledger).map(({ n }) => n));
  return newest > 0 && newest < end.n ? newest : undefined;
}
