import { expect, test } from '@jest/globals';
import { holdsAfter } from '../../src/rules/end-holds.js';
import { banOn, image } from '../ledger/fixture.js';

test.each<[string, string[]]>([
  ['v1.0.0', ['v1.0.1', 'v1.0.2', 'nightly']],
  ['v1.0.1', ['v1.0.2', 'nightly']],
  ['v1.0.2', ['nightly']],
  ['v1.0.3', ['nightly']],
])('after %s is promoted, %j stay on hold', (promoted, left) => {
  const holds = ['v1.0.1', 'v1.0.2', 'nightly'].map((name) => banOn(name));
  expect(holdsAfter(holds, image(promoted), []).map((hold) => hold.tag)).toEqual(left);
});
