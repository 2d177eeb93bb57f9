import { expect, test } from '@jest/globals';
import { kindOfStatus } from '../../src/http/status.js';

test.each([
  [400, 'bad-answer'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not-found'],
  [405, 'unsupported'],
  [408, 'server-error'],
  [409, 'conflict'],
  [410, 'not-found'],
  [413, 'too-large'],
  [418, 'bad-answer'],
  [429, 'server-error'],
  [500, 'server-error'],
  [501, 'unsupported'],
  [503, 'server-error'],
  [301, 'bad-answer'],
])('status %i means %s', (status, kind) => {
  expect(kindOfStatus(status)).toBe(kind);
});
