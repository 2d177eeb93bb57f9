import { expect, test } from '@jest/globals';
import type { JobResult } from '../../src/criteria/job-result.js';
import { findRegressedJobs } from '../../src/criteria/regressions.js';
import { decide, digestOf, failed, NOW, passed, result, TAG } from './fixtures.js';

const SINGLE = 'current-ceph: [a, b]';
const GROUP = 'current-ceph: {required: [a], any-of: [[c, d]]}';
const WAIVED_IN_GROUP = 'current-ceph: {any-of: [[c, d]], waivers: [{job: c, until: 2026-12-31, reason: x}]}';
const ago = (seconds: number) => ({ timestamp: NOW - seconds });
const waived = 'current-ceph: {required: [a, b], waivers: [{job: b, until: 2026-12-31, reason: x}]}';

const table: readonly [string, string, readonly JobResult[], readonly JobResult[], readonly string[]][] = [
  ['nothing new', SINGLE, [passed('a'), passed('b')], [], []],
  ['a newer failure', SINGLE, [passed('a'), passed('b')], [failed('b', ago(5))], ['b']],
  [
    'a newer failure on another hash',
    SINGLE,
    [passed('a'), passed('b')],
    [failed('b', { ...ago(5), 'aggregate-hash': 'h2' })],
    ['b'],
  ],
  ['two', SINGLE, [passed('a'), passed('b')], [failed('a', ago(5)), failed('b', ago(5))], ['a', 'b']],
  ['failed, and passed since', SINGLE, [passed('a'), passed('b')], [failed('b', ago(9)), passed('b', ago(5))], []],
  [
    'failed, and runs again',
    SINGLE,
    [passed('a'), passed('b')],
    [failed('b', ago(9)), result('b', 'running', ago(5))],
    [],
  ],
  ['runs again', SINGLE, [passed('a'), passed('b')], [result('b', 'running', ago(5))], []],
  ['a failure older than the pass', SINGLE, [passed('a'), passed('b')], [failed('b', ago(7200))], []],
  [
    'a failure of another image',
    SINGLE,
    [passed('a'), passed('b')],
    [failed('b', { ...ago(5), candidate: { tag: TAG, digest: digestOf('9') } })],
    [],
  ],
  [
    'a failure without proof',
    SINGLE,
    [passed('a'), passed('b')],
    [failed('b', { ...ago(5), candidate: { tag: TAG } })],
    [],
  ],
  ['a failure at a time that cannot be', SINGLE, [passed('a'), passed('b')], [failed('b', { timestamp: -1 })], []],
  ['a job that never passed', SINGLE, [passed('a')], [failed('b', ago(5))], []],
  ['a job that had failed', SINGLE, [passed('a'), failed('b')], [failed('b', ago(5))], []],
  ['one of a group, and the other passed', GROUP, [passed('a'), passed('c'), passed('d')], [failed('c', ago(5))], []],
  ['one of a group, and the other says nothing', GROUP, [passed('a'), passed('c')], [failed('c', ago(5))], []],
  ['all of a group', GROUP, [passed('a'), passed('c')], [failed('c', ago(5)), failed('d', ago(5))], ['c', 'd']],
  ['of a group with a waived job the other', WAIVED_IN_GROUP, [passed('d')], [failed('d', ago(5))], ['d']],
  ['the same, and the waived one passed', WAIVED_IN_GROUP, [passed('c'), passed('d')], [failed('d', ago(5))], []],
  [
    'both of a group, of which the waived one had passed',
    WAIVED_IN_GROUP,
    [passed('c')],
    [failed('c', ago(5)), failed('d', ago(5))],
    ['c', 'd'],
  ],
  ['a waived job', waived, [passed('a'), passed('b')], [failed('b', ago(5))], []],
];

test.each(table)('%s', (_, criteria, before, since, jobs) => {
  const head = decide(criteria, before);
  const now = decide(criteria, [...before, ...since], NOW + 60);
  expect(findRegressedJobs(head, now).map(({ job }) => job)).toEqual(jobs);
});

test('a regression says since when, where, and on which hash', () => {
  const before = [passed('a'), passed('b')];
  const now = decide(SINGLE, [...before, failed('b', { ...ago(5), url: 'https://ci.example/7' })]);
  expect(findRegressedJobs(decide(SINGLE, before), now)).toEqual([
    { job: 'b', since: '2026-11-24T01:59:55Z', url: 'https://ci.example/7', 'aggregate-hash': 'h1' },
  ]);
});

test('a pass that has become too old is not a regression', () => {
  const criteria = 'current-ceph: {required: [a], max-age: 2 hours}';
  const head = decide(criteria, [passed('a')]);
  expect(findRegressedJobs(head, decide(criteria, [passed('a')], NOW + 9000))).toEqual([]);
});

test('criteria that changed since then count as they are now', () => {
  const head = decide(SINGLE, [passed('a'), passed('b')]);
  const votes = [passed('a'), failed('b', ago(5)), failed('c', ago(5))];
  expect(findRegressedJobs(head, decide('current-ceph: [a, c]', votes))).toEqual([]);
});

test('without a decision on this image no regression is known', () => {
  const now = decide(SINGLE, [failed('a')]);
  expect(findRegressedJobs(null, now)).toEqual([]);
  expect(
    findRegressedJobs(
      { ...decide(SINGLE, [passed('a'), passed('b')]), candidate: `quay.io/x/y:v1@${digestOf('9')}` },
      now,
    ),
  ).toEqual([]);
});
