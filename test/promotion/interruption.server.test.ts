import { afterAll, beforeAll, test } from '@jest/globals';
import { killAtEveryStep, rehearse, startLanes } from './interruption.js';
import type { Lane } from './lane.js';

/**
 * A promotion is killed at every step: in this process, where from then on it sends nothing and sees no answer, since a
 * process takes longer to start than to promote. As processes, and from nothing on: interruption.field.test.ts.
 */

let lanes: readonly [Lane, ...Lane[]];

beforeAll(async () => {
  lanes = await startLanes();
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
});

test('a promotion of two images that is killed at any step, from an earlier promotion on', async () => {
  const start = 'an earlier promotion';
  await killAtEveryStep(lanes, start, await rehearse(lanes[0], start));
});
