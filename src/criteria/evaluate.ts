import * as v from 'valibot';
import { rfc3339 } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { type Candidate, candidateSchema, formatCandidate } from '../candidate/reference.js';
import { countEvidence, type Evidence } from './counting.js';
import { type Criteria, parseCriteria, type Waiver } from './criteria-file.js';
import type { DecisionRecord, JobState, Verdict } from './decision-record.js';
import type { JobResult } from './job-result.js';

/**
 * Holds results against criteria; `evaluatedAt` in unix seconds. The order of the results makes no difference, and
 * results of other jobs or on other images may be among them. Throws a UserError for a waiver that has ended.
 *
 * A job passes on an aggregate hash if its newest result there is a pass, and the last run that ended on this digest,
 * on whatever hash, did not fail. The verdict is to promote if on one hash every requirement has a job that passes.
 */
export function evaluate(
  criteria: Criteria,
  results: readonly JobResult[],
  candidate: Candidate,
  options: { readonly evaluatedAt: number },
): DecisionRecord {
  const now = Math.floor(options.evaluatedAt);
  const warnings = checkWaivers(criteria, now);
  const evidence = countEvidence(criteria, results, candidate, now);
  const histories = historiesOf(criteria, evidence);
  const judge = (history: History, hash: Hash) => stateOn(history, hash, criteria, now);
  const requirements = criteria.requirements
    .map((jobs) => histories.filter(({ job, waiver }) => jobs.includes(job) && waiver === undefined))
    .filter((members) => members.length > 0);

  const gaps = smallest(
    hashesOf(evidence, criteria).map((hash) => ({
      hash,
      unmet: requirements.filter((members) => !members.some((member) => judge(member, hash).state === 'met')),
    })),
  );
  const failed = requirements.filter((members) => members.every(hasFailed));
  const nearest = gaps[0]?.hash ?? null;
  const jobs = histories.map((history) => judge(history, nearest));
  const decision = decide(gaps, failed, jobs);
  return {
    version: 1,
    candidate: formatCandidate(candidate),
    'evaluated-at': rfc3339(now),
    criteria: { label: criteria.label, sha256: criteria.sha256, content: criteria.content },
    evidence: [...evidence.counted, ...evidence.refused.map(({ result }) => result)],
    'not-counted': evidence.refused.map(({ result, why }) => ({ job: result.job, url: result.url ?? null, why })),
    ...decision,
    jobs,
    'aggregate-hash': nearest,
    'blocked-by': gaps
      .filter(({ unmet }) => unmet.length > 0)
      .map(({ hash, unmet }) => ({ 'aggregate-hash': hash, jobs: unmet.map(namesOf) })),
    warnings,
  };
}

/** Evaluates a record's evidence again. Throws a UserError where its criteria are not what their hash says. */
export function replay(record: DecisionRecord): Verdict {
  const { label, sha256, content } = record.criteria;
  const criteria = parseCriteria(content, label);
  if (criteria.sha256 !== sha256) throw new UserError('decision record: its criteria have another hash than it says');
  const candidate = v.parse(candidateSchema, record.candidate);
  const evaluatedAt = Date.parse(record['evaluated-at']) / 1000;
  return evaluate(criteria, record.evidence, candidate, { evaluatedAt }).verdict;
}

/** An aggregate hash; null for results without one, and for all of them where hashes add up. */
type Hash = string | null;

function hashOf(result: JobResult, { acrossHashes }: Criteria): Hash {
  return acrossHashes ? null : (result['aggregate-hash'] ?? null);
}

/** Newest first; without any result, the one that is to come. */
function hashesOf({ counted }: Evidence, criteria: Criteria): Hash[] {
  const hashes = new Set(counted.map((result) => hashOf(result, criteria)));
  return hashes.size === 0 ? [null] : [...hashes];
}

/** What counts of one job, on whatever hash. */
interface History {
  readonly job: string;
  readonly waiver: Waiver | undefined;
  /** Newest first. */
  readonly results: readonly JobResult[];
  /** A failure whose time cannot be: nobody knows that it is not the newest. */
  readonly undatedFailure: boolean;
  /** Why the newest of what does not count does not. */
  readonly refusal: string | undefined;
}

function historiesOf(criteria: Criteria, { counted, refused }: Evidence): History[] {
  return criteria.requirements.flat().map((job) => {
    const others = refused.filter(({ result }) => result.job === job);
    return {
      job,
      waiver: criteria.waivers.find((waiver) => waiver.job === job),
      results: counted.filter((result) => result.job === job),
      undatedFailure: others.some(({ result, onlyForItsTime }) => onlyForItsTime && result.outcome === 'failure'),
      refusal: others[0]?.why,
    };
  });
}

function hasFailed({ results: [newest] }: History): boolean {
  return newest?.outcome === 'failure';
}

function namesOf(members: readonly History[]): string[] {
  return members.map(({ job }) => job);
}

/** The state of a job as seen from one hash. */
function stateOn(history: History, hash: Hash, criteria: Criteria, now: number): JobState {
  const { job, waiver, results, undatedFailure, refusal } = history;
  const [newest] = results;
  const decider = (state: JobState['state'], why: string, result = newest): JobState => ({
    job,
    state,
    why,
    since: result === undefined ? null : rfc3339(since(result, results)),
    url: result?.url ?? null,
    'aggregate-hash': result?.['aggregate-hash'] ?? null,
  });

  if (waiver !== undefined) return decider('waived', `waived until ${waiver.until}: ${waiver.reason}`);
  if (newest === undefined) {
    return decider('unknown', refusal === undefined ? 'no result' : `no result that counts: ${refusal}`);
  }
  if (newest.outcome === 'failure') return decider('unmet', 'failed');
  if (undatedFailure) return decider('unknown', 'has a failure whose time cannot be');
  const finished = results.find(({ outcome }) => outcome !== 'running');
  if (finished?.outcome === 'failure') return decider('unknown', 'failed, and is running again');
  const here = results.find((result) => hashOf(result, criteria) === hash);
  switch (here?.outcome) {
    case undefined:
      return decider('unknown', 'no result on this aggregate hash');
    case 'failure':
      return decider('unmet', 'failed on this aggregate hash, though not since', here);
    case 'running':
      return decider('unknown', 'running', here);
    case 'success': {
      const isOld = criteria.maxAge !== undefined && now - here.timestamp > criteria.maxAge;
      return isOld ? decider('unknown', 'passed, longer ago than max-age', here) : decider('met', 'passed', here);
    }
  }
}

/** When the unbroken run of equal outcomes began that `result` ends; in unix seconds. */
function since(result: JobResult, results: readonly JobResult[]): number {
  const older = results.slice(results.indexOf(result));
  const end = older.findIndex(({ outcome }) => outcome !== result.outcome);
  return (end < 0 ? older : older.slice(0, end)).at(-1)?.timestamp ?? result.timestamp;
}

interface Gap {
  readonly hash: Hash;
  /** The requirements that are not met on it. */
  readonly unmet: readonly (readonly History[])[];
}

/** The gaps that contain no other one, smallest first; of equal gaps the newest hash's. */
function smallest(gaps: readonly Gap[]): Gap[] {
  const isWithin = (a: Gap, b: Gap) => a.unmet.every((members) => b.unmet.includes(members));
  return gaps
    .filter((gap, index) =>
      gaps.every((other, place) => {
        const isSmaller = isWithin(other, gap) && (!isWithin(gap, other) || place < index);
        return !isSmaller;
      }),
    )
    .sort((a, b) => a.unmet.length - b.unmet.length);
}

function decide(
  [nearest]: readonly Gap[],
  failed: readonly (readonly History[])[],
  jobs: readonly JobState[],
): Pick<DecisionRecord, 'verdict' | 'reason'> {
  const on = nearest === undefined || nearest.hash === null ? '' : ` on aggregate hash ${nearest.hash}`;
  if (failed.length > 0) {
    return { verdict: 'reject', reason: `${failed.flatMap(namesOf).join(', ')} failed on this image` };
  }
  if (nearest?.unmet.length === 0) return { verdict: 'promote', reason: `every requirement is met${on}` };
  const told = (job: string) => `${job} (${jobs.find((state) => state.job === job)?.why})`;
  const missing = nearest?.unmet.map((members) => namesOf(members).map(told).join(' or ')) ?? [];
  return { verdict: 'wait', reason: `not met${on}: ${missing.join(', ')}` };
}

const DAY = 86_400;
/** A waiver's end is announced this long before, in seconds. */
const WAIVER_NOTICE = 7 * DAY;

/** Warns of waivers that end soon; throws a UserError for one that has ended. `now` in unix seconds. */
export function checkWaivers({ waivers }: Criteria, now: number): string[] {
  return waivers.flatMap(({ job, until, reason }) => {
    const left = Date.parse(until) / 1000 + DAY - now;
    if (left <= 0) {
      throw new UserError(`criteria: the waiver of ${job} ended with ${until}; remove it, or give it a later date`);
    }
    return left > WAIVER_NOTICE ? [] : [`the waiver of ${job} ends with ${until}: ${reason}`];
  });
}
