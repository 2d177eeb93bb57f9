import type { DecisionRecord, JobState } from './decision-record.js';
import { standingsOf } from './evaluate.js';

/** A failed job by which the promoted image has regressed. */
export type RegressedJob = Pick<JobState, 'job' | 'since' | 'url' | 'aggregate-hash'>;

/**
 * The jobs by which a promoted image has regressed. `head` is the decision in the ledger's newest record (null if
 * nothing was evaluated), and `now` an evaluation of the same image from newer evidence. A requirement has regressed if
 * one of its jobs had met it in `head`, and it is red now: a job that is unknown (no result, running, too old, skipped)
 * has not failed, and for a group one pass is enough.
 */
export function findRegressedJobs(head: DecisionRecord | null, now: DecisionRecord): RegressedJob[] {
  if (head === null || head.candidate !== now.candidate) return [];
  const passed = new Set(standingsOf(head).flatMap((standing) => standing.passed));
  const regressed = standingsOf(now).filter(({ failed }) => failed.some((job) => passed.has(job)));
  const failed = new Set(regressed.flatMap((standing) => standing.failed));
  return now.jobs
    .filter(({ job }) => failed.has(job))
    .map(({ job, since, url, 'aggregate-hash': hash }) => ({ job, since, url, 'aggregate-hash': hash }));
}
