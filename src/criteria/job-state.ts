import { rfc3339 } from '../base/clock.js';
import { groupBy } from '../base/group-by.js';
import { CLOCK_SKEW, type Counting, type Refused } from './counting.js';
import type { Criteria, PromotedIn, Waiver } from './criteria-file.js';
import type { JobState } from './decision-record.js';
import type { Evidence, JobResult } from './job-result.js';

/** An aggregate hash; null for results without one, and for all results if hashes add up. */
export type Hash = string | null;

export function hashOf(result: JobResult, { acrossHashes }: Criteria): Hash {
  return acrossHashes ? null : (result['aggregate-hash'] ?? null);
}

/** All results of one job, on any hash. */
export interface History {
  readonly job: string;
  readonly waiver: Waiver | undefined;
  /** Results that count, newest first. */
  readonly results: readonly JobResult[];
  /** Results that do not count, newest first. */
  readonly refused: readonly Refused[];
  readonly remark: string | undefined;
}

export function historiesOf(criteria: Criteria, counting: Counting, remarks: Evidence['remarks']): History[] {
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

export function hasFailed({ results: [newest] }: History): boolean {
  return newest?.outcome === 'failure';
}

/** A job's state as seen from one hash, ignoring its waiver. */
export function stateOn(history: History, hash: Hash, criteria: Criteria, now: number): JobState {
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
  const blocked = blockOf(history, now);
  if (blocked !== undefined) return blocked;
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

/** The state of a job that is blocked by a failure that does not count; undefined if none does. */
function blockOf({ job, results, refused }: History, now: number): JobState | undefined {
  const blocked = (result: JobResult, why: string, wayOut?: string): JobState => ({
    job,
    state: 'unknown',
    why,
    since: null,
    url: result.url ?? null,
    'aggregate-hash': result['aggregate-hash'] ?? null,
    ...(wayOut !== undefined && { 'way-out': wayOut }),
  });
  const undated = refused.find(({ blocks }) => blocks === 'undated');
  if (undated !== undefined) {
    const { result, why } = undated;
    return blocked(result, `has a failure with an impossible time: ${why}`, wayOutOf(result, now));
  }
  const unproven = refused.find(({ blocks }) => blocks === 'unproven');
  const pass = results.find(({ outcome }) => outcome === 'success');
  if (unproven === undefined || (pass !== undefined && pass.timestamp > unproven.result.timestamp)) return undefined;
  return blocked(unproven.result, `failed, and ${unproven.why}; a newer pass that counts clears it`);
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

export function waivedOr({ waiver }: History, state: JobState): JobState {
  if (waiver === undefined) return state;
  const { 'way-out': _, ...rest } = state;
  return { ...rest, state: 'waived', why: `waived until ${waiver.until}: ${waiver.reason}` };
}

/** The unbroken run of equal outcomes that `result` ends, newest first, and the result before that run. */
export function runOf(
  result: JobResult,
  results: readonly JobResult[],
): { run: JobResult[]; before: JobResult | undefined } {
  const older = results.slice(results.indexOf(result));
  const end = older.findIndex(({ outcome }) => outcome !== result.outcome);
  return end < 0 ? { run: older, before: undefined } : { run: older.slice(0, end), before: older[end] };
}

/** The start of that run, in unix seconds. */
function sinceOf(result: JobResult, results: readonly JobResult[]): number {
  return runOf(result, results).run.at(-1)?.timestamp ?? result.timestamp;
}
