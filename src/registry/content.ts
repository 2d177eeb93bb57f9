import { ServiceError } from '../base/errors.js';
import type { Digest, Repository } from '../candidate/reference.js';
import { type Descriptor, type Manifest, named } from './manifest.js';
import { putManifest, recallManifest } from './manifests.js';
import type { Access } from './session.js';

/** Everything that a digest refers to. */
export interface Content {
  readonly root: Manifest;
  /** The manifests below the root, in the order to push them: a registry accepts no index before its children. */
  readonly below: readonly (readonly Manifest[])[];
  /** Configurations and layers, each once, the largest first. */
  readonly blobs: readonly Descriptor[];
  /** Layers that are not copied because of their media type. */
  readonly leftBehind: readonly Descriptor[];
}

const MAX_LEVELS = 4;
const MAX_MANIFESTS = 1000;

/** Reads all manifests below `root`. */
export async function readContent(access: Access, repository: Repository, root: Manifest): Promise<Content> {
  const levels: (readonly Manifest[])[] = [];
  const known = new Set<Digest>([root.digest]);
  for (let level: readonly Manifest[] = [root]; ; levels.unshift(level)) {
    const children = level.flatMap((manifest) => (manifest.kind === 'index' ? manifest.children : []));
    const wanted = [...new Set(children.map(({ digest }) => digest))].filter((digest) => !known.has(digest));
    if (wanted.length === 0) break;
    for (const digest of wanted) known.add(digest);
    if (known.size > MAX_MANIFESTS || levels.length === MAX_LEVELS) {
      throw new ServiceError('too-large', `${named(repository, root.digest)}: more manifests than an image has`);
    }
    level = await Promise.all(wanted.map((digest) => recallManifest(access, repository, digest)));
  }
  // Images first, since one may be in indexes of two levels; then the indexes, lowest first.
  const images = levels.flat().filter(({ kind }) => kind === 'image');
  const indexes = levels.map((level) => level.filter(({ kind }) => kind === 'index'));
  const below = [images, ...indexes].filter((step) => step.length > 0);
  const all = [...images, root];
  return {
    root,
    below,
    blobs: distinctBlobs(all.flatMap(blobsOf)),
    leftBehind: distinctBlobs(all.flatMap((one) => (one.kind === 'image' ? one.leftBehind : []))),
  };
}

/** Stores all manifests below the root. Their blobs must be there. */
export async function putBelow(access: Access, target: Repository, { below }: Content): Promise<void> {
  for (const step of below) {
    await Promise.all(step.map((manifest) => putManifest(access, target, manifest.digest, manifest)));
  }
}

function blobsOf(manifest: Manifest): readonly Descriptor[] {
  return manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : [];
}

export function distinctBlobs(blobs: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()].sort((a, b) => b.size - a.size);
}

export function bytesOf(blobs: readonly Descriptor[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}
