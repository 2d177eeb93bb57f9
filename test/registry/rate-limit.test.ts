import { expect, test } from '@jest/globals';
import type { Clock } from '../../src/base/clock.js';
import { createRateLimit } from '../../src/registry/rate-limit.js';

/** Time that stands still while any task works, and otherwise jumps to the next wake-up. */
function createTime(): Clock & { run(): Promise<void> } {
  let now = 0;
  const sleepers: { until: number; wake: () => void }[] = [];
  return {
    now: () => now,
    random: () => 0.5,
    sleep: (milliseconds) => new Promise((wake) => sleepers.push({ until: now + milliseconds, wake })),
    async run() {
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        const next = sleepers.sort((a, b) => a.until - b.until).shift();
        if (next === undefined) return;
        now = Math.max(now, next.until);
        next.wake();
      }
    },
  };
}

test('no more requests than allowed run at once, in order', async () => {
  const time = createTime();
  const limit = createRateLimit(3, time);
  let under = 0;
  let most = 0;
  const order: number[] = [];
  const requests = Array.from({ length: 20 }, async (_, n) => {
    const leave = await limit.enter();
    order.push(n);
    under += 1;
    most = Math.max(most, under);
    await time.sleep(10);
    under -= 1;
    leave({ status: 200, headers: {} });
  });
  await time.run();
  await Promise.all(requests);
  expect(most).toBe(3);
  expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(time.now()).toBe(70);
});

test('a 429 pauses all requests for as long as it says', async () => {
  const time = createTime();
  const limit = createRateLimit(10, time);
  const first = await limit.enter();
  first({ status: 429, headers: { 'retry-after': '7' } });
  let entered = -1;
  void limit.enter().then(() => {
    entered = time.now();
  });
  await time.run();
  expect(entered).toBe(7000);
});

/** A server that lets `perSecond` pass, with a burst of `burst`, as nginx's limit_req does. */
function limiter(time: Clock, perSecond: number, burst: number): () => boolean {
  let excess = 0;
  let last = 0;
  return () => {
    const then = Math.max(0, excess - ((time.now() - last) / 1000) * perSecond);
    if (then > burst) return false;
    excess = then + 1;
    last = time.now();
    return true;
  };
}

test('40 requests to a server that accepts 5 a second all succeed', async () => {
  const time = createTime();
  const limit = createRateLimit(10, time);
  const passes = limiter(time, 5, 2);
  let refused = 0;
  const request = async () => {
    for (;;) {
      const leave = await limit.enter();
      await time.sleep(5);
      const passed = passes();
      leave(passed ? { status: 200, headers: {} } : { status: 429, headers: { 'retry-after': '1' } });
      if (passed) return;
      refused += 1;
    }
  };
  const all = Promise.all(Array.from({ length: 40 }, request));
  await time.run();
  await all;
  // Seven of the first ten are refused at once; after that it is asked at its own pace.
  expect(refused).toBeLessThan(14);
  expect(time.now()).toBeLessThan(16_000);
});
