import { describe, expect, test } from '@jest/globals';
import { Redactor } from '../../src/runner/log.js';
import { checkOutputs, fitSummary } from '../../src/runner/results.js';

test('an output that would hold a secret is an error that names both', () => {
  const redactor = new Redactor();
  redactor.add('target-password', 'daemon');
  expect(() => checkOutputs({ tag: 'v1', reference: 'ceph/daemon:v1' }, redactor)).toThrow(
    'output reference would hold the value of the secret input target-password',
  );
  expect(() => checkOutputs({ reference: 'ceph/ceph:v1' }, redactor)).not.toThrow();
});

describe('a summary', () => {
  test('that fits stays as it is', () => {
    expect(fitSummary('a\nb', 5)).toBe('a\nb\n');
  });

  test.each([
    [
      'at the end of a line',
      `${'line of text\n'.repeat(100)}`,
      /^(?:line of text\n)*line of text\n\nThe rest does not fit/,
    ],
    ['within a line where there is no other', 'é'.repeat(1000), /^é+\n\nThe rest does not fit/],
  ])('that is too long is cut %s, and says so', (_, text, expected) => {
    const cut = fitSummary(text, 500);
    expect(cut).toMatch(expected);
    expect(Buffer.byteLength(cut)).toBeLessThan(500);
    expect(Buffer.byteLength(cut)).toBeGreaterThan(400);
  });
});
