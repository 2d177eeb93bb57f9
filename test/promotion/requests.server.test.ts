import { afterEach, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { candidateSchema } from '../../src/candidate/reference.js';
import { startMemoryRegistry } from '../registry/memory-registry.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { freshScene, open, promoteOn } from './support.js';

/**
 * How many requests a run sends to a registry: promoting an image of 2 platforms and 26 blobs with its referrers, the
 * run after it, and the promotion of the next image.
 */

const { source } = sandbox();
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A registry with the referrers API, which no registry of the sandbox has. */
async function withApi(): Promise<string> {
  const registry = await startMemoryRegistry();
  registry.hasReferrers = true;
  stops.push(registry.stop);
  return registry.url;
}

test.each([
  ['with the referrers API, one target', withApi, 1, { first: 50, next: 51, after: 8 }],
  ['without it, one target', async () => source.url, 1, { first: 51, next: 52, after: 7 }],
  ['with the referrers API, three targets', withApi, 3, { first: 136, next: 139, after: 16 }],
])('to a registry %s', async (_, start, targets, { first, next, after }) => {
  const front = await startFaultProxy({ upstream: await start() });
  stops.push(front.stop);
  const names = Array.from({ length: targets }, () => `${front.host}/${freshRepository()}`);
  const scene = await freshScene({ source: front, target: front, targets: names });
  const counts: number[] = [];
  for (const name of ['v1.0.1', 'v1.0.1', 'v1.0.2', 'v1.0.2']) {
    const image = buildMultiPlatform({ layers: Array(12).fill(2000), seed: `requests ${name}` });
    await pushImage({ url: front.url, repository: scene.repository }, image, [name]);
    const candidate = v.parse(candidateSchema, `${front.host}/${scene.repository}:${name}@${image.digest}`);
    front.requests.length = 0;
    const opened = await open(scene);
    await promoteOn(scene, opened, { candidate, with: { referrers: true } });
    await opened.close();
    counts.push(front.requests.length);
  }
  // At most: a signing key or a check may not cost more without anybody noticing.
  for (const [n, most] of [first, after, next, after].entries()) expect(counts[n]).toBeLessThanOrEqual(most);
  expect(counts).toHaveLength(4);
});
