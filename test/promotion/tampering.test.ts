import { expect, test } from '@jest/globals';
import { checkTampering } from './tampering.js';

test('no tampering with the store makes a run move anything to an image that did not earn it', async () => {
  const { moved, stopped } = await checkTampering(40);
  expect(moved).toBeGreaterThan(40);
  expect(stopped).toBeGreaterThan(16);
});
