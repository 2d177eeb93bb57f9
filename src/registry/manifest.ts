import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { parseJson, tryParse } from '../base/schema.js';
import { type Digest, formatRepository, type Repository } from '../candidate/reference.js';

/**
 * A digest names the exact bytes that were pushed, so a manifest's text is kept and pushed unchanged. Formats: OCI
 * image spec v1.1 (image-index, manifest), and Docker's image manifest version 2, schema 2.
 */

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json';

const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_LIST];
const IMAGE_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_IMAGE];

/** The configuration types of images that can run. An artifact, such as a Helm chart, has another type. */
const IMAGE_CONFIG_TYPES: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

/** The types that servers give to files that they do not recognize. */
const GENERIC_TYPES: readonly string[] = ['application/json', 'application/octet-stream', 'text/plain'];

/** Layers that a registry need not hold: OCI's non-distributable ones, and Docker's foreign ones. */
const LEFT_BEHIND = /\.nondistributable\.|\.foreign\./;

/** Always sent in full: Quay converts a manifest to schema 1 for a client that names fewer types. */
export const ACCEPT_MANIFESTS = [...INDEX_TYPES, ...IMAGE_TYPES].join(', ');

/** Our limit: the size that the distribution spec expects every registry to accept. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Identifies content by its type, its digest, and its size in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

interface Raw extends Descriptor {
  /** The text as it was pushed; `digest` is of these bytes. */
  readonly bytes: Buffer;
  /** The manifest that this one signs or describes, if it is a referrer (OCI `subject`). */
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
  readonly layers: readonly Descriptor[];
  /** Layers that are not copied, by their media type. */
  readonly leftBehind: readonly Descriptor[];
}

export type Manifest = Index | ImageManifest;

export interface Child extends Descriptor {
  /** For example `linux/amd64`; absent if the index does not say. */
  readonly platform?: string;
  /** It describes another child and is not a platform's image. */
  readonly isAttestation?: true;
}

/** The parts of an image's configuration that we use. */
export interface ImageConfig {
  readonly platform: string;
  /** The build time in unix seconds, which a builder can set freely. Undefined if it is not stated. */
  readonly created?: number;
  /** Environment variables by name. */
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Content may also be named by sha512 (OCI image spec, descriptor.md, "Registered Algorithms"). */
export const contentDigestSchema = v.pipe(
  v.string(),
  v.regex(/^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/, 'is not a sha256 or sha512 digest'),
  v.brand('Digest'),
);

/** Treats null as absent: Go writes null for fields that it leaves out. */
const absent = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema));

const sizeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const descriptorSchema = v.object({ mediaType: v.string(), digest: contentDigestSchema, size: sizeSchema });

const platformSchema = v.object({
  os: absent(v.string()),
  architecture: absent(v.string()),
  variant: absent(v.string()),
});
type RawPlatform = v.InferOutput<typeof platformSchema>;

const subjectEntry = { subject: absent(v.object({ digest: contentDigestSchema })) };
const annotationsSchema = absent(v.record(v.string(), v.unknown()));

const indexSchema = v.object({
  schemaVersion: v.literal(2),
  manifests: absent(
    v.array(
      v.object({ ...descriptorSchema.entries, platform: absent(platformSchema), annotations: annotationsSchema }),
    ),
  ),
  ...subjectEntry,
});

const imageSchema = v.object({
  schemaVersion: v.literal(2),
  config: descriptorSchema,
  layers: absent(v.array(descriptorSchema)),
  ...subjectEntry,
});

const typeSchema = v.object({
  schemaVersion: v.number(),
  mediaType: absent(v.string()),
  manifests: absent(v.unknown()),
  config: absent(v.unknown()),
  layers: absent(v.unknown()),
});

/** The sha256 digest of bytes, or the digest by the same algorithm as `like`. */
export function digestOf(bytes: Uint8Array, like?: Digest): Digest {
  const algorithm = like === undefined ? 'sha256' : algorithmOf(like);
  return v.parse(contentDigestSchema, `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
}

export function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** Tells a digest from a tag, which has no colon. */
export function isDigest(reference: string): reference is Digest {
  return v.is(contentDigestSchema, reference);
}

/** `quay.io/ceph/daemon:<tag>` or `quay.io/ceph/daemon@sha256:…`. */
export function named(repository: Repository, reference: string): string {
  return `${formatRepository(repository)}${isDigest(reference) ? '@' : ':'}${reference}`;
}

/**
 * Parses a manifest. `what` names it in errors. Refuses schema 1, unknown types, and a document whose own type differs
 * from its Content-Type.
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined, what: string): Manifest {
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: not a manifest: ${problem}`);
  const text = bytes.toString('utf8');
  const own = parseJson(typeSchema, text, bad);
  const given = contentType?.split(';')[0]?.trim().toLowerCase() || undefined;
  const said = own.mediaType || undefined;
  const isGeneric = given === undefined || GENERIC_TYPES.includes(given);
  const mediaType = said ?? (isGeneric ? typeByShape(own) : given) ?? given ?? '';
  if (own.schemaVersion === 1) {
    throw new ServiceError('unsupported', `${what}: a manifest of schema 1, whose digest does not name its content`);
  }
  if (said !== undefined && given !== undefined && said !== given && isManifestType(given)) {
    throw bad(`its Content-Type is ${oneLine(given, 100)}, and it says ${oneLine(said, 100)}`);
  }
  if (own.manifests != null && (own.config != null || own.layers != null)) {
    throw bad('it has the fields of an index and of an image');
  }
  const raw = { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
  if (INDEX_TYPES.includes(mediaType)) {
    return { kind: 'index', ...raw, ...indexParts(parseJson(indexSchema, text, bad)) };
  }
  if (IMAGE_TYPES.includes(mediaType)) {
    return { kind: 'image', ...raw, ...imageParts(parseJson(imageSchema, text, bad)) };
  }
  throw new ServiceError('unsupported', `${what}: of the unknown type ${JSON.stringify(oneLine(mediaType, 100))}`);
}

/**
 * The type of a document by its fields, which differ for each kind of manifest. OCI allows a document that does not
 * name its type, and a server of plain files does not send the type either.
 */
function typeByShape({ schemaVersion, manifests, config }: v.InferOutput<typeof typeSchema>): string | undefined {
  if (schemaVersion !== 2) return undefined;
  if (manifests != null) return OCI_INDEX;
  return config != null ? OCI_MANIFEST : undefined;
}

export function isManifestType(mediaType: string): boolean {
  return INDEX_TYPES.includes(mediaType) || IMAGE_TYPES.includes(mediaType);
}

/** True for an image that can run, false for an artifact. */
export function isRunnable({ config }: ImageManifest): boolean {
  return IMAGE_CONFIG_TYPES.includes(config.mediaType);
}

const artifactSchema = v.object({
  artifactType: absent(v.string()),
  annotations: v.fallback(absent(v.record(v.string(), v.string())), undefined),
  config: v.fallback(absent(v.object({ mediaType: v.string() })), undefined),
});

/**
 * The type and annotations that a list of referrers should give for a manifest (distribution spec, "Listing
 * Referrers"). An artifact without a type of its own has that of its config.
 */
export function artifactParts({ bytes }: Pick<Raw, 'bytes'>): {
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
} {
  const parsed = tryParse(artifactSchema, JSON.parse(bytes.toString('utf8')));
  if ('problem' in parsed) return { artifactType: undefined, annotations: {} };
  const { artifactType, annotations, config } = parsed.value;
  return { artifactType: artifactType || config?.mediaType, annotations: annotations ?? {} };
}

function indexParts({ manifests, subject }: v.InferOutput<typeof indexSchema>) {
  const children = (manifests ?? []).map(({ platform, annotations, ...descriptor }): Child => {
    const name = platform == null ? undefined : platformName(platform);
    const isAttestation =
      name === 'unknown/unknown' ||
      // With a platform, whoever pulls for that platform gets it and runs it.
      (name === undefined && annotations?.['vnd.docker.reference.type'] === 'attestation-manifest');
    return {
      ...descriptor,
      ...(isAttestation ? { isAttestation: true } : name !== undefined && { platform: name }),
    };
  });
  return { children, ...subjectDigest(subject) };
}

function imageParts({ config, layers, subject }: v.InferOutput<typeof imageSchema>) {
  const isLeft = ({ mediaType }: Descriptor) => LEFT_BEHIND.test(mediaType);
  const all = layers ?? [];
  return {
    config,
    layers: all.filter((layer) => !isLeft(layer)),
    leftBehind: all.filter(isLeft),
    ...subjectDigest(subject),
  };
}

function subjectDigest(subject: { digest: Digest } | null | undefined): { readonly subject?: Digest } {
  return subject == null ? {} : { subject: subject.digest };
}

/**
 * `linux/amd64`, `linux/arm/v7`; undefined if the index says nothing. Every arm64 is v8, so its variant is left out.
 */
function platformName({ os, architecture, variant }: RawPlatform): string | undefined {
  if (!os || !architecture) return undefined;
  const isPlain = !variant || (architecture === 'arm64' && variant === 'v8');
  return oneLine(isPlain ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`, 100);
}

/** The platforms of an index, each once, in its order. */
export function platforms(index: Index): readonly string[] {
  return [...new Set(index.children.flatMap(({ platform }) => platform ?? []))];
}

const configSchema = v.object({
  ...platformSchema.entries,
  created: v.fallback(absent(v.pipe(v.string(), v.isoTimestamp())), undefined),
  config: absent(
    v.object({ Env: absent(v.array(v.string())), Labels: absent(v.record(v.string(), absent(v.string()))) }),
  ),
});

/** Parses an image's configuration (OCI image spec, config.md); `what` names it in errors. */
export function parseConfig(bytes: Buffer, what: string): ImageConfig {
  // The bytes match their digest, so the registry is not at fault.
  const bad = (problem: string) => new ServiceError('unsupported', `${what}: not an image configuration: ${problem}`);
  const { config, created, ...raw } = parseJson(configSchema, bytes.toString('utf8'), bad);
  const platform = platformName(raw);
  if (platform === undefined) throw bad('it names no os and architecture');
  const env = (config?.Env ?? []).map((line): [string, string] => {
    const [name = '', ...value] = line.split('=');
    return [name, value.join('=')];
  });
  const labels = Object.entries(config?.Labels ?? {}).flatMap(([name, value]) =>
    value == null ? [] : [[name, value]],
  );
  const built = created == null ? Number.NaN : Math.floor(Date.parse(created) / 1000);
  return {
    platform,
    ...(Number.isNaN(built) ? {} : { created: built }),
    env: Object.fromEntries(env),
    labels: Object.fromEntries(labels),
  };
}

/**
 * Parses the entries of a list and leaves out those that do not fit the schema. If none fits, it is a list of something
 * else, and the error that `fail` makes of the first problem is thrown.
 */
export function parseMost<S extends v.GenericSchema>(
  schema: S,
  values: readonly unknown[],
  fail: (problem: string) => Error,
): v.InferOutput<S>[] {
  const found = parseEach(schema, values);
  if (found.length > 0 || values.length === 0) return found;
  const parsed = tryParse(schema, values[0]);
  throw fail('problem' in parsed ? parsed.problem : 'nothing is understood');
}

/** The entries of a list that parse by a schema. */
export function parseEach<S extends v.GenericSchema>(schema: S, values: readonly unknown[]): v.InferOutput<S>[] {
  return values.flatMap((value) => {
    const parsed = tryParse(schema, value);
    return 'problem' in parsed ? [] : [parsed.value];
  });
}
