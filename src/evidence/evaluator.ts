import { type Clock, unixSeconds } from '../base/clock.js';
import { errorLine, ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { formatSet, type ImageSet } from '../candidate/image-set.js';
import type { Criteria, PromotedIn } from '../criteria/criteria-file.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { evaluate } from '../criteria/evaluate.js';
import type { Evidence } from '../criteria/job-result.js';
import { reportedJobs } from '../criteria/reported-jobs.js';
import { type EvidenceSource, readEvidence } from './evidence.js';

/** The criteria, and where the evidence for each of their requirements is read. */
export interface Evaluating {
  readonly criteria: Criteria;
  /** The source of job results. */
  readonly source: () => Promise<EvidenceSource>;
  /** Reads the signed statements about a set. `now` in unix seconds. */
  readonly attestations: (set: ImageSet, now: number) => Promise<Reading>;
  /** Reads from another label's ledger how long a set was promoted there. */
  readonly promotedIn: (goal: PromotedIn, set: ImageSet) => Promise<Reading>;
  /** True for a force: the jobs whose evidence cannot be read are unknown, and each must be named. */
  readonly isForce: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

type Reading = Pick<Evidence, 'results'> & Partial<Evidence>;

/**
 * Creates the function that evaluates a set from evidence that is read once. Needs are only about `tested`, the set
 * that this run's jobs tested: a failure on the candidate says nothing about the promoted image.
 */
export function createEvaluator(parts: Evaluating): (set: ImageSet, tested: ImageSet) => Promise<DecisionRecord> {
  const { criteria, clock, log } = parts;
  const goal = criteria.promotedIn;
  const jobs = reportedJobs(criteria);
  const signed = criteria.attestations.map(({ name }) => name);
  const known = new Map<string, Promise<Evidence>>();
  const readResults = async (tested: ImageSet, now: number): Promise<Reading> => {
    const source = await parts.source();
    const key = source.kind === 'needs' ? formatSet(tested) : source.kind;
    const reading = known.get(key) ?? readEvidence(source, jobs, tested, now, log);
    known.set(key, reading);
    return reading;
  };
  // Throws if a part of the evidence cannot be read, except for a force.
  const read = async (what: string, without: readonly string[], evidence: Promise<Reading>): Promise<Reading> => {
    try {
      return await evidence;
    } catch (error) {
      if (!parts.isForce || !(error instanceof ServiceError)) throw error;
      const unknown = without.join(', ') || 'none';
      log.warning(`${what} cannot be read: ${errorLine(error)}; jobs that therefore count as unknown: ${unknown}`);
      return { results: [] };
    }
  };
  return async (set, tested) => {
    const now = unixSeconds(clock);
    const { results, remarks = new Map(), ...rest } = await read('the results of jobs', jobs, readResults(tested, now));
    const statements = await read('the signed statements', signed, parts.attestations(set, now));
    const stay = goal && (await read(`the ledger of ${goal.label}`, [goal.job], parts.promotedIn(goal, set)));
    return evaluate(criteria, [...results, ...statements.results, ...(stay?.results ?? [])], set, {
      evaluatedAt: now,
      ...rest,
      remarks: new Map([...remarks, ...(statements.remarks ?? [])]),
    });
  };
}
