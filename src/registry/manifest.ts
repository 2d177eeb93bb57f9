import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { type Digest, digestSchema, formatRepository, type Repository } from '../candidate/reference.js';

/**
 * Manifests are bytes: what a digest names is the text as it was pushed, so it is kept raw and pushed on as it came.
 * Formats: OCI image spec v1.1 (image-index, manifest), and Docker's image manifest version 2, schema 2.
 */

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json';

const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_LIST];
const IMAGE_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_IMAGE];

/** Always asked for whole: Quay converts a manifest to schema 1 for a client that names fewer types. */
export const ACCEPT_MANIFESTS = [...INDEX_TYPES, ...IMAGE_TYPES].join(', ');

/** The spec's least bound that every registry takes, and ours. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Where content is: its type, its digest, and its size in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

interface Raw extends Descriptor {
  /** The text as it was pushed; `digest` is of these bytes. */
  readonly bytes: Buffer;
  /** What this manifest signs or describes, where it is a referrer (OCI `subject`). */
  readonly subject?: Digest;
}

/** An image index or a manifest list: one child for each platform, and others such as attestations. */
export interface Index extends Raw {
  readonly kind: 'index';
  readonly children: readonly Child[];
}

/** A manifest with a configuration and layers: an image, or an artifact such as a signature. */
export interface ImageManifest extends Raw {
  readonly kind: 'image';
  readonly config: Descriptor;
  /** Layers that a registry holds; those that live elsewhere (Docker's foreign layers) are left out. */
  readonly layers: readonly Descriptor[];
}

export type Manifest = Index | ImageManifest;

export interface Child extends Descriptor {
  /** `linux/amd64`; absent where the index names none, or `unknown/unknown` as attestations have it. */
  readonly platform?: string;
}

/** What the configuration of an image says about it. */
export interface ImageConfig {
  readonly platform: string;
  /** Environment variables by name. */
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

const sizeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const descriptorSchema = v.object({ mediaType: v.string(), digest: digestSchema, size: sizeSchema });

const platformSchema = v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) });

const subjectEntry = { subject: v.optional(v.object({ digest: digestSchema })) };

const indexSchema = v.object({
  schemaVersion: v.literal(2),
  manifests: v.array(v.object({ ...descriptorSchema.entries, platform: v.optional(platformSchema) })),
  ...subjectEntry,
});

const imageSchema = v.object({
  schemaVersion: v.literal(2),
  config: descriptorSchema,
  layers: v.array(v.object({ ...descriptorSchema.entries, urls: v.optional(v.array(v.string()), []) })),
  ...subjectEntry,
});

const typeSchema = v.object({ schemaVersion: v.number(), mediaType: v.optional(v.string()) });

export function digestOf(bytes: Uint8Array): Digest {
  return v.parse(digestSchema, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

/** Is this reference a digest? A tag has no colon. */
export function isDigest(reference: string): reference is Digest {
  return v.is(digestSchema, reference);
}

/** `quay.io/ceph/daemon:<tag>` or `quay.io/ceph/daemon@sha256:…`. */
export function named(repository: Repository, reference: string): string {
  return `${formatRepository(repository)}${isDigest(reference) ? '@' : ':'}${reference}`;
}

/**
 * A manifest from its bytes and the Content-Type that came with them; `what` names it in errors.
 * Refuses schema 1, unknown types, and a document that says it is of another type than its header.
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined, what: string): Manifest {
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: not a manifest: ${problem}`);
  const text = bytes.toString('utf8');
  const own = parseJson(typeSchema, text, bad);
  const given = contentType?.split(';')[0]?.trim().toLowerCase();
  const mediaType = own.mediaType ?? given ?? '';
  if (own.schemaVersion === 1) {
    throw new ServiceError('unsupported', `${what}: a manifest of schema 1, whose digest does not name its content`);
  }
  if (own.mediaType !== undefined && given !== undefined && own.mediaType !== given) {
    throw bad(`its Content-Type is ${oneLine(given, 100)}, and it says ${oneLine(own.mediaType, 100)}`);
  }
  const raw = { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
  if (INDEX_TYPES.includes(mediaType))
    return { kind: 'index', ...raw, ...indexParts(parseJson(indexSchema, text, bad)) };
  if (IMAGE_TYPES.includes(mediaType))
    return { kind: 'image', ...raw, ...imageParts(parseJson(imageSchema, text, bad)) };
  throw new ServiceError('unsupported', `${what}: of the unknown type ${JSON.stringify(oneLine(mediaType, 100))}`);
}

export function isManifestType(mediaType: string): boolean {
  return INDEX_TYPES.includes(mediaType) || IMAGE_TYPES.includes(mediaType);
}

function indexParts({ manifests, subject }: v.InferOutput<typeof indexSchema>) {
  const children = manifests.map(({ platform, ...descriptor }): Child => {
    const named = platform === undefined ? undefined : platformName(platform);
    return named === undefined || named === 'unknown/unknown' ? descriptor : { ...descriptor, platform: named };
  });
  return { children, ...subjectDigest(subject) };
}

function imageParts({ config, layers, subject }: v.InferOutput<typeof imageSchema>) {
  const held = layers
    .filter(({ urls }) => urls.length === 0)
    .map(({ urls: _, ...descriptor }): Descriptor => descriptor);
  return { config, layers: held, ...subjectDigest(subject) };
}

function subjectDigest(subject: { digest: Digest } | undefined): { readonly subject?: Digest } {
  return subject === undefined ? {} : { subject: subject.digest };
}

/** `linux/amd64`, `linux/arm/v7`. Every arm64 is v8, so that the variant says nothing there. */
function platformName({ os, architecture, variant }: v.InferOutput<typeof platformSchema>): string {
  const plain = variant === undefined || variant === '' || (architecture === 'arm64' && variant === 'v8');
  return oneLine(plain ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`, 100);
}

/** The platforms of an index, each once, in its order. */
export function platforms(index: Index): readonly string[] {
  return [...new Set(index.children.flatMap(({ platform }) => platform ?? []))];
}

const configSchema = v.object({
  ...platformSchema.entries,
  config: v.optional(
    v.nullable(
      v.object({
        Env: v.optional(v.nullable(v.array(v.string()))),
        Labels: v.optional(v.nullable(v.record(v.string(), v.string()))),
      }),
    ),
  ),
});

/** An image's configuration from its JSON (OCI image spec, config.md). */
export function parseConfig(bytes: Buffer, what: string): ImageConfig {
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: not an image configuration: ${problem}`);
  const { config, ...platform } = parseJson(configSchema, bytes.toString('utf8'), bad);
  const env = (config?.Env ?? []).map((line): [string, string] => {
    const [name = '', ...value] = line.split('=');
    return [name, value.join('=')];
  });
  return { platform: platformName(platform), env: Object.fromEntries(env), labels: config?.Labels ?? {} };
}
