import { ServiceError } from '../base/errors.js';
import type { Digest, Repository, Tag } from '../candidate/reference.js';
import { type BytesResponse, backoffMs } from '../http/policy.js';
import { readSaid } from '../http/said.js';
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
import type { Access, RegistryRequest } from './session.js';

/** Requests about manifests: OCI distribution spec v1.1, "Pulling manifests" and "Pushing Manifests". */

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** Statuses of registries and proxies that do not have something, cannot do it, or do not allow it. */
export const CANNOT: readonly number[] = [400, 401, 403, 404, 405, 406, 410, 415, 422, 501];

/**
 * Reads the descriptor that a tag points at; undefined if there is no such tag. Always a GET: proxies refuse HEAD or
 * answer it wrongly, and a tag that seems absent would be overwritten.
 */
export async function resolve(access: Access, repository: Repository, tag: Tag): Promise<Descriptor | undefined> {
  const answer = await getBytes(access, repository, tag, [200, 404]);
  if (answer === undefined) return undefined;
  const { digest, bytes, headers } = answer;
  return { digest, size: bytes.length, mediaType: headers['content-type'] ?? '' };
}

/** A manifest by tag or digest, checked against the requested digest and the one that the registry names. */
export async function getManifest(access: Access, repository: Repository, reference: Tag | Digest): Promise<Manifest> {
  const manifest = await findManifest(access, repository, reference);
  if (manifest !== undefined) return manifest;
  throw new ServiceError('not-found', `${named(repository, reference)}: there is no such manifest or repository`);
}

/** Like getManifest, but does not ask again for a manifest whose bytes this run has read or stored. */
export async function recallManifest(access: Access, repository: Repository, digest: Digest): Promise<Manifest> {
  const known = access.memory.recall(digest);
  if (known !== undefined) {
    const { bytes, mediaType } = await known;
    return parseManifest(bytes, mediaType, named(repository, digest));
  }
  const reading = getManifest(access, repository, digest);
  access.memory.keep(digest, reading);
  return reading;
}

/** Like getManifest, but undefined if there is none. */
export async function findManifest(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
): Promise<Manifest | undefined> {
  const answer = await getBytes(access, repository, reference, [200, 404]);
  return answer && parse(answer, repository, reference);
}

/**
 * Like findManifest, for manifests that may not exist and names that some registries refuse: a refusal, or a document
 * that does not parse, counts as absent.
 */
export async function findOptional(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
): Promise<Manifest | undefined> {
  const answer = await getBytes(access, repository, reference, [200, ...CANNOT]);
  try {
    return answer && parse(answer, repository, reference);
  } catch (error) {
    if (error instanceof ServiceError) return undefined;
    throw error;
  }
}

interface Fetched extends BytesResponse {
  readonly digest: Digest;
}

/** A manifest's bytes, checked against its digests; undefined for any status but 200. */
async function getBytes(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
  expect: readonly number[],
): Promise<Fetched | undefined> {
  const request = { ...manifestRequest(repository, reference), method: 'GET', expect } as const;
  const answer = await access.fetch({ ...request, maxBytes: MAX_MANIFEST_BYTES });
  if (answer.status !== 200) {
    // Some registries answer 404 for what we may not read, which does not mean that it is absent.
    if (expect.includes(403) || !isHidden(answer)) return undefined;
    const refused = await access.refusal(request, answer);
    throw new ServiceError('forbidden', refused.message, { cause: refused });
  }
  const { bytes } = answer;
  const what = named(repository, reference);
  // The digest is checked first: bytes that are not the requested manifest need not be parsed.
  if (isDigest(reference)) {
    const found = digestOf(bytes, reference);
    if (found !== reference) {
      throw new ServiceError('digest-mismatch', `${what}: the registry sent other bytes, of digest ${found}`);
    }
  }
  const said = contentDigest(answer, what);
  if (said !== undefined && digestOf(bytes, said) !== said) {
    const found = digestOf(bytes, said);
    throw new ServiceError('digest-mismatch', `${what}: the registry names ${said} and sent bytes of digest ${found}`);
  }
  const digest = digestOf(bytes);
  // What another host sent is not kept: errors about it must not quote it.
  if (answer.elsewhere === undefined) {
    access.memory.keep(digest, { bytes, mediaType: answer.headers['content-type'] });
  }
  return { ...answer, digest };
}

function isHidden(answer: BytesResponse): boolean {
  return readSaid({ ...answer, body: answer.bytes }).codes.some((code) => code === 'DENIED' || code === 'UNAUTHORIZED');
}

function parse({ bytes, headers, elsewhere }: Fetched, repository: Repository, reference: Tag | Digest): Manifest {
  const what = named(repository, reference);
  try {
    return parseManifest(bytes, headers['content-type'], what);
  } catch (error) {
    // An answer from another host is not quoted.
    if (elsewhere === undefined || !(error instanceof ServiceError)) throw error;
    throw new ServiceError(error.kind, `${what}: ${elsewhere}, after a redirect, sent no manifest`);
  }
}

/** A digest of another algorithm (OCI image spec, descriptor.md, "Digests"). */
const UNKNOWN_DIGEST = /^(?!sha(?:256|512):)[a-z0-9]+(?:[+._-][a-z0-9]+)*:[\w=-]{32,}$/;

/** Docker-Content-Digest, if it is sent. A digest that cannot be parsed is an error. */
function contentDigest({ headers }: Pick<BytesResponse, 'headers'>, what: string): Digest | undefined {
  const said = headers['docker-content-digest'];
  if (said === undefined || said === '') return undefined;
  const [text = '', ...others] = new Set(said.trim().split(/\s*,\s*/));
  // Huawei's registry leaves out the algorithm.
  const digest = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text;
  if (others.length === 0 && isDigest(digest)) return digest;
  // A digest by an algorithm that we do not know tells us as much as none.
  if (others.length === 0 && UNKNOWN_DIGEST.test(digest)) return undefined;
  throw new ServiceError('bad-answer', `${what}: the header Docker-Content-Digest is not a digest`);
}

/**
 * Stores a manifest unchanged, under a tag or its own digest. Needs push. `linksSubject` is true if the registry says
 * that it lists the manifest under its subject. With `once`, a refusal for a blob that is not there is not waited out.
 */
export async function putManifest(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
  { bytes, mediaType, digest }: Pick<Manifest, 'bytes' | 'mediaType' | 'digest'>,
  patience: 'once' | 'until-blobs-are-seen' = 'until-blobs-are-seen',
): Promise<{ readonly linksSubject: boolean }> {
  const what = named(repository, reference);
  const request = {
    ...manifestRequest(repository, reference),
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: bytes,
    expect: 'any',
  } as const;
  const answer = await putOnceBlobsAreSeen(access, request, patience === 'once' ? 1 : PUTS);
  const linksSubject = answer.headers['oci-subject'] !== undefined;
  if (![200, 201, 202].includes(answer.status)) {
    // The answer to an earlier attempt may have been lost, and an immutable tag refuses even the same manifest again.
    const there = await digestAt(access, repository, reference).catch(() => undefined);
    if (there === digest) return { linksSubject };
    const refused = await access.refusal(request, answer);
    if (refused.kind !== 'conflict') throw refused;
    const line = `${what}: should be ${digest}, but is ${there ?? 'not there'}`;
    throw new ServiceError('conflict', line, { cause: refused });
  }
  const stored = contentDigest(answer, what);
  if (stored !== undefined && stored !== digestOf(bytes, stored)) {
    throw new ServiceError('digest-mismatch', `${what}: ${digest} was sent, but ${stored} was stored`);
  }
  if ((stored === undefined || answer.status !== 201) && !isDigest(reference)) {
    const found = await settledDigestAt(access, repository, reference, digest);
    if (found !== digest) {
      throw new ServiceError('conflict', `${what}: should be ${digest}, but is ${found ?? 'not there'}`);
    }
  }
  access.memory.keep(digest, { bytes, mediaType });
  return { linksSubject };
}

/** A registry that does not see a blob yet is asked this often. */
const PUTS = 4;

/** Some registries need a moment until they see a blob that was just stored, and refuse its manifest until then. */
async function putOnceBlobsAreSeen(access: Access, request: RegistryRequest, puts: number): Promise<BytesResponse> {
  for (let put = 1; ; put += 1) {
    const answer = await access.fetch({ ...request, maxBytes: MAX_MANIFEST_BYTES });
    const isUnseen =
      (answer.status === 400 || answer.status === 404) &&
      readSaid({ ...answer, body: answer.bytes }).codes.some((code) => /^(?:MANIFEST_)?BLOB_UNKNOWN$/.test(code));
    if (!isUnseen || put === puts) return answer;
    await access.clock.sleep(backoffMs(put, access.clock.random()));
  }
}

/** A tag that does not yet show what was just stored is read back this often. */
const LOOKS = 4;

/** The digest that a tag points at, after some time to become `wanted`: some registries answer from a slow replica. */
async function settledDigestAt(
  access: Access,
  repository: Repository,
  reference: Tag,
  wanted: Digest,
): Promise<Digest | undefined> {
  for (let look = 1; ; look += 1) {
    const found = await digestAt(access, repository, reference);
    if (found === wanted || look === LOOKS) return found;
    await access.clock.sleep(backoffMs(look, access.clock.random()));
  }
}

async function digestAt(access: Access, repository: Repository, reference: Tag | Digest): Promise<Digest | undefined> {
  return (await getBytes(access, repository, reference, [200, 404]))?.digest;
}

/**
 * Deletes a tag, or a manifest by its digest (spec, "Deleting tags", "Deleting manifests"). False if it is still there,
 * since not every registry can delete, or allows it.
 */
export async function deleteManifest(
  access: Access,
  repository: Repository,
  reference: Tag | Digest,
): Promise<boolean> {
  await access.fetch({
    ...manifestRequest(repository, reference),
    method: 'DELETE',
    expect: [200, 202, 204, ...CANNOT.filter((status) => status !== 401), 409],
    maxBytes: MAX_MANIFEST_BYTES,
  });
  return (await digestAt(access, repository, reference)) === undefined;
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
