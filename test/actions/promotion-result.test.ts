import { expect, test } from '@jest/globals';
import { lastDecision } from '../../src/actions/shared/promotion-result.js';
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
