import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { inParallel } from '../../src/base/in-parallel.js';

test('answers in the order asked, eight at once', async () => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: 30 }, (_, n) => n);
  const doubled = await inParallel(items, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await sleep(item % 3);
    running -= 1;
    return item * 2;
  });
  expect(doubled).toEqual(items.map((item) => item * 2));
  expect(most).toBe(8);
});

test('after an error nothing more is started', async () => {
  const begun: number[] = [];
  const work = inParallel([...Array(100).keys()], async (item) => {
    begun.push(item);
    await sleep(1);
    if (item === 3) throw new Error('three');
  });
  await expect(work).rejects.toThrow('three');
  await sleep(10);
  expect(begun.length).toBeLessThan(20);
});

test('an empty list ends at once', async () => {
  expect(await inParallel([], async () => 1)).toEqual([]);
});
