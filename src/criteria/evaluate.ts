import * as v from 'valibot';
import { rfc3339 } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { groupBy } from '../base/group-by.js';
import { companionsOf, type ImageSet, parseSet } from '../candidate/image-set.js';
import { candidateSchema, formatCandidate } from '../candidate/reference.js';
import { CLOCK_SKEW, type Counting, countEvidence, type Refused, type Rules, voteKey } from './counting.js';
import { type Criteria, type PromotedIn, parseCriteria, type Waiver } from './criteria-file.js';
import type { DecisionRecord, JobState, Verdict } from './decision-record.js';
import type { Evidence, JobResult } from './job-result.js';

export interface EvaluateOptions {
  /** Unix seconds. */
  readonly evaluatedAt: number;
  /** The source of the results. Options of the criteria that have no effect on it cause a warning. */
  readonly source?: Evidence['source'] | undefined;
  readonly remarks?: Evidence['remarks'] | undefined;
  /** The newest rules, except in a replay. */
  readonly rules?: Rules | undefined;
}

/**
 * Evaluates results on a set against criteria. Their order makes no difference. Results of other jobs or images may be
 * included, so that one reading serves several candidates. Throws a UserError for an expired waiver.
 *
 * A job passes on an aggregate hash if its newest result there is a pass, and the last run that ended on this digest,
 * on any hash, did not fail. The verdict is to promote if there is one hash on which every requirement has a job that
 * passes.
 */
export function evaluate(
  criteria: Criteria,
  results: readonly JobResult[],
  candidate: ImageSet,
  { evaluatedAt, source, remarks = new Map(), rules = NEWEST_RULES }: EvaluateOptions,
): DecisionRecord {
  const now = Math.floor(evaluatedAt);
  const companions = companionsOf(candidate);
  const warnings = [...checkWaivers(criteria, now), ...idleOptions(criteria, source)];
  const counting = countEvidence(criteria, results, candidate, now, rules);
  const histories = historiesOf(criteria, counting, remarks);
  const { requirements, judge, metBy, isRed } = judging(criteria, histories, now, rules);
  // A red requirement rejects on every hash, so its jobs block, even if a waived one had passed before it ran again.
  const isMet = (requirement: Requirement, hash: Hash) => !isRed(requirement) && metBy(requirement, hash).length > 0;

  const gaps = smallest(
    hashesOf(counting, criteria).map((hash) => ({
      hash,
      unmet: requirements.filter((requirement) => !isMet(requirement, hash)),
    })),
  );
  const nearest = gaps[0]?.hash ?? null;
  const jobs = histories.map((history) => waivedOr(history, judge(history, nearest)));
  const blockedBy = gaps.filter(({ unmet }) => unmet.length > 0);
  return {
    version: rules,
    candidate: formatCandidate(candidate),
    ...(companions.length > 0 && { companions: companions.map(formatCandidate) }),
    'evaluated-at': rfc3339(now),
    criteria: { label: criteria.label, sha256: criteria.sha256, content: criteria.content },
    ...recordOf(counting, histories, [nearest, ...blockedBy.map(({ hash }) => hash)], criteria),
    ...decide(gaps, requirements.filter(isRed), jobs),
    jobs,
    'aggregate-hash': nearest,
    'blocked-by': blockedBy.map(({ hash, unmet }) => ({
      'aggregate-hash': hash,
      jobs: unmet.map(({ members }) => namesOf(members)),
    })),
    warnings,
  };
}

/** The requirements, and the functions that judge them and their jobs by the given rules. */
function judging(criteria: Criteria, histories: readonly History[], now: number, rules: Rules) {
  const judge = (history: History, hash: Hash) => stateOn(history, hash, criteria, now);
  return {
    requirements: criteria.requirements
      .map((jobs) => requirementOf(histories.filter(({ job }) => jobs.includes(job))))
      .filter(({ members }) => members.length > 0),
    judge,
    metBy: ({ members, waived }: Requirement, hash: Hash) =>
      [...members, ...(rules >= 2 ? waived : [])].filter((member) => judge(member, hash).state === 'met'),
    isRed: ({ members, waived }: Requirement) =>
      members.every(hasFailed) &&
      !(rules >= 2 && waived.some(({ results: [newest] }) => newest?.outcome === 'success')),
  };
}

/** The candidate of a decision record, with its companions. */
function setOf({ candidate, companions = [] }: DecisionRecord): ImageSet {
  return parseSet([candidate, ...companions].map((text) => v.parse(candidateSchema, text)));
}

/** A requirement of a decision record: the jobs that met it, and those that failed if it is red. */
export interface Standing {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

/** Evaluates a record's evidence again, and gives the standing of each requirement. Waived jobs are included. */
export function standingsOf(record: DecisionRecord): Standing[] {
  const criteria = parseCriteria(record.criteria.content, record.criteria.label);
  const candidate = setOf(record);
  const now = Date.parse(record['evaluated-at']) / 1000;
  const counting = countEvidence(criteria, record.evidence, candidate, now, record.version);
  const histories = historiesOf(criteria, counting, new Map());
  const { requirements, metBy, isRed } = judging(criteria, histories, now, record.version);
  return requirements.map((requirement) => ({
    passed: namesOf(metBy(requirement, record['aggregate-hash'])),
    failed: isRed(requirement) ? namesOf([...requirement.members, ...requirement.waived].filter(hasFailed)) : [],
  }));
}

/** Evaluates a record's evidence again. Throws a UserError if its criteria do not match their hash. */
export function replay(record: DecisionRecord): Verdict {
  const { label, sha256, content } = record.criteria;
  const criteria = parseCriteria(content, label);
  if (criteria.sha256 !== sha256)
    throw new UserError('decision record: its criteria do not have the hash that it names');
  const candidate = setOf(record);
  const evaluatedAt = Date.parse(record['evaluated-at']) / 1000;
  return evaluate(criteria, record.evidence, candidate, { evaluatedAt, rules: record.version }).verdict;
}

const NEWEST_RULES: Rules = 2;
/** Limits requirements times hashes. DLRN is asked for 50 hashes, but a record by somebody else may have any number. */
const MAX_STATES = 500_000;
/** At most this many gaps are recorded. */
const MAX_GAPS = 10;

/** An aggregate hash; null for results without one, and for all results if hashes add up. */
type Hash = string | null;

function hashOf(result: JobResult, { acrossHashes }: Criteria): Hash {
  return acrossHashes ? null : (result['aggregate-hash'] ?? null);
}

/** The hashes with results, newest first; only null if there is no result yet. */
function hashesOf({ counted }: Counting, criteria: Criteria): Hash[] {
  const ofJobs = counted.filter(({ source }) => source !== 'attestation' && source !== 'ledger');
  const hashes = new Set(ofJobs.map((result) => hashOf(result, criteria)));
  if (hashes.size * criteria.requirements.length > MAX_STATES) {
    throw new UserError(
      `${hashes.size} aggregate hashes are too many for ${criteria.requirements.length} requirements`,
    );
  }
  return hashes.size === 0 ? [null] : [...hashes];
}

/** All results of one job, on any hash. */
interface History {
  readonly job: string;
  readonly waiver: Waiver | undefined;
  /** Results that count, newest first. */
  readonly results: readonly JobResult[];
  /** Results that do not count, newest first. */
  readonly refused: readonly Refused[];
  readonly remark: string | undefined;
}

function historiesOf(criteria: Criteria, counting: Counting, remarks: Evidence['remarks']): History[] {
  const results = groupBy(counting.counted, ({ job }) => job);
  const refused = groupBy(counting.refused, ({ result }) => result.job);
  return criteria.requirements.flat().map((job) => ({
    job,
    waiver: criteria.waivers.find((waiver) => waiver.job === job),
    results: results.get(job) ?? [],
    refused: refused.get(job) ?? [],
    remark: remarks.get(job),
  }));
}

/** Jobs of which one must pass. A waived job need not pass, but counts if it does. */
interface Requirement {
  readonly members: readonly History[];
  readonly waived: readonly History[];
}

function requirementOf(histories: readonly History[]): Requirement {
  return {
    members: histories.filter(({ waiver }) => waiver === undefined),
    waived: histories.filter(({ waiver }) => waiver !== undefined),
  };
}

function hasFailed({ results: [newest] }: History): boolean {
  return newest?.outcome === 'failure';
}

function namesOf(members: readonly History[]): string[] {
  return members.map(({ job }) => job);
}

/** A job's state as seen from one hash, ignoring its waiver. */
function stateOn(history: History, hash: Hash, criteria: Criteria, now: number): JobState {
  const { job, results, refused, remark } = history;
  const [newest] = results;
  const decider = (state: JobState['state'], why: string, result = newest): JobState => ({
    job,
    state,
    why,
    since: result === undefined ? null : rfc3339(sinceOf(result, results)),
    url: result?.url ?? null,
    'aggregate-hash': result?.['aggregate-hash'] ?? null,
  });

  if (criteria.promotedIn?.job === job) return decider(...soakOf(newest, history, criteria.promotedIn, now));
  if (newest?.outcome === 'failure') return decider('unmet', 'failed');
  const held = holdOf(history, now);
  if (held !== undefined) return held;
  if (newest === undefined) {
    const [refusal] = refused;
    return decider(
      'unknown',
      refusal === undefined ? (remark ?? 'no result') : `no result that counts: ${refusal.why}`,
    );
  }
  const finished = results.find(({ outcome }) => outcome !== 'running');
  if (finished?.outcome === 'failure') return decider('unknown', 'failed, and is running again');
  // A statement is about the image, on every hash.
  const here = results.find((result) => result.source === 'attestation' || hashOf(result, criteria) === hash);
  const there = hash === null ? 'without an aggregate hash' : `on aggregate hash ${hash}`;
  switch (here?.outcome) {
    case undefined:
      return decider('unknown', `no result ${there}`);
    case 'failure':
      return decider('unknown', `failed ${there}, and has passed since on another`, here);
    case 'running':
      return decider('unknown', 'running', here);
    case 'success':
      if (here.attestation !== undefined) return decider('met', `signed by ${here.attestation.by}`, here);
      if (criteria.maxAge === undefined) return decider('met', 'passed', here);
      if (here['age-unknown']) {
        return decider('unknown', 'passed, perhaps in an earlier attempt of this run, so its age is unknown', here);
      }
      return now - here.timestamp > criteria.maxAge
        ? decider('unknown', 'passed, longer ago than max-age', here)
        : decider('met', 'passed', here);
  }
}

/** The state of a set under the other label, with its reason. It is the same on every aggregate hash. */
function soakOf(
  newest: JobResult | undefined,
  { refused, remark }: History,
  { label, for: wanted }: PromotedIn,
  now: number,
): [JobState['state'], string] {
  if (newest === undefined) {
    const why = remark ?? `is not promoted under ${label}`;
    return ['unknown', refused[0] === undefined ? why : `no result that counts: ${refused[0].why}`];
  }
  const { outcome, timestamp, until } = newest;
  if (outcome === 'failure') return ['unmet', `is on hold or quarantined under ${label}`];
  const days = (seconds: number) => `${Math.floor((seconds / 86_400) * 10) / 10} days`;
  const lasted = (until ?? now) - timestamp;
  if (lasted >= wanted) return ['met', `promoted under ${label} for ${days(lasted)}`];
  return until === undefined
    ? ['unknown', `promoted under ${label} for ${days(lasted)}, and ${days(wanted)} are required`]
    : ['unknown', `was replaced under ${label} after ${days(lasted)}, and ${days(wanted)} are required`];
}

/** The state of a job that is held back by a failure that does not count; undefined if none does. */
function holdOf({ job, results, refused }: History, now: number): JobState | undefined {
  const held = (result: JobResult, why: string, wayOut?: string): JobState => ({
    job,
    state: 'unknown',
    why,
    since: null,
    url: result.url ?? null,
    'aggregate-hash': result['aggregate-hash'] ?? null,
    ...(wayOut !== undefined && { 'way-out': wayOut }),
  });
  const undated = refused.find(({ holds }) => holds === 'undated');
  if (undated !== undefined) {
    const { result, why } = undated;
    return held(result, `has a failure with an impossible time: ${why}`, wayOutOf(result, now));
  }
  const unproven = refused.find(({ holds }) => holds === 'unproven');
  const pass = results.find(({ outcome }) => outcome === 'success');
  if (unproven === undefined || (pass !== undefined && pass.timestamp > unproven.result.timestamp)) return undefined;
  return held(unproven.result, `failed, and ${unproven.why}; a newer pass that counts clears it`);
}

/** In seconds. A time that is off by less is a clock error that resolves itself soon. */
const SHORT_WHILE = 2 * 86_400;

function wayOutOf({ source, timestamp }: JobResult, now: number): string {
  if (timestamp > now && timestamp - now < SHORT_WHILE) {
    return `from ${rfc3339(timestamp - CLOCK_SKEW)} on, this failure counts, and a newer pass counts too`;
  }
  const removed = source === 'dlrn' ? "have the vote removed from DLRN's database" : 'have the result removed';
  return `a new pass does not help; ${removed}, waive the job, or force the promotion`;
}

function waivedOr({ waiver }: History, state: JobState): JobState {
  if (waiver === undefined) return state;
  const { 'way-out': _, ...rest } = state;
  return { ...rest, state: 'waived', why: `waived until ${waiver.until}: ${waiver.reason}` };
}

/** The unbroken run of equal outcomes that `result` ends, newest first, and the result before that run. */
function runOf(result: JobResult, results: readonly JobResult[]): { run: JobResult[]; before: JobResult | undefined } {
  const older = results.slice(results.indexOf(result));
  const end = older.findIndex(({ outcome }) => outcome !== result.outcome);
  return end < 0 ? { run: older, before: undefined } : { run: older.slice(0, end), before: older[end] };
}

/** The start of that run, in unix seconds. */
function sinceOf(result: JobResult, results: readonly JobResult[]): number {
  return runOf(result, results).run.at(-1)?.timestamp ?? result.timestamp;
}

/** This many of each job's newest results are recorded, even if they do not decide: the dashboard counts tries. */
const NEWEST_COUNTED = 20;
const NEWEST_REFUSED = 3;

/**
 * Selects the results that a record keeps, so that frequent reports cannot make it too large. Those kept give the same
 * states on the hashes that the record mentions, and never a better state on any other hash.
 */
function recordOf(
  { counted, refused }: Counting,
  histories: readonly History[],
  hashes: readonly Hash[],
  criteria: Criteria,
): Pick<DecisionRecord, 'evidence' | 'not-counted' | 'not-counted-total'> {
  const kept = new Set<JobResult>();
  const shown = new Set<Refused>();
  for (const { results, refused: others } of histories) {
    const keep = (...some: readonly (JobResult | undefined)[]) => {
      for (const one of some) if (one !== undefined) kept.add(one);
    };
    const deciders = hashes.map((hash) => results.find((one) => hashOf(one, criteria) === hash));
    for (const one of [results[0], ...deciders]) {
      if (one === undefined) continue;
      // Its state says since when.
      const { run, before } = runOf(one, results);
      keep(one, run.at(-1), before);
    }
    // A failure without proof is cleared by the newest pass.
    keep(
      ...results.slice(0, NEWEST_COUNTED),
      results.find(({ outcome }) => outcome === 'success'),
    );

    const holding = (['undated', 'unproven'] as const).map((how) => others.find(({ holds }) => holds === how));
    for (const one of [...holding, ...others.slice(0, NEWEST_REFUSED)]) if (one !== undefined) shown.add(one);
    // Without a vote that names the image, a vote that names none would hold nothing back.
    for (const one of holding) if (one !== undefined) keep(newestAlike(results, voteKey, one.result));
    // Without what came later on its hash, an old pass would stand for that hash.
    for (const one of results) {
      if (kept.has(one)) keep(newestAlike(results, (other) => hashOf(other, criteria), one));
    }
  }
  const listed = refused.filter((one) => shown.has(one));
  return {
    evidence: [...counted.filter((one) => kept.has(one)), ...listed.map(({ result }) => result)],
    'not-counted': listed.map(({ result, why }) => ({ job: result.job, url: result.url ?? null, why })),
    'not-counted-total': refused.length,
  };
}

function newestAlike<K>(results: readonly JobResult[], keyOf: (result: JobResult) => K, one: JobResult) {
  return results.find((other) => keyOf(other) === keyOf(one));
}

interface Gap {
  readonly hash: Hash;
  /** The requirements that are not met on this hash. */
  readonly unmet: readonly Requirement[];
}

/** The smallest gaps that contain no other gap, at most MAX_GAPS. Of equal gaps the one on the newest hash is kept. */
function smallest(gaps: readonly Gap[]): Gap[] {
  const kept: Gap[] = [];
  for (const gap of [...gaps].sort((a, b) => a.unmet.length - b.unmet.length)) {
    const own = new Set(gap.unmet);
    if (!kept.some(({ unmet }) => unmet.every((requirement) => own.has(requirement)))) kept.push(gap);
    if (kept.length === MAX_GAPS) break;
  }
  return kept;
}

function decide(
  [nearest]: readonly Gap[],
  red: readonly Requirement[],
  jobs: readonly JobState[],
): Pick<DecisionRecord, 'verdict' | 'reason'> {
  if (red.length > 0) return { verdict: 'reject', reason: red.map(describeFailed).join(', ') };
  const on = nearest === undefined ? '' : onHash(nearest.hash);
  if (nearest?.unmet.length === 0) return { verdict: 'promote', reason: `every requirement is met${on}` };
  const describeJob = (job: string) => `${job} (${jobs.find((state) => state.job === job)?.why})`;
  const missing = nearest?.unmet.map(({ members }) => {
    const names = namesOf(members).map(describeJob);
    return names.length === 1 ? names.join() : `one of ${names.join(' or ')}`;
  });
  return { verdict: 'wait', reason: `not met${on}: ${(missing ?? []).join(', ')}` };
}

/** For example `a failed on this image on aggregate hash h1`, or for a group `all of c, d failed …`. */
function describeFailed({ members }: Requirement): string {
  const hashes = new Set(members.map(({ results: [newest] }) => newest?.['aggregate-hash'] ?? null));
  const names = namesOf(members).join(', ');
  const [hash = null] = hashes;
  return `${members.length === 1 ? names : `all of ${names}`} failed on this image${hashes.size === 1 ? onHash(hash) : ''}`;
}

function onHash(hash: Hash): string {
  return hash === null ? '' : ` on aggregate hash ${hash}`;
}

/** Warns of options that have no effect on results from this source. */
function idleOptions(criteria: Criteria, source: Evidence['source'] | undefined): string[] {
  if (source === undefined || source === 'dlrn') return [];
  const idle = [
    ...(criteria.trustedUsers === undefined ? [] : ['trusted-users']),
    ...(criteria.acrossHashes ? ['across-hashes'] : []),
    ...(criteria.bareTags ? ['bare-tags'] : []),
  ];
  return idle.map((option) => `criteria: ${option} has no effect on evidence from ${source}`);
}

const DAY = 86_400;
/** In seconds. The end of a waiver is announced this long before. */
const WAIVER_NOTICE = 7 * DAY;

/** Warns of waivers that end soon. Throws a UserError for one that has ended. `now` in unix seconds. */
export function checkWaivers({ waivers }: Criteria, now: number): string[] {
  return waivers.flatMap(({ job, until, reason }) => {
    const left = Date.parse(until) / 1000 + DAY - now;
    if (left <= 0) {
      throw new UserError(`criteria: the waiver of ${job} ended on ${until}; remove it, or give it a later date`);
    }
    return left > WAIVER_NOTICE ? [] : [`the waiver of ${job} ends on ${until}: ${reason}`];
  });
}
