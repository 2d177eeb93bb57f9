import { formatRepository } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { Step } from '../ledger/steps.js';
import type { StoreReader } from '../store/reader.js';

export interface Possible {
  readonly steps: readonly Step[];
  /** The repositories that refused the proof when the last run tried to attach it. */
  readonly refusedBy: readonly string[];
}

/**
 * Leaves out the proofs that no run can attach. A registry may list referrers and yet refuse to keep one. Only a run
 * that writes to it finds out, and the last run recorded that in its decision.
 */
export async function omitRefusedProofs(
  steps: readonly Step[],
  store: Pick<StoreReader, 'readLastDecision'>,
  label: Label,
): Promise<Possible> {
  if (!steps.some(({ kind }) => kind === 'attach-proof')) return { steps, refusedBy: [] };
  const last = await store.readLastDecision(label);
  const refusing = new Set(last?.['without-referrers']);
  const isRefused = (step: Step) =>
    step.kind === 'attach-proof' && refusing.has(formatRepository(step.target.repository));
  return {
    steps: steps.filter((step) => !isRefused(step)),
    refusedBy: steps.flatMap((step) =>
      step.kind === 'attach-proof' && isRefused(step) ? [formatRepository(step.target.repository)] : [],
    ),
  };
}
