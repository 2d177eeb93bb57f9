import * as v from 'valibot';
import { rfc3339 } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { companionsOf, type ImageSet, parseSet } from '../candidate/image-set.js';
import { candidateSchema, formatCandidate } from '../candidate/reference.js';
import { type Counting, countEvidence, type Rules } from './counting.js';
import { type Criteria, parseCriteria } from './criteria-file.js';
import type { DecisionRecord, JobState, Verdict } from './decision-record.js';
import type { Evidence, JobResult } from './job-result.js';
import { type Hash, type History, hasFailed, hashOf, historiesOf, stateOn, waivedOr } from './job-state.js';
import { keepEvidence } from './kept-evidence.js';
import { checkWaivers, idleOptions } from './warnings.js';

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
  // A red requirement rejects on every hash, even where one of its waived jobs passed before it ran again.
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
    ...keepEvidence(counting, histories, [nearest, ...blockedBy.map(({ hash }) => hash)], criteria),
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

/** The hashes with results, newest first; if there is no result yet, null alone. */
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

function namesOf(members: readonly History[]): string[] {
  return members.map(({ job }) => job);
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
