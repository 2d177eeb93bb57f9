import { sha256 } from './codec.js';
import type { LedgerReader } from './reader.js';
import type { LedgerPosition } from './record.js';

/**
 * A proof is a record attached, in a target repository, to the image that it promotes. The right to write the store
 * does not include the right to attach one, so proofs reveal a ledger that was cut, replaced or removed.
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

/** An earlier record of the store's ledger: its number, and the hash of its bytes; undefined if the store lacks it. */
export interface EarlierRecord {
  readonly n: number;
  readonly sha256: string | undefined;
}

/**
 * Returns how a proof contradicts the store's ledger, or undefined if it does not. A ledger that was cut and has grown
 * since is recognized only by `earlier`, where it has a different record, or none.
 */
export function contradiction(proof: Proof, end: LedgerEnd, earlier?: EarlierRecord): string | undefined {
  const { supersedes } = end;
  if (proof.ledger !== end.ledger) {
    if (supersedes.some(({ ledger, n }) => proof.ledger === ledger && proof.n <= n)) return undefined;
    return `it proves record ${proof.n} of another ledger, ${proof.ledger.slice(0, 12)}`;
  }
  if (proof.n > end.n) return `it proves record ${proof.n}, but the newest record in the store is ${end.n}`;
  const stored = [end, earlier].find((record) => record?.n === proof.n);
  if (stored === undefined || stored.sha256 === proof.sha256) return undefined;
  return stored.sha256 === undefined
    ? `it proves record ${proof.n}, which the store lacks`
    : `it proves a different record ${proof.n} than the store has`;
}

/**
 * Reads the earlier record that must be compared with the proofs on one image; undefined if none must. The newest is
 * enough, since each record is chained to those before it.
 */
export async function readEarlier(
  ledger: Pick<LedgerReader, 'read'>,
  proofs: readonly Proof[],
  end: LedgerEnd,
): Promise<EarlierRecord | undefined> {
  const older = proofs.filter((proof) => proof.ledger === end.ledger && proof.n < end.n);
  const newest = Math.max(0, ...older.map(({ n }) => n));
  if (newest === 0) return undefined;
  const bytes = await ledger.read(newest);
  return { n: newest, sha256: bytes && sha256(bytes) };
}
