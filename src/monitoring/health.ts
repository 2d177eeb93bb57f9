import type { Digest } from '../candidate/reference.js';
import type { DecisionRecord, JobState } from '../criteria/decision-record.js';
import { findRegressedJobs } from '../criteria/regressions.js';
import type { LastDecision } from '../store/last-decision.js';
import type { Evaluated } from './job-history.js';
import type { Health } from './model.js';
import { candidateOf, minuteOf, plural, seconds } from './words.js';

/** The facts that the health of the promoted image depends on. */
export interface HealthFacts {
  /** The promoted image; undefined if nothing is promoted. */
  readonly digest: Digest | undefined;
  /** False if the ledger cannot be read or trusted. */
  readonly isKnown: boolean;
  /** The decision by which this image was promoted; undefined if it was promoted without one. */
  readonly promotedBy: DecisionRecord | undefined;
  /** All evaluations, newest first. */
  readonly evaluated: readonly Evaluated[];
  /** The newest run's decision. It may know of failures that the dashboard does not read. */
  readonly lastDecision: LastDecision | undefined;
}

/**
 * The health of the promoted image, judged by its own evidence and not by its age. It regressed if a requirement that
 * was met when the image was promoted has failed since (see findRegressedJobs). A job that is unknown, too old or
 * waived has not failed.
 */
export function healthOf({ digest, isKnown, promotedBy, evaluated, lastDecision }: HealthFacts): Health {
  if (!isKnown) return { state: 'unknown', why: 'what is promoted cannot be read or trusted', jobs: [] };
  if (digest === undefined) return { state: 'nothing', why: 'nothing is promoted', jobs: [] };
  if (promotedBy === undefined) return { state: 'unproven', why: 'no job tested it before it was promoted', jobs: [] };
  const newest = evaluated.find(({ record }) => candidateOf(record.candidate).digest === digest)?.record;
  const seen = newest === undefined ? [] : failedSince(promotedBy, newest);
  const failed = seen.length > 0 ? seen : failedByRun(digest, newest, lastDecision);
  if (failed.length > 0) {
    const have = failed.length === 1 ? 'has' : 'have';
    const why = `${plural(failed.length, 'job')} ${have} failed since it was promoted`;
    return { state: 'regressed', why, jobs: failed };
  }
  const evaluatedAt = `evaluated ${minuteOf(promotedBy['evaluated-at'])} UTC`;
  if (promotedBy.verdict !== 'promote') {
    const unmet = promotedBy.jobs.filter(({ state }) => state === 'unmet' || state === 'unknown');
    return {
      state: 'unproven',
      why: `promoted although its criteria were not met (${evaluatedAt})`,
      jobs: unmet.map(strip),
    };
  }
  const passed = promotedBy.jobs.filter(({ state }) => state === 'met').length;
  const waived = promotedBy.jobs.filter(({ state }) => state === 'waived').length;
  const exception = waived === 0 ? '' : `, ${waived} waived`;
  return {
    state: 'passing',
    why: `${plural(passed, 'job')} passed${exception} (${evaluatedAt}), and none has failed since`,
    jobs: [],
  };
}

function failedSince(promotedBy: DecisionRecord, now: DecisionRecord): Health['jobs'] {
  const failed = new Set(findRegressedJobs(promotedBy, now).map(({ job }) => job));
  return now.jobs.filter(({ job }) => failed.has(job)).map(strip);
}

/** The failures that the newest run found, unless a newer evaluation of the image is known. */
function failedByRun(
  digest: Digest,
  newest: DecisionRecord | undefined,
  lastDecision: LastDecision | undefined,
): Health['jobs'] {
  if (lastDecision?.regressed === undefined) return [];
  const { regressed, 'decided-at': decidedAt } = lastDecision;
  if (candidateOf(regressed.reference).digest !== digest) return [];
  if (newest !== undefined && seconds(newest['evaluated-at']) > seconds(decidedAt)) return [];
  return regressed.jobs.map(({ job, since, url }) => ({ job, state: 'unmet', why: 'failed', since, url }));
}

function strip({ 'aggregate-hash': _, ...job }: JobState): Health['jobs'][number] {
  return job;
}
