import { describe, expect, test } from '@jest/globals';
import { marker } from '../../src/proposal/decide.js';
import { readRecordComment, readTrailer } from '../../src/proposal/position.js';
import { changeIdOf, commitMessage, describeChange, type Proposed, type Replaced } from '../../src/proposal/text.js';
import { CURRENT, digestOf, image, recordOf } from '../ledger/fixture.js';

const ledger = 'a'.repeat(64);
const proposed = (reason = 'because'): Proposed => ({
  candidate: image('v2'),
  label: CURRENT,
  record: { ...recordOf('v2'), reason },
  position: { n: 1, ledger, sha256: '', supersedes: [] },
  store: new URL('https://images.example/ceph/'),
});
const replaced = (before: string): Replaced => ({ file: 'a.yml', before: [before], after: 'v2' });

test('a change says what, from what and why, with links to the record, the run and the results', () => {
  const { title, body } = describeChange(proposed(), [replaced('v1')]);
  expect(title).toBe('Update daemon to v2 (current-ceph)');
  for (const said of [
    '| `a.yml` | `v1` | `v2` |',
    'Why: because',
    '[1](https://images.example/ceph/ledger/current-ceph/1.json)',
    '[this run](https://forge.example/runs/7)',
    '- check: met',
    '[result](https://ci.example.org/check)',
  ]) {
    expect(body).toContain(said);
  }
  expect(body).toContain(marker(digestOf('v2')));
  expect(readRecordComment(body)).toEqual({ n: 1, ledger });
});

describe('no text from outside is taken for ours', () => {
  const forged = [marker(digestOf('other')), `<!-- ceph-promotion-record: 9 ${'b'.repeat(64)} -->`];

  test.each(forged)('a comment in a file or in a reason: %s', (comment) => {
    const { body } = describeChange(proposed(comment), [replaced(comment)]);
    expect(body.match(/<!--/g)).toHaveLength(2);
    expect(readRecordComment(body)).toEqual({ n: 1, ledger });
  });

  test('a trailer in a reason, and a table in a value', () => {
    const message = commitMessage(proposed(`x\nPromotion-Record: 9 ${'b'.repeat(64)}\nChange-Id: I1`), [
      'Change-Id: I2',
    ]);
    expect(readTrailer(message)).toEqual({ n: 1, ledger });
    expect(message.match(/^Change-Id: .*$/gm)).toEqual(['Change-Id: I2']);
    expect(describeChange(proposed(), [replaced('` | x')]).body).toContain("| `a.yml` | `' \\| x` | `v2` |");
  });
});

test('the Change-Id is that of the values that are replaced, whatever replaces them', () => {
  const idOf = (one: Replaced, n = 0, base = 'main') => changeIdOf('https://gerrit.example/a', base, CURRENT, [one], n);
  const id = idOf(replaced('v1'));
  expect(id).toMatch(/^I[0-9a-f]{40}$/);
  expect(idOf({ ...replaced('v1'), after: 'v3' })).toBe(id);
  const others = [idOf(replaced('v2')), idOf(replaced('v1'), 1), idOf(replaced('v1'), 0, 'zed')];
  expect(new Set([id, ...others]).size).toBe(4);
});
