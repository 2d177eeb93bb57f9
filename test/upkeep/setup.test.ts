import { describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import type { Dlrn } from '../../src/dlrn/client.js';
import type { Vote } from '../../src/dlrn/votes.js';
import type { Registry } from '../../src/registry/registry.js';
import type { StoreReader } from '../../src/store/reader.js';
import type { RightsProblem } from '../../src/store/rights.js';
import type { Store } from '../../src/store/store.js';
import { unseenStore } from '../../src/store/unseen-store.js';
import { checkSetup, explainSetup, type Setup } from '../../src/upkeep/setup.js';
import { NOW } from '../ledger/fixture.js';
import { setupWith } from './fixture.js';

const DOWN = new ServiceError('unreachable', 'images.example: no answer');

const registry = {
  repository: () => ({
    listTags: async () => {
      throw DOWN;
    },
  }),
} as unknown as Registry;

const asConsumer = async (withReader: Setup['withReader']) =>
  (await checkSetup(setupWith(registry, { withReader }))).filter(({ what }) => what.includes('as a consumer'));

describe('a store as its readers see it', () => {
  test('is opened once to read both labels', async () => {
    let opened = 0;
    const open = <T>(work: (store: StoreReader) => Promise<T>): Promise<T> => {
      opened += 1;
      return work(unseenStore);
    };
    const checks = await asConsumer(open);
    expect(opened).toBe(1);
    expect(checks.map(({ what, state, line }) => `${what}: ${state}: ${line}`)).toEqual([
      'read label ceph-ci-testing as a consumer: ok: no image server: no label ceph-ci-testing yet',
      'read label current-ceph as a consumer: ok: no image server: no label current-ceph yet',
    ]);
  });

  test('that cannot be opened is a problem with each label', async () => {
    const checks = await asConsumer(async () => {
      throw DOWN;
    });
    expect(checks).toMatchObject([
      { what: 'read label ceph-ci-testing as a consumer', state: 'wrong', line: DOWN.message },
      { what: 'read label current-ceph as a consumer', state: 'wrong', line: DOWN.message },
    ]);
  });
});

test.each<[RightsProblem['severity'][], string, string]>([
  [[], 'ok', '| ✅ | permissions of the store | ok | they let nobody else promote |'],
  [['warning'], 'warning', '| ⚠️ | permissions of the store | warning | a warning |'],
  [['warning', 'unsafe'], 'wrong', '| ❌ | permissions of the store | wrong | a warning; a unsafe |'],
])('permissions of the store with the problems %j: %s', async (severities, state, row) => {
  const problems = severities.map((severity): RightsProblem => ({ severity, message: `a ${severity}` }));
  const store = { ...unseenStore, checkRights: async () => problems } as Store;
  const checks = await checkSetup(setupWith(registry, { withServer: (work) => work(store) }));
  expect(checks.find(({ what }) => what === 'permissions of the store')?.state).toBe(state);
  expect(explainSetup(checks).split('\n')).toContain(row);
});

describe('jobs in the criteria that nobody reports', () => {
  const WHAT = 'reports of the jobs in the criteria';
  const CRITERIA = 'current-ceph: { required: [check, upgrade-a, upgrade-b] }';
  const vote = (job: string): Vote => ({
    aggregate_hash: 'a'.repeat(32),
    job_id: job,
    success: true,
    in_progress: false,
    timestamp: 1,
    url: '',
    notes: '',
    user: '',
  });
  /** `newest` jobs have votes on the newest hash, `older` ones only on older hashes; undefined: no GraphQL. */
  const dlrnWith = (newest: readonly string[], older: readonly string[] | undefined) =>
    ({
      health: async () => 'ok',
      promotions: async () => [{ aggregate_hash: 'a'.repeat(32), promote_name: 'x' }],
      votes: async () => newest.map(vote),
      jobVotes: async (jobs: readonly string[]) => older?.filter((job) => jobs.includes(job)).map(vote),
    }) as unknown as Dlrn;
  const found = async (changes: Partial<Setup>) =>
    (await checkSetup(setupWith(registry, { criteria: async () => CRITERIA, ...changes }))).find(
      ({ what }) => what === WHAT,
    );

  const NEVER = 'nobody has reported it to DLRN under this name';
  test.each<[string, Partial<Setup>, string]>([
    ['all report', { dlrn: dlrnWith(['check', 'upgrade-a', 'upgrade-b'], []) }, 'ok: each of them is reported'],
    ['one only earlier', { dlrn: dlrnWith(['check', 'upgrade-a'], ['upgrade-b']) }, 'ok: each of them is reported'],
    [
      'a misspelled job, not one of the criteria that it is like',
      { dlrn: dlrnWith(['chekc', 'chek', 'upgrade-a', 'upgrade-b'], []) },
      'warning: check: no result under this name; DLRN has results of chek',
    ],
    ['jobs that are like none', { dlrn: dlrnWith(['check'], []) }, `warning: upgrade-a: ${NEVER}; upgrade-b: ${NEVER}`],
    [
      'a DLRN without GraphQL',
      { dlrn: dlrnWith(['check', 'upgrade-a'], undefined) },
      'warning: upgrade-b: nobody has reported it on the newest aggregate hashes in DLRN',
    ],
    [
      'a workflow reports what DLRN has not',
      { dlrn: dlrnWith(['check'], []), neededJobs: ['upgrade-a', 'upgrade-b'] },
      'ok: each of them is reported',
    ],
    [
      'a workflow alone',
      { neededJobs: ['chek', 'upgrade-a'] },
      'warning: check: no workflow has it in needs; one has chek; upgrade-b: no workflow has it in needs',
    ],
    [
      'evidence from Zuul, which is not asked, besides DLRN',
      { dlrn: dlrnWith(['check'], []), readsZuul: true },
      `not asked: Zuul may have results of these: upgrade-a: ${NEVER}; upgrade-b: ${NEVER}`,
    ],
    [
      'evidence from Zuul besides needs',
      { neededJobs: ['check', 'upgrade-a'], readsZuul: true },
      'not asked: Zuul may have results of these: upgrade-b: no workflow has it in needs',
    ],
    [
      'evidence from Zuul, and all report elsewhere',
      { neededJobs: ['check', 'upgrade-a', 'upgrade-b'], readsZuul: true },
      'ok: each of them is reported',
    ],
    ['nothing to compare with', {}, 'not asked: there is neither DLRN nor a workflow whose needs are evidence'],
  ])('%s', async (_, changes, expected) => {
    const check = await found(changes);
    expect(`${check?.state}: ${check?.line}`).toBe(expected);
    expect(check?.hint).toBe(check?.state === 'warning' ? 'criteria' : undefined);
  });

  test('statements, and the label that it must be promoted in, are not reported', async () => {
    const criteria = async () =>
      'current-ceph: { required: [check], attestations: [{ type: https://x.example/t, name: built, issuer: https://i.example, identity: me }], promoted-in: { label: staging, for: 1 days } }';
    const check = await found({ criteria, neededJobs: ['check'] });
    expect(check).toMatchObject({ state: 'ok' });
  });

  test('a DLRN that fails is wrong, and wrong criteria are not compared', async () => {
    const dlrn = { ...dlrnWith([], []), promotions: () => Promise.reject(DOWN) };
    expect(await found({ dlrn })).toMatchObject({ state: 'wrong', line: DOWN.message });
    expect(await found({ dlrn, criteria: async () => 'other: [a]' })).toBeUndefined();
  });
});

test('a waiver that is about to end is a warning', async () => {
  const until = new Date((NOW + 3600) * 1000).toISOString().slice(0, 10);
  const criteria = async () =>
    `current-ceph: { required: [a, b], waivers: [{ job: a, until: ${until}, reason: broken }] }`;
  const checks = await checkSetup(setupWith(registry, { criteria }));
  expect(checks.find(({ what }) => what === 'criteria')).toMatchObject({
    state: 'warning',
    line: `requirements of current-ceph: 2; the waiver of a ends on ${until}: broken`,
  });
});
