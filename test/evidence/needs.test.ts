import { describe, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { type ImageSet, imageSet, setDigest } from '../../src/candidate/image-set.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { evaluate, replay } from '../../src/criteria/evaluate.js';
import { needsEvidence } from '../../src/evidence/needs.js';
import { CANDIDATE, DIGEST, NOW, TAG } from '../criteria/fixtures.js';
import { image } from '../ledger/fixture.js';

const REFERENCE = formatCandidate(CANDIDATE);
const read = (needs: unknown, jobs: readonly string[] = [], attempt = 1) =>
  needsEvidence({ needs: JSON.stringify(needs), attempt, jobs, candidate: CANDIDATE, now: NOW });
const own = { candidate: { tag: TAG, digest: DIGEST }, timestamp: NOW, source: 'needs', job: 'scenario001' };

function decide(criteria: string, needs: unknown, attempt = 1) {
  const parsed = parseCriteria(criteria, 'current-ceph');
  const { results, ...rest } = read(needs, parsed.requirements.flat(), attempt);
  return evaluate(parsed, results, CANDIDATE, { evaluatedAt: NOW, ...rest });
}

test.each<[string, unknown, string]>([
  ['success with the candidate', { result: 'success', outputs: { reference: REFERENCE } }, 'success'],
  ['failure', { result: 'failure', outputs: { reference: REFERENCE } }, 'failure'],
  ['failure without outputs', { result: 'failure', outputs: null }, 'failure'],
])('%s', (_, job, outcome) => {
  expect(read({ scenario001: job }).results).toEqual([{ ...own, outcome }]);
});

test.each<[string, unknown, string]>([
  ['no outputs', { result: 'success' }, 'succeeded, but it has no output `reference`'],
  ['null for outputs', { result: 'success', outputs: null }, 'succeeded, but it has no output `reference`'],
  [
    'another output',
    { result: 'success', outputs: { tested: REFERENCE } },
    'succeeded, but it has no output `reference`',
  ],
  [
    'an empty reference',
    { result: 'success', outputs: { reference: '' } },
    'succeeded, but its output `reference` is empty',
  ],
  [
    'a bare tag',
    { result: 'success', outputs: { reference: 'ceph/daemon:v1' } },
    `succeeded, but its output \`reference\` is "ceph/daemon:v1", not the candidate ${REFERENCE}`,
  ],
  [
    'the image elsewhere',
    { result: 'success', outputs: { reference: REFERENCE.replace('quay.io', 'evil.io') } },
    `is "${REFERENCE.replace('quay.io', 'evil.io')}", not the candidate`,
  ],
  [
    'the digest under another tag',
    { result: 'success', outputs: { reference: `quay.io/ceph/daemon:v1@${DIGEST}` } },
    `is "quay.io/ceph/daemon:v1@${DIGEST}", not the candidate`,
  ],
  [
    'a newline behind it',
    { result: 'success', outputs: { reference: `${REFERENCE}\n` } },
    'has blanks or line ends around the candidate',
  ],
  ['CR and LF behind it', { result: 'success', outputs: { reference: `${REFERENCE}\r\n` } }, 'has blanks or line ends'],
  ['a number', { result: 'success', outputs: { reference: 7 } }, 'succeeded, but it has no output `reference`'],
  ['text for outputs', { result: 'success', outputs: '' }, 'succeeded, but it has no output `reference`'],
  ['null for the result', { result: null, outputs: { reference: REFERENCE } }, 'its result is empty, which is neither'],
  ['no result', { outputs: { reference: REFERENCE } }, 'its result is empty, which is neither'],
  ['a mask in it', { result: 'success', outputs: { reference: REFERENCE.replace('daemon', '***') } }, '***'],
  ['skipped', { result: 'skipped', outputs: { reference: REFERENCE } }, 'its result is skipped, which is neither'],
  [
    'cancelled',
    { result: 'cancelled', outputs: { reference: REFERENCE } },
    'its result is cancelled, which is neither',
  ],
  [
    'anything else',
    { result: 'Success', outputs: { reference: REFERENCE } },
    'its result is Success, which is neither',
  ],
])('%s is no result, and the reason says why', (_, job, why) => {
  expect(read({ scenario001: job }).results).toEqual([]);
  const record = decide('current-ceph: [scenario001]', { scenario001: job });
  expect(record.verdict).toBe('wait');
  expect(record.jobs[0]?.why).toContain(why);
  expect(record.reason).toContain(why);
});

describe('of a set', () => {
  const set = imageSet(CANDIDATE, [image('9.4.7')]);
  const digest = setDigest(set);
  const on = (candidate: ImageSet, job: unknown) =>
    needsEvidence({ needs: JSON.stringify({ a: job }), attempt: 1, jobs: ['a'], candidate, now: NOW });

  test.each([
    ['a pass that names it', { result: 'success', outputs: { reference: REFERENCE, 'set-digest': digest } }, 'success'],
    ['a failure without outputs', { result: 'failure' }, 'failure'],
  ])('%s counts', (_, job, outcome) => {
    expect(on(set, job).results).toEqual([{ ...own, job: 'a', outcome, 'set-digest': digest }]);
  });

  test.each([
    ['none', undefined, `its output \`set-digest\` is empty, and the set is ${digest}`],
    ['null', null, `its output \`set-digest\` is empty, and the set is ${digest}`],
    ['another', 'sha256:0', `its output \`set-digest\` is "sha256:0", and the set is ${digest}`],
  ])('a pass with %s does not', (_, named, why) => {
    const { results, remarks } = on(set, { result: 'success', outputs: { reference: REFERENCE, 'set-digest': named } });
    expect([results, remarks.get('a')]).toEqual([[], `succeeded, but ${why}`]);
  });

  test('a pass on a set is not a pass on the candidate alone', () => {
    const job = { result: 'success', outputs: { reference: REFERENCE, 'set-digest': digest } };
    expect(on(CANDIDATE, job).remarks.get('a')).toContain('and the candidate has no companions');
    expect(on(CANDIDATE, { ...job, outputs: { reference: REFERENCE, 'set-digest': '' } }).results).toHaveLength(1);
  });
});

test('a job that is missing in needs is named, with those that are there', () => {
  const { jobs } = decide('current-ceph: [check]', { chek: { result: 'success' }, lint: { result: 'success' } });
  expect(jobs[0]?.why).toBe('needs has no job check; it has chek, lint');
  expect(decide('current-ceph: [check]', {}).jobs[0]?.why).toBe('needs has no job check; it is empty');
});

test('what is said about needs stays short', () => {
  const needs = Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`job-${n}`, { result: 'x'.repeat(9000) }]));
  expect(decide('current-ceph: [check, job-1]', needs).reason.length).toBeLessThan(1000);
});

test('a job that tested another image is named, and does not count', () => {
  const reference = `quay.io/ceph/daemon:v6.0.9@sha256:${'9'.repeat(64)}`;
  const record = decide('current-ceph: [a]', { a: { result: 'success', outputs: { reference } } });
  expect(record.verdict).toBe('wait');
  expect(record.jobs[0]?.why).toBe('no result that counts: it is on v6.0.9');
});

test('all jobs are needed', () => {
  const passed = { result: 'success', outputs: { reference: REFERENCE, other: 'x' } };
  const verdict = (needs: object) => decide('current-ceph: [a, b]', needs).verdict;
  expect(verdict({ a: passed, b: passed, candidate: { result: 'success', outputs: {} } })).toBe('promote');
  expect(verdict({ a: passed, b: { result: 'skipped', outputs: {} } })).toBe('wait');
  expect(verdict({ a: passed, b: { result: 'failure', outputs: {} } })).toBe('reject');
  expect(verdict({})).toBe('wait');
});

describe('a re-run keeps results of any age', () => {
  const needs = { a: { result: 'success', outputs: { reference: REFERENCE } } };
  const aged = 'current-ceph: {required: [a], max-age: 1 hours}';

  test.each([
    ['promote', 'in a first attempt', aged, 1],
    ['wait', 'in a second attempt', aged, 2],
    ['wait', 'in an attempt that is not known', aged, 0],
    ['promote', 'in a second attempt without max-age', 'current-ceph: [a]', 2],
  ])('%s %s', (verdict, _, criteria, attempt) => {
    const record = decide(criteria, needs, attempt);
    expect([record.verdict, replay(record)]).toEqual([verdict, verdict]);
  });

  test('a failure never ages', () => {
    expect(decide(aged, { a: { result: 'failure' } }, 7).verdict).toBe('reject');
  });
});

test.each<[string, object]>([
  ['null for its result', { result: null }],
  ['no result', {}],
  ['a number for an output', { result: 'success', outputs: { reference: 7 } }],
])('a job that is not required and has %s stops nothing', (_, lint) => {
  const scenario001 = { result: 'success', outputs: { reference: REFERENCE } };
  expect(decide('current-ceph: [scenario001]', { lint, scenario001 }).verdict).toBe('promote');
});

test('options that have no effect on needs cause a warning', () => {
  const criteria =
    'current-ceph: {required: [a], trusted-users: [ciuser], across-hashes: true, bare-tags: true, max-age: 1 days}';
  expect(decide(criteria, {}).warnings).toEqual(
    ['trusted-users', 'across-hashes', 'bare-tags'].map(
      (option) => `criteria: ${option} has no effect on evidence from needs`,
    ),
  );
});

test.each([
  ['', 'not JSON'],
  ['null', 'Expected Object'],
  ['{"a": "success"}', 'a:'],
  ['{"a": null}', 'a:'],
])('%j is refused', (needs, message) => {
  const read = () => needsEvidence({ needs, attempt: 1, jobs: [], candidate: CANDIDATE, now: NOW });
  expect(read).toThrow(UserError);
  expect(read).toThrow(message);
  expect(read).toThrow(expect.objectContaining({ hint: 'needs' }));
});
