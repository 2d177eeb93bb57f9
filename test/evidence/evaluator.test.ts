import { expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { createEvaluator, type Evaluating } from '../../src/evidence/evaluator.js';
import { CANDIDATE, NOW } from '../criteria/fixtures.js';
import { image } from '../ledger/fixture.js';
import { silent } from '../store/fixture.js';

const needs = JSON.stringify({ check: { result: 'success', outputs: { reference: formatCandidate(CANDIDATE) } } });

function evaluator(criteria: string, changes: Partial<Evaluating> = {}) {
  return createEvaluator({
    criteria: parseCriteria(criteria, 'current-ceph'),
    source: async () => ({ kind: 'needs', needs, attempt: 1 }),
    attestations: async () => ({ results: [] }),
    promotedIn: async () => ({ results: [] }),
    isForce: false,
    clock: { now: () => NOW * 1000, sleep: async () => undefined, random: () => 0 },
    log: silent,
    ...changes,
  });
}

const fails = async () => {
  throw new ServiceError('unreachable', 'nobody answers');
};

test('jobs, statements and another ledger are put together', async () => {
  const criteria = 'current-ceph: {required: [check], promoted-in: {label: staging, for: 1 days}}';
  const { candidate, verdict } = await evaluator(criteria)(CANDIDATE, CANDIDATE);
  expect([candidate, verdict]).toEqual([formatCandidate(CANDIDATE), 'wait']);
  const stay = { job: 'promoted-in:staging', outcome: 'success', timestamp: 0, source: 'ledger' } as const;
  const { tag, digest } = CANDIDATE;
  const evaluate = evaluator(criteria, {
    promotedIn: async () => ({ results: [{ ...stay, candidate: { tag, digest } }] }),
  });
  expect(await evaluate(CANDIDATE, CANDIDATE)).toMatchObject({ verdict: 'promote' });
});

test("needs say nothing about an image that this run's jobs did not test", async () => {
  const evaluate = evaluator('current-ceph: {required: [check]}');
  expect(await evaluate(image('v1'), CANDIDATE)).toMatchObject({ verdict: 'wait' });
  expect(await evaluate(CANDIDATE, CANDIDATE)).toMatchObject({ verdict: 'promote' });
});

test.each<[string, Partial<Evaluating>, string]>([
  ['the results of jobs', { source: async (): Promise<never> => fails() }, 'check, ovb'],
  ['the signed statements', { attestations: fails }, 'built'],
  ['the ledger of staging', { promotedIn: fails }, 'promoted-in:staging'],
])('a force is told that %s cannot be read, and which jobs are unknown', async (what, changes, unknown) => {
  const criteria = `current-ceph:
    required: [check, ovb]
    attestations: [{ type: t, name: built, issuer: i, identity: me }]
    promoted-in: { label: staging, for: 1 days }`;
  const warnings: string[] = [];
  const log = { ...silent, warning: (line: string) => warnings.push(line) };
  await evaluator(criteria, { ...changes, isForce: true, log })(CANDIDATE, CANDIDATE);
  expect(warnings).toEqual([
    `${what} cannot be read: nobody answers; jobs that therefore count as unknown: ${unknown}`,
  ]);
});

test('evidence that cannot be read is an error, but for a force all jobs are unknown', async () => {
  const criteria = 'current-ceph: {required: [check], attestations: [{type: t, issuer: i, identity: me}]}';
  await expect(evaluator(criteria, { attestations: fails })(CANDIDATE, CANDIDATE)).rejects.toThrow('nobody answers');
  const source = async (): Promise<never> => fails();
  await expect(evaluator(criteria, { source })(CANDIDATE, CANDIDATE)).rejects.toThrow('nobody answers');
  const states = async (changes: Partial<Evaluating>) =>
    (await evaluator(criteria, { ...changes, isForce: true })(CANDIDATE, CANDIDATE)).jobs.map(({ state }) => state);
  expect(await states({ attestations: fails })).toEqual(['met', 'unknown']);
  expect(await states({ source })).toEqual(['unknown', 'unknown']);
});
