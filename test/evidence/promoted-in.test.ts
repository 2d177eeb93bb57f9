import { describe, expect, test } from '@jest/globals';
import { imageSet } from '../../src/candidate/image-set.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import type { Verdict } from '../../src/criteria/decision-record.js';
import { evaluate, replay } from '../../src/criteria/evaluate.js';
import { blockingJobs } from '../../src/criteria/explain.js';
import { promotedInEvidence } from '../../src/evidence/promoted-in.js';
import { banOn, CURRENT, chainOf, image, NOW, readerOf, reportOn } from '../ledger/fixture.js';

const DAY = 86_400;
const CRITERIA = 'current-ceph: {required: [check], promoted-in: {label: staging, for: 7 days}}';
const daysAgo = (days: number) => new Date((NOW - days * DAY) * 1000).toISOString().replace('.000', '');
type Links = Parameters<typeof chainOf>[0];

const V2 = image('v2');
const passed = reportOn(V2).evidence.filter(({ job }) => job === 'check');

async function decide(links: Links, criteria = CRITERIA, set = V2) {
  const parsed = parseCriteria(criteria, 'current-ceph');
  const goal = parsed.promotedIn;
  if (goal === undefined) throw new Error('no promoted-in');
  const { results } = await promotedInEvidence(readerOf(chainOf(links)), CURRENT, goal, set);
  return evaluate(parsed, [...passed, ...results], set, { evaluatedAt: NOW });
}

describe('promoted under another label', () => {
  test.each<[Verdict, string, string, Links]>([
    ['wait', 'never', 'is not promoted under staging', [['v1']]],
    ['wait', 'nothing is', 'is not promoted under staging', []],
    ['promote', 'long enough', 'promoted under staging for 8 days', [['v2', { when: daysAgo(8) }]]],
    ['promote', 'exactly long enough', 'promoted under staging for 7 days', [['v2', { when: daysAgo(7) }]]],
    [
      'wait',
      'not yet long enough',
      'promoted under staging for 2 days, and 7 days are required',
      [
        ['v1', { when: daysAgo(30) }],
        ['v2', { when: daysAgo(2) }],
      ],
    ],
    [
      'promote',
      'long enough, and then replaced',
      'promoted under staging for 9 days',
      [
        ['v2', { when: daysAgo(10) }],
        ['v3', { when: daysAgo(1) }],
      ],
    ],
    [
      'wait',
      'replaced too soon',
      'was replaced under staging after 3 days, and 7 days are required',
      [
        ['v2', { when: daysAgo(10) }],
        ['v3', { when: daysAgo(7) }],
      ],
    ],
    [
      'promote',
      'over records that keep it',
      'promoted under staging for 9 days',
      [
        ['v2', { when: daysAgo(9) }],
        ['v2', { when: daysAgo(3), kind: 'lift' }],
      ],
    ],
    [
      'wait',
      'again after another, since then',
      'promoted under staging for 1 days, and 7 days are required',
      [
        ['v2', { when: daysAgo(30) }],
        ['v1', { when: daysAgo(5) }],
        ['v2', { when: daysAgo(1) }],
      ],
    ],
    [
      'reject',
      'on hold there',
      'is on hold or quarantined under staging',
      [
        ['v2', { when: daysAgo(20) }],
        ['v1', { when: daysAgo(1), kind: 'rollback', holds: [banOn('v2')] }],
      ],
    ],
  ])('%s: %s', async (verdict, _, why, links) => {
    const record = await decide(links);
    expect(record.jobs[1]).toMatchObject({ job: 'promoted-in:staging', why });
    expect([record.verdict, replay(record)]).toEqual([verdict, verdict]);
  });

  test('with other companions is not enough', async () => {
    const companion = image('9.4.7');
    const set = imageSet(V2, [companion]);
    const links: Links = [['v2', { when: daysAgo(20), companions: [companion] }]];
    expect((await decide(links)).verdict).toBe('wait');
    expect((await decide(links, CRITERIA, set)).jobs[1]?.state).toBe('met');
  });

  test('is waived and skipped by its name', async () => {
    const waiver = 'waivers: [{job: "promoted-in:staging", until: 2026-12-01, reason: urgent}]';
    const waived = await decide([], CRITERIA.replace('}}', `}, ${waiver}}`));
    expect([waived.verdict, waived.jobs[1]?.state]).toEqual(['promote', 'waived']);
    expect(blockingJobs(await decide([]))).toEqual(['promoted-in:staging']);
  });

  test('no job can take its place', () => {
    const parsed = parseCriteria(CRITERIA, 'current-ceph');
    const forged = passed.map((result) => ({ ...result, job: 'promoted-in:staging', timestamp: NOW - 30 * DAY }));
    const record = evaluate(parsed, [...passed, ...forged], V2, { evaluatedAt: NOW });
    expect(record.jobs[1]).toMatchObject({ state: 'unknown', why: 'no result that counts: it is from dlrn' });
  });
});

test.each([
  ['{promoted-in: {label: current-ceph, for: 1 days}}', 'names the label itself'],
  ['{promoted-in: {label: staging}}', 'the key "for" is missing'],
  ['{promoted-in: {label: staging, for: 0 days}}', 'must be longer than zero'],
  ['{promoted-in: {label: staging, for: soon}}', 'is not a duration'],
  ['{required: ["promoted-in:staging"], promoted-in: {label: staging, for: 1 days}}', 'is named twice'],
  ['{required: [a], promoted-in: {label: staging, for: 1 days, since: x}}', 'unknown key'],
])('%s is refused', (criteria, problem) => {
  expect(() => parseCriteria(`current-ceph: ${criteria}`, 'current-ceph')).toThrow(problem);
});

test('another store may have a label of the same name', () => {
  const criteria =
    'current-ceph: {promoted-in: {label: current-ceph, for: 1 days, url: "https://images.example/staging"}}';
  expect(parseCriteria(criteria, 'current-ceph').promotedIn).toMatchObject({ url: 'https://images.example/staging' });
});
