import { expect, test } from '@jest/globals';
import { nameInLink } from '../../src/store/links.js';

/** However somebody writes a link to a tag beside it, the tag is kept: also where the server shows another path (chroot). */
test.each([
  ['v1', 'v1'],
  ['./v1', 'v1'],
  ['././/v1', 'v1'],
  ['sub/../v1', 'v1'],
  ['../master/v1', 'v1'],
  ['/srv/images/master/v1', 'v1'],
  ['/other/name/of/the/same/directory/v1/', 'v1'],
  ['v1/.', 'v1'],
  ['/srv//images/../images/./v1', 'v1'],
  ['v1.json', 'v1'],
  ['./v1.json', 'v1'],
  ['/', ''],
  ['..', ''],
])('the link %j means %j', (target, name) => {
  expect(nameInLink(target)).toBe(name);
});
