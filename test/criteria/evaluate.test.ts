import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { rfc3339 } from '../../src/base/clock.js';
import { UserError } from '../../src/base/errors.js';
import type { Digest } from '../../src/candidate/reference.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import type { Verdict } from '../../src/criteria/decision-record.js';
import { decisionRecordSchema } from '../../src/criteria/decision-record.js';
import { evaluate, replay } from '../../src/criteria/evaluate.js';
import { blockingJobs, explainMarkdown } from '../../src/criteria/explain.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import {
  CANDIDATE,
  DAY,
  DIGEST,
  decide,
  digestOf,
  failed,
  NOW,
  passed,
  result,
  TAG,
  tagOf,
  textOf,
} from './fixtures.js';

const BOTH = 'current-ceph: [a, b]';
const GROUP = 'current-ceph: {required: [a], any-of: [[c, d]]}';
const WAIVED_IN_GROUP = 'current-ceph: {any-of: [[c, d]], waivers: [{job: c, until: 2026-12-31, reason: x}]}';
const running = (job: string, rest?: Partial<JobResult>) => result(job, 'running', rest);

/** Where and when. */
const h1 = { 'aggregate-hash': 'h1' };
const h2 = { 'aggregate-hash': 'h2' };
const ago = (seconds: number) => ({ timestamp: NOW - seconds });

const OTHER_TAG = {
  candidate: { tag: tagOf('v6.0.9-stable-6.0-pacific-centos-stream8-x86_64'), digest: digestOf('9') },
};
const OTHER_DIGEST = { candidate: { tag: TAG, digest: digestOf('9') } };
const BARE_TAG = { candidate: { tag: TAG } };
const TWO_PASSES_AT_ONCE = 'current-ceph: {required: [a], max-age: 30 minutes, across-hashes: true, bare-tags: true}';
/** The second one names no digest, no hash and no user, as `needs` does not. */
const passesAtOnce: readonly JobResult[] = [
  passed('a', ago(60)),
  { job: 'a', outcome: 'success', ...BARE_TAG, ...ago(60), 'age-unknown': true, source: 'needs' },
];

const table: readonly [Verdict, string, string, readonly JobResult[]][] = [
  ['promote', 'all passed on one hash', BOTH, [passed('a'), passed('b')]],
  ['wait', 'nothing is there', BOTH, []],
  ['wait', 'one is missing', BOTH, [passed('a')]],
  ['wait', 'one is running', BOTH, [passed('a'), running('b')]],
  ['reject', 'one failed', BOTH, [passed('a'), failed('b')]],
  ['reject', 'one failed, another is missing', BOTH, [failed('b')]],

  ['wait', 'on two hashes', BOTH, [passed('a', h1), passed('b', h2)]],
  [
    'promote',
    'on two hashes, and that is allowed',
    `current-ceph: {required: [a, b], across-hashes: true}`,
    [passed('a', h1), passed('b', h2)],
  ],
  [
    'promote',
    'on an older hash',
    BOTH,
    [passed('a', { ...h1, ...ago(DAY) }), passed('b', { ...h1, ...ago(DAY) }), passed('a', h2)],
  ],
  ['promote', 'without hashes, as from needs', BOTH, [needs(passed('a')), needs(passed('b'))]],

  ['promote', 'failed, then passed', BOTH, [failed('a', ago(200)), passed('a', ago(100)), passed('b')]],
  ['reject', 'passed, then failed', BOTH, [passed('a', ago(200)), failed('a', ago(100)), passed('b')]],
  ['reject', 'passed and failed at one time', BOTH, [passed('a', ago(100)), failed('a', ago(100)), passed('b')]],
  ['wait', 'passed and began at one time', BOTH, [passed('a', ago(100)), running('a', ago(100)), passed('b')]],
  ['wait', 'passed, and is running again', BOTH, [passed('a', ago(200)), running('a', ago(100)), passed('b')]],
  [
    'reject',
    'passed on one hash, then failed on another',
    BOTH,
    [passed('a', h1), passed('b', h1), failed('a', { ...h2, ...ago(60) })],
  ],
  [
    'promote',
    'failed on one hash, then passed on another',
    BOTH,
    [failed('a', { ...h1, ...ago(DAY) }), passed('a', h2), passed('b', h2)],
  ],
  [
    'wait',
    'failed on this hash, then passed on another',
    BOTH,
    [failed('a', { ...h1, ...ago(DAY) }), passed('b', h1), passed('a', h2)],
  ],
  [
    'promote',
    'passed on one hash, failed on another, and passed there since',
    BOTH,
    [
      passed('a', { ...h1, ...ago(300) }),
      passed('b', { ...h1, ...ago(300) }),
      failed('a', { ...h2, ...ago(200) }),
      passed('a', { ...h2, ...ago(100) }),
    ],
  ],
  [
    'reject',
    'passed on one hash, and failed at the same time on another',
    BOTH,
    [passed('a', { ...h1, ...ago(300) }), passed('b', h1), failed('a', { ...h2, ...ago(300) })],
  ],
  [
    'wait',
    'passed on one hash, failed on another, and is running again there',
    BOTH,
    [
      passed('a', { ...h1, ...ago(300) }),
      passed('b', { ...h1, ...ago(300) }),
      failed('a', { ...h2, ...ago(200) }),
      running('a', { ...h2, ...ago(100) }),
    ],
  ],

  ['wait', 'on another tag', BOTH, [passed('a'), passed('b', OTHER_TAG)]],
  ['wait', 'failed on another tag', BOTH, [passed('a'), failed('b', OTHER_TAG)]],
  [
    'wait',
    'on a tag that begins with this one',
    BOTH,
    [passed('a'), passed('b', { candidate: { tag: tagOf(`${TAG}0`), digest: DIGEST } })],
  ],
  ['wait', 'on another digest of the tag', BOTH, [passed('a'), passed('b', OTHER_DIGEST)]],
  [
    'promote',
    'failed on another digest of the tag',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...OTHER_DIGEST, ...ago(60) })],
  ],
  ['wait', 'on a bare tag', BOTH, [passed('a'), passed('b', BARE_TAG)]],
  [
    'promote',
    'on a bare tag, and that is allowed',
    'current-ceph: {required: [a, b], bare-tags: true}',
    [passed('a'), passed('b', BARE_TAG)],
  ],
  ['wait', 'by a job whose name begins with the required one', BOTH, [passed('a'), passed('b-foo')]],

  [
    'wait',
    'by someone else',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [passed('a', { user: 'mallory' })],
  ],
  [
    'wait',
    'by someone whose name only looks trusted',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [passed('a', { user: 'ciuser\n' })],
  ],
  ['wait', 'by nobody', 'current-ceph: {required: [a], trusted-users: [ciuser]}', [anonymous(passed('a'))]],
  [
    'promote',
    'failed by someone else',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [passed('a'), failed('a', { user: 'mallory', ...ago(60) })],
  ],
  [
    'promote',
    'by needs, which have no users',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [needs(passed('a'))],
  ],

  ['promote', 'just young enough', 'current-ceph: {required: [a], max-age: 2 days}', [passed('a', ago(2 * DAY))]],
  ['wait', 'too old', 'current-ceph: {required: [a], max-age: 2 days}', [passed('a', ago(2 * DAY + 1))]],
  ['reject', 'failed long ago', 'current-ceph: {required: [a], max-age: 2 days}', [failed('a', ago(200 * DAY))]],
  ...[0, 1].map((place): [Verdict, string, string, readonly JobResult[]] => [
    'wait',
    `of unknown age at the same time as a pass of known age, in place ${place}`,
    TWO_PASSES_AT_ONCE,
    [passesAtOnce, passesAtOnce.toReversed()][place] ?? [],
  ]),

  ['promote', '5 minutes ahead', BOTH, [passed('a', ago(-300)), passed('b')]],
  ['wait', 'more than 5 minutes ahead', BOTH, [passed('a', ago(-301)), passed('b')]],
  [
    'promote',
    'in milliseconds, besides one that counts',
    BOTH,
    [passed('a'), passed('a', { timestamp: NOW * 1000 }), passed('b')],
  ],
  ['wait', 'failed at a time that cannot be', BOTH, [passed('a'), failed('a', { timestamp: NOW * 1000 }), passed('b')]],
  [
    'wait',
    'failed at the latest time that there is',
    BOTH,
    [passed('a'), failed('a', { timestamp: Number.MAX_SAFE_INTEGER }), passed('b')],
  ],
  [
    'wait',
    'failed at the earliest time that there is, without a digest',
    BOTH,
    [passed('a'), failed('a', { ...BARE_TAG, timestamp: Number.MIN_SAFE_INTEGER }), passed('b')],
  ],
  ['wait', 'failed before 1970', BOTH, [passed('a'), failed('a', { timestamp: -1 }), passed('b')]],
  [
    'promote',
    'failed at a time that cannot be, on another tag',
    BOTH,
    [passed('a'), failed('a', { ...OTHER_TAG, timestamp: NOW * 1000 }), passed('b')],
  ],

  ['promote', 'one of a group', GROUP, [passed('a'), passed('d')]],
  ['promote', 'one of a group, the other failed', GROUP, [passed('a'), failed('c'), passed('d')]],
  ['wait', 'one of a group failed', GROUP, [passed('a'), failed('c')]],
  ['reject', 'all of a group failed', GROUP, [passed('a'), failed('c'), failed('d')]],
  ['wait', 'one of a group on another hash', GROUP, [passed('a', h1), passed('d', h2)]],
  [
    'wait',
    'one of a group passed, and failed since on another hash',
    GROUP,
    [passed('a'), passed('c', { ...h1, ...ago(200) }), failed('c', { ...h2, ...ago(100) })],
  ],

  ['promote', 'a waived job failed', waive('b', '2026-12-31'), [passed('a'), failed('b')]],
  ['promote', 'a waived job, on the last day of it', waive('b', '2026-11-24'), [passed('a')]],
  ['promote', 'a waived job of a group passed', WAIVED_IN_GROUP, [passed('c')]],
  ['promote', 'a waived job of a group passed, the other failed', WAIVED_IN_GROUP, [passed('c'), failed('d')]],
  ['wait', 'a waived job of a group is running', WAIVED_IN_GROUP, [running('c')]],
  ['reject', 'a waived job of a group says nothing, the other failed', WAIVED_IN_GROUP, [failed('d')]],
  [
    'reject',
    'a waived job of a group passed on a bare tag, the other failed',
    WAIVED_IN_GROUP,
    [passed('c', BARE_TAG), failed('d')],
  ],
  [
    'reject',
    'a waived job of a group passed, and failed since; the other failed',
    WAIVED_IN_GROUP,
    [passed('c', ago(200)), failed('c', ago(100)), failed('d')],
  ],
  [
    'wait',
    'a waived job of a group passed too long ago, the other failed',
    WAIVED_IN_GROUP.replace('{any-of', '{max-age: 1 days, any-of'),
    [passed('c', ago(2 * DAY)), failed('d')],
  ],
  ['reject', 'all of a group failed, one of them waived', WAIVED_IN_GROUP, [failed('c'), failed('d')]],
  ['wait', 'a waived job of a group failed, the other says nothing', WAIVED_IN_GROUP, [failed('c')]],
  [
    'promote',
    'a whole group is waived',
    'current-ceph: {required: [a], any-of: [[c]], waivers: [{job: c, until: 2026-12-31, reason: x}]}',
    [passed('a'), failed('c')],
  ],

  ['wait', 'failed since without a digest', BOTH, [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(60) })]],
  ['wait', 'failed without a digest at the time of the pass', BOTH, [passed('a'), passed('b'), failed('b', BARE_TAG)]],
  [
    'promote',
    'failed without a digest, and passed since',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(3601) })],
  ],
  [
    'wait',
    'failed since without a digest, on another hash',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...h2, ...ago(60) })],
  ],
  [
    'promote',
    'failed without a digest, and passed since on another hash',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...h1, ...ago(3700) }), passed('b', { ...h2, ...ago(60) })],
  ],
  [
    'reject',
    'failed, and failed since without a digest',
    BOTH,
    [failed('b'), failed('b', { ...BARE_TAG, ...ago(60) })],
  ],
  [
    'wait',
    'passed since without a digest, which clears nothing',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(60) }), passed('b', { ...BARE_TAG, ...ago(30) })],
  ],
  [
    'wait',
    'failed since without a digest, and is running again',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(60) }), running('b', ago(30))],
  ],
  [
    'promote',
    'failed since without a digest, on another tag',
    BOTH,
    [passed('a'), passed('b'), failed('b', { candidate: { tag: OTHER_TAG.candidate.tag }, ...ago(60) })],
  ],
  [
    'reject',
    'failed since without a digest, where bare tags count',
    'current-ceph: {required: [a, b], bare-tags: true}',
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(60) })],
  ],
  [
    'wait',
    'failed without a digest at a time that cannot be',
    BOTH,
    [passed('a'), passed('b'), failed('b', { ...BARE_TAG, timestamp: NOW * 1000 })],
  ],
  [
    'promote',
    'failed since without a digest, by someone who is not trusted',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [passed('a'), failed('a', { ...BARE_TAG, ...ago(60), user: 'mallory' })],
  ],
  ['wait', 'failed since without naming an image', BOTH, [passed('a'), passed('b'), unnamed(failed('b', ago(60)))]],
  [
    'promote',
    'failed without naming an image, and passed since',
    BOTH,
    [passed('a'), passed('b'), unnamed(failed('b', ago(3700)))],
  ],
  [
    'promote',
    'failed since without naming an image, on a hash where the job did not test this one',
    BOTH,
    [passed('a'), passed('b'), unnamed(failed('b', { ...h2, ...ago(60) }))],
  ],
  [
    'promote',
    'failed since without naming an image, by someone who is not trusted',
    'current-ceph: {required: [a], trusted-users: [ciuser]}',
    [passed('a'), unnamed(failed('a', { ...ago(60), user: 'mallory' }))],
  ],
  [
    'wait',
    'failed since with a word in place of a tag',
    BOTH,
    [passed('a'), passed('b'), failed('b', { candidate: { tag: tagOf('failed') }, ...ago(60) })],
  ],
  [
    'promote',
    'failed since with a word in place of a tag, on a hash where the job did not test this one',
    BOTH,
    [passed('a'), passed('b'), failed('b', { candidate: { tag: tagOf('failed') }, ...h2, ...ago(60) })],
  ],
  [
    'promote',
    'passed since without naming an image',
    BOTH,
    [passed('a'), passed('b'), unnamed(passed('b', ago(60))), unnamed(running('b', ago(50)))],
  ],
  [
    'wait',
    'one of a group failed since without a digest',
    GROUP,
    [passed('a'), passed('c'), failed('c', { ...BARE_TAG, ...ago(60) })],
  ],
  [
    'promote',
    'one of a group failed without a digest, the other passed',
    GROUP,
    [passed('a'), passed('d'), failed('c', { ...BARE_TAG, ...ago(60) })],
  ],
];

function unnamed({ candidate: _, ...rest }: JobResult): JobResult {
  return rest;
}

function needs({ 'aggregate-hash': _, user: __, ...rest }: JobResult): JobResult {
  return { ...rest, source: 'needs' };
}

function anonymous({ user: _, ...rest }: JobResult): JobResult {
  return rest;
}

function waive(job: string, until: string): string {
  return `current-ceph: {required: [a, b], waivers: [{job: ${job}, until: ${until}, reason: node is broken}]}`;
}

test.each(table)('%s: %s', (verdict, _, criteria, results) => {
  const record = decide(criteria, results);
  expect(record.verdict).toBe(verdict);
  expect(replay(record)).toBe(verdict);
  expect(v.parse(decisionRecordSchema, JSON.parse(JSON.stringify(record)))).toEqual(record);
  expect(record['blocked-by'].length === 0).toBe(verdict === 'promote');
});

describe('what is recorded', () => {
  test('each job, with its state, its link, and since when it gives this outcome', () => {
    const record = decide('current-ceph: [a, b, c, d]', [
      failed('a', ago(500)),
      passed('a', ago(400)),
      passed('a', { ...ago(300), url: 'https://ci.example/a' }),
      failed('b', { ...ago(100), url: 'https://ci.example/b' }),
      running('c', ago(50)),
    ]);
    const h1 = { 'aggregate-hash': 'h1' };
    expect(record.jobs).toEqual([
      { job: 'a', state: 'met', why: 'passed', since: '2026-11-24T01:53:20Z', url: 'https://ci.example/a', ...h1 },
      { job: 'b', state: 'unmet', why: 'failed', since: '2026-11-24T01:58:20Z', url: 'https://ci.example/b', ...h1 },
      { job: 'c', state: 'unknown', why: 'running', since: '2026-11-24T01:59:10Z', url: null, ...h1 },
      { job: 'd', state: 'unknown', why: 'no result', since: null, url: null, 'aggregate-hash': null },
    ]);
    expect(record.reason).toBe('b failed on this image on aggregate hash h1');
  });

  test('what does not count, and why; if a job tested only other tags, its newest result', () => {
    const record = decide('current-ceph: {required: [a, b], trusted-users: [ciuser]}', [
      passed('a', { user: 'mallory' }),
      passed('a', { ...OTHER_DIGEST, ...ago(4000) }),
      passed('b', { ...OTHER_TAG, ...ago(5000) }),
      passed('b', { ...OTHER_TAG, ...ago(6000) }),
      passed('x'),
    ]);
    expect(record['not-counted'].map(({ job, why }) => `${job}: ${why}`)).toEqual([
      'a: it is by mallory, who is not in trusted-users',
      `a: it is on another image, ${digestOf('9')}`,
      `b: it is on ${OTHER_TAG.candidate.tag}`,
    ]);
    expect(record.evidence).toHaveLength(3);
    expect(record.reason).toBe(
      'not met: a (no result that counts: it is by mallory, who is not in trusted-users), ' +
        `b (no result that counts: it is on ${OTHER_TAG.candidate.tag})`,
    );
  });

  test('the smallest sets of jobs that block, the nearest first, and what a person must name to force', () => {
    const record = decide('current-ceph: {required: [a, b, c], any-of: [[d, e]]}', [
      passed('a', { ...h1, ...ago(5) }),
      passed('b', { ...h2, ...ago(10) }),
      passed('e', { ...h2, ...ago(10) }),
      passed('b', { 'aggregate-hash': 'h3' }),
    ]);
    expect(record['blocked-by']).toEqual([
      { 'aggregate-hash': 'h2', jobs: [['a'], ['c']] },
      { 'aggregate-hash': 'h1', jobs: [['b'], ['c'], ['d', 'e']] },
    ]);
    expect(record['aggregate-hash']).toBe('h2');
    expect(blockingJobs(record)).toEqual(['a', 'c']);
  });

  test('a duplicate result is kept once, in whatever order', () => {
    const results = [passed('a'), failed('b'), passed('a', h2), passed('a')];
    const record = decide(BOTH, results);
    expect(record.evidence).toHaveLength(3);
    expect(decide(BOTH, results.toReversed())).toEqual(record);
  });
});

describe('waivers', () => {
  test('a group that is red blocks, also where its waived job had passed before it ran again', () => {
    const again = [passed('c'), running('c', { 'aggregate-hash': 'h2' }), failed('d')];
    const record = decide(WAIVED_IN_GROUP, again);
    expect([record.verdict, record['blocked-by']]).toEqual(['reject', [{ 'aggregate-hash': 'h1', jobs: [['d']] }]]);
    expect(decide(WAIVED_IN_GROUP, [...again, passed('d', ago(1))]).verdict).toBe('promote');
  });

  test('that have ended are an error', () => {
    expect(() => decide(waive('b', '2026-11-23'), [])).toThrow(UserError);
    expect(() => decide(waive('b', '2026-11-23'), [])).toThrow(/waiver of b ended on 2026-11-23; remove it/);
  });

  const end = Date.UTC(2026, 11, 1) / 1000;

  test.each([
    [7 * DAY, ['the waiver of b ends on 2026-11-30: node is broken']],
    [7 * DAY + 1, []],
    [1, ['the waiver of b ends on 2026-11-30: node is broken']],
  ])('%d s before their end warn: %j', (left, warnings) => {
    const record = decide(waive('b', '2026-11-30'), [], end - left);
    expect(record.warnings).toEqual(warnings);
    expect(record.jobs[1]).toMatchObject({ state: 'waived', why: 'waived until 2026-11-30: node is broken' });
  });
});

describe('reasons', () => {
  const reason = (criteria: string, ...results: JobResult[]) => decide(criteria, results).reason;

  test.each<[string, string]>([
    [
      reason(BOTH, passed('a', h1), passed('b', h2)),
      'not met on aggregate hash h1: b (no result on aggregate hash h1)',
    ],
    [reason(BOTH, passed('a'), passed('b')), 'every requirement is met on aggregate hash h1'],
    [
      reason(BOTH, failed('a', h1), failed('b', h2)),
      'a failed on this image on aggregate hash h1, b failed on this image on aggregate hash h2',
    ],
    [reason(GROUP, failed('c', h1), failed('d', h1)), 'all of c, d failed on this image on aggregate hash h1'],
    [reason(GROUP, failed('c', h1), failed('d', h2)), 'all of c, d failed on this image'],
    [reason(GROUP, needs(passed('a'))), 'not met: one of c (no result) or d (no result)'],
    [
      reason(BOTH, failed('a', { ...h1, ...ago(DAY) }), passed('b', h1), passed('a', { ...h2, ...ago(7200) })),
      'not met on aggregate hash h1: a (failed on aggregate hash h1, and has passed since on another)',
    ],
  ])('%s', (said, expected) => {
    expect(said).toBe(expected);
  });
});

describe('a failure with an impossible time', () => {
  const URL = { url: 'https://ci.example/7' };

  test.each<[string, Partial<JobResult>, string]>([
    [
      'in milliseconds',
      { timestamp: NOW * 1000 },
      "a new pass does not help; have the vote removed from DLRN's database",
    ],
    ['before 1970', { timestamp: -1 }, 'a new pass does not help; have the vote removed'],
    ['of Zuul', { timestamp: -1, source: 'zuul' }, 'a new pass does not help; have the result removed'],
    ['some minutes ahead', { timestamp: NOW + 900 }, 'from 2026-11-24T02:10:00Z on, this failure counts'],
  ])('%s is shown with its link and what helps', (_, rest, wayOut) => {
    const record = decide(BOTH, [passed('a'), passed('b'), failed('b', { ...URL, ...rest })]);
    expect(record.jobs[1]).toMatchObject({ job: 'b', state: 'unknown', ...URL });
    expect(record.jobs[1]?.['way-out']).toContain(wayOut);
    const lines = textOf(record).join('\n');
    expect(lines).toContain(wayOut);
    expect(lines).toContain('(the failure: https://ci.example/7)');
    expect(lines).not.toContain('would promote if');
    expect(explainMarkdown(record, { isPromoted: false })).not.toContain('would promote if');
  });

  test('in a group leaves the other member as the way out', () => {
    const record = decide(GROUP, [passed('a'), failed('c', { timestamp: -1 })]);
    expect(textOf(record)).toContain('would promote if d passed on aggregate hash h1');
  });
});

describe('nobody can make a record too large by reporting often', () => {
  const long = { url: `https://ci.example/${'x'.repeat(900)}` };
  const flood = (count: number, vote: (n: number) => JobResult) => Array.from({ length: count }, (_, n) => vote(n));
  const sizeOf = (value: unknown) => JSON.stringify(value).length;
  const criteria = 'current-ceph: {required: [a, b], trusted-users: [ciuser]}';

  test.each<[string, Verdict, JobResult[]]>([
    ['votes that count', 'promote', flood(14_000, (n) => passed('a', { ...long, ...ago(n % 5000) }))],
    [
      'alternating ones',
      'reject',
      flood(14_000, (n) => result('a', n % 2 ? 'success' : 'failure', { ...long, ...ago(n) })),
    ],
    [
      'by users who are not trusted',
      'promote',
      flood(8000, (n) => failed('a', { ...long, user: `mallory-${n}`, ...ago(n) })),
    ],
    ['on other images', 'promote', flood(8000, (n) => failed('a', { candidate: { tag: tagOf(`v${n}`) } }))],
    ['of one tag without a digest', 'wait', flood(8000, (n) => failed('a', { ...long, ...BARE_TAG, ...ago(n) }))],
    ['at times that cannot be', 'wait', flood(8000, (n) => failed('a', { ...long, timestamp: -1 - n }))],
    ['that run', 'wait', flood(8000, (n) => result('a', 'running', { ...long, ...ago(n) }))],
    [
      'in another set',
      'wait',
      flood(8000, (n) => failed('a', { ...long, 'set-digest': `sha256:${'5'.repeat(64)}` as Digest, ...ago(n) })),
    ],
    [
      'on many hashes',
      'promote',
      flood(4000, (n) => passed('a', { ...long, 'aggregate-hash': `${n}`, ...ago(9000 + n) })),
    ],
  ])('%s', (_, verdict, votes) => {
    const record = decide(criteria, [passed('a'), passed('b'), ...votes]);
    expect(record.verdict).toBe(verdict);
    expect(replay(record)).toBe(verdict);
    expect(sizeOf(record)).toBeLessThan(120_000);
    expect(sizeOf(textOf(record)) + sizeOf(explainMarkdown(record, { isPromoted: false }))).toBeLessThan(30_000);
    const seen = record.evidence.length - record['not-counted'].length + (record['not-counted-total'] ?? 0);
    expect(seen).toBeLessThanOrEqual(votes.length + 2);
  });

  test('a vote without a tag blocks in the record too, because of an older vote on its hash that is no longer among the newest', () => {
    const newest = flood(30, (n) => passed('a', { 'aggregate-hash': 'h2', ...ago(100 + n) }));
    const oldest = passed('a', { 'aggregate-hash': 'h0', ...ago(2000) });
    const { candidate: _, ...untold } = failed('a', ago(50));
    const older = [oldest, passed('a', ago(1000)), untold];
    const record = decide(criteria, [...newest, passed('b', { 'aggregate-hash': 'h2', ...ago(60) }), ...older]);
    expect(record.verdict).toBe('wait');
    expect(replay(record)).toBe('wait');
  });

  test('of a job that reports often, what decides is kept and the newest twenty, which the dashboard counts', () => {
    const record = decide(
      'current-ceph: [a]',
      flood(50, (n) => passed('a', ago(n))),
    );
    expect(record.evidence.map(({ timestamp }) => NOW - timestamp)).toEqual([...Array(20).keys(), 49]);
    // Its run of passes began with the oldest.
    expect(record.jobs).toMatchObject([{ since: rfc3339(NOW - 49) }]);
    expect(decide('current-ceph: [a]', record.evidence).jobs).toEqual(record.jobs);
  });

  test('an old pass is kept only with what the job said later on its hash', () => {
    const on = (hash: string, job: string, outcome: JobResult['outcome'], seconds: number) =>
      result(job, outcome, { 'aggregate-hash': hash, ...ago(seconds) });
    const votes = [
      ...flood(30, (n) => on('h2', 'a', 'success', n)),
      on('h4', 'a', 'failure', 100),
      on('h3', 'a', 'failure', 200),
      on('h1', 'a', 'success', 300),
      // Where its run of passes began.
      on('h3', 'a', 'success', 400),
      ...flood(30, (n) => on('h5', 'b', 'success', n)),
      on('h1', 'b', 'success', 300),
      on('h3', 'b', 'success', 400),
      ...flood(30, (n) => on('h2', 'c', 'success', n)),
      on('h5', 'c', 'success', 300),
      on('h3', 'c', 'success', 400),
    ];
    const record = decide('current-ceph: [a, b, c]', votes);
    expect(record.verdict).toBe('wait');
    expect(record.evidence.length).toBeLessThan(votes.length);
    expect(replay(record)).toBe('wait');
  });

  test('an old pass on the hash that promotes is kept', () => {
    const newest = flood(30, (n) => passed('a', { 'aggregate-hash': 'h2', ...ago(n) }));
    const oldest = passed('a', { 'aggregate-hash': 'h0', ...ago(200) });
    const record = decide('current-ceph: [a, b]', [...newest, passed('a', ago(100)), oldest, passed('b')]);
    expect(record).toMatchObject({ verdict: 'promote', 'aggregate-hash': 'h1' });
    expect(replay(record)).toBe('promote');
  });

  test('what ended a run of passes is kept, even if it is on no hash in the record', () => {
    const votes = [
      ...flood(30, (n) => passed('a', { 'aggregate-hash': 'h1', ...ago(n) })),
      failed('a', { 'aggregate-hash': 'h2', ...ago(100) }),
      passed('a', { 'aggregate-hash': 'h3', ...ago(200) }),
      passed('b', { 'aggregate-hash': 'h3', ...ago(300) }),
      passed('c', { 'aggregate-hash': 'h1', ...ago(300) }),
    ];
    const file = 'current-ceph: [a, b, c]';
    const record = decide(file, votes);
    expect(record['blocked-by'].map((one) => one['aggregate-hash'])).toEqual(['h1', 'h3']);
    expect(record.jobs[0]?.since).toBe(rfc3339(NOW - 29));
    expect(decide(file, record.evidence).jobs).toEqual(record.jobs);
  });

  test('the pass that cleared a failure without proof is kept', () => {
    const votes = [
      ...flood(30, (n) => result('a', 'running', ago(n))),
      failed('a', ago(100)),
      passed('a', ago(200)),
      failed('a', { ...BARE_TAG, ...ago(300) }),
    ];
    const record = decide('current-ceph: [a]', votes);
    expect(record.jobs).toMatchObject([{ state: 'unknown', why: 'failed, and is running again' }]);
    expect(decide('current-ceph: [a]', record.evidence).jobs).toEqual(record.jobs);
  });

  test('of what does not count, the number and the newest few are kept', () => {
    const votes = flood(50, (n) => passed('a', { user: 'mallory', ...ago(n) }));
    const record = decide(criteria, votes);
    expect(record['not-counted']).toHaveLength(3);
    expect(record['not-counted-total']).toBe(50);
    expect(record.evidence.map(({ timestamp }) => timestamp)).toEqual([NOW, NOW - 1, NOW - 2]);
    expect(textOf(record)).toContain('not counted: 47 more');
  });
});

/** Ledgers have records of version 1, which replay by the rules with which they were made. */
describe('a record of version 1', () => {
  function recordOf1(criteria: string, results: readonly JobResult[]) {
    const parsed = parseCriteria(criteria, 'current-ceph');
    const { 'not-counted-total': _, ...record } = evaluate(parsed, results, CANDIDATE, { evaluatedAt: NOW, rules: 1 });
    return record;
  }

  test.each<[Verdict, string, string, readonly JobResult[]]>([
    [
      'promote',
      'failed since without a digest',
      BOTH,
      [passed('a'), passed('b'), failed('b', { ...BARE_TAG, ...ago(60) })],
    ],
    ['reject', 'a waived job of a group passed, the other failed', WAIVED_IN_GROUP, [passed('c'), failed('d')]],
    ['wait', 'a waived job of a group passed', WAIVED_IN_GROUP, [passed('c')]],
    ['reject', 'failed', BOTH, [passed('a'), failed('b')]],
    ['promote', 'of unknown age at the same time as a pass of known age', TWO_PASSES_AT_ONCE, passesAtOnce],
  ])('%s: %s', (verdict, _, criteria, results) => {
    const record = v.parse(decisionRecordSchema, JSON.parse(JSON.stringify(recordOf1(criteria, results))));
    expect([record.version, record.verdict, replay(record)]).toEqual([1, verdict, verdict]);
  });
});

test('a record whose criteria were changed does not replay', () => {
  const record = decide(BOTH, [passed('a')]);
  const criteria = { ...record.criteria, content: 'current-ceph: [a]' };
  expect(() => replay({ ...record, criteria })).toThrow(UserError);
});

test('the candidate and the moment are recorded', () => {
  expect(decide(BOTH, [])).toMatchObject({
    candidate: `quay.io/ceph/daemon:${CANDIDATE.tag}@${CANDIDATE.digest}`,
    'evaluated-at': '2026-11-24T02:00:00Z',
    criteria: { label: 'current-ceph', content: BOTH },
  });
});

test('evidence on more aggregate hashes than DLRN is asked for, made to take long, is refused', () => {
  const criteria = `current-ceph: [${Array.from({ length: 1000 }, (_, n) => `j${n}`)}]`;
  const results = Array.from({ length: 15_000 }, (_, n) => passed(`j${n % 1000}`, { 'aggregate-hash': `h${n}` }));
  expect(() => decide(criteria, results)).toThrow('15000 aggregate hashes are too many for 1000 requirements');
});
