import { expect, test } from '@jest/globals';
import { checkTampering } from './tampering.js';

test('no tampering moves anything to an image that did not earn it, in ten thousand histories', async () => {
  const { moved, stopped } = await checkTampering(10_000);
  expect(moved).toBeGreaterThan(10_000);
  expect(stopped).toBeGreaterThan(5000);
});
