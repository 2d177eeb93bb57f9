import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { companionsOf, imageSet, setDigest } from '../../src/candidate/image-set.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import type { Verdict } from '../../src/criteria/decision-record.js';
import { decisionRecordSchema } from '../../src/criteria/decision-record.js';
import { evaluate, replay } from '../../src/criteria/evaluate.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import { image } from '../ledger/fixture.js';
import { CANDIDATE, criteriaOf, digestOf, failed, NOW, passed, TAG } from './fixtures.js';

/** Which results count for a set: only those that name it. */

const SET = imageSet(CANDIDATE, [image('9.4.7'), image('2.3')]);
const ours = { 'set-digest': setDigest(SET) ?? digestOf('0') };
const other = { 'set-digest': digestOf('5') };
const ago = (seconds: number) => ({ timestamp: NOW - seconds });
const bare = { candidate: { tag: TAG } };

const onSet = (results: readonly JobResult[], file = 'current-ceph: [a]') =>
  evaluate(criteriaOf(file), results, SET, { evaluatedAt: NOW });

describe('for a set', () => {
  test.each<[Verdict, string, readonly JobResult[], string]>([
    ['promote', 'a pass on it', [passed('a', ours)], 'passed'],
    ['reject', 'a failure on it', [failed('a', ours)], 'failed'],
    [
      'wait',
      'a pass on the candidate alone',
      [passed('a')],
      'no result that counts: it does not say which set it tested',
    ],
    [
      'wait',
      'a pass on another set',
      [passed('a', other)],
      `no result that counts: it is on another set, ${digestOf('5')}`,
    ],
    [
      'wait',
      'a failure on the candidate alone, after a pass on the set',
      [passed('a', { ...ours, ...ago(200) }), failed('a', ago(100))],
      'failed, and it does not say which set it tested; a newer pass that counts clears it',
    ],
    [
      'promote',
      'a pass on it, after a failure on the candidate alone',
      [failed('a', ago(200)), passed('a', { ...ours, ...ago(100) })],
      'passed',
    ],
    [
      'wait',
      'a failure on another set, after a pass on it',
      [passed('a', { ...ours, ...ago(200) }), failed('a', { ...other, ...ago(100) })],
      `failed, and it is on another set, ${digestOf('5')}; a newer pass that counts clears it`,
    ],
    [
      'promote',
      'a pass on it, after a failure on another set',
      [failed('a', { ...other, ...ago(200) }), passed('a', { ...ours, ...ago(100) })],
      'passed',
    ],
    [
      'wait',
      'a bare tag',
      [passed('a', { ...bare, ...ours })],
      'no result that counts: it names the tag without a digest',
    ],
  ])('%s: %s', (verdict, _, results, why) => {
    const record = onSet(results);
    expect([record.verdict, record.jobs[0]?.why]).toEqual([verdict, why]);
    expect(replay(v.parse(decisionRecordSchema, JSON.parse(JSON.stringify(record))))).toBe(verdict);
  });

  test('a bare tag does not count, even with bare-tags', () => {
    const file = 'current-ceph: {required: [a], bare-tags: true}';
    expect(onSet([passed('a', bare)], file).verdict).toBe('wait');
  });

  test('the record names the companions, and replays for no other set', () => {
    const record = onSet([passed('a', ours)]);
    expect(record.companions).toEqual(companionsOf(SET).map(formatCandidate));
    const companions = record.companions?.slice(1) ?? [];
    expect(replay({ ...record, companions })).toBe('wait');
  });
});

test('for a candidate without companions a result on a set does not count', () => {
  const alone = (results: readonly JobResult[]) =>
    evaluate(criteriaOf('current-ceph: [a]'), results, CANDIDATE, { evaluatedAt: NOW });
  expect(alone([passed('a', other)]).jobs[0]?.why).toBe(
    `no result that counts: it is on another set, ${digestOf('5')}`,
  );
  // Removing a candidate's companions does not remove the failures with them.
  const stripped = alone([passed('a', ago(200)), failed('a', { ...other, ...ago(100) })]);
  expect([stripped.verdict, stripped.jobs[0]?.state]).toEqual(['wait', 'unknown']);
  expect(alone([passed('a')])).not.toHaveProperty('companions');
});
