import { afterAll, beforeAll, test } from '@jest/globals';
import { killAt, killsOf, rehearse, startLanes } from './interruption.js';
import type { Lane } from './lane.js';
import { evenly } from './support.js';

/** One kill in four of interruption.field.test.ts, on real servers. killed.test.ts has every step, in memory. */

let lanes: readonly [Lane, ...Lane[]];

beforeAll(async () => {
  lanes = await startLanes();
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
});

test('a promotion of two images that is killed goes on with the next run', async () => {
  const start = 'an earlier promotion';
  const kills = killsOf(await rehearse(lanes[0], start));
  await killAt(lanes, start, evenly(kills, Math.ceil(kills.length / 4)));
});
