import { describe, expect, test } from '@jest/globals';
import { findBan, withBan } from '../../src/ledger/bans.js';
import { isWayBack } from '../../src/ledger/history.js';
import { contradiction, type LedgerEnd } from '../../src/ledger/proofs.js';
import { banOn, digestOf, recordOf } from './fixture.js';

describe('a ban', () => {
  const [amd64, config, other] = ['amd64', 'config', 'other'].map(digestOf);

  test('by quarantine takes precedence over a hold', () => {
    const head = { holds: [banOn('v1'), banOn('v2')], quarantine: [banOn('v1')] };
    expect(findBan(head, digestOf('v1'), [])?.kind).toBe('quarantine');
    expect(findBan(head, digestOf('v2'), [])?.kind).toBe('hold');
    expect(findBan(head, digestOf('v3'), [])).toBeUndefined();
    expect(findBan(undefined, digestOf('v1'), [])).toBeUndefined();
  });

  test.each([
    ['the same index', digestOf('v1'), [], true],
    ['another index of a banned platform', digestOf('v1-again'), [amd64], true],
    ['another index of a banned config', digestOf('v1-again'), [config], true],
    ['the banned platform by itself', digestOf('amd64'), [amd64], true],
    ['another image', digestOf('v2'), [other], false],
  ])('covers %s: %#', (_, digest, contents, banned) => {
    const head = {
      holds: [],
      quarantine: [
        banOn(
          'v1',
          [amd64, config].filter((one) => one !== undefined),
        ),
      ],
    };
    const own = contents.filter((one) => one !== undefined);
    expect(findBan(head, digest, own) !== undefined).toBe(banned);
  });

  test('of an older record is by digest alone', () => {
    const head = { holds: [], quarantine: [banOn('v1')] };
    expect(findBan(head, digestOf('v1-again'), [digestOf('amd64')])).toBeUndefined();
  });

  test('takes the place of an earlier one on the same digest', () => {
    expect(withBan([banOn('v1'), banOn('v2')], banOn('v1')).map(({ tag }) => tag)).toEqual(['v2', 'v1']);
  });
});

test('previous is another image that is not banned', () => {
  expect(isWayBack(recordOf('v1'), digestOf('v2'), [])).toBe(true);
  expect(isWayBack(recordOf('v1'), digestOf('v1'), [])).toBe(false);
  expect(isWayBack(recordOf('v1'), digestOf('v2'), [banOn('v1')])).toBe(false);
});

describe('a proof', () => {
  const end: LedgerEnd = { ledger: 'ours', n: 5, sha256: 'five', supersedes: [{ ledger: 'lost', n: 9 }] };
  test.each([
    ['the head', 'ours', 5, 'five', undefined],
    ['an earlier record that was not read', 'ours', 3, 'three', undefined],
    ['an earlier record that the store has', 'ours', 4, 'four', undefined],
    ['an earlier record that the store has otherwise', 'ours', 4, 'other', /a different record 4/],
    ['an earlier record that the store lacks', 'ours', 2, 'two', /record 2, which the store lacks/],
    ['a later record', 'ours', 6, 'six', /record 6, but the newest record in the store is 5/],
    ['another head', 'ours', 5, 'other', /a different record 5/],
    ['another ledger', 'theirs', 1, 'one', /another ledger/],
    ['the ledger that was lost', 'lost', 9, 'nine', undefined],
    ['a record of it that nobody knew', 'lost', 10, 'ten', /another ledger/],
  ] as const)('of %s', (_, ledger, n, sha256, problem) => {
    const earlier = { n, sha256: n === 4 ? 'four' : undefined };
    const found = contradiction({ ledger, n, sha256 }, end, n === 3 ? undefined : earlier);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});
