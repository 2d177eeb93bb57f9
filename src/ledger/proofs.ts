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

/** Why a proof contradicts the store's ledger; undefined if it does not. */
export function contradiction(proof: Proof, end: LedgerEnd): string | undefined {
  const { supersedes } = end;
  if (proof.ledger !== end.ledger) {
    if (supersedes.some(({ ledger, n }) => proof.ledger === ledger && proof.n <= n)) return undefined;
    return `it proves record ${proof.n} of another ledger, ${proof.ledger.slice(0, 12)}`;
  }
  if (proof.n > end.n) return `it proves record ${proof.n}, and the newest record in the store is ${end.n}`;
  if (proof.n === end.n && proof.sha256 !== end.sha256) return `it proves another record ${proof.n} than the store has`;
  return undefined;
}
