import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { decisionRecordSchema } from '../../src/criteria/decision-record.js';
import { replay } from '../../src/criteria/evaluate.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import { DIGEST, decide, digestOf, NOW, TAG, tagOf } from './fixtures.js';

const JOBS = ['a', 'b', 'c', 'd'] as const;
const HASHES = ['h1', 'h2', 'h3'] as const;

const criteria = fc
  .record({
    required: fc.uniqueArray(fc.constantFrom('a', 'b'), { maxLength: 2 }),
    group: fc.boolean(),
    maxAge: fc.boolean(),
    trusted: fc.boolean(),
    across: fc.boolean(),
    bare: fc.boolean(),
    waived: fc.option(fc.constantFrom('a', 'c'), { nil: undefined }),
  })
  .filter(({ required, group }) => required.length > 0 || group)
  .map(({ required, group, maxAge, trusted, across, bare, waived }) => {
    const groups = group ? [['c', 'd']] : [];
    const jobs = [...required, ...groups.flat()];
    const isWaived = jobs.length > 1 && jobs.some((job) => job === waived);
    return JSON.stringify({
      'current-ceph': {
        required,
        'any-of': groups,
        ...(maxAge ? { 'max-age': '30 minutes' } : {}),
        ...(trusted ? { 'trusted-users': ['ciuser'] } : {}),
        ...(isWaived ? { waivers: [{ job: waived, until: '2026-12-31', reason: 'its host is away' }] } : {}),
        'across-hashes': across,
        'bare-tags': bare,
      },
    });
  });

/** Few values, so that they coincide; most results count. */
const result: fc.Arbitrary<JobResult> = fc
  .record({
    job: fc.constantFrom(...JOBS),
    outcome: fc.constantFrom('success' as const, 'success' as const, 'failure' as const, 'running' as const),
    candidate: fc.oneof(
      { weight: 8, arbitrary: fc.constant({ tag: TAG, digest: DIGEST }) },
      fc.constant({ tag: TAG }),
      fc.constant({ tag: TAG, digest: digestOf('9') }),
      fc.constant({ tag: tagOf('v6.0.1'), digest: DIGEST }),
      fc.constant(undefined),
    ),
    'aggregate-hash': fc.option(fc.constantFrom(...HASHES), { nil: undefined }),
    timestamp: fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: NOW - 3600, max: NOW + 60 }) },
      fc.integer({ min: NOW - 12, max: NOW }),
      fc.constantFrom(NOW * 1000, -5, NOW + 301, NOW + 300),
    ),
    user: fc.constantFrom('ciuser', 'ciuser', 'mallory'),
  })
  .map(({ 'aggregate-hash': hash, candidate, ...rest }) => ({
    ...rest,
    ...(candidate === undefined ? {} : { candidate }),
    ...(hash === undefined ? {} : { 'aggregate-hash': hash }),
    source: 'dlrn',
  }));

const results = fc.array(result, { maxLength: 24 });
/** Makes many runs get as far as promoting. */
const mostlyGreen = fc
  .tuple(fc.constantFrom(...HASHES), results)
  .map(([hash, others]) => [
    ...JOBS.map((job) => ({ ...green(job, hash), timestamp: NOW - 5 })),
    ...others.filter(({ outcome, timestamp }) => outcome === 'success' || timestamp < NOW - 600),
  ]);

function green(job: string, hash: string): JobResult {
  return {
    job,
    outcome: 'success',
    candidate: { tag: TAG, digest: DIGEST },
    'aggregate-hash': hash,
    timestamp: NOW,
    source: 'dlrn',
    user: 'ciuser',
  };
}

/** Properties of the evaluation, each with so many random histories. */
export function testProperties(numRuns: number): void {
  test('a green vote on the hash that qualifies, or on a new hash, never changes the verdict promote', () => {
    let promoted = 0;
    fc.assert(
      fc.property(criteria, mostlyGreen, result, fc.boolean(), (file, before, extra, isNew) => {
        const record = decide(file, before);
        if (record.verdict !== 'promote') return;
        promoted += 1;
        const hash = isNew ? 'new' : record['aggregate-hash'];
        const { 'aggregate-hash': _, ...rest } = extra;
        const vote: JobResult = { ...rest, outcome: 'success', ...(hash === null ? {} : { 'aggregate-hash': hash }) };
        expect(decide(file, [...before, vote]).verdict).toBe('promote');
      }),
      { numRuns },
    );
    expect(promoted).toBeGreaterThan(numRuns / 4);
  });

  test('a red newest vote never turns wait or reject into promote', () => {
    fc.assert(
      fc.property(criteria, results, result, (file, before, extra) => {
        if (decide(file, before).verdict === 'promote') return;
        const newest = Math.max(extra.timestamp, ...before.map(({ timestamp }) => timestamp));
        const vote: JobResult = { ...extra, outcome: 'failure', timestamp: newest };
        expect(decide(file, [...before, vote]).verdict).not.toBe('promote');
      }),
      { numRuns },
    );
  });

  test('if the newest vote that counts of a required job is red, the verdict is reject', () => {
    fc.assert(
      fc.property(mostlyGreen, fc.constantFrom(...HASHES), (before, hash) => {
        const vote: JobResult = { ...green('a', hash), outcome: 'failure', timestamp: NOW + 300 };
        expect(decide('current-ceph: [a, b]', [...before, vote]).verdict).toBe('reject');
      }),
      { numRuns },
    );
  });

  test('the order of votes never matters', () => {
    fc.assert(
      fc.property(
        criteria,
        results.chain((before) =>
          fc.tuple(fc.constant(before), fc.shuffledSubarray(before, { minLength: before.length })),
        ),
        (file, [before, shuffled]) => {
          expect(decide(file, shuffled)).toEqual(decide(file, before));
        },
      ),
      { numRuns },
    );
  });

  test('any record, written and read, replays to its verdict, and its evidence gives the record again', () => {
    fc.assert(
      fc.property(criteria, fc.oneof(results, mostlyGreen), (file, before) => {
        const record = decide(file, before);
        const read = v.parse(decisionRecordSchema, JSON.parse(JSON.stringify(record)));
        expect(read).toEqual(record);
        expect(replay(read)).toBe(record.verdict);
        // The rest of what does not count is only a number.
        const again = { ...decide(file, read.evidence), 'not-counted-total': record['not-counted-total'] };
        expect(again).toEqual(record);
      }),
      { numRuns },
    );
  });

  /**
   * What a record keeps of long histories: each result is one of 21 that a job gave in a row, so that the newest 20 of
   * a job, which are always kept, end before the history gets old.
   */
  test('however many results there are, a record keeps what gives the same verdict and states, and never a better verdict', () => {
    const IN_A_ROW = 21;
    let shortened = 0;
    fc.assert(
      fc.property(criteria, fc.oneof(results, mostlyGreen), (file, before) => {
        const all = before.flatMap((one) =>
          Array.from({ length: IN_A_ROW }, (_, n) => ({ ...one, timestamp: one.timestamp - n / IN_A_ROW })),
        );
        const record = decide(file, all);
        const again = decide(file, record.evidence);
        expect(replay(record)).toBe(record.verdict);
        expect(again.jobs).toEqual(record.jobs);
        expect(again['aggregate-hash']).toEqual(record['aggregate-hash']);
        expect(again['blocked-by']).toEqual(record['blocked-by']);
        if (record.evidence.length < all.length / 2) shortened += 1;
      }),
      { numRuns: Math.ceil(numRuns / 2.5) },
    );
    expect(shortened).toBeGreaterThan(numRuns / 5);
  });

  test('what blocks is enough to promote, and none of it can be left out', () => {
    let blocked = 0;
    fc.assert(
      fc.property(criteria, results, fc.nat(), (file, all, choice) => {
        const before = all.filter(({ timestamp }) => timestamp >= 0 && timestamp < NOW + 300);
        const record = decide(file, before);
        for (const { 'aggregate-hash': hash, jobs } of record['blocked-by']) {
          blocked += 1;
          const votes = jobs.map((anyOf): JobResult => {
            const { 'aggregate-hash': _, ...vote } = green(anyOf[choice % anyOf.length] ?? '', 'h1');
            return { ...vote, ...(hash === null ? {} : { 'aggregate-hash': hash }), timestamp: NOW + 300 };
          });
          expect(decide(file, [...before, ...votes]).verdict).toBe('promote');
          for (const vote of votes) {
            expect(decide(file, [...before, ...votes.filter((one) => one !== vote)]).verdict).not.toBe('promote');
          }
        }
      }),
      { numRuns },
    );
    expect(blocked).toBeGreaterThan(numRuns / 5);
  });

  test('jobs that the criteria do not name make no difference', () => {
    fc.assert(
      fc.property(criteria, results, fc.array(result, { maxLength: 5 }), (file, before, extra) => {
        const strangers = extra.map((vote) => ({ ...vote, job: `${vote.job}-foo` }));
        expect(decide(file, [...before, ...strangers])).toEqual(decide(file, before));
      }),
      { numRuns },
    );
  });
}
