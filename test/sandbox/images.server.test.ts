import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { CEPH_DAEMON, cephDaemonImage, cephDaemonTags } from './ceph-daemon.js';
import { freshRepository, sandbox } from './current.js';
import { buildLayer, buildMultiPlatform, type Content, pushImage } from './images.js';
import { basicAuthorization } from './registry.js';

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function pull(url: string, authorization: string, accept: string): Promise<Buffer> {
  const response = await fetch(url, { headers: { authorization, accept } });
  expect([url, response.status]).toEqual([url, 200]);
  return Buffer.from(await response.arrayBuffer());
}

describe('images', () => {
  test.each(['oci', 'docker'] as const)('%s: what was pushed comes back byte for byte', async (format) => {
    const { url, login } = sandbox().target;
    const repository = freshRepository();
    const authorization = basicAuthorization(login);
    const image = buildMultiPlatform({ layers: [200_000, 0], format, seed: format });
    await pushImage({ url, repository, authorization }, image, ['one', 'two']);
    const get = (kind: string, reference: string, { mediaType }: Content) =>
      pull(`${url}/v2/${repository}/${kind}/${reference}`, authorization, mediaType);
    for (const tag of ['one', 'two']) expect(await get('manifests', tag, image)).toEqual(image.bytes);
    for (const child of image.images) {
      expect(await get('manifests', child.digest, child)).toEqual(child.bytes);
      for (const blob of child.blobs) expect(await get('blobs', blob.digest, blob)).toEqual(blob.bytes);
    }
  });

  test('layers are real gzip and tar, over more than one gzip block', () => {
    const layer = buildLayer('seed', 150_000);
    const tar = gunzipSync(layer.bytes);
    expect(sha256(tar)).toBe(layer.diffId);
    expect(execFileSync('tar', ['-xO'], { input: tar, maxBuffer: 1e6 }).length).toBe(150_000);
  });

  test('digests never change', () => {
    expect(buildMultiPlatform().digest).toBe('sha256:bedc00d1daf45d8141c2f5fd3def48c7f8779e758fe6ffcfc51d277c89e710d8');
    expect(cephDaemonImage('v6.0.7-stable-6.0-pacific-centos-stream8').digest).toBe(
      'sha256:a4d7733af2a944565aa83f027fbbd2d20e00c79b43615e2f6025734e4f19c252',
    );
  });
});

describe('ceph/daemon', () => {
  test('lists, in pages, the tags of 2022-05-06', async () => {
    const { url } = sandbox().source;
    const tags: string[] = [];
    let next: string | undefined = `/v2/${CEPH_DAEMON}/tags/list?n=100`;
    let pages = 0;
    while (next !== undefined) {
      const response: Response = await fetch(new URL(next, url));
      const page: { tags: string[] } = JSON.parse(await response.text());
      tags.push(...page.tags);
      pages += 1;
      next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(tags).toEqual(cephDaemonTags);
    expect([tags.length, pages]).toEqual([606, 7]);
  });

  test.each([
    ['v6.0.7-stable-6.0-pacific-centos-stream8', ['amd64', 'arm64'], 'pacific', 'v6.0.7-stable-6.0'],
    ['v6.0.7-stable-6.0-pacific-centos-stream8-aarch64', ['arm64'], 'pacific', 'v6.0.7-stable-6.0'],
    ['v3.1.0rc1-stable-3.1-jewel-ubuntu-16.04-x86_64', ['amd64'], 'jewel', 'v3.1.0rc1-stable-3.1'],
    ['v3.2.0-stable-3.2-master-centos-7', ['amd64'], 'master', 'v3.2.0-stable-3.2'],
    ['master-0bdad5b-octopus-centos-8', ['amd64'], 'octopus', 'main'],
    ['latest-quincy-devel', ['amd64', 'arm64'], 'quincy', 'main'],
  ])('%s', (tag, architectures, flavor, release) => {
    expect(cephDaemonTags).toContain(tag);
    const image = cephDaemonImage(tag);
    const children = 'images' in image ? image.images : [image];
    expect('images' in image).toBe(!/-(x86_64|aarch64)$/.test(tag));
    expect(children.map((child) => child.platform.architecture)).toEqual(architectures);
    for (const child of children) {
      const config = JSON.parse(child.blobs[0]?.bytes.toString() ?? '');
      expect(config.config.Env).toContain(`CEPH_VERSION=${flavor}`);
      expect(config.config.Labels).toMatchObject({ ceph: 'True', RELEASE: release });
    }
  });
});
