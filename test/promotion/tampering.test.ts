import { expect, test } from '@jest/globals';
import { checkTampering } from './tampering.js';

test('no tampering with the store makes a run move anything to an image that did not earn it', async () => {
  const { moved, stopped } = await checkTampering(150);
  expect(moved).toBeGreaterThan(150);
  expect(stopped).toBeGreaterThan(60);
});
