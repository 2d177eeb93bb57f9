import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { UserError } from '../../src/base/errors.js';
import { aliasesOf, checkListing, distinctTags, type ListedTag } from '../../src/candidate/listing.js';
import { digestSchema } from '../../src/candidate/reference.js';

const [one, two] = ['1', '2'].map((digit) => v.parse(digestSchema, `sha256:${digit.repeat(64)}`));

describe('a listing that shrank', () => {
  test.each([
    [606, 0],
    [606, 606],
    [606, 500],
    [485, 606],
    [80, 100],
    [4, 5],
    [0, 0],
  ])('%d tags where %d were known pass', (count, known) => expect(checkListing(count, known)).toBeUndefined());

  test.each([
    [484, 606],
    [79, 100],
    [3, 5],
    [0, 1],
  ])('%d tags where %d were known are refused, and the way out is named', (count, known) => {
    expect(() => checkListing(count, known)).toThrow(UserError);
    expect(() => checkListing(count, known)).toThrow(new RegExp(`^${count} tags were listed, but ${known} were known`));
    expect(checkListing(count, count)).toBeUndefined();
  });
});

describe('rows of one name', () => {
  test.each<[string, Partial<ListedTag>, Partial<ListedTag>]>([
    ['what is there counts', { startedAt: 1 }, { startedAt: 2, expired: true }],
    ['the latest counts', { startedAt: 2 }, { startedAt: 1 }],
    ['a known time counts', { startedAt: 1 }, {}],
    [
      'of equal times, always the same one',
      { startedAt: 1, ...(two && { digest: two }) },
      { startedAt: 1, ...(one && { digest: one }) },
    ],
  ])('%s', (_what, kept, dropped) => {
    const [row, other] = [kept, dropped].map((facts) => ({ name: 'x', ...facts }));
    for (const rows of [
      [row, other],
      [other, row],
    ]) {
      expect(distinctTags(rows.flatMap((found) => found ?? []))).toEqual([row]);
    }
  });
});

test('aliases are the other tags of a digest, sorted, each once', () => {
  if (one === undefined || two === undefined) throw new Error('no digests');
  const listing: ListedTag[] = [
    { name: 'v2', digest: one },
    { name: 'v1', digest: one },
    { name: 'latest', digest: one },
    { name: 'latest', digest: one },
    { name: 'moved', digest: one, startedAt: 1 },
    { name: 'moved', digest: two, startedAt: 2 },
    { name: 'gone', digest: one, expired: true },
    { name: 'unknown' },
  ];
  expect(aliasesOf(listing, one, 'v1')).toEqual(['latest', 'v2']);
});
