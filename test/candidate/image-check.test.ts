import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { checkImage, expectationSchema, type ImageFacts } from '../../src/candidate/image-check.js';
import { tagSchema } from '../../src/candidate/reference.js';

const INDEX = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const config = (platform: string, changes: { env?: object; labels?: object } = {}): ImageFacts['configs'][number] => ({
  platform,
  env: { CEPH_VERSION: 'pacific', ...changes.env },
  labels: { ceph: 'True', RELEASE: 'v6.0.7-stable-6.0', ...changes.labels },
});
const index = (...configs: ImageFacts['configs'][number][]): ImageFacts => ({ isIndex: true, configs });
const image = (one: ImageFacts['configs'][number]): ImageFacts => ({ isIndex: false, configs: [one] });
const AMD64 = 'linux/amd64';
const ARM64 = 'linux/arm64';

const CEPH = 'v19.2.3-20250717';
const SHA1 = 'c92aebb279828e9c3c1f5d24613efca272649e62';
const built = (platform: string, changes: { env?: object; labels?: object } = {}): ImageFacts['configs'][number] => ({
  platform,
  env: { CEPH_REF: 'squid', CEPH_IS_DEVEL: 'false', CEPH_OSD_FLAVOR: 'default', FROM_IMAGE: 'x', ...changes.env },
  labels: { CEPH_REF: 'squid', CEPH_SHA1: SHA1, OSD_FLAVOR: 'default', FROM_IMAGE: 'x', ...changes.labels },
});

test.each<[string, string, ImageFacts, string]>([
  ["an index of Ceph's own", CEPH, index(built(AMD64), built(ARM64)), 'success'],
  ['the same by the undated tag', 'v19.2.3', index(built(AMD64), built(ARM64)), 'success'],
  [
    'the same by the tag of its source',
    CEPH,
    index(built(AMD64, { env: { CEPH_REF: 'v19.2.3' }, labels: { CEPH_REF: 'v19.2.3' } })),
    'success',
  ],
  ['another branch of Ceph', CEPH, index(built(AMD64, { env: { CEPH_REF: 'reef' } })), 'failure'],
  ['a label of another branch', CEPH, index(built(AMD64, { labels: { CEPH_REF: 'reef' } })), 'failure'],
  ['a development build', CEPH, index(built(AMD64, { env: { CEPH_IS_DEVEL: 'true' } })), 'failure'],
  ['one that does not say so', CEPH, index(built(AMD64, { env: { CEPH_IS_DEVEL: undefined } })), 'unknown'],
  ['no commit', CEPH, index(built(AMD64, { labels: { CEPH_SHA1: '' } })), 'failure'],
  ['one platform alone', CEPH, image(built(AMD64)), 'failure'],
  ['a release that has no name yet', 'v22.2.0', index(built(AMD64)), 'failure'],
  [
    "Ceph's, built by ceph-container",
    'v17.2.6',
    index({ ...config(AMD64), env: { CEPH_VERSION: 'quincy' } }),
    'success',
  ],
  ["Ceph's, and nothing said", CEPH, index({ platform: AMD64, env: {}, labels: {} }), 'unknown'],
  ['an index of one platform', `${INDEX}-x86_64`, index(config(AMD64)), 'success'],
  ['an index of two', `${INDEX}-x86_64`, index(config(AMD64), config(ARM64)), 'failure'],
  ['an index as its tag says', INDEX, index(config(AMD64), config(ARM64)), 'success'],
  ['a manifest as its tag says', `${INDEX}-x86_64`, image(config(AMD64)), 'success'],
  ['arm', `${INDEX}-aarch64`, image(config(ARM64)), 'success'],
  ['the other platform', `${INDEX}-aarch64`, image(config(AMD64)), 'failure'],
  ['an index without x86_64', INDEX, index(config(ARM64)), 'failure'],
  ['one platform where an index is said', INDEX, image(config(AMD64)), 'failure'],
  ['another flavor', INDEX, index(config(AMD64, { env: { CEPH_VERSION: 'quincy' } })), 'failure'],
  [
    'another flavor on one platform',
    INDEX,
    index(config(AMD64), config(ARM64, { env: { CEPH_VERSION: 'x' } })),
    'failure',
  ],
  ['another release', INDEX, index(config(AMD64, { labels: { RELEASE: 'v6.0.70-stable-6.0' } })), 'failure'],
  ['a part of the release', INDEX, index(config(AMD64, { labels: { RELEASE: 'v6.0.7-stable-6' } })), 'failure'],
  ['an empty release', INDEX, index(config(AMD64, { labels: { RELEASE: '' } })), 'failure'],
  ['not ceph', INDEX, index(config(AMD64, { labels: { ceph: 'true' } })), 'failure'],
  ['no release', INDEX, index(config(AMD64, { labels: { RELEASE: undefined } })), 'unknown'],
  ['no flavor', INDEX, index(config(AMD64, { env: { CEPH_VERSION: undefined } })), 'unknown'],
  ['nothing said, and wrong', INDEX, index(config(ARM64, { labels: { ceph: undefined } })), 'failure'],
  ['a tag that says nothing', 'latest', index(config(AMD64)), 'unknown'],
])('%s', (_, tag, facts, outcome) => {
  expect(checkImage(v.parse(tagSchema, tag), facts).outcome).toBe(outcome);
});

describe('expectations', () => {
  const check = (tag: string, facts: ImageFacts, ...lines: string[]) =>
    checkImage(
      v.parse(tagSchema, tag),
      facts,
      lines.map((line) => v.parse(expectationSchema, line)),
    ).outcome;

  test('replace a check of the same name', () => {
    const other = index(built(AMD64, { env: { CEPH_IS_DEVEL: 'true' } }));
    expect(check(CEPH, other)).toBe('failure');
    expect(check(CEPH, other, 'env CEPH_IS_DEVEL=true')).toBe('success');
    expect(check(CEPH, other, 'label CEPH_IS_DEVEL=true')).toBe('failure');
  });

  test('add checks, of any image', () => {
    const facts = index({ platform: AMD64, env: {}, labels: { version: '1.2=3' } });
    expect(check('main', facts)).toBe('unknown');
    expect(check('main', facts, 'label version=1.2=3')).toBe('success');
    expect(check('main', facts, 'label version=1.2')).toBe('failure');
    expect(check('main', facts, 'label version=1.2=3', 'env X=')).toBe('unknown');
    expect(check(CEPH, index(built(AMD64)), 'label maintainer=x')).toBe('unknown');
  });

  test.each(['', 'env', 'env X', 'ENV X=1', 'env =1', 'env A B=1', 'annotation X=1'])('%j is refused', (line) => {
    expect(v.is(expectationSchema, line)).toBe(false);
  });
});
