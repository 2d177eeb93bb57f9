import { expect, test } from '@jest/globals';
import {
  describeFailure,
  describeOutcome,
  describeRegressed,
  formatOutputs,
  lastDecision,
} from '../../src/actions/shared/promotion-result.js';
import { parseTargets } from '../../src/promotion/targets.js';
import type { Outcome } from '../../src/rules/outcome.js';
import { image, recordOf, reference } from '../ledger/fixture.js';

const job = { job: 'deploy', since: '2026-11-24T01:00:00Z', url: 'https://ci.example/7', 'aggregate-hash': 'h1' };
const outcome: Outcome = {
  decision: 'wait',
  reason: 'deploy has not reported',
  candidate: image('v2'),
  previous: undefined,
  report: undefined,
};

test('the last decision says which promoted image has regressed, and by which jobs', () => {
  const before = recordOf('v1');
  const promoted = { record: before, before, lastPromotion: undefined, withoutReferrers: [] };
  expect(lastDecision({ ...promoted, outcome }, undefined)).not.toHaveProperty('regressed');
  const { 'aggregate-hash': _, ...told } = job;
  expect(lastDecision({ ...promoted, outcome: { ...outcome, regression: { jobs: [job] } } }, undefined)).toMatchObject({
    reference: reference('v2'),
    regressed: { reference: reference('v1'), jobs: [told] },
  });
});

test.each([
  ['by whom what is promoted is signed', [], 'key 0123', { reference: reference('v1'), by: 'key 0123' }],
  ['that it signed nothing', [], undefined, { reference: reference('v1'), by: null }],
  ['nothing of signatures where a target keeps none', ['quay.io/other/daemon'], 'key 0123', undefined],
])('the last decision says %s', (_, withoutReferrers, signer, signed) => {
  const record = recordOf('v1');
  const promoted = { record, before: record, lastPromotion: undefined, withoutReferrers, outcome };
  expect(lastDecision(promoted, undefined, signer).signed).toEqual(signed);
});

test.each<[Outcome['decision'], boolean, boolean]>([
  ['wait', false, true],
  ['reject', false, true],
  ['unchanged', false, false],
  ['unchanged', true, true],
  ['promote', false, false],
  ['promote', true, true],
  ['rollback', true, true],
])('a run that ends in %s, regressed: %s, has something unmet: %s', (decision, regressed, isUnmet) => {
  const told: Outcome = { ...outcome, decision, ...(regressed && { regression: { jobs: [job] } }) };
  expect(describeOutcome(told, 'current-ceph', false)).toMatchObject({ isUnmet });
});

test('what is promoted and fails is an output and a line: which image, which jobs, since when, and the way back', () => {
  const before = recordOf('v2', 2, Buffer.from('x'), { previous: image('v1') });
  const told: Outcome = { ...outcome, decision: 'unchanged', regression: { jobs: [job] } };
  const promoted = { record: before, before, lastPromotion: undefined, withoutReferrers: [], outcome: told };
  const targets = parseTargets(['quay.io/tripleomastercentos9/daemon']);
  expect(formatOutputs(promoted, targets, false)).toMatchObject({ regressed: 'true', promoted: 'false' });
  expect(formatOutputs({ ...promoted, outcome }, targets, false)).toMatchObject({ regressed: 'false' });
  expect(describeRegressed(promoted)).toBe(
    `${reference('v2')}, which is promoted, has regressed: deploy has failed since 2026-11-24T01:00:00Z (https://ci.example/7); ` +
      'to roll back to v1, dispatch with rollback-to: previous',
  );
  const first = { ...before, previous: undefined };
  expect(describeRegressed({ ...promoted, before: first })).toMatch(/; there is no earlier image to roll back to$/);
  expect(describeRegressed({ ...promoted, outcome })).toBeUndefined();

  const failed = (decision: Outcome['decision']) =>
    describeFailure({ ...promoted, outcome: { ...told, decision } }, 'current-ceph', false);
  const says = `${reference('v2')}, which is promoted, has regressed: deploy has failed since `;
  expect(failed('unchanged')).toMatch(`current-ceph: ${says}`);
  expect(failed('wait')).toMatch(`current-ceph: wait: ${outcome.reason}; besides, ${says}`);
  expect(failed('frozen')).toMatch(`current-ceph: frozen: ${outcome.reason}; besides, ${says}`);
  expect(failed('promote')).toBe(
    `current-ceph: promote: ${outcome.reason}; besides, ${reference('v2')}, which was promoted when this run began, had regressed: ` +
      'deploy has failed since 2026-11-24T01:00:00Z (https://ci.example/7)',
  );
  expect(failed('rollback')).toBe(`current-ceph: rollback: ${outcome.reason}`);
  expect(describeFailure({ ...promoted, outcome: { ...outcome, decision: 'reject' } }, 'current-ceph', false)).toBe(
    `current-ceph: reject: ${outcome.reason}`,
  );
});
