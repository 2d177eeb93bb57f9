import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { artifactTagSchema, candidateLabelSchema, labelSchema, promotedLabelSchema } from '../../src/ledger/names.js';
import { candidateFileSchema } from '../../src/store/candidate-file.js';
import { candidateFile } from '../store/fixture.js';

const NOWHERE = [
  ['', /is not a/],
  ['.', /is not a/],
  ['..', /is not a/],
  ['.hidden', /is not a/],
  ['-oProxyCommand=x', /is not a/],
  ['../evil', /is not a/],
  ['a/b', /is not a/],
  ['a\nb', /is not a/],
  ['a\n', /is not a/],
  ['a\u0000', /is not a/],
  ['null', /reserved/],
  ['None', /reserved/],
  ['ledger', /reserved/],
  ['managed-images.yaml', /reserved/],
  ['previous-current-ceph', /begins with previous-/],
  ['v1.json', /ends with .json/],
] as const;

const problemOf = (schema: v.GenericSchema, text: string) => v.safeParse(schema, text).issues?.[0].message ?? '';

describe('names that are refused', () => {
  test.each(NOWHERE)('label %j', (text, why) => expect(problemOf(labelSchema, text)).toMatch(why));
  test.each([...NOWHERE, ['current-ceph', /name of a label/], ['ceph-ci-testing', /name of a label/]] as const)(
    'tag %j',
    (text, why) => expect(problemOf(artifactTagSchema, text)).toMatch(why),
  );
});

describe('the two kinds of labels', () => {
  test.each(['ceph-ci-testing', 'x-testing'])('%s is a candidate label, not a promoted one', (text) => {
    expect(v.is(candidateLabelSchema, text)).toBe(true);
    expect(problemOf(promotedLabelSchema, text)).toBe(
      `"${text}" is the name of a candidate label, since it ends in -testing`,
    );
    expect(problemOf(artifactTagSchema, text)).toMatch(/is the name of a label/);
  });

  test.each(['current-ceph', 'testing', 'ceph-testing-2', 'ceph-TESTING'])(
    '%s is a promoted label, not a candidate one',
    (text) => {
      expect(v.is(promotedLabelSchema, text)).toBe(true);
      expect(problemOf(candidateLabelSchema, text)).toBe(
        `"${text}" is the name of a promoted label: a candidate label ends in -testing`,
      );
    },
  );

  test.each(NOWHERE)('label %j is neither', (text, why) => {
    expect(problemOf(candidateLabelSchema, text)).toMatch(why);
    expect(problemOf(promotedLabelSchema, text)).toMatch(why);
  });
});

test.each(['v6.0.7-stable-6.0-pacific-centos-stream8', 'latest', 'ledger2', 'v1', 'previous', 'v1.json2'])(
  'tag %s is taken',
  (text) => expect(v.is(artifactTagSchema, text)).toBe(true),
);

describe('a candidate file', () => {
  const file = candidateFile('v1');
  test('is accepted', () => expect(v.parse(candidateFileSchema, file)).toEqual(file));

  test.each([
    ['another tag in its reference', { tag: 'v2' }],
    ['another digest in its reference', { digest: `sha256:${'0'.repeat(64)}` }],
    ['no digest in its reference', { reference: 'quay.io/ceph/daemon:v1' }],
    ['no registry in its reference', { reference: file.reference.replace('quay.io/', '') }],
    ['a script as its run', { 'run-url': 'javascript:alert(1)' }],
    ['a negative count', { 'tags-read': -1 }],
    ['no such day', { created: '2022-13-06T02:00:00Z' }],
    ['an unknown key', { extra: 1 }],
  ])('with %s is refused', (_, change) => expect(v.is(candidateFileSchema, { ...file, ...change })).toBe(false));
});
