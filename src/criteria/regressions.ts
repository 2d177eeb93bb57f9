import { parseCriteria } from './criteria-file.js';
import type { DecisionRecord, JobState } from './decision-record.js';

/** A failed job that makes the promoted image regress. */
export type Regression = Pick<JobState, 'job' | 'since' | 'url' | 'aggregate-hash'>;

/**
 * The jobs by which a promoted image has regressed. `head` is the decision in the ledger's newest record (null if
 * nothing was evaluated), and `now` an evaluation of the same image from newer evidence. A requirement has regressed if
 * one of its jobs passed in `head`, and the newest result of each of its jobs is a failure that counts now. A job that
 * is unknown (no result, running, too old, skipped) or waived has not failed. For a group one pass is enough.
 */
export function regressions(head: DecisionRecord | null, now: DecisionRecord): Regression[] {
  if (head === null || head.candidate !== now.candidate) return [];
  const passed = new Set(head.jobs.filter(({ state }) => state === 'met').map(({ job }) => job));
  const { requirements } = parseCriteria(now.criteria.content, now.criteria.label);
  return requirements.flatMap((names) => {
    const members = now.jobs.filter(({ job }) => names.includes(job));
    const isRed = members.every(({ state }) => state === 'unmet');
    if (!isRed || !members.some(({ job }) => passed.has(job))) return [];
    return members.map(({ job, since, url, 'aggregate-hash': hash }) => ({ job, since, url, 'aggregate-hash': hash }));
  });
}
