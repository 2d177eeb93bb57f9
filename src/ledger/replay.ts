import { errorLine } from '../base/errors.js';
import { formatSet } from '../candidate/image-set.js';
import { formatCandidate } from '../candidate/reference.js';
import { replay } from '../criteria/evaluate.js';
import { decisionOf, type LedgerRecord } from './record.js';

/** Evaluates a ledger record's decision again. Returns the problem with it, if there is one. */
export function replayProblem(record: LedgerRecord): string | undefined {
  const decision = decisionOf(record);
  if (decision === undefined) return undefined;
  if (decision.candidate !== formatCandidate(record.candidate)) return `its decision is about ${decision.candidate}`;
  const { companions } = record;
  if (
    formatSet({ ...record.candidate, companions }) !== [decision.candidate, ...(decision.companions ?? [])].join('\n')
  ) {
    return 'its decision is about other companions';
  }
  try {
    const verdict = replay(decision);
    return verdict === decision.verdict
      ? undefined
      : `its decision evaluates to ${verdict}, but says ${decision.verdict}`;
  } catch (error) {
    return `its decision: ${errorLine(error)}`;
  }
}
