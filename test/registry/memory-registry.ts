import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { MEDIA_TYPES } from '../sandbox/images.js';

/** A small registry in memory. A test can replace any answer with one that real registries cannot be made to give. */
export interface MemoryRegistry {
  readonly host: string;
  readonly url: string;
  /** Answers a request first; undefined leaves it to the registry. */
  answer: (request: Asked) => Answer | undefined;
  readonly asked: Asked[];
  /** Manifests by `repository:reference`, and blobs by `repository@digest`. */
  readonly manifests: Map<string, { readonly bytes: Buffer; readonly type: string }>;
  readonly blobs: Map<string, Buffer>;
  /** Stores bytes as a blob and returns their descriptor. */
  blob(repository: string, content: string, mediaType: string): Descriptor;
  /** Stores a manifest under its digest and a tag, and returns its descriptor. */
  manifest(repository: string, content: object, mediaType: string, tag?: string): Descriptor;
  /** Stores an image of one platform and one layer. */
  image(repository: string, tag: string, change?: (manifest: ImageDocument) => object): Descriptor;
  digestAt(repository: string, tag: string): string | undefined;
  /** Does it list referrers by the API? */
  hasReferrers: boolean;
  stop(): void;
}

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | object;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface ImageDocument {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

export const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const refuse = (status: number, code: string): Answer => ({ status, body: { errors: [{ code, message: '' }] } });

export async function startMemoryRegistry(): Promise<MemoryRegistry> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', headers } = request;
      const asked = { method, url: new URL(request.url ?? '', registry.url), headers, body: Buffer.concat(chunks) };
      registry.asked.push(asked);
      const { status, headers: own = {}, body = '' } = registry.answer(asked) ?? serve(registry, asked);
      response.writeHead(status, { 'content-type': 'application/json', ...own });
      response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${address.port}`;

  const registry: MemoryRegistry = {
    host,
    url: `http://${host}`,
    answer: () => undefined,
    asked: [],
    manifests: new Map(),
    blobs: new Map(),
    hasReferrers: false,
    blob(repository, content, mediaType) {
      const bytes = Buffer.from(content);
      registry.blobs.set(`${repository}@${digestOf(bytes)}`, bytes);
      return { mediaType, digest: digestOf(bytes), size: bytes.length };
    },
    manifest(repository, content, mediaType, tag) {
      const bytes = Buffer.from(JSON.stringify(content));
      put(registry, repository, tag ?? digestOf(bytes), bytes, mediaType);
      return { mediaType, digest: digestOf(bytes), size: bytes.length };
    },
    image(repository, tag, change = (manifest) => manifest) {
      const config = registry.blob(repository, JSON.stringify({ os: 'linux', architecture: 'amd64' }), CONFIG_TYPE);
      const layers = [registry.blob(repository, `layer of ${tag}`, LAYER_TYPE)];
      const mediaType = MEDIA_TYPES.oci.manifest;
      const document = change({ schemaVersion: 2, mediaType, config, layers });
      return registry.manifest(repository, document, mediaType, tag);
    },
    digestAt(repository, tag) {
      const found = registry.manifests.get(`${repository}:${tag}`);
      return found && digestOf(found.bytes);
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return registry;
}

function put({ manifests }: MemoryRegistry, repository: string, reference: string, bytes: Buffer, type: string) {
  manifests.set(`${repository}:${reference}`, { bytes, type });
  manifests.set(`${repository}:${digestOf(bytes)}`, { bytes, type });
}

/** What the referrers API answers. */
export function referrersOf({ manifests }: MemoryRegistry, repository: string, subject: string) {
  const own = [...manifests].filter(([key]) => key.startsWith(`${repository}:sha256:`));
  const about = own.flatMap(([, { bytes, type }]) => {
    const document = JSON.parse(bytes.toString()) as {
      subject?: Descriptor;
      artifactType?: string;
      annotations?: object;
    };
    if (document.subject?.digest !== subject) return [];
    const { artifactType, annotations } = document;
    return [{ mediaType: type, digest: digestOf(bytes), size: bytes.length, artifactType, annotations }];
  });
  return { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: about };
}

function serve(registry: MemoryRegistry, { method, url, headers, body }: Asked): Answer {
  if (url.pathname === '/v2/') return { status: 200, body: {} };
  const match = /^\/v2\/(.+)\/(tags\/list|manifests|blobs|referrers)\/?(.*)$/.exec(url.pathname);
  const [, repository = '', kind = '', name = ''] = match ?? [];
  if (kind === 'tags/list') {
    const names = [...registry.manifests.keys()].map((key) => key.split(`${repository}:`)[1] ?? '');
    const tags = names.filter((tag) => tag !== '' && !tag.includes(':')).sort();
    return tags.length === 0 ? refuse(404, 'NAME_UNKNOWN') : { status: 200, body: { name: repository, tags } };
  }
  if (kind === 'manifests' && method === 'PUT') {
    put(registry, repository, name, body, headers['content-type'] ?? '');
    const { subject } = JSON.parse(body.toString()) as { subject?: Descriptor };
    const links = registry.hasReferrers && subject !== undefined ? { 'oci-subject': subject.digest } : {};
    return { status: 201, headers: { 'docker-content-digest': digestOf(body), ...links } };
  }
  if (kind === 'manifests') {
    const found = registry.manifests.get(`${repository}:${name}`);
    if (found === undefined) return refuse(404, 'MANIFEST_UNKNOWN');
    const { bytes, type } = found;
    const headers = {
      'content-type': type,
      'content-length': `${bytes.length}`,
      'docker-content-digest': digestOf(bytes),
    };
    return { status: 200, headers, body: bytes };
  }
  if (kind === 'referrers' && registry.hasReferrers)
    return {
      status: 200,
      headers: { 'content-type': MEDIA_TYPES.oci.index },
      body: referrersOf(registry, repository, name),
    };
  if (kind === 'blobs' && method === 'POST') {
    const mounted = registry.blobs.get(`${url.searchParams.get('from')}@${url.searchParams.get('mount')}`);
    if (mounted === undefined) return { status: 202, headers: { location: `/v2/${repository}/blobs/uploads/1` } };
    registry.blobs.set(`${repository}@${digestOf(mounted)}`, mounted);
    return { status: 201 };
  }
  if (kind === 'blobs' && method === 'PUT') {
    registry.blobs.set(`${repository}@${digestOf(body)}`, body);
    return { status: url.searchParams.get('digest') === digestOf(body) ? 201 : 400 };
  }
  const blob = kind === 'blobs' && method === 'GET' ? registry.blobs.get(`${repository}@${name}`) : undefined;
  return blob === undefined ? refuse(404, 'NOT_FOUND') : { status: 200, body: blob };
}
