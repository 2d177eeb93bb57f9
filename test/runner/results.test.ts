import { afterEach, describe, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { Redactor } from '../../src/runner/log.js';
import { checkOutputs, fitSummary, writeOutputs } from '../../src/runner/results.js';
import { silent } from '../store/fixture.js';

test('an output that would contain a secret is an error that names both', () => {
  const redactor = new Redactor();
  redactor.add('target-password', 'daemon');
  expect(() => checkOutputs({ tag: 'v1', reference: 'ceph/daemon:v1' }, redactor)).toThrow(
    'output reference would contain the value of the secret input target-password',
  );
  expect(() => checkOutputs({ reference: 'ceph/ceph:v1' }, redactor)).not.toThrow();
});

describe('a disk that has become full', () => {
  const { GITHUB_OUTPUT } = process.env;
  afterEach(() => {
    if (GITHUB_OUTPUT === undefined) delete process.env.GITHUB_OUTPUT;
    else process.env.GITHUB_OUTPUT = GITHUB_OUTPUT;
  });

  test('is an error that names the file, and says that the work is done', () => {
    process.env.GITHUB_OUTPUT = '/dev/full';
    const write = () => writeOutputs({ tag: 'v1' }, silent);
    expect(write).toThrow(UserError);
    expect(write).toThrow(/^everything is done, but the outputs cannot be written \(GITHUB_OUTPUT\): ENOSPC/);
  });
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
