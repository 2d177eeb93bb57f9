import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { Digest } from '../../src/candidate/reference.js';
import { movingTag } from '../../src/ledger/names.js';
import { readContents } from '../../src/promotion/images.js';
import { type Manifest, OCI_INDEX, OCI_MANIFEST, parseManifest } from '../../src/registry/manifest.js';
import { CURRENT, SOURCE } from '../ledger/fixture.js';
import { createWorld, promotionIn } from './memory-world.js';

/** Which parts of an image a ban covers, however its index is made. */

const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const shelf = new Map<string, Manifest>();

function push(document: object, mediaType: string): { mediaType: string; digest: Digest; size: number } {
  const manifest = parseManifest(Buffer.from(JSON.stringify(document)), mediaType, 'it');
  shelf.set(manifest.digest, manifest);
  return { mediaType, digest: manifest.digest, size: manifest.size };
}

const configOf = (name: string) => `sha256:${createHash('sha256').update(name).digest('hex')}`;
const pushImage = (name: string) =>
  push({ schemaVersion: 2, config: { mediaType: CONFIG_TYPE, digest: configOf(name), size: 1 } }, OCI_MANIFEST);
const pushIndex = (...manifests: object[]) => push({ schemaVersion: 2, manifests }, OCI_INDEX);
const on = (architecture: string) => ({ platform: { os: 'linux', architecture } });

const banned = pushImage('banned');
const CONTENTS = [banned.digest, configOf('banned')];
const MARK = { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } };

async function contentsOf({ digest }: { digest: Digest }): Promise<readonly Digest[]> {
  const world = createWorld([], movingTag(CURRENT));
  const { registry } = world;
  const getManifest = async (reference: string) => {
    const found = shelf.get(reference);
    if (found === undefined) throw new Error(`no ${reference}`);
    return found;
  };
  const shelved = { ...registry, repository: () => ({ ...registry.repository(SOURCE), getManifest }) };
  return readContents(promotionIn(world, 0, { registry: shelved }), SOURCE, digest);
}

test.each<[string, () => { digest: Digest }]>([
  ['by itself', () => banned],
  ['in an index', () => pushIndex({ ...banned, ...on('amd64') })],
  ['beside another platform', () => pushIndex({ ...pushImage('arm'), ...on('arm64') }, { ...banned, ...on('amd64') })],
  ['in an index that names no platform', () => pushIndex(banned)],
  ['marked as an attestation, with its platform', () => pushIndex({ ...banned, ...on('amd64'), ...MARK })],
  ['in an index in an index', () => pushIndex({ ...pushIndex({ ...banned, ...on('amd64') }), ...on('amd64') })],
  ['in an index in an index that names no platform', () => pushIndex(pushIndex(banned))],
])('a banned image is seen %s', async (_, make) => {
  expect(await contentsOf(make())).toEqual(expect.arrayContaining(CONTENTS));
});

test('attestations are left out, because they change with every build', async () => {
  const unknown = { platform: { os: 'unknown', architecture: 'unknown' } };
  const index = pushIndex(
    { ...banned, ...on('amd64') },
    { ...pushImage('provenance'), ...unknown },
    { ...pushImage('bill of materials'), ...MARK },
  );
  expect(await contentsOf(index)).toEqual(CONTENTS);
});

test('an index with more manifests than a copy takes is an error', async () => {
  const many = Array.from({ length: 1001 }, (_, n) => pushImage(`${n}`));
  await expect(contentsOf(pushIndex(...many))).rejects.toThrow('the index has too many manifests');
});
