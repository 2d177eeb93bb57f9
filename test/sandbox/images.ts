import { createCipheriv, createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Images of our own making: small, multi-platform, and the same bytes on every machine, so that tests may pin digests. */

export type Format = 'oci' | 'docker';

/** Media types: OCI image-spec v1.1 media-types.md, and Docker's image manifest version 2, schema 2. */
export const MEDIA_TYPES = {
  oci: {
    index: 'application/vnd.oci.image.index.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const;

export interface Content {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface Layer extends Content {
  /** The digest of the layer before compression. */
  readonly diffId: string;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** A manifest of one platform and its blobs: the config first, then the layers. */
export interface Image extends Content {
  readonly platform: Platform;
  readonly blobs: readonly Content[];
}

export interface ImageIndex extends Content {
  readonly images: readonly Image[];
}

export const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
export const ARM64: Platform = { os: 'linux', architecture: 'arm64' };

const CREATED = '2022-05-06T00:00:00Z';
const SMALL_LAYERS = [600, 300];

/** A layer that holds one file of `size` bytes, which follow from `seed`. */
export function buildLayer(seed: string, size: number, format: Format = 'oci'): Layer {
  const tar = tarOfOneFile('content', seededBytes(seed, size));
  return { ...content(MEDIA_TYPES[format].layer, gzipStored(tar)), diffId: sha256(tar) };
}

export interface ImageOptions {
  readonly platform?: Platform;
  readonly layers?: readonly Layer[];
  readonly format?: Format;
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** An image of one platform. */
export function buildImage(options: ImageOptions = {}): Image {
  const { platform = AMD64, format = 'oci', env = [], labels = {} } = options;
  const layers = options.layers ?? SMALL_LAYERS.map((size, n) => buildLayer(`layer ${n}`, size, format));
  const types = MEDIA_TYPES[format];
  const config = json(types.config, {
    ...platform,
    created: CREATED,
    config: { Env: env, Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  });
  const manifest = json(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
  });
  return { ...manifest, platform, blobs: [config, ...layers] };
}

/** A multi-platform image: an OCI index, or Docker's manifest list. */
export function buildIndex(images: readonly Image[], format: Format = 'oci'): ImageIndex {
  const mediaType = MEDIA_TYPES[format].index;
  const manifests = images.map((image) => ({ ...descriptor(image), platform: image.platform }));
  return { ...json(mediaType, { schemaVersion: 2, mediaType, manifests }), images };
}

export interface MultiPlatformOptions {
  readonly platforms?: readonly Platform[];
  /** Sizes in bytes of each platform's layers; no two platforms share one. */
  readonly layers?: readonly number[];
  readonly format?: Format;
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Another seed gives another image. */
  readonly seed?: string;
}

/** An index of one image a platform; by default linux/amd64 and linux/arm64 with two small layers each. */
export function buildMultiPlatform(options: MultiPlatformOptions = {}): ImageIndex {
  const {
    platforms = [AMD64, ARM64],
    layers = SMALL_LAYERS,
    format = 'oci',
    seed = '',
    env = [],
    labels = {},
  } = options;
  const images = platforms.map((platform) =>
    buildImage({
      platform,
      format,
      env,
      labels,
      layers: layers.map((size, n) =>
        buildLayer([seed, platform.architecture, platform.variant, n].join(), size, format),
      ),
    }),
  );
  return buildIndex(images, format);
}

/** Where images are pushed to. `authorization` is the header's whole value. */
export interface Destination {
  readonly url: string;
  readonly repository: string;
  readonly authorization?: string;
}

export interface Push {
  readonly image: Image | ImageIndex;
  /** Without any, the image is there by its digest alone. */
  readonly tags: readonly string[];
}

/** Uploads all blobs and manifests of an image and sets its tags. */
export async function pushImage(to: Destination, image: Image | ImageIndex, tags: readonly string[]): Promise<void> {
  await pushImages(to, [{ image, tags }]);
}

/** The same for many images at once; what they share is uploaded once. */
export async function pushImages(to: Destination, pushes: readonly Push[]): Promise<void> {
  const tagsOf = new Map<string, string[]>();
  for (const { image, tags } of pushes) tagsOf.set(image.digest, [...(tagsOf.get(image.digest) ?? []), ...tags]);
  const put = async (manifest: Content) => {
    const tags = tagsOf.get(manifest.digest) ?? [];
    for (const reference of tags.length === 0 ? [manifest.digest] : tags) await putManifest(to, manifest, reference);
  };
  const images = pushes.flatMap(({ image }) => ('images' in image ? image.images : [image]));
  const indexes = pushes.flatMap(({ image }) => ('images' in image ? [image] : []));
  // In this order: a registry refuses a manifest whose blobs, and an index whose manifests, are not there yet.
  await inParallel(distinct(images.flatMap((image) => image.blobs)), (blob) => pushBlob(to, blob));
  await inParallel(distinct(images), put);
  await inParallel(distinct(indexes), put);
}

/** PUTs one manifest under a tag or its digest, whatever it says: for tests of broken ones too. */
export async function putManifest(to: Destination, manifest: Content, reference: string): Promise<void> {
  await send(to, 'PUT', `${to.url}/v2/${to.repository}/manifests/${reference}`, manifest.mediaType, manifest.bytes);
}

async function pushBlob(to: Destination, blob: Content): Promise<void> {
  const opened = await send(to, 'POST', `${to.url}/v2/${to.repository}/blobs/uploads/`);
  const location = new URL(opened.headers.get('location') ?? '', to.url);
  location.searchParams.set('digest', blob.digest);
  await send(to, 'PUT', location.href, 'application/octet-stream', blob.bytes);
}

async function send(to: Destination, method: string, url: string, type?: string, body?: Buffer): Promise<Response> {
  const headers = new Headers();
  if (type !== undefined) headers.set('content-type', type);
  if (to.authorization !== undefined) headers.set('authorization', to.authorization);
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: new Uint8Array(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return response;
}

const PARALLEL = 32;

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

function distinct<T extends Content>(contents: readonly T[]): T[] {
  return [...new Map(contents.map((one) => [one.digest, one])).values()];
}

function descriptor({ mediaType, digest, bytes }: Content) {
  return { mediaType, digest, size: bytes.length };
}

function json(mediaType: string, value: object): Content {
  return content(mediaType, Buffer.from(JSON.stringify(value)));
}

function content(mediaType: string, bytes: Buffer): Content {
  return { mediaType, digest: sha256(bytes), bytes };
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Bytes that no compression shrinks: a cipher's key stream. */
function seededBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** POSIX ustar with one regular file, mode 0644, of root, at time 0. */
function tarOfOneFile(name: string, bytes: Buffer): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(bytes.length, 12), 124);
  header.write(octal(0, 12), 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512);
  return Buffer.concat([header, bytes, padding, Buffer.alloc(1024)]);
}

/**
 * gzip (RFC 1952) of stored blocks (RFC 1951 section 3.2.4). By hand, since zlib's output differs between its versions
 * and so would every digest.
 */
function gzipStored(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])];
  for (let start = 0; start < bytes.length; start += 0xffff) {
    const block = bytes.subarray(start, start + 0xffff);
    const head = Buffer.alloc(5);
    head.writeUInt8(start + block.length === bytes.length ? 1 : 0, 0);
    head.writeUInt16LE(block.length, 1);
    head.writeUInt16LE(0xffff - block.length, 3);
    parts.push(head, block);
  }
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc32(bytes), 0);
  tail.writeUInt32LE(bytes.length % 2 ** 32, 4);
  return Buffer.concat([...parts, tail]);
}
