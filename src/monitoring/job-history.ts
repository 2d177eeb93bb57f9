import { errorLine, oneLine, UserError } from '../base/errors.js';
import { groupBy } from '../base/group-by.js';
import type { Candidate, Repository } from '../candidate/reference.js';
import { voteKey } from '../criteria/counting.js';
import type { Criteria } from '../criteria/criteria-file.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { evaluate } from '../criteria/evaluate.js';
import type { JobResult } from '../criteria/job-result.js';
import type { Cell, Evaluation, JobFigures } from './model.js';
import type { BranchHistory, Failure } from './read-branch.js';
import { candidateOf } from './words.js';

/** Jobs in decision records and votes: the newest evaluation of each image, and each job's share of passes. */

/** An evaluation, and its outcome. */
export interface Evaluated {
  readonly record: DecisionRecord;
  readonly outcome: Evaluation['outcome'];
}

/** At most this many candidates are shown. */
const MAX_EVALUATIONS = 10;

/** A table of candidates and jobs, with the first evaluation of each candidate; `evaluated` is newest first. */
export function evaluationTable(
  evaluated: readonly Evaluated[],
  currentDigest: string | undefined,
): { jobs: string[]; evaluations: Evaluation[] } {
  const newest = new Map<string, Evaluated>();
  for (const one of evaluated) {
    const { digest } = candidateOf(one.record.candidate);
    if (!newest.has(digest)) newest.set(digest, one);
  }
  const rows = [...newest.values()].slice(0, MAX_EVALUATIONS);
  const jobs = [...new Set(rows.flatMap(({ record }) => record.jobs.map(({ job }) => job)))];
  const evaluations = rows.map(({ record, outcome }): Evaluation => {
    const { tag, digest } = candidateOf(record.candidate);
    return {
      tag,
      digest,
      'evaluated-at': record['evaluated-at'],
      outcome,
      current: digest === currentDigest,
      cells: jobs.map((job) => cellOf(record, job)),
    };
  });
  return { jobs, evaluations };
}

function cellOf(record: DecisionRecord, name: string): Cell | null {
  const found = record.jobs.find(({ job }) => job === name);
  if (found === undefined) return null;
  const { job, state, why, since, url } = found;
  const attempts = resultsOf(record).filter((result) => result.job === name).length;
  return { job, state, why: oneLine(why, 300), since, url, attempts };
}

/** Evaluates the votes on each image against the criteria, at the time of its newest vote. */
export function evaluatedVotes(
  { votes, candidateFiles }: Pick<BranchHistory, 'votes' | 'candidateFiles'>,
  criteria: Criteria,
  repository: Repository,
  now: number,
): { records: DecisionRecord[]; failures: Failure[] } {
  const images = new Map(
    votes.flatMap(({ candidate }): [string, Candidate][] => {
      if (candidate === undefined) return [];
      const { tag, digest = candidateFiles.get(tag)?.digest } = candidate;
      return digest === undefined ? [] : [[`${tag}@${digest}`, { repository, tag, digest }]];
    }),
  );
  const records: DecisionRecord[] = [];
  const failures: Failure[] = [];
  for (const [name, image] of images) {
    const named = votes.filter(
      ({ candidate }) => candidate?.tag === image.tag && (candidate.digest ?? image.digest) === image.digest,
    );
    // A vote that names no image may block the images that its job tested on the same hash.
    const tested = new Set(named.map(voteKey));
    const own = [...named, ...votes.filter((vote) => vote.candidate === undefined && tested.has(voteKey(vote)))];
    const evaluatedAt = Math.max(...own.map(({ timestamp }) => Math.min(Math.max(timestamp, 0), now)));
    try {
      records.push(evaluate(criteria, own, image, { evaluatedAt }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.push({ source: 'criteria', why: `votes on ${name}: ${errorLine(error)}` });
    }
  }
  return { records, failures };
}

/** The evidence on the candidate's own image that has passed or failed. */
export function resultsOf({ candidate, evidence }: DecisionRecord): JobResult[] {
  const { tag, digest } = candidateOf(candidate);
  return evidence.filter(
    (result) =>
      result.outcome !== 'running' && result.candidate?.tag === tag && (result.candidate.digest ?? digest) === digest,
  );
}

/** The figures of each job, in the order of the records (newest first). A result in several records counts once. */
export function jobFigures(records: readonly DecisionRecord[]): JobFigures[] {
  const results = new Map<string, { readonly digest: string; readonly result: JobResult }>();
  for (const record of records) {
    const { digest } = candidateOf(record.candidate);
    for (const result of resultsOf(record)) {
      const { job, outcome, timestamp, url } = result;
      const key = JSON.stringify([job, digest, result['aggregate-hash'], outcome, timestamp, url]);
      results.set(key, { digest, result });
    }
  }
  const byJob = groupBy([...results.values()], ({ result }) => result.job);
  const order = new Set([...records.flatMap(({ jobs }) => jobs.map(({ job }) => job)), ...byJob.keys()]);
  return [...order].flatMap((job) => {
    const own = byJob.get(job);
    if (own === undefined) return [];
    const tries = [...groupBy(own, ({ digest, result }) => `${digest} ${result['aggregate-hash']}`).values()];
    return [
      {
        job,
        results: own.length,
        passed: own.filter(({ result }) => result.outcome === 'success').length,
        tries: tries.length,
        flaky: tries.filter((one) => isFlaky(one.map(({ result }) => result))).length,
      },
    ];
  });
}

/** True if the job failed first and passed later on the same image. */
function isFlaky(results: readonly JobResult[]): boolean {
  const failures = results.filter(({ outcome }) => outcome === 'failure').map(({ timestamp }) => timestamp);
  const firstFailure = Math.min(...failures);
  return results.some(({ outcome, timestamp }) => outcome === 'success' && timestamp > firstFailure);
}
