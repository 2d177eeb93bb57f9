import { expect, test } from '@jest/globals';
import { likelyName, similarNames } from '../../src/base/similar-names.js';

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

test.each([
  [
    'a letter',
    'periodic-scenario001-mater',
    ['periodic-scenario001-master', 'periodic-lint'],
    'periodic-scenario001-master',
  ],
  ['a missing end', 'periodic-scenario001', ['periodic-scenario001-master'], undefined],
  [
    'a short end',
    'periodic-scenario001-standalone',
    ['periodic-scenario001-standalone-zed'],
    'periodic-scenario001-standalone-zed',
  ],
  [
    'a beginning',
    'scenario001-standalone-master',
    ['periodic-scenario001-standalone-master'],
    'periodic-scenario001-standalone-master',
  ],
  ['the nearest of two', 'ceph-upgrade-1', ['ceph-upgrade-2-x', 'ceph-upgrade-2'], 'ceph-upgrade-2'],
  ['the first of equals', 'ceph-upgrade-1', ['ceph-upgrade-3', 'ceph-upgrade-2'], 'ceph-upgrade-2'],
  ['nothing that only begins alike', 'periodic-tripleo-a', ['periodic-tripleo-image-build'], undefined],
  ['nothing of nothing', 'a', [], undefined],
])('likely: %s', (_, wanted, there, expected) => {
  expect(likelyName(wanted, there)).toBe(expected);
});
