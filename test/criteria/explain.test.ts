import { expect, test } from '@jest/globals';
import { explainMarkdown } from '../../src/criteria/explain.js';
import { CANDIDATE, decide, failed, NOW, passed, TAG, textOf } from './fixtures.js';

const CRITERIA = `current-ceph:
  required: [scenario001, scenario004, ovb]
  trusted-users: [ciuser]
  waivers: [{job: ovb, until: 2026-11-30, reason: "no node | since <June>"}]
`;

const record = decide(CRITERIA, [
  passed('scenario001', { url: 'https://ci.example/1' }),
  failed('scenario004', { url: 'https://ci.example/2', timestamp: NOW - 60 }),
  passed('scenario004', { user: 'mallory', timestamp: NOW }),
]);

test('a decision in lines', () => {
  expect(textOf(record)).toEqual([
    'reject: scenario004 failed on this image on aggregate hash h1',
    `candidate quay.io/ceph/daemon:${TAG}@${CANDIDATE.digest}`,
    `criteria current-ceph, sha256 ${record.criteria.sha256}`,
    '  met     scenario001 passed, since 2026-11-24T01:00:00Z, https://ci.example/1',
    '  unmet   scenario004 failed, since 2026-11-24T01:59:00Z, https://ci.example/2',
    '  waived  ovb         waived until 2026-11-30: no node | since <June>',
    'would promote if scenario004 passed on aggregate hash h1',
    'not counted: scenario004: it is by mallory, who is not in trusted-users',
    'warning: the waiver of ovb ends on 2026-11-30: no node | since <June>',
  ]);
});

test('a decision in Markdown, in which nothing from outside is markup', () => {
  const lines = explainMarkdown(record, { isPromoted: false }).split('\n');
  expect(lines[0]).toBe('### Evidence: reject');
  expect(lines[2]).toMatch(
    /^scenario004 failed on this image on aggregate hash h1\. The criteria are `current-ceph`, sha256 `[0-9a-f]{12}…`\.$/,
  );
  expect(lines).toContain('| scenario001 | met | passed | 2026-11-24T01:00:00Z | [result](https://ci.example/1) |');
  expect(lines).toContain('| ovb | waived | waived until 2026-11-30: no node &#124; since &#60;June&#62; |  |  |');
  const way = '- would promote if scenario004 passed on aggregate hash h1';
  expect(lines).toContain(way);
  expect(explainMarkdown(record, { isPromoted: true })).not.toContain(way);
});

test('groups, and results without a hash', () => {
  const { 'aggregate-hash': _, ...result } = passed('a');
  const lines = textOf(decide('current-ceph: {required: [a, b], any-of: [[c, d]]}', [result]));
  expect(lines[0]).toBe('wait: not met: b (no result), one of c (no result) or d (no result)');
  expect(lines).toContain('would promote if b and one of c, d passed');
});
