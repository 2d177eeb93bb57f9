import { setImmediate as settled } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { digestOf } from '../../src/registry/manifest.js';
import { createMemory } from '../../src/registry/memory.js';
import { repository } from './support.js';

const manifest = (size: number) => ({ bytes: Buffer.alloc(size), mediaType: 'application/json' });
const digest = (n: number) => digestOf(Buffer.from(String(n)));

test('a manifest that was read, and one that is being read', async () => {
  const memory = createMemory();
  memory.keep(digest(1), manifest(1));
  memory.keep(digest(2), Promise.resolve(manifest(2)));
  expect(await memory.recall(digest(1))).toEqual(manifest(1));
  expect(await memory.recall(digest(2))).toEqual(manifest(2));
  expect(memory.recall(digest(3))).toBeUndefined();
});

test('nothing of a read that failed', async () => {
  const memory = createMemory();
  memory.keep(digest(1), Promise.reject(new Error('x')));
  await settled();
  expect(memory.recall(digest(1))).toBeUndefined();
});

test('8 MB, and no more', async () => {
  const memory = createMemory();
  for (let n = 0; n < 5; n += 1) memory.keep(digest(n), manifest(2 * 1024 * 1024));
  await settled();
  expect([0, 1, 2, 3, 4].map((n) => memory.recall(digest(n)) !== undefined)).toEqual([true, true, true, true, false]);
});

test('in which repositories artifacts were seen', () => {
  const memory = createMemory();
  memory.noteEmptyConfig(repository('r.test/a'));
  expect(['a', 'b'].map((name) => memory.hasEmptyConfig(repository(`r.test/${name}`)))).toEqual([true, false]);
});

test('whether there is a referrers API, by repository', () => {
  const memory = createMemory();
  memory.noteReferrers(repository('r.test/a'), false);
  memory.noteReferrers(repository('r.test/b'), true);
  expect(['a', 'b', 'c'].map((name) => memory.hasReferrers(repository(`r.test/${name}`)))).toEqual([
    false,
    true,
    undefined,
  ]);
});
