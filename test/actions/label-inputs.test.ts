import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { action as checkSetup } from '../../src/actions/check-setup.js';
import { action as consume } from '../../src/actions/consume-ci-testing.js';
import { action as evaluate } from '../../src/actions/evaluate-and-promote.js';
import { action as propose } from '../../src/actions/propose-change.js';
import { action as publish } from '../../src/actions/publish-ci-testing.js';
import { action as dashboard } from '../../src/actions/publish-dashboard.js';
import { action as verify } from '../../src/actions/verify-ledger.js';
import type { Input } from '../../src/runner/inputs.js';

/** Each action refuses the other kind of label: promoting under a candidate label would block publishing forever. */
test.each<[string, Input<unknown>, 'candidate' | 'promoted' | 'either']>([
  ['label of publish-ci-testing', publish.inputs.label, 'candidate'],
  ['label of evaluate-and-promote', evaluate.inputs.label, 'candidate'],
  ['promoted-label of evaluate-and-promote', evaluate.inputs['promoted-label'], 'promoted'],
  ['label of consume-ci-testing', consume.inputs.label, 'either'],
  ['promoted-label of propose-change', propose.inputs['promoted-label'], 'promoted'],
  ['promoted-label of publish-dashboard', dashboard.inputs['promoted-label'], 'promoted'],
  ['candidate-label of publish-dashboard', dashboard.inputs['candidate-label'], 'candidate'],
  ['promoted-label of verify-ledger', verify.inputs['promoted-label'], 'promoted'],
  ['label of check-setup', checkSetup.inputs.label, 'candidate'],
  ['promoted-label of check-setup', checkSetup.inputs['promoted-label'], 'promoted'],
])('%s', (_, { schema, default: byDefault }, kind) => {
  const accepted = ['ceph-ci-testing', 'x-testing', 'current-ceph', 'testing', 'ceph-testing2'].filter((label) =>
    v.is(schema, label),
  );
  expect(accepted).toEqual(
    kind === 'candidate'
      ? ['ceph-ci-testing', 'x-testing']
      : kind === 'promoted'
        ? ['current-ceph', 'testing', 'ceph-testing2']
        : ['ceph-ci-testing', 'x-testing', 'current-ceph', 'testing', 'ceph-testing2'],
  );
  if (byDefault !== '') expect(v.is(schema, byDefault)).toBe(true);
  for (const name of ['current-ceph ', 'previous-current-ceph', 'x-testing\n', '../x-testing', 'ledger', '']) {
    expect([name, v.is(schema, name)]).toEqual([name, false]);
  }
});
