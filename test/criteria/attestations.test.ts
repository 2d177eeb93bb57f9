import { describe, expect, test } from '@jest/globals';
import { replay } from '../../src/criteria/evaluate.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import { runPolicyTests } from '../../src/criteria/policy-tests.js';
import { criteriaOf, DAY, decide, digestOf, failed, NOW, passed, result, TAG, textOf } from './fixtures.js';

/** Signed statements as requirements: verified already, since the evaluation sees results only. */

const TYPE = 'https://slsa.dev/provenance/v1';
const KEY = '-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA\\n-----END PUBLIC KEY-----';
const SIGNED = `{ type: "${TYPE}", key: "${KEY}" }`;
const CRITERIA = `current-ceph: { required: [a], max-age: 1 days, attestations: [${SIGNED}] }`;

function attested(rest: Partial<JobResult> = {}): JobResult {
  const attestation = { type: TYPE, by: 'key 0123', repository: 'quay.io/ceph/ceph', sha256: 'e'.repeat(64) };
  const { 'aggregate-hash': _, user: __, ...own } = result(TYPE, 'success', { source: 'attestation', attestation });
  return { ...own, ...rest };
}

const stateOf = (results: readonly JobResult[], criteria = CRITERIA) =>
  decide(criteria, results).jobs.find(({ job }) => job === TYPE);

test('a job and a statement are both needed', () => {
  expect(decide(CRITERIA, [passed('a'), attested()]).verdict).toBe('promote');
  expect(decide(CRITERIA, [passed('a')])).toMatchObject({ verdict: 'wait', reason: expect.stringContaining(TYPE) });
  expect(decide(CRITERIA, [attested()]).verdict).toBe('wait');
  expect(decide(CRITERIA, [failed('a'), attested()]).verdict).toBe('reject');
});

test('a statement counts on every aggregate hash, and adds no hash of its own', () => {
  const record = decide(CRITERIA, [passed('a', { 'aggregate-hash': 'h2' }), attested()]);
  expect(record).toMatchObject({ verdict: 'promote', 'aggregate-hash': 'h2' });
  expect(decide(CRITERIA, [attested()])['blocked-by']).toEqual([{ 'aggregate-hash': null, jobs: [['a']] }]);
});

test('its state says who signed, and it has no age', () => {
  expect(stateOf([attested({ timestamp: NOW - 9 * DAY })])).toMatchObject({ state: 'met', why: 'signed by key 0123' });
  expect(textOf(decide(CRITERIA, [passed('a'), attested()])).join()).toContain('signed by key 0123');
});

describe('it is unknown', () => {
  test.each<[string, JobResult[], RegExp]>([
    ['if there is none', [], /^no result$/],
    ['by a vote of that name', [passed(TYPE)], /only a signed statement counts, and this is from dlrn/],
    ['by a failed vote of that name, which blocks nothing', [failed(TYPE)], /only a signed statement counts/],
    [
      'if the statement is of another type',
      [attested({ attestation: { type: 'other', by: '', repository: '', sha256: 'e'.repeat(64) } })],
      /statement of another type/,
    ],
    ['if it is about another image', [attested({ candidate: { tag: TAG, digest: digestOf('b') } })], /another image/],
  ])('%s', (_, results, why) => {
    expect(stateOf(results)).toMatchObject({ state: 'unknown', why: expect.stringMatching(why) });
  });
});

test('no statement counts as the pass of a job', () => {
  const record = decide(CRITERIA, [attested(), attested({ job: 'a' })]);
  expect(record).toMatchObject({ verdict: 'wait', reason: expect.stringContaining('statement of another type') });
});

test('it can be waived', () => {
  const waived = CRITERIA.replace('] }', `], waivers: [{ job: "${TYPE}", until: 2026-12-01, reason: key lost }] }`);
  expect(stateOf([], waived)).toMatchObject({ state: 'waived' });
  expect(decide(waived, [passed('a')]).verdict).toBe('promote');
});

test('the record keeps what was verified, and evaluates again', () => {
  const record = decide(CRITERIA, [passed('a'), attested()]);
  expect(record.evidence.find(({ source }) => source === 'attestation')).toEqual(attested());
  expect(replay(record)).toBe('promote');
  expect(replay({ ...record, evidence: record.evidence.filter(({ job }) => job !== TYPE) })).toBe('wait');
});

describe('criteria', () => {
  test('alone are enough, with a name and other repositories', () => {
    const file = `current-ceph: { attestations: [{ type: "${TYPE}", name: built, issuer: "https://i.example", identity: me, repositories: [quay.io/other/ceph] }] }`;
    expect(criteriaOf(file)).toMatchObject({
      requirements: [['built']],
      attestations: [
        {
          name: 'built',
          type: TYPE,
          by: { issuer: 'https://i.example', identity: 'me' },
          repositories: [{ registry: 'quay.io', path: 'other/ceph' }],
        },
      ],
    });
  });

  test.each([
    ['neither key nor identity', `{ type: "${TYPE}" }`, /needs either key, or issuer and identity/],
    ['an issuer alone', `{ type: "${TYPE}", issuer: x }`, /needs either key, or issuer and identity/],
    ['both', `{ type: "${TYPE}", key: "${KEY}", issuer: x, identity: y }`, /needs either key, or issuer and identity/],
    ['a path as the key', `{ type: "${TYPE}", key: builder.pub }`, /not a public key in PEM/],
    ['a name with blanks', `{ type: "${TYPE}", name: "a b", key: "${KEY}" }`, /without blanks/],
    ['no repository', `{ type: "${TYPE}", key: "${KEY}", repositories: [x] }`, /not a repository/],
    ['one twice', `${SIGNED}, ${SIGNED}`, /is named twice/],
    ['an unknown key', `{ type: "${TYPE}", keys: x }`, /unknown key/],
  ])('with %s are refused', (_, attestations, said) => {
    expect(() => criteriaOf(`current-ceph: { required: [a], attestations: [${attestations}] }`)).toThrow(said);
  });

  test("are tested with votes that have the statement's name", () => {
    const cases = `current-ceph: [{ name: all, votes: [{ job: a, outcome: success }, { job: "${TYPE}", outcome: success }], verdict: promote }]`;
    expect(runPolicyTests(CRITERIA, cases, NOW)).toMatchObject([{ passed: true }]);
  });
});
