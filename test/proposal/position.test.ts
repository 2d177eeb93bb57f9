import { describe, expect, test } from '@jest/globals';
import {
  formatRecordComment,
  formatTrailer,
  isNewer,
  readRecordComment,
  readTrailer,
  withRecord,
} from '../../src/proposal/position.js';

const [LEDGER, OTHER] = ['a'.repeat(64), 'b'.repeat(64)];
const at = (n: number, ledger = LEDGER) => ({ n, ledger });

describe('which record is proposed', () => {
  test.each<[string, string, unknown]>([
    ['none', 'Update ceph\n\nwhy\n', undefined],
    ['one', `Update ceph\n\n${formatTrailer(at(7))}\nChange-Id: I1\n`, at(7)],
    ['with CRLF', `Update ceph\r\n\r\n${formatTrailer(at(7))}\r\n`, at(7)],
    ['no number', `Promotion-Record: seven ${LEDGER}`, 'unclear'],
    ['number zero', `Promotion-Record: 0 ${LEDGER}`, 'unclear'],
    ['no ledger', 'Promotion-Record: 7', 'unclear'],
    ['more words', `${formatTrailer(at(7))} or 8`, 'unclear'],
    ['empty', 'Promotion-Record:', 'unclear'],
    ['two', `${formatTrailer(at(7))}\n${formatTrailer(at(8))}`, 'unclear'],
    ['in the middle of a line', `see ${formatTrailer(at(7))}`, undefined],
  ])('in a commit message: %s', (_, message, expected) => {
    expect(readTrailer(message)).toEqual(expected);
  });

  test.each<[string, string, unknown]>([
    ['none', 'why', undefined],
    ['one', `why\n${formatRecordComment(at(7))}\nmore`, at(7)],
    ['damaged', `<!-- ceph-promotion-record: ${LEDGER} -->`, 'unclear'],
    ['two', formatRecordComment(at(7)) + formatRecordComment(at(7)), 'unclear'],
  ])('in a text: %s', (_, text, expected) => {
    expect(readRecordComment(text)).toEqual(expected);
  });

  test('it replaces what a text said before', () => {
    const once = withRecord('why', at(7));
    expect(once).toBe(`why\n${formatRecordComment(at(7))}`);
    expect(withRecord(once, at(8))).toBe(`why\n${formatRecordComment(at(8))}`);
    expect(withRecord(once, undefined)).toBe('why');
  });
});

test.each<[string, { n: number; ledger: string }, boolean | 'unclear']>([
  ['an older record', at(6), false],
  ['the same record', at(7), false],
  ['a newer record', at(8), true],
  ['a record of a lost ledger that ours replaces', at(40, OTHER), false],
  ['a record that the lost ledger was not known to have', at(41, OTHER), 'unclear'],
  ['a record of another ledger', at(1, 'c'.repeat(64)), 'unclear'],
])('newer: %s', (_, there, expected) => {
  expect(isNewer(there, { ...at(7), sha256: '', supersedes: [at(40, OTHER)] })).toBe(expected);
});
