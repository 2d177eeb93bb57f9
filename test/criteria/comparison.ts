import { isDeepStrictEqual } from 'node:util';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import { type ImageSet, setDigest } from '../../src/candidate/image-set.js';
import { formatRepository } from '../../src/candidate/reference.js';
import type { DecisionRecord } from '../../src/criteria/decision-record.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import { findRegressedJobs } from '../../src/criteria/regressions.js';
import type { Dlrn } from '../../src/dlrn/client.js';
import { needsEvidence } from '../../src/evidence/needs.js';
import { zuulEvidence } from '../../src/evidence/zuul.js';
import type { Http } from '../../src/http/policy.js';
import { dlrnResults, silent } from '../dlrn/support.js';
import {
  type Build,
  type Candidate,
  type Criteria,
  criteriaOf as criteriaIn,
  EndedWaiver,
  type Evaluation,
  evaluateByDocument,
  jobsThatMet,
  type Needed,
  type Report,
  regressedByDocument,
  type Stay,
  type Vote,
} from './document-evaluator.js';
import { criteriaOf } from './fixtures.js';
import { BUILT, type History, histories, LABEL, pairs } from './histories.js';

/** The answer about a history: the verdict, and the state of each job that is not waived. `error`: a waiver has ended. */
export type Said =
  | { readonly verdict: string; readonly states: Readonly<Record<string, string | undefined>> }
  | 'error';

/** What the product and the document say. */
export interface Comparison<T> {
  readonly product: T;
  readonly document: T;
}

/** Asks both for the verdict and the states. */
export async function compare(history: History): Promise<Comparison<Said>> {
  const record = await recordOf(history);
  return { product: saidOf(record), document: saidByDocument(history, record) };
}

/** Asks both whether what `before` decided about, and was promoted then, has regressed in `after`. */
export async function compareRegressed([before, after]: readonly [History, History]): Promise<Comparison<boolean>> {
  const [head, later] = [await recordOf(before), await recordOf(after)];
  const [then, now] = [evaluationOf(before), evaluationOf(after)];
  const met = then === undefined ? [] : jobsThatMet(criteriaInFile(before), then, hashIn(head), before.now);
  return {
    product: head !== undefined && later !== undefined && findRegressedJobs(head, later).length > 0,
    document:
      then !== undefined &&
      now !== undefined &&
      regressedByDocument(criteriaInFile(after), candidateOf(after), after.reports, after.now, met),
  };
}

/** Expects both to agree on this many random histories. Returns how often each verdict occurred. */
export async function expectAgreement(numRuns: number, numberOfFiles: number): Promise<ReadonlyMap<string, number>> {
  const seed = newSeed();
  const verdicts = new Map<string, number>();
  const agree = fc.asyncProperty(histories(seed, numberOfFiles), async (history) => {
    const { product, document } = await compare(history);
    const verdict = document === 'error' ? document : document.verdict;
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    // expect() costs more than both.
    if (!isDeepStrictEqual(product, document)) expect(product).toEqual(document);
  });
  await fc.assert(agree, { numRuns, seed });
  return verdicts;
}

/** Expects both to agree on what has regressed, in this many random histories. Returns how often something has. */
export async function expectAgreementOnRegressions(numRuns: number, numberOfFiles: number): Promise<number> {
  const seed = newSeed();
  let regressed = 0;
  const agree = fc.asyncProperty(pairs(seed, numberOfFiles), async (pair) => {
    const { product, document } = await compareRegressed(pair);
    if (document) regressed += 1;
    expect(product).toBe(document);
  });
  await fc.assert(agree, { numRuns, seed });
  return regressed;
}

function newSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

// ---- The document ----

function candidateOf({ set }: History): Candidate {
  const { repository, tag, digest } = set;
  return { repository: formatRepository(repository), tag, digest, setDigest: setDigest(set) };
}

function criteriaInFile({ file }: History): Criteria {
  return criteriaIn(JSON.parse(file), LABEL);
}

function evaluationOf(history: History): Evaluation | undefined {
  const criteria = criteriaInFile(history);
  try {
    return evaluateByDocument(criteria, candidateOf(history), history.reports, history.now);
  } catch (error) {
    if (error instanceof EndedWaiver) return undefined;
    throw error;
  }
}

/** The document says what a job's state is as seen from a hash, and leaves it to the product which hash it shows. */
function hashIn(record: DecisionRecord | undefined): string {
  return record?.['aggregate-hash'] ?? '';
}

function saidByDocument(history: History, record: DecisionRecord | undefined): Said {
  const evaluation = evaluationOf(history);
  if (evaluation === undefined) return 'error';
  const waived = (criteriaInFile(history).waivers ?? []).map(({ job }) => job);
  const states = [...(evaluation.states.get(hashIn(record)) ?? [])].filter(([job]) => !waived.includes(job));
  return { verdict: evaluation.verdict, states: Object.fromEntries(states) };
}

// ---- The product ----

/** The product's decision; undefined if a waiver has ended. Throws if what it keeps is not enough to decide the same. */
async function recordOf({ file, set, reports, now }: History): Promise<DecisionRecord | undefined> {
  const criteria = criteriaOf(file);
  const results = await resultsOf(reports, criteria.requirements.flat(), set, now);
  const decide = (evidence: readonly JobResult[]) => evaluate(criteria, evidence, set, { evaluatedAt: now });
  let record: DecisionRecord;
  try {
    record = decide(results);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
  const again = decide(record.evidence);
  if (isDeepStrictEqual(saidOf(again), saidOf(record))) return record;
  throw new Error(`its record decides otherwise: ${JSON.stringify([saidOf(record), saidOf(again)])}`);
}

function saidOf(record: DecisionRecord | undefined): Said {
  if (record === undefined) return 'error';
  const states = record.jobs.filter(({ state }) => state !== 'waived').map(({ job, state }) => [job, state]);
  return { verdict: record.verdict, states: Object.fromEntries(states) };
}

/** Passes the reports to the product in the form in which their sources answer. */
async function resultsOf(
  reports: readonly Report[],
  jobs: readonly string[],
  candidate: ImageSet,
  now: number,
): Promise<JobResult[]> {
  const by = <S extends Report['source']>(source: S) =>
    reports.filter((report): report is Extract<Report, { source: S }> => report.source === source);
  return [
    ...(await resultsOfVotes(by('dlrn'), jobs)),
    ...resultsOfNeeds(by('needs'), jobs, candidate, now),
    ...(await resultsOfBuilds(by('zuul'), jobs)),
    ...by('attestation').map(({ name }) => resultOfStatement(name, candidate, now)),
    ...by('ledger').map((stay) => resultOfStay(stay, candidate)),
  ];
}

async function resultsOfVotes(votes: readonly Vote[], jobs: readonly string[]): Promise<readonly JobResult[]> {
  if (votes.length === 0) return [];
  const rows = votes.map(({ job, success, inProgress, notes, user, aggregateHash, time }) => ({
    aggregate_hash: aggregateHash,
    commit_hash: undefined,
    distro_hash: undefined,
    job_id: job,
    success: success ?? null,
    in_progress: inProgress ?? null,
    timestamp: time,
    url: '',
    notes: notes ?? '',
    user: user ?? '',
  }));
  const dlrn: Pick<Dlrn, 'votes'> = { votes: async () => rows };
  return dlrnResults(dlrn as Dlrn, { kind: 'aggregate', hash: 'h1' }, jobs, silent);
}

function resultsOfNeeds(
  needs: readonly Needed[],
  jobs: readonly string[],
  candidate: ImageSet,
  now: number,
): readonly JobResult[] {
  const [first] = needs;
  if (first === undefined) return [];
  const context = needs.map(({ job, result, reference, setDigest }) => [
    job,
    { result, outputs: { reference, 'set-digest': setDigest } },
  ]);
  const { attempt } = first;
  const text = JSON.stringify(Object.fromEntries(context));
  return needsEvidence({ needs: text, attempt, jobs, candidate, now }).results;
}

async function resultsOfBuilds(builds: readonly Build[], jobs: readonly string[]): Promise<readonly JobResult[]> {
  if (builds.length === 0) return [];
  const rows = builds.map(({ job, result, artifacts, start, end }) => ({
    job_name: job,
    result: result ?? null,
    pipeline: 'periodic',
    start_time: start === undefined ? null : zuulTime(start),
    end_time: end === undefined ? null : zuulTime(end),
    artifacts: artifacts.map(({ reference, setDigest }) => ({
      metadata: { type: 'ceph_candidate', reference, 'set-digest': setDigest },
    })),
  }));
  const answer = { status: 200, headers: {}, text: JSON.stringify(rows) };
  const http: Pick<Http, 'sendForText'> = { sendForText: async () => ({ ...answer, body: noBody() }) };
  const evidence = await zuulEvidence({
    http: http as Http,
    url: new URL('https://zuul.example'),
    tenant: 'ceph',
    jobs,
    pipelines: ['periodic'],
    log: silent,
  });
  return evidence.results;
}

async function* noBody(): AsyncGenerator<Uint8Array> {}

/** As Zuul writes it: in UTC, and without saying so. */
function zuulTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('Z', '');
}

function resultOfStatement(job: string, { tag, digest }: ImageSet, now: number): JobResult {
  return {
    job,
    outcome: 'success',
    candidate: { tag, digest },
    timestamp: now,
    source: 'attestation',
    attestation: { type: BUILT, by: 'the builder', repository: 'quay.io/ceph/daemon', sha256: 'a'.repeat(64) },
  };
}

function resultOfStay({ promoted, replaced, banned = false }: Stay, set: ImageSet): JobResult {
  const own = setDigest(set);
  return {
    job: 'promoted-in:staging',
    outcome: banned ? 'failure' : 'success',
    candidate: { tag: set.tag, digest: set.digest },
    ...(own !== undefined && { 'set-digest': own }),
    timestamp: promoted,
    ...(replaced !== undefined && !banned && { until: replaced }),
    source: 'ledger',
  };
}
