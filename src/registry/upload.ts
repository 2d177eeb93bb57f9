import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { formatRepository, type Repository } from '../candidate/reference.js';
import { backoffMs, discard } from '../http/policy.js';
import type { BlobReader } from './blob.js';
import type { Descriptor } from './manifest.js';
import type { Access } from './session.js';

/** Writing blobs: OCI distribution spec v1.1, "Pushing blobs" and "Mounting a blob from another repository". */

/** Where an upload goes on, and from which byte. */
export interface Upload {
  readonly location: URL;
  readonly offset: number;
}

const ATTEMPTS = 10;
const MAX_ANSWER_BYTES = 64 * 1024;
const OCTETS = { 'content-type': 'application/octet-stream' };

/**
 * Asks for a blob by mounting it: from another repository of the registry, or from the target itself, which asks in
 * one request whether it is there and where to send it if not. `bytes` is the whole blob, which some registries take
 * at once (spec, "Single POST"), as Quay does; the others leave it unread. Undefined: it is there now.
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
  // Not all registries keep to the spec's 202 where they cannot mount.
  const mount = await access.fetch({ ...request, path, ...atOnce, expect: [201, 202, 404, 405] });
  if (mount.status === 201) return undefined;
  const { headers } =
    mount.status === 202 ? mount : await access.fetch({ ...request, path: 'blobs/uploads/', expect: [202] });
  return { location: await locationOf(access, target, headers), offset: 0 };
}

/**
 * Sends a blob's bytes to where its upload was started, and finishes it; after a break it goes on where the server is.
 * `onSent` is told how far it is, and ends it by throwing.
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
    // Where only the answer was lost the blob is there, and mounting it from its own repository says so.
    const next =
      (await kept(access, target, upload, reader.end)) ?? (await startUpload(access, target, descriptor, target));
    if (next === undefined) return;
    upload = next;
  }
}

/** What another attempt may mend: a break, a server in trouble, an upload that it forgot or lost the thread of. */
const PASSING: ReadonlySet<ServiceErrorKind> = new Set([
  'unreachable',
  'timeout',
  'server-error',
  'not-found',
  'bad-answer',
]);

/** The error that the target gave, if any; what comes from the source or from `onSent` is thrown. */
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
  // As text: what a registry wrote into its query is not ours to write anew.
  const path = new URL(`${location.href}${location.search === '' ? '?' : '&'}digest=${digest}`);
  const headers = {
    ...OCTETS,
    'content-length': String(size - offset),
    ...(offset > 0 && { 'content-range': `${offset}-${size - 1}` }),
  };
  try {
    const request = { repository, kind: 'blob', method: 'PUT', path, headers, expect: [201], once: true } as const;
    await discard(await access.send(offset < size ? { ...request, body } : request));
    return undefined;
  } catch (error) {
    if (ownErrors.length > 0) throw ownErrors[0];
    if (error instanceof ServiceError) return error;
    throw error;
  }
}

/** How much of a broken upload the server kept, if it knows; at most the `sent` bytes. */
async function kept(
  access: Access,
  repository: Repository,
  { location }: Upload,
  sent: number,
): Promise<Upload | undefined> {
  try {
    const request = { repository, kind: 'blob', method: 'GET', path: location, expect: [204] } as const;
    const { headers } = await access.fetch({ ...request, maxBytes: MAX_ANSWER_BYTES });
    // `0-0` is an empty upload, or one of a single byte: not worth telling apart.
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
  const base = await access.originOf(repository);
  if (location !== undefined && URL.canParse(location, base.href)) return new URL(location, base);
  throw new ServiceError('bad-answer', `${formatRepository(repository)}: an upload was started without a Location`);
}
