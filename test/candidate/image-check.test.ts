import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { checkImage, type ImageFacts } from '../../src/candidate/image-check.js';
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

test.each<[string, string, ImageFacts, string]>([
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
