import { oneLine } from '../base/errors.js';
import type { Candidate } from '../candidate/reference.js';
import type { Criteria } from './criteria-file.js';
import type { JobResult } from './job-result.js';

/** How far a reporter's clock may be ahead of ours, in seconds. */
const CLOCK_SKEW = 5 * 60;

/** What there is on the jobs of the criteria, parted by what counts. */
export interface Evidence {
  readonly counted: readonly JobResult[];
  readonly refused: readonly Refused[];
}

interface Refused {
  readonly result: JobResult;
  readonly why: string;
  /** It would count, if its time could be. */
  readonly onlyForItsTime: boolean;
}

/** Parts results by what counts for the candidate at `now` (unix seconds); both lists newest first, nothing twice. */
export function countEvidence(
  criteria: Criteria,
  results: readonly JobResult[],
  candidate: Candidate,
  now: number,
): Evidence {
  const jobs = new Set(criteria.requirements.flat());
  const own = new Map(results.filter(({ job }) => jobs.has(job)).map((result) => [identity(result), result]));
  const heard = new Set(
    [...own.values()].filter((result) => result.candidate.tag === candidate.tag).map(({ job }) => job),
  );
  const counted: JobResult[] = [];
  const refused: Refused[] = [];
  for (const [, result] of [...own].sort(newestFirst)) {
    if (result.candidate.tag !== candidate.tag) {
      // Where a job never speaks of the tag, the newest that it speaks of instead explains why.
      if (heard.has(result.job)) continue;
      heard.add(result.job);
    }
    const refusal = refusalOf(result, criteria, candidate, now);
    if (refusal === undefined) counted.push(result);
    else refused.push({ result, ...refusal });
  }
  return { counted, refused };
}

function refusalOf(
  { candidate: { tag, digest }, source, user, timestamp }: JobResult,
  criteria: Criteria,
  candidate: Candidate,
  now: number,
): Omit<Refused, 'result'> | undefined {
  const refuse = (why: string) => ({ why, onlyForItsTime: false });
  if (tag !== candidate.tag) return refuse(`it is on ${tag}`);
  if (digest === undefined && !criteria.bareTags) return refuse('it names the tag without a digest');
  if (digest !== undefined && digest !== candidate.digest) return refuse(`it is on another image, ${digest}`);
  const isTrusted = source !== 'dlrn' || (criteria.trustedUsers?.includes(user ?? '') ?? true);
  if (!isTrusted) return refuse(`it is by ${oneLine(user ?? 'nobody', 80)}, who is not in trusted-users`);
  if (timestamp > now + CLOCK_SKEW) return { why: `its time is ${timestamp - now} s ahead`, onlyForItsTime: true };
  if (timestamp < 0) return { why: 'its time is before 1970', onlyForItsTime: true };
  return undefined;
}

/** Of equal times the failure is first, then what still runs: what decides is never chance, and never in favour. */
const RANK = { failure: 0, running: 1, success: 2 } as const;

function newestFirst([a, x]: readonly [string, JobResult], [b, y]: readonly [string, JobResult]): number {
  return y.timestamp - x.timestamp || RANK[x.outcome] - RANK[y.outcome] || (a < b ? -1 : 1);
}

function identity(result: JobResult): string {
  const { job, outcome, candidate, timestamp, url, source, user } = result;
  return JSON.stringify([
    job,
    outcome,
    candidate.tag,
    candidate.digest,
    result['aggregate-hash'],
    timestamp,
    url,
    source,
    user,
  ]);
}
