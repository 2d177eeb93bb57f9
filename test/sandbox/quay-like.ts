import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Content, Image, ImageIndex } from './images.js';
import type { Stoppable } from './process.js';

/**
 * Stands in for Quay, which cannot be had here: one repository, its two tag listings and its images, as Quay's source
 * has them (endpoints/api/tag.py and endpoints/v2/tag.py). It is as much of Quay as choosing a tag needs, and it writes
 * nothing.
 */

/** One stretch of a tag's life: a tag that moved has a dead row for each image that it was on before. */
export interface QuayRow {
  readonly name: string;
  readonly image: Image | ImageIndex;
  /** Unix seconds. */
  readonly start: number;
  /** When it was moved or deleted, or will expire. */
  readonly end?: number;
}

export interface QuayLikeOptions {
  /** `ceph/daemon` */
  readonly repository: string;
  readonly rows: readonly QuayRow[];
  /** /v2/ asks even those who may only read for a token. */
  readonly tokens?: boolean;
}

export interface QuayLike extends Stoppable {
  readonly url: string;
  /** `127.0.0.1:port/ceph/daemon` */
  readonly image: string;
}

/** The most that both listings give. */
const PAGE = 100;
const DEFAULT_REST_PAGE = 50;

export async function startQuayLike({ repository, rows, tokens = false }: QuayLikeOptions): Promise<QuayLike> {
  const newestFirst = [...rows].sort((a, b) => b.start - a.start);
  const isActive = ({ end }: QuayRow) => end === undefined || end * 1000 > Date.now();
  const known = new Map(rows.flatMap(({ image }) => contentsOf(image)).map((one) => [one.digest, one]));
  const issued = new Set<string>();

  /** `GET /api/v1/repository/<repository>/tag/` */
  function listByRest(query: URLSearchParams): object {
    const limit = Math.min(Number(query.get('limit') ?? DEFAULT_REST_PAGE), PAGE);
    const start = (Number(query.get('page') ?? 1) - 1) * limit;
    const part = query.get('filter_tag_name')?.replace(/^like:/, '') ?? '';
    const wanted = newestFirst.filter(
      (row) => row.name.includes(part) && (query.get('onlyActiveTags') !== 'true' || isActive(row)),
    );
    return {
      tags: wanted.slice(start, start + limit).map(restRow),
      page: Number(query.get('page') ?? 1),
      has_additional: wanted.length > start + limit,
    };
  }

  /** `GET /v2/<repository>/tags/list`, which continues with a token of Quay's own. */
  function listByName(query: URLSearchParams): Answer {
    const names = [...new Set(rows.filter(isActive).map(({ name }) => name))].sort();
    const size = Math.min(Number(query.get('n') ?? PAGE), PAGE);
    const start = Number(Buffer.from(query.get('next_page') ?? '', 'base64url').toString() || 0);
    const page = Buffer.from(String(start + size)).toString('base64url');
    const link = `</v2/${repository}/tags/list?n=${size}&next_page=${page}>; rel="next"`;
    return {
      ...json(200, { name: repository, tags: names.slice(start, start + size) }),
      ...(start + size < names.length && { headers: { link } }),
    };
  }

  function contentOf(reference: string): Answer {
    const row = newestFirst.find((one) => one.name === reference && isActive(one));
    const found = row?.image ?? known.get(reference);
    if (found === undefined) return fault(404, 'MANIFEST_UNKNOWN');
    const { mediaType, bytes, digest } = found;
    return { status: 200, type: mediaType, bytes, headers: { 'docker-content-digest': digest } };
  }

  function answerTo({ url = '', headers }: IncomingMessage): Answer {
    const { pathname, searchParams, origin, host } = new URL(url, `http://${headers.host}`);
    if (pathname === `/api/v1/repository/${repository}/tag/`) return json(200, listByRest(searchParams));
    if (pathname === '/v2/auth') {
      const token = randomUUID();
      issued.add(token);
      return json(200, { token });
    }
    if (tokens && !issued.has(headers.authorization?.replace('Bearer ', '') ?? '')) {
      const challenge = `Bearer realm="${origin}/v2/auth",service="${host}"`;
      return { ...fault(401, 'UNAUTHORIZED'), headers: { 'www-authenticate': challenge } };
    }
    if (pathname === '/v2/') return json(200, true);
    if (pathname === `/v2/${repository}/tags/list`) return listByName(searchParams);
    const [, name, reference] = /^\/v2\/(.+)\/(?:manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    return name === repository && reference !== undefined ? contentOf(reference) : fault(404, 'NAME_UNKNOWN');
  }

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const { status, type, bytes, headers = {} } = answerTo(request);
    response.writeHead(status, { 'content-type': type, 'content-length': bytes.length, ...headers });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  const server = createServer(serve).listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the Quay-like server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    image: `127.0.0.1:${address.port}/${repository}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function contentsOf(image: Image | ImageIndex): readonly Content[] {
  if ('images' in image) return [image, ...image.images.flatMap(contentsOf)];
  return [image, ...image.blobs];
}

function restRow({ name, image, start, end }: QuayRow): object {
  return {
    name,
    reversion: false,
    start_ts: start,
    manifest_digest: image.digest,
    is_manifest_list: 'images' in image,
    size: 'images' in image ? null : image.bytes.length,
    last_modified: httpDate(start),
    ...(end !== undefined && { end_ts: end, expiration: httpDate(end) }),
  };
}

/** As Python's `email.utils.formatdate` writes it: `Fri, 06 May 2022 00:00:00 -0000`. */
function httpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString().replace('GMT', '-0000');
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly bytes: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

function json(status: number, body: unknown): Answer {
  return { status, type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
}

function fault(status: number, code: string): Answer {
  return json(status, { errors: [{ code, message: code.toLowerCase(), detail: {} }] });
}
