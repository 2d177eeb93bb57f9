import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import type { Digest, Repository } from '../candidate/reference.js';
import { readBlob, readerOf } from './blob.js';
import { artifactParts, type Descriptor, digestOf, MAX_MANIFEST_BYTES, named, OCI_MANIFEST } from './manifest.js';
import { deleteManifest, findManifest, putManifest, recallManifest } from './manifests.js';
import { type Entry, hasApi, linkByTag, listReferrers, listUnderTag, unlinkByTag } from './referrers.js';
import type { Access } from './session.js';
import { finishUpload, startUpload } from './upload.js';

/** Attaching artifacts to an image: OCI image spec v1.1, manifest.md, "Guidelines for Artifact Usage". */

export interface Attachment {
  readonly artifactType: string;
  /** The artifact's one layer, of media type `artifactType`. */
  readonly layer: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An artifact that is attached to an image, as the list of referrers describes it. */
export interface Attached {
  readonly digest: Digest;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Stands in for the config that an artifact does not have (image spec, "Guidance for an Empty Descriptor"). */
const EMPTY = Buffer.from('{}');
const EMPTY_CONFIG = descriptorOf('application/vnd.oci.empty.v1+json', EMPTY);

/** Errors of a registry that does not accept referrers at all. Any other error may be temporary. */
const REFUSALS: ReadonlySet<string> = new Set(['bad-answer', 'not-found', 'unsupported']);

/** Errors about an artifact that was deleted, or is of no known kind. Any other may hide one that is there. */
const GONE: ReadonlySet<string> = new Set(['not-found', 'unsupported']);

/** At most this many artifacts of one image are read to learn their types. */
const MAX_UNCLEAR = 500;

const annotatedSchema = v.object({
  artifactType: v.nullish(v.string()),
  annotations: v.nullish(v.record(v.string(), v.string())),
});

/** The artifacts of a type that are attached to an image; `unsupported` if the registry cannot keep referrers. */
export async function listAttached(
  access: Access,
  repository: Repository,
  subject: Digest,
  artifactType: string,
): Promise<readonly Attached[] | 'unsupported'> {
  const entries = await listEntries(access, repository, subject);
  if (entries === 'unsupported') return entries;
  const described = entries.map((entry) => ({ digest: entry.digest, said: describedBy(entry, artifactType) }));
  const unclear = described.filter(({ said }) => said === undefined);
  if (unclear.length > MAX_UNCLEAR) throw tooMany(repository, subject);
  const read = new Map(
    await Promise.all(unclear.map(async ({ digest }) => [digest, await describe(access, repository, digest)] as const)),
  );
  const attached = described.flatMap(({ digest, said = read.get(digest) }): Attached[] =>
    said?.artifactType === artifactType ? [{ digest, annotations: said.annotations }] : [],
  );
  if (attached.length > 0) access.memory.noteEmptyConfig(repository);
  return attached;
}

type Described = ReturnType<typeof artifactParts>;

/**
 * The type and annotations that a list gives for an artifact, if it may be of type `wanted`. Undefined if they are
 * unclear: some registries leave them out (Quay before 3.12, ACR) or give the config's type instead (Harbor), and so
 * do some programs that keep the list in a tag.
 */
function describedBy(entry: Entry, wanted: string): Described | undefined {
  const said = v.safeParse(annotatedSchema, entry);
  if (!said.success) return undefined;
  const { artifactType, annotations } = said.output;
  if (!artifactType || artifactType === EMPTY_CONFIG.mediaType) return undefined;
  const isLacking = artifactType === wanted && Object.keys(annotations ?? {}).length === 0;
  return isLacking ? undefined : { artifactType, annotations: annotations ?? {} };
}

/** The same from the artifact itself; undefined if it is gone. */
async function describe(access: Access, repository: Repository, artifact: Digest): Promise<Described | undefined> {
  try {
    return artifactParts(await recallManifest(access, repository, artifact));
  } catch (error) {
    if (error instanceof ServiceError && GONE.has(error.kind)) return undefined;
    throw error;
  }
}

/**
 * Reads the layer of an artifact: its first, of media type `artifactType` and at most `maxBytes` long. Undefined if
 * there is no such artifact or layer.
 */
export async function readAttached(
  access: Access,
  repository: Repository,
  artifact: Digest,
  artifactType: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const manifest = await findManifest(access, repository, artifact);
  const [layer] = manifest?.kind === 'image' ? manifest.layers : [];
  if (layer === undefined || layer.mediaType !== artifactType || layer.size > maxBytes) return undefined;
  return readBlob(access, repository, layer);
}

async function listEntries(
  access: Access,
  repository: Repository,
  subject: Digest,
): Promise<readonly Entry[] | 'unsupported'> {
  const listed = await listReferrers(access, repository, subject);
  if (listed !== undefined) {
    if (listed.isWhole) return listed.entries;
    throw tooMany(repository, subject);
  }
  try {
    return (await listUnderTag(access, repository, subject)).entries;
  } catch (error) {
    if (error instanceof ServiceError && REFUSALS.has(error.kind)) return 'unsupported';
    throw error;
  }
}

/** Those that are not read might be the ones that matter. */
function tooMany(repository: Repository, subject: Digest): ServiceError {
  return new ServiceError('too-large', `${named(repository, subject)}: more referrers than can be read`);
}

/**
 * Attaches an artifact to an image that the repository has. Attaching it again changes nothing.
 *
 * @throws ServiceError of kind `unsupported` if the registry definitely does not accept referrers.
 */
export async function attach(
  access: Access,
  repository: Repository,
  subject: Digest,
  { artifactType, layer, annotations }: Attachment,
): Promise<void> {
  const content = descriptorOf(artifactType, layer);
  await putBlob(access, repository, content, layer);
  const { mediaType, digest, size } = await recallManifest(access, repository, subject);
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: EMPTY_CONFIG,
    layers: [content],
    subject: { mediaType, digest, size },
    annotations,
  };
  const bytes = Buffer.from(JSON.stringify(document));
  const manifest = { bytes, mediaType: OCI_MANIFEST, digest: digestOf(bytes) };
  if (bytes.length > MAX_MANIFEST_BYTES) throw new Error(`an attachment's manifest has ${bytes.length} bytes`);
  const { mediaType: type, digest: own } = manifest;
  const entry = { mediaType: type, digest: own, size: bytes.length, artifactType, annotations };
  try {
    const { linksSubject } = await putArtifact(access, repository, manifest);
    if (!linksSubject || !(await hasApi(access, repository, subject)))
      await linkByTag(access, repository, subject, [entry]);
  } catch (error) {
    if (!(error instanceof ServiceError && REFUSALS.has(error.kind))) throw error;
    const line = `${named(repository, subject)}: the registry does not accept referrers: ${error.message}`;
    throw new ServiceError('unsupported', line, { cause: error });
  }
}

/** Deletes artifacts of an image. False if the registry keeps one of them. */
export async function detach(
  access: Access,
  repository: Repository,
  subject: Digest,
  artifacts: readonly Digest[],
): Promise<boolean> {
  const deleted: Digest[] = [];
  for (const digest of artifacts) {
    if (await deleteManifest(access, repository, digest)) deleted.push(digest);
  }
  const keepsList = (await listReferrers(access, repository, subject)) !== undefined;
  if (!keepsList && deleted.length > 0) await unlinkByTag(access, repository, subject, deleted);
  return deleted.length === artifacts.length;
}

/**
 * Stores an artifact's manifest, whose layer must be there. All artifacts share one empty config: if this run has
 * seen another artifact there, it is sent only if the registry refuses the manifest without it.
 */
async function putArtifact(access: Access, repository: Repository, manifest: ManifestToPut) {
  if (access.memory.hasEmptyConfig(repository)) {
    try {
      return await putManifest(access, repository, manifest.digest, manifest, 'once');
    } catch (error) {
      if (!(error instanceof ServiceError && REFUSALS.has(error.kind))) throw error;
    }
  }
  await putBlob(access, repository, EMPTY_CONFIG, EMPTY);
  access.memory.noteEmptyConfig(repository);
  return putManifest(access, repository, manifest.digest, manifest);
}

type ManifestToPut = Parameters<typeof putManifest>[3];

function descriptorOf(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

async function putBlob(access: Access, repository: Repository, blob: Descriptor, bytes: Uint8Array): Promise<void> {
  const upload = await startUpload(access, repository, blob, repository, bytes);
  if (upload !== undefined) {
    await finishUpload(access, repository, blob, readerOf(Buffer.from(bytes)), upload, () => undefined);
  }
}
