import { findPrevious } from '../ledger/history.js';
import type { Ban, LedgerRecord } from '../ledger/record.js';
import type { Facts } from './facts.js';
import type { Decided } from './outcome.js';

export interface Amendment {
  readonly kind: 'hold' | 'lift' | 'quarantine';
  /** The reason that the person gave. */
  readonly reason: string;
  /** The outcome in one sentence. */
  readonly summary: string;
  readonly holds: readonly Ban[];
  readonly quarantine: readonly Ban[];
}

/** Writes a record that changes what may be promoted, and perhaps `previous`, but keeps the promoted image. */
export async function amend(
  head: LedgerRecord,
  { kind, reason, summary, holds, quarantine }: Amendment,
  facts: Facts,
): Promise<Decided> {
  const { candidate, companions, targets } = head;
  const previous = await findPrevious(facts.history, candidate.digest, [...holds, ...quarantine]);
  return {
    outcome: { decision: 'unchanged', reason: summary, candidate, previous, report: undefined },
    // A target that was added since waits for the next promotion, because these decisions copy nothing.
    change: { kind, reason, candidate, companions, targets, previous, holds, quarantine },
  };
}
