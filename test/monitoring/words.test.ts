import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { durationWords, relativeWords, shortNames } from '../../src/monitoring/words.js';
import { DAY, HOUR, jobsOf } from './fixture.js';

describe('durationWords', () => {
  test.each([
    [0, 'under 1 min'],
    [59, 'under 1 min'],
    [60, '1 min'],
    [HOUR - 1, '59 min'],
    [HOUR, '1 h'],
    [HOUR + 125, '1 h 2 min'],
    [DAY - 1, '23 h 59 min'],
    [DAY, '1 d'],
    [DAY + 4 * HOUR + 59, '1 d 4 h'],
    [10 * DAY + HOUR, '10 d'],
  ])('%i s is %s', (duration, words) => {
    expect(durationWords(duration)).toBe(words);
  });
});

describe('relativeWords', () => {
  test.each([
    [0, 'just now'],
    [-59, 'just now'],
    [-60, '1 minute ago'],
    [-2 * HOUR, '2 hours ago'],
    [-47 * HOUR, '47 hours ago'],
    [-2 * DAY, '2 days ago'],
    [-400 * DAY, '400 days ago'],
    [5 * DAY, 'in 5 days'],
  ])('%i s from now is %s', (distance, words) => {
    expect(relativeWords(1_000_000_000 + distance, 1_000_000_000)).toBe(words);
  });
});

describe('shortNames', () => {
  test.each<[readonly string[], readonly string[]]>([
    [jobsOf('master'), ['scenario001', 'scenario004']],
    [['only-one-job'], ['only-one-job']],
    [
      ['a-b', 'a-b-c'],
      ['b', 'b-c'],
    ],
    [
      ['x-1-y', 'x-1-z'],
      ['y', 'z'],
    ],
    [
      ['a-a', 'a-a-a'],
      ['a', 'a-a'],
    ],
    [
      ['test', 'deploy'],
      ['test', 'deploy'],
    ],
    [[], []],
  ])('%j are %j', (names, short) => {
    expect([...shortNames(names).values()]).toEqual(short);
  });

  test('names that differ stay different, and none is empty', () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 })
      .map((words) => words.join('-'));
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 6 }), (names) => {
        const short = [...shortNames(names)];
        expect(new Set(short.map(([, words]) => words)).size).toBe(names.length);
        for (const [whole, words] of short) {
          expect(words).not.toBe('');
          expect(whole).toContain(words);
        }
      }),
    );
  });
});
