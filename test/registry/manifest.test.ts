import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { digestOf, parseConfig, parseManifest, platforms } from '../../src/registry/manifest.js';
import { AMD64, ARM64, buildImage, buildIndex, type Format, MEDIA_TYPES } from '../sandbox/images.js';

const parse = (value: unknown, type?: string) => parseManifest(Buffer.from(JSON.stringify(value)), type, 'r/x:v1');
const descriptor = { mediaType: 'application/x', digest: `sha256:${'a'.repeat(64)}`, size: 7 };

describe.each<Format>(['oci', 'docker'])('%s', (format) => {
  const image = buildImage({ format });

  test('an index', () => {
    const index = buildIndex([image, buildImage({ format, platform: { ...ARM64, variant: 'v8' } })], format);
    const parsed = parseManifest(index.bytes, index.mediaType, 'r/x:v1');
    if (parsed.kind !== 'index') throw new Error('not an index');
    expect(parsed).toMatchObject({ digest: index.digest, mediaType: index.mediaType, size: index.bytes.length });
    expect(parsed.bytes).toBe(index.bytes);
    expect(parsed.children[0]).toEqual({
      mediaType: image.mediaType,
      digest: image.digest,
      size: image.bytes.length,
      platform: 'linux/amd64',
    });
    expect(platforms(parsed)).toEqual(['linux/amd64', 'linux/arm64']);
  });

  test('an image', () => {
    const [config, ...layers] = image.blobs;
    expect(parseManifest(image.bytes, `${image.mediaType}; charset=utf-8`, 'r/x:v1')).toMatchObject({
      kind: 'image',
      config: { digest: config?.digest, size: config?.bytes.length },
      layers: layers.map(({ digest }) => ({ digest })),
    });
  });
});

test('platforms: attestations have none; variants count, except for arm64/v8', () => {
  const child = (os: string, architecture: string, variant?: string) => ({
    ...descriptor,
    platform: { os, architecture, variant },
  });
  const manifests = [
    child('linux', 'amd64'),
    child('linux', 'arm64', 'v8'),
    child('linux', 'arm64'),
    child('linux', 'arm', 'v7'),
    child('unknown', 'unknown'),
    descriptor,
  ];
  const parsed = parse({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests });
  expect(parsed.kind === 'index' && platforms(parsed)).toEqual(['linux/amd64', 'linux/arm64', 'linux/arm/v7']);
});

test.each([
  ['application/vnd.oci.image.layer.v1.tar+gzip', true],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', true],
  ['application/x', true],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', false],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', false],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', false],
])('a layer of type %s is copied: %s, whether or not it names urls', (mediaType, isCopied) => {
  for (const urls of [undefined, null, [], ['https://elsewhere.test/']]) {
    const layer = { ...descriptor, mediaType, urls };
    const parsed = parse({ schemaVersion: 2, config: descriptor, layers: [layer] }, MEDIA_TYPES.oci.manifest);
    const { urls: _, ...own } = layer;
    expect(parsed).toMatchObject(isCopied ? { layers: [own], leftBehind: [] } : { layers: [], leftBehind: [own] });
  }
});

test.each<[string, object, object]>([
  ['layers null', { layers: null }, { layers: [] }],
  ['layers absent', { layers: undefined }, { layers: [] }],
  ['subject null', { subject: null }, { layers: [descriptor] }],
  ['annotations null', { annotations: null }, { layers: [descriptor] }],
  ['mediaType null', { mediaType: null }, { mediaType: MEDIA_TYPES.oci.manifest }],
  ['mediaType empty', { mediaType: '' }, { mediaType: MEDIA_TYPES.oci.manifest }],
])('an image with %s', (_, change, expected) => {
  const value = { schemaVersion: 2, config: descriptor, layers: [descriptor], ...change };
  expect(parse(value, MEDIA_TYPES.oci.manifest)).toMatchObject(expected);
});

test.each<[string, object, object]>([
  ['no platform', {}, {}],
  ['platform null', { platform: null }, {}],
  ['platform {}', { platform: {} }, {}],
  ['empty strings', { platform: { os: '', architecture: '' } }, {}],
  ['variant null', { platform: { os: 'linux', architecture: 'arm', variant: null } }, { platform: 'linux/arm' }],
  ['annotations null', { annotations: null }, {}],
  ['urls null', { urls: null }, {}],
  ['an unknown platform', { platform: { os: 'unknown', architecture: 'unknown' } }, { isAttestation: true }],
  ["buildx's mark", { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }, { isAttestation: true }],
  [
    "buildx's mark on a platform, which runs all the same",
    {
      platform: { os: 'linux', architecture: 'amd64' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
    { platform: 'linux/amd64' },
  ],
])('a child with %s', (_, change, expected) => {
  const parsed = parse({ schemaVersion: 2, manifests: [{ ...descriptor, ...change }] }, MEDIA_TYPES.oci.index);
  expect(parsed.kind === 'index' && parsed.children).toEqual([{ ...descriptor, ...expected }]);
});

test('an index whose manifests are null has no children', () => {
  expect(parse({ schemaVersion: 2, manifests: null }, MEDIA_TYPES.oci.index)).toMatchObject({ children: [] });
});

test.each<[string, object, number]>([
  ['layers null', { layers: null }, 0],
  ['urls null in a layer', { layers: [{ ...descriptor, urls: null, annotations: null }] }, 1],
  ['subject null', { subject: null }, 0],
  ['an empty artifactType', { artifactType: '' }, 0],
])('an image with %s', (_, change, count) => {
  const parsed = parse({ schemaVersion: 2, config: descriptor, layers: [], ...change }, MEDIA_TYPES.oci.manifest);
  expect(parsed.kind === 'image' && parsed.layers).toHaveLength(count);
  expect(parsed.subject).toBeUndefined();
});

test('content may be named by sha512', () => {
  const config = { ...descriptor, digest: `sha512:${'a'.repeat(128)}` };
  expect(parse({ schemaVersion: 2, config, layers: [] }, MEDIA_TYPES.oci.manifest)).toMatchObject({ config });
  const empty = Buffer.from('');
  expect(digestOf(empty, digestOf(empty))).toMatch(/^sha256:e3b0/);
});

test('a referrer names its subject', () => {
  const value = { schemaVersion: 2, config: descriptor, layers: [], subject: descriptor };
  expect(parse(value, MEDIA_TYPES.oci.manifest).subject).toBe(descriptor.digest);
});

describe('refused', () => {
  const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.manifest, config: descriptor, layers: [] };
  test.each<[string, unknown, string | undefined, string, RegExp]>([
    ['schema 1', { schemaVersion: 1, name: 'x' }, undefined, 'unsupported', /schema 1/],
    ['an unknown type', { schemaVersion: 2, mediaType: 'text/plain' }, undefined, 'unsupported', /"text\/plain"/],
    ['no type', { schemaVersion: 2 }, undefined, 'unsupported', /unknown type ""/],
    ['two types', manifest, MEDIA_TYPES.oci.index, 'bad-answer', /and it says/],
    ['layers that are no list', { ...manifest, layers: {} }, undefined, 'bad-answer', /layers/],
    [
      'another hash',
      { ...manifest, config: { ...descriptor, digest: 'md5:x' } },
      undefined,
      'bad-answer',
      /config\.digest/,
    ],
    ['a negative size', { ...manifest, config: { ...descriptor, size: -1 } }, undefined, 'bad-answer', /config\.size/],
    // CVE-2021-41190: one client would see an index, another an image.
    [
      'the fields of two kinds',
      { ...manifest, manifests: [descriptor] },
      undefined,
      'bad-answer',
      /of an index and of/,
    ],
    ['no object', [], undefined, 'bad-answer', /not a manifest/],
  ])('%s', (_, value, type, kind, message) => {
    let error: unknown;
    try {
      parse(value, type);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ kind, message: expect.stringMatching(message) });
    expect(error).toMatchObject({ message: expect.stringMatching(/^r\/x:v1: /) });
  });

  test('whatever is not a manifest, with an error that says so', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => parseManifest(Buffer.from(text), MEDIA_TYPES.oci.index, 'r/x:v1')).toThrow(/^r\/x:v1: /);
      }),
    );
  });
});

test('a digest is computed from the bytes', () => {
  expect(digestOf(Buffer.from(''))).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test.each([
  [
    { os: 'linux', architecture: 'amd64', config: { Env: ['A=1=2', 'B='], Labels: { ceph: 'True' } } },
    { platform: 'linux/amd64', env: { A: '1=2', B: '' }, labels: { ceph: 'True' } },
  ],
  [
    { ...AMD64, config: { Env: null, Labels: null } },
    { platform: 'linux/amd64', env: {}, labels: {} },
  ],
  [{ ...AMD64 }, { platform: 'linux/amd64', env: {}, labels: {} }],
])('a configuration: %j', (value, config) => {
  expect(parseConfig(Buffer.from(JSON.stringify(value)), 'x')).toEqual(config);
});
