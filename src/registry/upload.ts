import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import { discard } from '../http/body.js';
import { backoffMs } from '../http/policy.js';
import type { BlobReader } from './blob.js';
import type { Descriptor } from './manifest.js';
import { ownUrl } from './pages.js';
import type { Access } from './session.js';

/** Writing blobs: OCI distribution spec v1.1, "Pushing blobs" and "Mounting a blob from another repository". */

/** The address and the byte at which an upload continues. */
export interface Upload {
  readonly location: URL;
  readonly offset: number;
}

const ATTEMPTS = 10;
const MAX_ANSWER_BYTES = 64 * 1024;
const OCTETS = { 'content-type': 'application/octet-stream' };

/**
 * Mounts a blob from another repository of the registry, or from the target itself. This one request tells whether the
 * blob is there and, if not, where to send it. `bytes` is the whole blob, which some registries, such as Quay, accept
 * at once (spec, "Single POST"); others ignore it. Returns undefined if the blob is there now.
 *
 * Mounting is best effort: after any answer but 201 and 202, an ordinary upload is started.
 */
export async function startUpload(
  access: Access,
  target: Repository,
  { digest }: Descriptor,
  from: Repository,
  bytes?: Uint8Array,
): Promise<Upload | undefined> {
  const request = { repository: target, kind: 'blob', method: 'POST', maxBytes: MAX_ANSWER_BYTES } as const;
  const path = `blobs/uploads/?mount=${digest}&from=${from.path}`;
  const atOnce = bytes && { path: `${path}&digest=${digest}`, body: bytes, headers: OCTETS };
  const mount = await access.fetch({ ...request, path, ...atOnce, expect: 'any', optional: true }).catch(asService);
  if ('status' in mount && mount.status === 201) return undefined;
  const isStarted = 'status' in mount && mount.status === 202 && mount.headers.location !== undefined;
  const { headers } = isStarted
    ? mount
    : await access.fetch({ ...request, path: 'blobs/uploads/', expect: [200, 201, 202] });
  return { location: await locationOf(access, target, headers), offset: 0 };
}

function asService(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  throw error;
}

/**
 * Sends a blob's bytes to the started upload, and finishes it. After a break it continues from what the server has.
 * `onSent` receives the position, and can end the upload by throwing.
 */
export async function finishUpload(
  access: Access,
  target: Repository,
  descriptor: Descriptor,
  reader: BlobReader,
  start: Upload,
  onSent: (position: number) => void,
): Promise<void> {
  let upload = start;
  for (let failures = 1; ; failures += 1) {
    const error = await put(access, target, descriptor, reader, upload, onSent);
    if (error === undefined) return;
    if (failures === ATTEMPTS || !PASSING.has(error.kind)) throw error;
    await access.clock.sleep(backoffMs(failures, access.clock.random()));
    // If only the answer was lost, the blob is there, and mounting it from its own repository shows that.
    const next =
      (await kept(access, target, upload, reader.end)) ?? (await startUpload(access, target, descriptor, target));
    if (next === undefined) return;
    upload = next;
  }
}

/** Errors that may be gone by the next attempt: a break, a failing server, an upload that the server lost or ended. */
const PASSING: ReadonlySet<ServiceErrorKind> = new Set([
  'unreachable',
  'timeout',
  'server-error',
  'not-found',
  'conflict',
  'bad-answer',
]);

/** Sends the bytes. Returns the target's error, if any; throws errors of the source and of `onSent`. */
async function put(
  access: Access,
  repository: Repository,
  { digest, size }: Descriptor,
  reader: BlobReader,
  { location, offset }: Upload,
  onSent: (position: number) => void,
): Promise<ServiceError | undefined> {
  const ownErrors: unknown[] = [];
  async function* body() {
    let position = offset;
    try {
      for await (const chunk of reader.from(offset)) {
        position += chunk.length;
        onSent(position);
        yield chunk;
      }
    } catch (error) {
      ownErrors.push(error);
      throw error;
    }
  }
  // Joined as text, since URLSearchParams would rewrite the registry's own query.
  const path = new URL(`${location.href}${location.search === '' ? '?' : '&'}digest=${digest}`);
  const headers = {
    ...OCTETS,
    'content-length': String(size - offset),
    ...(offset > 0 && { 'content-range': `${offset}-${size - 1}` }),
  };
  try {
    const request = {
      repository,
      kind: 'blob',
      method: 'PUT',
      path,
      headers,
      expect: [200, 201, 202, 204],
      once: true,
    } as const;
    await discard(await access.send(offset < size ? { ...request, body } : request));
    return undefined;
  } catch (error) {
    if (ownErrors.length > 0) throw ownErrors[0];
    if (error instanceof ServiceError) return error;
    throw error;
  }
}

/** The part of a broken upload that the server has, if it says so; at most the `sent` bytes. */
async function kept(
  access: Access,
  repository: Repository,
  { location }: Upload,
  sent: number,
): Promise<Upload | undefined> {
  try {
    const request = { repository, kind: 'blob', method: 'GET', path: location, expect: [204] } as const;
    const { headers } = await access.fetch({ ...request, maxBytes: MAX_ANSWER_BYTES });
    // `0-0` is an empty upload or one byte. Both start again.
    const last = Number(/^(?:bytes=)?0-([1-9]\d*)$/.exec(headers.range ?? '')?.[1] ?? 'none');
    if (!(last < sent)) return undefined;
    const next = headers.location === undefined ? location : await locationOf(access, repository, headers);
    return { location: next, offset: last + 1 };
  } catch (error) {
    if (error instanceof ServiceError) return undefined;
    throw error;
  }
}

async function locationOf(
  access: Access,
  repository: Repository,
  headers: Readonly<Record<string, string>>,
): Promise<URL> {
  const { location } = headers;
  const origin = await access.originOf(repository);
  const url =
    location === undefined ? undefined : ownUrl(location, new URL(`/v2/${repository.path}/blobs/uploads/`, origin));
  if (url !== undefined) return url;
  throw new ServiceError('bad-answer', `${formatRepository(repository)}: an upload was started without a Location`);
}
