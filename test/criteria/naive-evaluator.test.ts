import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { JobResult } from '../../src/criteria/job-result.js';
import { DIGEST, decide, digestOf, NOW, TAG, tagOf } from './fixtures.js';
import { naiveVerdict } from './naive-evaluator.js';

/** Few values, so that they meet. */
const weighted = <T>(...choices: readonly (readonly [number, T])[]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const criteria = fc
  .record({
    required: fc.subarray(['a', 'b']),
    groups: fc.constantFrom([], [['c', 'd']], [['c', 'd'], ['e']], [['c', 'd', 'e']]),
    maxAge: weighted<string | undefined>([2, undefined], [1, '30 minutes'], [1, '1 hour']),
    trusted: weighted<string[] | undefined>([2, undefined], [1, ['ciuser']]),
    across: weighted([3, false], [1, true]),
    bare: weighted([3, false], [1, true]),
    waived: fc.subarray(['a', 'c', 'd', 'e'], { maxLength: 2 }),
  })
  .map(({ required, groups, maxAge, trusted, across, bare, waived }) => {
    const jobs = [...required, ...groups.flat()];
    const own = waived.filter((job) => jobs.includes(job));
    return {
      required,
      'any-of': groups,
      ...(maxAge === undefined ? {} : { 'max-age': maxAge }),
      ...(trusted === undefined ? {} : { 'trusted-users': trusted }),
      waivers: own.length < jobs.length ? own.map((job) => ({ job, until: '2026-12-31', reason: 'x' })) : [],
      'across-hashes': across,
      'bare-tags': bare,
    };
  })
  .filter(({ required, 'any-of': groups }) => required.length + groups.length > 0)
  .map((one) => JSON.stringify({ 'current-ceph': one }));

const result: fc.Arbitrary<JobResult> = fc
  .record({
    job: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'a-b'),
    outcome: weighted<JobResult['outcome']>([6, 'success'], [3, 'failure'], [1, 'running']),
    candidate: weighted<JobResult['candidate']>(
      [16, { tag: TAG, digest: DIGEST }],
      [1, { tag: TAG }],
      [1, { tag: TAG, digest: digestOf('9') }],
      [1, { tag: tagOf('v6.0.1'), digest: DIGEST }],
      [1, { tag: tagOf('v6.0.1') }],
      [1, { tag: tagOf('failed') }],
      [1, undefined],
    ),
    hash: weighted<string | undefined>([6, 'h1'], [2, 'h2'], [1, 'h3'], [1, undefined]),
    timestamp: fc.oneof(
      { weight: 12, arbitrary: fc.integer({ min: 0, max: 12 }).map((step) => NOW - 600 * step) },
      { weight: 1, arbitrary: fc.constantFrom(NOW + 300, NOW + 301, NOW * 1000, -1, 0, NOW - 1800, NOW - 1801) },
    ),
    source: weighted<JobResult['source']>([8, 'dlrn'], [1, 'needs'], [1, 'zuul']),
    user: weighted<string | undefined>([8, 'ciuser'], [1, 'mallory'], [1, undefined]),
    unknownAge: weighted([9, false], [1, true]),
  })
  .map(({ candidate, hash, user, unknownAge, ...rest }) => ({
    ...rest,
    ...(candidate === undefined ? {} : { candidate }),
    ...(hash === undefined ? {} : { 'aggregate-hash': hash }),
    ...(user === undefined ? {} : { user }),
    ...(unknownAge ? { 'age-unknown': true } : {}),
  }));

/** Some histories are random, and some begin with everything green, so that all verdicts are common. */
const history = fc.oneof(
  fc.array(result, { maxLength: 20 }),
  fc.tuple(fc.integer({ min: 0, max: 8 }), fc.array(result, { maxLength: 5 })).map(([step, others]) => [
    ...['a', 'b', 'c', 'e'].map((job) => ({
      job,
      outcome: 'success' as const,
      candidate: { tag: TAG, digest: DIGEST },
      'aggregate-hash': 'h1',
      timestamp: NOW - 600 * step,
      source: 'dlrn' as const,
      user: 'ciuser',
    })),
    ...others,
  ]),
);

/**
 * So many that each option meets each other, and few enough to be parsed once. They are drawn with the seed of the
 * property, which a failure reports: set it here to see that failure again.
 */
const seed = Math.floor(Math.random() * 2 ** 31);
const files = fc.constantFrom(...fc.sample(criteria, { numRuns: 400, seed }));

test('the product decides as the document says, also by what its record keeps', () => {
  const verdicts = { promote: 0, wait: 0, reject: 0 };
  fc.assert(
    fc.property(files, history, (file, results) => {
      const expected = naiveVerdict(file, 'current-ceph', results, { tag: TAG, digest: DIGEST }, NOW);
      verdicts[expected] += 1;
      const record = decide(file, results);
      // What is recorded is enough to come to the same verdict.
      const again = decide(file, record.evidence).verdict;
      // expect() costs more than both decisions.
      if (record.verdict === expected && again === expected) return;
      expect({ verdict: record.verdict, again }).toEqual({ verdict: expected, again: expected });
    }),
    { numRuns: 10_000, seed },
  );
  expect(Math.min(...Object.values(verdicts))).toBeGreaterThan(500);
});
