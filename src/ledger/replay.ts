import { errorLine } from '../base/errors.js';
import { tryParse } from '../base/schema.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { replay } from '../criteria/evaluate.js';
import type { LedgerRecord } from './record.js';

/** Evaluates the decision of a ledger record again; what is wrong with it, or undefined. */
export function replayRecord({ kind, candidate, decision }: LedgerRecord): string | undefined {
  if (decision === null) return undefined;
  const parsed = tryParse(decisionRecordSchema, decision);
  if ('problem' in parsed) return `its decision: ${parsed.problem}`;
  const { verdict, candidate: decided } = parsed.value;
  if (decided !== candidate) return `its decision is about ${decided}`;
  try {
    const again = replay(parsed.value);
    if (again !== verdict) return `its decision evaluates to ${again}, and it says ${verdict}`;
  } catch (error) {
    return `its decision: ${errorLine(error)}`;
  }
  return kind === 'earned' && verdict !== 'promote' ? `it says earned, and its decision is to ${verdict}` : undefined;
}
