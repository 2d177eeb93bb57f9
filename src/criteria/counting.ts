import { oneLine } from '../base/errors.js';
import { type ImageSet, setDigest } from '../candidate/image-set.js';
import type { Criteria } from './criteria-file.js';
import type { DecisionRecord } from './decision-record.js';
import type { JobResult } from './job-result.js';

/** In seconds. A reporter's clock may be this far ahead of ours. */
export const CLOCK_SKEW = 5 * 60;

/** The rules in force when a record was made. A record replays by its own rules. */
export type Rules = DecisionRecord['version'];

/** The results of the criteria's jobs, split by whether they count. Both lists are newest first, without duplicates. */
export interface Counting {
  readonly counted: readonly JobResult[];
  readonly refused: readonly Refused[];
}

export interface Refused {
  readonly result: JobResult;
  readonly why: string;
  /**
   * A failure that does not count but still blocks its job. `undated`: its time is impossible, so nobody knows whether
   * a pass is newer. `unproven`: it does not say which image it tested, or tested it in another set, so only a newer
   * pass clears it.
   */
  readonly blocks?: 'undated' | 'unproven' | undefined;
}

/** Splits results by whether they count for the candidate at `now` (unix seconds). */
export function countEvidence(
  criteria: Criteria,
  results: readonly JobResult[],
  candidate: ImageSet,
  now: number,
  rules: Rules,
): Counting {
  const jobs = new Set(criteria.requirements.flat());
  const distinct = new Map(results.filter(({ job }) => jobs.has(job)).map((result) => [identity(result), result]));
  const own = [...distinct].sort(newestFirst(rules)).map(([, result]) => result);
  const refusalOf = refuser(criteria, candidate, now, rules);
  const counted = own.filter((result) => refusalOf(result) === undefined);
  const voted = new Set(counted.map(voteKey));

  const heard = new Set(own.filter((result) => result.candidate?.tag === candidate.tag).map(({ job }) => job));
  const refused = own.flatMap((result): Refused[] => {
    const refusal = refusalOf(result);
    if (refusal === undefined) return [];
    const isOnCandidate = result.candidate?.tag === candidate.tag;
    // Many votes in DLRN are not about images. One that names none matters only beside one on this image: see voteKey.
    const isStray = result.source === 'dlrn' && !isOnCandidate && !voted.has(voteKey(result));
    const blocks = isStray ? undefined : refusal.blocks;
    if (!isOnCandidate && blocks === undefined) {
      // If a job has no result on the tag, its newest result on another one explains why.
      if (heard.has(result.job)) return [];
      heard.add(result.job);
    }
    return [{ result, why: refusal.why, blocks }];
  });
  return { counted, refused };
}

/** Links a vote that names no image to one that does: both must have the same key. */
export function voteKey({ job, 'aggregate-hash': hash }: JobResult): string {
  return JSON.stringify([job, hash ?? null]);
}

/** Returns a function that gives the reason why a result does not count, or undefined if it counts. */
function refuser(criteria: Criteria, candidate: ImageSet, now: number, rules: Rules) {
  const trusted = criteria.trustedUsers;
  const set = setDigest(candidate);
  const types = new Map(criteria.attestations.map(({ name, type }) => [name, type]));
  return ({ outcome, source, user, timestamp, ...result }: JobResult): Omit<Refused, 'result'> | undefined => {
    const type = types.get(result.job);
    if (type !== undefined && source !== 'attestation')
      return { why: `only a signed statement counts, and this is from ${source}` };
    if (source === 'attestation' && result.attestation?.type !== type)
      return { why: 'it is a statement of another type' };
    // Only the ledger says where an image is promoted, whatever a job calls itself.
    if ((source === 'ledger') !== (result.job === criteria.promotedIn?.job)) return { why: `it is from ${source}` };
    const tested = rules >= 2 ? imageIn(result.candidate, candidate) : result.candidate;
    if (tested !== undefined && tested.tag !== candidate.tag) return { why: `it is on ${tested.tag}` };
    const isUnproven = tested === undefined || (tested.digest === undefined && !criteria.bareTags);
    if (!isUnproven && tested.digest !== undefined && tested.digest !== candidate.digest) {
      return { why: `it is on another image, ${tested.digest}` };
    }
    // A statement is about one digest, whatever the companions.
    const testedSet = isUnproven ? undefined : source === 'attestation' ? set : result['set-digest'];
    if (source === 'dlrn' && trusted !== undefined && !trusted.includes(user ?? '')) {
      return { why: `it is by ${oneLine(user ?? 'nobody', 80)}, who is not in trusted-users` };
    }
    const isFailure = outcome === 'failure';
    const time = timeProblem(timestamp, now);
    // A failure in another set blocks the image too, since the image may be to blame.
    if (isUnproven || testedSet !== set) {
      const why = testedSet === undefined ? whyUnproven(tested) : `it is on another set, ${testedSet}`;
      const blocks = time === undefined ? 'unproven' : 'undated';
      return { why: time === undefined ? why : `${why}, and ${time}`, ...(isFailure && rules >= 2 && { blocks }) };
    }
    return time === undefined ? undefined : { why: time, ...(isFailure && { blocks: 'undated' }) };
  };
}

function whyUnproven(tested: JobResult['candidate']): string {
  if (tested === undefined) return 'it does not say which image it tested';
  return tested.digest === undefined ? 'it names the tag without a digest' : 'it does not say which set it tested';
}

/** A word without a digit, such as `failed`, could be a tag but most likely is not. */
function imageIn(tested: JobResult['candidate'], candidate: ImageSet): JobResult['candidate'] {
  const isWord = tested?.digest === undefined && tested?.tag !== candidate.tag && !/\d/.test(tested?.tag ?? '');
  return isWord ? undefined : tested;
}

function timeProblem(timestamp: number, now: number): string | undefined {
  if (timestamp > now + CLOCK_SKEW) return `its time is ${timestamp - now} s ahead`;
  return timestamp < 0 ? 'its time is before 1970' : undefined;
}

/**
 * For equal times failures come first, then running jobs, then passes of unknown age, so that the decision never
 * depends on chance and never favours a promotion.
 */
const RANK = { failure: 0, running: 1, success: 2 } as const;

type Identified = readonly [string, JobResult];

function newestFirst(rules: Rules) {
  // Version 1 did not look at the age.
  const rankOfAge = (result: JobResult) => (rules >= 2 && result['age-unknown'] ? 0 : 1);
  return ([a, x]: Identified, [b, y]: Identified): number =>
    y.timestamp - x.timestamp || RANK[x.outcome] - RANK[y.outcome] || rankOfAge(x) - rankOfAge(y) || (a < b ? -1 : 1);
}

function identity(result: JobResult): string {
  const { job, outcome, candidate, timestamp, url, source, user } = result;
  return JSON.stringify([
    job,
    outcome,
    candidate?.tag,
    candidate?.digest,
    result['set-digest'],
    result['aggregate-hash'],
    timestamp,
    result['age-unknown'],
    result.until,
    url,
    source,
    user,
  ]);
}
