import { expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { runPolicyTests } from '../../src/criteria/policy-tests.js';
import { NOW } from './fixtures.js';

const CRITERIA = `
current-ceph:
  required: [scenario001, scenario004]
  max-age: 14 days
  trusted-users: [ciuser]
  waivers: [{job: scenario004, until: 2026-06-30, reason: broken}]
`;

const run = (tests: string) => runPolicyTests(CRITERIA, tests, NOW);
const test1 = (votes: string, verdict: string) =>
  `current-ceph:\n- name: one\n  day: 2026-06-20\n  votes: [${votes}]\n  verdict: ${verdict}\n`;

test.each([
  ['{job: scenario001, outcome: success, user: ciuser}', 'promote'],
  ['{job: scenario001, outcome: success}', 'wait'],
  ['{job: scenario001, outcome: success, user: ciuser, age: 15 days}', 'wait'],
  ['{job: scenario001, outcome: success, user: ciuser, image: other-tag}', 'wait'],
  ['{job: scenario001, outcome: success, user: ciuser, image: other-digest}', 'wait'],
  ['{job: scenario001, outcome: success, user: ciuser, image: bare-tag}', 'wait'],
  ['{job: scenario001, outcome: failure, user: ciuser}', 'reject'],
  [
    '{job: scenario001, outcome: success, user: ciuser, age: 1 days}, {job: scenario001, outcome: failure, user: ciuser, image: none}',
    'wait',
  ],
  [
    '{job: scenario001, outcome: success, user: ciuser, aggregate-hash: old, age: 2 days},' +
      '{job: scenario001, outcome: failure, user: ciuser, aggregate-hash: new, age: 1 days}',
    'reject',
  ],
])('%s: %s', (votes, verdict) => {
  expect(run(test1(votes, verdict))).toMatchObject([{ label: 'current-ceph', name: 'one', verdict, passed: true }]);
});

test('a wrong expectation is reported with the reason', () => {
  expect(run(test1('{job: scenario001, outcome: failure, user: ciuser}', 'promote'))).toEqual([
    {
      label: 'current-ceph',
      name: 'one',
      expected: 'promote',
      verdict: 'reject',
      reason: 'scenario001 failed on this image on aggregate hash one',
      passed: false,
    },
  ]);
});

test('without a day the tests are about today, when the waiver has ended', () => {
  const tests = 'current-ceph: [{name: x, votes: [], verdict: wait}]';
  expect(() => run(tests)).toThrow('the waiver of scenario004 ended');
});

test.each([
  ['no case', 'current-ceph: []', 'current-ceph: has no case'],
  ['a label without criteria', 'other: [{name: x, votes: [], verdict: wait}]', 'no label "other"'],
  [
    'an unknown key',
    'current-ceph: [{name: x, vote: [], votes: [], verdict: wait}]',
    'current-ceph.0.vote: unknown key',
  ],
  ['an unknown verdict', 'current-ceph: [{name: x, votes: [], verdict: yes}]', 'current-ceph.0.verdict:'],
])('%s is refused', (_, tests, message) => {
  expect(() => run(tests)).toThrow(UserError);
  expect(() => run(tests)).toThrow(message);
});
