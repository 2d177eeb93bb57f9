import { expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { needsEvidence } from '../../src/evidence/needs.js';
import { CANDIDATE, DIGEST, decide, NOW, TAG } from '../criteria/fixtures.js';

const REFERENCE = formatCandidate(CANDIDATE);
const read = (needs: unknown) => needsEvidence(JSON.stringify(needs), CANDIDATE, NOW);
const own = { candidate: { tag: TAG, digest: DIGEST }, timestamp: NOW, source: 'needs', job: 'scenario001' };

test.each<[string, unknown, unknown]>([
  [
    'success with the candidate',
    { result: 'success', outputs: { reference: REFERENCE } },
    { ...own, outcome: 'success' },
  ],
  ['failure', { result: 'failure', outputs: { reference: REFERENCE } }, { ...own, outcome: 'failure' }],
  ['failure without outputs', { result: 'failure', outputs: null }, { ...own, outcome: 'failure' }],
  ['success with no outputs', { result: 'success' }, undefined],
  ['success with null for outputs', { result: 'success', outputs: null }, undefined],
  ['success with an empty reference', { result: 'success', outputs: { reference: '' } }, undefined],
  ['success with a bare tag', { result: 'success', outputs: { reference: TAG } }, undefined],
  [
    'success with the image elsewhere',
    { result: 'success', outputs: { reference: REFERENCE.replace('quay.io', 'evil.io') } },
    undefined,
  ],
  [
    'success with the digest under another tag',
    { result: 'success', outputs: { reference: `quay.io/ceph/daemon:v1@${DIGEST}` } },
    undefined,
  ],
  ['skipped', { result: 'skipped', outputs: { reference: REFERENCE } }, undefined],
  ['cancelled', { result: 'cancelled', outputs: { reference: REFERENCE } }, undefined],
  ['anything else', { result: 'Success', outputs: { reference: REFERENCE } }, undefined],
])('%s', (_, job, result) => {
  expect(read({ scenario001: job })).toEqual(result === undefined ? [] : [result]);
});

test('a job that tested another image is told, and does not count', () => {
  const reference = `quay.io/ceph/daemon:v6.0.9@sha256:${'9'.repeat(64)}`;
  const evidence = read({ a: { result: 'success', outputs: { reference } } });
  const record = decide('current-ceph: [a]', evidence);
  expect(record.verdict).toBe('wait');
  expect(record.jobs[0]?.why).toBe('no result that counts: it is on v6.0.9');
});

test('all jobs are needed', () => {
  const passed = { result: 'success', outputs: { reference: REFERENCE, other: 'x' } };
  const verdict = (needs: object) => decide('current-ceph: [a, b]', read(needs)).verdict;
  expect(verdict({ a: passed, b: passed, candidate: { result: 'success', outputs: {} } })).toBe('promote');
  expect(verdict({ a: passed, b: { result: 'skipped', outputs: {} } })).toBe('wait');
  expect(verdict({ a: passed, b: { result: 'failure', outputs: {} } })).toBe('reject');
  expect(verdict({})).toBe('wait');
});

test.each([
  ['', 'not JSON'],
  ['null', 'Expected Object'],
  ['{"a": "success"}', 'a:'],
  ['{"a": {"outputs": {}}}', 'a.result'],
  ['{"a": {"result": "success", "outputs": {"reference": 1}}}', 'a.outputs.reference'],
])('%j is refused', (needs, message) => {
  expect(() => needsEvidence(needs, CANDIDATE, NOW)).toThrow(UserError);
  expect(() => needsEvidence(needs, CANDIDATE, NOW)).toThrow(/^input needs: .*give \${{ toJSON\(needs\) }}$/);
  expect(() => needsEvidence(needs, CANDIDATE, NOW)).toThrow(message);
});
