import { createHash } from 'node:crypto';
import { errorLine, ServiceError } from '../base/errors.js';
import type { Repository } from '../candidate/reference.js';
import { backoffMs } from '../http/policy.js';
import { algorithmOf, type Descriptor, named } from './manifest.js';
import type { Access } from './session.js';

/** Reading blobs: OCI distribution spec v1.1, "Pulling blobs". */

export interface BlobReader {
  /** The bytes from `offset` on. Everything before it must have been read already. */
  from(offset: number): AsyncGenerator<Uint8Array>;
  /** The number of bytes read so far. */
  readonly end: number;
}

/** A transfer fails after this many breaks in a row without progress. */
const ATTEMPTS = 5;
const PROGRESS_BYTES = 64 * 1024;

/**
 * Reads a blob to its end. After a break it requests the rest by Range. The last bytes are returned only after the
 * digest of the whole blob was checked.
 */
export function openBlob(access: Access, repository: Repository, { digest, size }: Descriptor): BlobReader {
  const what = named(repository, digest);
  const algorithm = algorithmOf(digest);
  const hash = createHash(algorithm);
  let hashed = 0;

  /** Hashes each byte once, however often it is read. */
  function learn(chunk: Uint8Array, position: number): void {
    const known = hashed - position;
    if (chunk.length <= known) return;
    hash.update(chunk.subarray(known));
    hashed = position + chunk.length;
    if (hashed < size) return;
    const found = `${algorithm}:${hash.digest('hex')}`;
    if (found !== digest) throw new ServiceError('digest-mismatch', `${what}: the registry sent bytes of ${found}`);
  }

  async function* from(offset: number): AsyncGenerator<Uint8Array> {
    let position = offset;
    let failures = 0;
    let lastFailure = offset;
    while (position < size) {
      try {
        for await (const chunk of await openAt(access, repository, { digest, size }, position)) {
          if (position + chunk.length > size) {
            throw new ServiceError('digest-mismatch', `${what}: the registry sent more than its ${size} bytes`);
          }
          learn(chunk, position);
          position += chunk.length;
          yield chunk;
        }
        if (position < size) throw new Error('the answer ended early');
      } catch (error) {
        if (error instanceof ServiceError) throw error;
        failures = position - lastFailure < PROGRESS_BYTES ? failures + 1 : 1;
        lastFailure = position;
        if (failures === ATTEMPTS) {
          const line = `${what}: broke off at ${position} of ${size} bytes: ${errorLine(error)}`;
          throw new ServiceError('unreachable', line);
        }
        await access.clock.sleep(backoffMs(failures, access.clock.random()));
      }
    }
  }

  return {
    from,
    get end() {
      return hashed;
    },
  };
}

/** A reader of bytes that are in memory. */
export function readerOf(bytes: Uint8Array): BlobReader {
  return {
    async *from(offset) {
      yield bytes.subarray(offset);
    },
    end: bytes.length,
  };
}

/** Reads a small blob as a whole. */
export async function readBlob(access: Access, repository: Repository, descriptor: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openBlob(access, repository, descriptor).from(0)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function openAt(
  access: Access,
  repository: Repository,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  position: number,
): Promise<AsyncIterable<Uint8Array>> {
  const response = await access.send({
    repository,
    kind: 'blob',
    method: 'GET',
    path: `blobs/${digest}`,
    ...(position > 0 && { headers: { range: `bytes=${position}-` } }),
    expect: [200, 206],
  });
  if (response.status === 200) return position === 0 ? response.body : skipping(response.body, position);
  const range = response.headers['content-range'] ?? '';
  if (range.startsWith(`bytes ${position}-${size - 1}/`)) return response.body;
  // Not read to the end, since the rest of a blob may be large.
  for await (const _ of response.body) break;
  throw new ServiceError('bad-answer', `${named(repository, digest)}: asked for bytes ${position}-, got ${range}`);
}

/** For a server that ignores Range and sends everything again. */
async function* skipping(body: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of body) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}
