import { expect, test } from '@jest/globals';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { reportedJobs } from '../../src/criteria/reported-jobs.js';

test('required jobs and groups are reported; statements, and the label that it must be promoted in, are not', () => {
  const criteria = `current-ceph:
    required: [check]
    any-of: [[a, b]]
    attestations: [{ type: t, name: built, issuer: i, identity: me }]
    promoted-in: { label: staging, for: 1 days }`;
  expect(reportedJobs(parseCriteria(criteria, 'current-ceph'))).toEqual(['check', 'a', 'b']);
});
