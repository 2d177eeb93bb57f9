import { ServiceError } from '../base/errors.js';
import type { Digest } from '../candidate/reference.js';
import { isRunnable, type Manifest } from './manifest.js';
import type { ImageConfig, RepositoryClient } from './registry.js';

/** An image of one platform. */
export interface PlatformImage {
  readonly platform: string;
  /** Reads its configuration. */
  config(): Promise<ImageConfig>;
}

/** At most this many children are read to learn their platforms. */
const MAX_READ = 20;

/**
 * True for an image, false for an artifact such as a Helm chart. Reads children only if the index names no platform.
 */
export async function isImage(repository: RepositoryClient, manifest: Manifest): Promise<boolean> {
  if (manifest.kind === 'image') return isRunnable(manifest);
  const isNamed = manifest.children.some(({ platform }) => platform !== undefined);
  return isNamed || (await readImages(repository, manifest)).length > 0;
}

/**
 * The images of a manifest, one for each platform; none if it is an artifact. Platforms come from the index, and a
 * child is read only if the index names none. Attestations are not images.
 */
export async function readImages(repository: RepositoryClient, manifest: Manifest): Promise<readonly PlatformImage[]> {
  if (manifest.kind === 'image') {
    if (!isRunnable(manifest)) return [];
    const config = await repository.getConfig(manifest);
    return config.platform === 'unknown/unknown' ? [] : [{ platform: config.platform, config: async () => config }];
  }
  const children = manifest.children.filter(({ isAttestation }) => !isAttestation);
  const unnamed = children.filter(({ platform }) => platform === undefined).slice(0, MAX_READ);
  const found = children.map(async (child): Promise<readonly PlatformImage[]> => {
    const { platform, digest } = child;
    if (platform !== undefined) return [{ platform, config: () => readChildConfig(repository, digest) }];
    const read = unnamed.includes(child) ? await repository.findManifest(digest) : undefined;
    return read?.kind === 'image' ? readImages(repository, read) : [];
  });
  return (await Promise.all(found)).flat();
}

async function readChildConfig(repository: RepositoryClient, digest: Digest): Promise<ImageConfig> {
  const child = await repository.getManifest(digest);
  if (child.kind === 'image') return repository.getConfig(child);
  throw new ServiceError('bad-answer', `${digest}: the child of an index has a platform, and is an index itself`);
}
