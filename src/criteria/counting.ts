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
  const ordered = [...new Map(results.map((result) => [identity(result), result])).values()].sort(newestFirst);
  const counted: JobResult[] = [];
  const refused: Refused[] = [];
  for (const job of criteria.requirements.flat()) {
    const own = ordered.filter((result) => result.job === job);
    const onTag = own.filter((result) => result.candidate.tag === candidate.tag);
    // Where a job never speaks of the tag, what it speaks of instead explains why.
    for (const result of onTag.length > 0 ? onTag : own.slice(0, 1)) {
      const refusal = refusalOf(result, criteria, candidate, now);
      if (refusal === undefined) counted.push(result);
      else refused.push({ result, ...refusal });
    }
  }
  return {
    counted: counted.sort(newestFirst),
    refused: refused.sort((a, b) => newestFirst(a.result, b.result)),
  };
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

function newestFirst(a: JobResult, b: JobResult): number {
  return b.timestamp - a.timestamp || RANK[a.outcome] - RANK[b.outcome] || (identity(a) < identity(b) ? -1 : 1);
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
