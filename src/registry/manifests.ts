import { ServiceError } from '../base/errors.js';
import type { Digest, Repository, Tag } from '../candidate/reference.js';
import { readBlob } from './blob.js';
import {
  ACCEPT_MANIFESTS,
  type Descriptor,
  digestOf,
  type ImageConfig,
  type ImageManifest,
  isDigest,
  MAX_MANIFEST_BYTES,
  type Manifest,
  named,
  parseConfig,
  parseManifest,
} from './manifest.js';
import type { Access } from './session.js';

/** Requests about manifests: OCI distribution spec v1.1, "Pulling manifests" and "Pushing Manifests". */

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;
const CONTENT_DIGEST = 'docker-content-digest';

/** What a tag points at; undefined where there is no such tag. One HEAD, and a GET where HEAD does not name the digest. */
export async function resolve(access: Access, repository: Repository, tag: Tag): Promise<Descriptor | undefined> {
  const { status, headers } = await access.fetch({
    ...manifestRequest(repository, tag),
    method: 'HEAD',
    expect: [200, 404, 405],
    maxBytes: 0,
  });
  if (status === 404) return undefined;
  const digest = headers[CONTENT_DIGEST] ?? '';
  const size = Number(headers['content-length'] ?? 'none');
  if (status === 405 || !isDigest(digest) || !Number.isSafeInteger(size)) {
    return findManifest(access, repository, tag);
  }
  return { digest, size, mediaType: headers['content-type'] ?? '' };
}

/** A manifest by tag or digest, checked against the digest asked for and the one that the registry names. */
export async function getManifest(access: Access, repository: Repository, reference: Tag | Digest): Promise<Manifest> {
  const manifest = await findManifest(access, repository, reference);
  if (manifest !== undefined) return manifest;
  throw new ServiceError('not-found', `${named(repository, reference)}: there is no such manifest or repository`);
}

/** The same; undefined where there is none. */
export async function findManifest(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
): Promise<Manifest | undefined> {
  const { status, headers, bytes } = await access.fetch({
    ...manifestRequest(repository, reference),
    method: 'GET',
    expect: [200, 404],
    maxBytes: MAX_MANIFEST_BYTES,
  });
  if (status === 404) return undefined;
  const what = named(repository, reference);
  const digest = digestOf(bytes);
  // The digest first: what is not the manifest asked for is not worth a parser's opinion.
  if (isDigest(reference) && reference !== digest) {
    throw new ServiceError('digest-mismatch', `${what}: the registry sent other bytes, of digest ${digest}`);
  }
  const said = headers[CONTENT_DIGEST];
  if (said !== undefined && said !== digest) {
    throw new ServiceError('digest-mismatch', `${what}: the registry names ${said} and sent bytes of digest ${digest}`);
  }
  return parseManifest(bytes, headers['content-type'], what);
}

/** Stores a manifest as it is, under a tag or its own digest; needs push. True where the registry links its subject. */
export async function putManifest(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
  { bytes, mediaType, digest }: Pick<Manifest, 'bytes' | 'mediaType' | 'digest'>,
): Promise<{ readonly linksSubject: boolean }> {
  const { status, headers } = await access.fetch({
    ...manifestRequest(repository, reference),
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: bytes,
    expect: [201, 409],
    maxBytes: MAX_MANIFEST_BYTES,
  });
  const stored = headers[CONTENT_DIGEST];
  if (stored !== undefined && stored !== digest) {
    throw new ServiceError(
      'digest-mismatch',
      `${named(repository, reference)}: ${digest} was sent and ${stored} stored`,
    );
  }
  // 409: a tag that is immutable, by which a PUT that is repeated finds its own.
  if ((stored === undefined || status === 409) && !isDigest(reference)) {
    await readBack(access, repository, reference, digest);
  }
  return { linksSubject: headers['oci-subject'] !== undefined };
}

async function readBack(access: Access, repository: Repository, tag: Tag, digest: Digest): Promise<void> {
  const found = (await resolve(access, repository, tag))?.digest;
  if (found === digest) return;
  const line = `${named(repository, tag)}: was to be set to ${digest}, and is ${found ?? 'not there'}`;
  throw new ServiceError('conflict', line);
}

/** Deletes a tag (spec, "Deleting tags"); false where it is still there: not every registry can, or lets us. */
export async function deleteTag(access: Access, repository: Repository, tag: Tag): Promise<boolean> {
  await access.fetch({
    ...manifestRequest(repository, tag),
    method: 'DELETE',
    expect: [202, 400, 403, 404, 405],
    maxBytes: MAX_MANIFEST_BYTES,
  });
  return (await resolve(access, repository, tag)) === undefined;
}

/** The configuration of an image, checked against its digest. */
export async function getConfig(access: Access, repository: Repository, image: ImageManifest): Promise<ImageConfig> {
  const { config } = image;
  const what = named(repository, config.digest);
  if (config.size > MAX_CONFIG_BYTES) {
    throw new ServiceError('too-large', `${what}: a configuration of ${config.size} bytes`);
  }
  return parseConfig(await readBlob(access, repository, config), what);
}

function manifestRequest(repository: Repository, reference: Tag | Digest) {
  return {
    repository,
    kind: 'manifest',
    path: `manifests/${reference}`,
    headers: { accept: ACCEPT_MANIFESTS },
  } as const;
}
