import * as v from 'valibot';
import { candidateSchema, digestSchema, tagSchema } from '../../src/candidate/reference.js';
import { type Criteria, parseCriteria } from '../../src/criteria/criteria-file.js';
import type { DecisionRecord } from '../../src/criteria/decision-record.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import { explain } from '../../src/criteria/explain.js';
import type { JobResult } from '../../src/criteria/job-result.js';

export const digestOf = (digit: string) => v.parse(digestSchema, `sha256:${digit.repeat(64)}`);
export const tagOf = (tag: string) => v.parse(tagSchema, tag);

export const TAG = tagOf('v6.0.10-stable-6.0-pacific-centos-stream8-x86_64');
export const DIGEST = digestOf('a');
export const CANDIDATE = v.parse(candidateSchema, `quay.io/ceph/daemon:${TAG}@${DIGEST}`);

/** 2026-11-24T02:00:00Z */
export const NOW = Date.UTC(2026, 10, 24, 2) / 1000;
export const DAY = 86_400;

/** A result on the candidate, on one aggregate hash, an hour ago. */
export function result(job: string, outcome: JobResult['outcome'], rest: Partial<JobResult> = {}): JobResult {
  return {
    job,
    outcome,
    candidate: { tag: TAG, digest: DIGEST },
    'aggregate-hash': 'h1',
    timestamp: NOW - 3600,
    source: 'dlrn',
    user: 'ciuser',
    ...rest,
  };
}

export const passed = (job: string, rest?: Partial<JobResult>) => result(job, 'success', rest);
export const failed = (job: string, rest?: Partial<JobResult>) => result(job, 'failure', rest);

const parsed = new Map<string, Criteria>();

/** The criteria of current-ceph, parsed once: properties ask for the same ones again and again. */
export function criteriaOf(file: string): Criteria {
  const criteria = parsed.get(file) ?? parseCriteria(file, 'current-ceph');
  parsed.set(file, criteria);
  return criteria;
}

export function decide(file: string, results: readonly JobResult[], evaluatedAt = NOW) {
  return evaluate(criteriaOf(file), results, CANDIDATE, { evaluatedAt });
}

/** The lines of a decision for a log, without their colours. */
export function textOf(record: DecisionRecord): string[] {
  return explain(record).map(({ text }) => text);
}
