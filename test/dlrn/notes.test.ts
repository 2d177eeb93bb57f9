import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatNotes, parseNotes, tagInNotes } from '../../src/dlrn/notes.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test.each([
  [`v6.0.10@${DIGEST}`, { tag: 'v6.0.10', digest: DIGEST }],
  ['v6.0.10', { tag: 'v6.0.10' }],
  [`v6.0.10@${DIGEST} set=${DIGEST}`, { tag: 'v6.0.10', digest: DIGEST, setDigest: DIGEST }],
  [`v6.0.10@${DIGEST} set=`, undefined],
  [`v6.0.10@${DIGEST}  set=${DIGEST}`, undefined],
  [`v6.0.10@${DIGEST} set=${DIGEST} set=${DIGEST}`, undefined],
  [`v6.0.10@${DIGEST} set=${DIGEST}\n`, undefined],
  [`v6.0.10 set=${DIGEST}`, undefined],
  ['', undefined],
  ['ceph v6.0.10', undefined],
  ['v6.0.10\n', undefined],
  [' v6.0.10', undefined],
  ['v6.0.10@', undefined],
  [`@${DIGEST}`, undefined],
  [`v6.0.10@${DIGEST.toUpperCase()}`, undefined],
  [`v6.0.10@${DIGEST}0`, undefined],
  [`v6.0.10@${DIGEST}@${DIGEST}`, undefined],
  [`quay.io/ceph/daemon:v6.0.10@${DIGEST}`, undefined],
  ['x'.repeat(129), undefined],
  ['v6.0.10\u0000', undefined],
])('%j', (text, notes) => {
  expect(parseNotes(text)).toEqual(notes);
});

test.each([
  ['v6.0.10', 'v6.0.10'],
  [`v6.0.10@${DIGEST}`, 'v6.0.10'],
  ['v6.0.10@', 'v6.0.10'],
  [`v6.0.10@${DIGEST} set=garbage`, 'v6.0.10'],
  [`v6.0.10 set=${DIGEST}`, 'v6.0.10'],
  ['v6.0.10@sha256:0', 'v6.0.10'],
  [' v6.0.10\n', 'v6.0.10'],
  ['quay.io/ceph/daemon:v6.0.10', 'v6.0.10'],
  [`quay.io:443/ceph/daemon:v6.0.10@${DIGEST}`, 'v6.0.10'],
  ['quay.io:443/ceph/daemon', undefined],
  ['v6.0.10 failed', undefined],
  ['all is well', undefined],
  ['', undefined],
  [`@${DIGEST}`, undefined],
  ['../v6.0.10', undefined],
  ['x'.repeat(129), undefined],
  [DIGEST, undefined],
  [`${DIGEST.toUpperCase()}\n`, undefined],
  [`${DIGEST} set=${DIGEST}`, undefined],
  ['sha512:0', undefined],
])('the tag in %j is %j', (text, tag) => {
  expect(tagInNotes(text)).toBe(tag);
});

test('what parses is formatted as it was, short and in ASCII', () => {
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64}( set=sha256:[0-9a-f]{64})?)?$/),
  );
  fc.assert(
    fc.property(text, (notes) => {
      const parsed = parseNotes(notes);
      if (parsed === undefined) return;
      expect(formatNotes(parsed)).toBe(notes);
      expect(notes).toMatch(/^[\x20-\x7e]{1,300}$/);
    }),
  );
});
