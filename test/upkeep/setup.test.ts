import { describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import type { Registry } from '../../src/registry/registry.js';
import type { StoreReader } from '../../src/store/reader.js';
import { unseenStore } from '../../src/store/unseen-store.js';
import { checkSetup, type Setup } from '../../src/upkeep/setup.js';
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
