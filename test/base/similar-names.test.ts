import { expect, test } from '@jest/globals';
import { similarNames } from '../../src/base/similar-names.js';

test.each([
  ['the same version with a suffix', 'v19.2.3', ['v19.2.3-20250717', 'v19.2.2'], ['v19.2.3-20250717', 'v19.2.2']],
  [
    'of equal beginnings, the one of similar length',
    'v19.2.9',
    ['v19.2.3-20250717', 'v19.2.3'],
    ['v19.2.3', 'v19.2.3-20250717'],
  ],
  ['at most three', 'v19.2.9', ['v19.2.1', 'v19.2.2', 'v19.2.3', 'v19.2.4'], ['v19.2.1', 'v19.2.2', 'v19.2.3']],
  ['nothing that begins differently', '19.2.3', ['v19.2.3', 'latest'], []],
])('offers %s', (_, wanted, there, expected) => {
  expect(similarNames(wanted, there)).toEqual(expected);
});
