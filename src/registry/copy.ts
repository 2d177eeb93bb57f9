import { setFlagsFromString } from 'node:v8';
import type { Log } from '../base/log.js';
import { openBlob, readBlob, readerOf } from './blob.js';
import { bytesOf, putBelow } from './content.js';
import { type Copy, type Feasible, manifestsOf } from './copy-plan.js';
import { type Descriptor, named } from './manifest.js';
import { putManifest } from './manifests.js';
import { createProgress, megabytes, type Progress } from './progress.js';
import { putReferrers } from './referrers.js';
import { createSemaphore } from './semaphore.js';
import type { Access } from './session.js';
import { finishUpload, startUpload } from './upload.js';

/** The result of one copy. */
export interface CopiedImage {
  readonly copy: Copy;
  /** The image's state. Referrers may have been copied even if the image was there. */
  readonly state: 'copied' | 'there';
  readonly manifests: number;
  /** Blobs that the target already had or mounted, so that no bytes moved. */
  readonly mounted: Amount;
  readonly uploaded: Amount;
  readonly referrers: number;
}

export interface Amount {
  readonly blobs: number;
  readonly bytes: number;
}

export type CopyReport = readonly CopiedImage[];

/** The number of blobs that are uploaded at once. Each needs two connections and the memory between them. */
const UPLOADS = 16;

/**
 * In bytes. Blobs up to this size, mostly configurations, are read first and sent with the request that starts their
 * upload.
 */
const SMALL = 64 * 1024;

/**
 * Copies one prepared image: blobs, then children, then referrers, then the image under its tag. The tag appears only
 * with that last request. After an interruption the next run reuses what is already there.
 */
export async function copyImage(access: Access, prepared: Feasible, log: Log): Promise<CopiedImage> {
  const { copy, referrers, blobs } = prepared;
  const { repository, tag } = copy.target;
  const what = named(repository, tag);
  const started = access.clock.now();
  if (prepared.state === 'there') log.info(`${what}: is there already, with the same digest`);
  const uploads = await copyBlobs(access, copy, blobs, createProgress(what, access.clock, log));
  if (prepared.state === 'there') {
    await putReferrers(access, repository, referrers, log);
  } else {
    const { content } = prepared;
    const { root } = content;
    await putBelow(access, repository, content);
    await putReferrers(access, repository, referrers, log, () => putManifest(access, repository, root.digest, root));
    await putManifest(access, repository, tag, root);
  }

  const uploaded = { blobs: uploads.length, bytes: bytesOf(uploads) };
  const mounted = { blobs: blobs.length - uploads.length, bytes: bytesOf(blobs) - uploaded.bytes };
  const manifests = manifestsOf(prepared);
  if (manifests > 0) {
    log.info(
      `${what}: copied in ${((access.clock.now() - started) / 1000).toFixed(1)} s: ${manifests} manifests, ` +
        `${uploaded.blobs} blobs uploaded (${megabytes(uploaded.bytes)}), ` +
        `${mounted.blobs} mounted or there (${megabytes(mounted.bytes)}), ${referrers.length} referrers`,
    );
  }
  const state = prepared.state === 'there' ? 'there' : 'copied';
  return { copy, state, manifests, mounted, uploaded, referrers: referrers.length };
}

/** Brings all blobs to the target. Returns those whose bytes had to be moved. */
async function copyBlobs(
  access: Access,
  { source, target }: Copy,
  blobs: readonly Descriptor[],
  progress: Progress,
): Promise<readonly Descriptor[]> {
  const sameRegistry = source.repository.registry === target.repository.registry;
  const uploaded: Descriptor[] = [];
  const semaphore = createSemaphore(UPLOADS);
  const stop = new AbortController();

  async function copyBlob(blob: Descriptor): Promise<void> {
    stop.signal.throwIfAborted();
    const from = sameRegistry ? source.repository : target.repository;
    const bytes = sameRegistry || blob.size > SMALL ? undefined : await readBlob(access, source.repository, blob);
    const upload = await startUpload(access, target.repository, blob, from, bytes);
    if (upload === undefined) {
      if (bytes !== undefined) uploaded.push(blob);
      return;
    }
    collectEarly();
    progress.expect(blob.size);
    const leave = await semaphore.enter();
    try {
      stop.signal.throwIfAborted();
      const reader = bytes === undefined ? openBlob(access, source.repository, blob) : readerOf(bytes);
      await finishUpload(access, target.repository, blob, reader, upload, (position) => {
        stop.signal.throwIfAborted();
        progress.reached(blob.digest, position);
      });
      uploaded.push(blob);
    } finally {
      leave();
    }
  }

  // The first failure stops the others. It is thrown once they have stopped, so that no work continues after an error.
  const copying = blobs.map((blob) =>
    copyBlob(blob).catch((error) => {
      stop.abort(error);
    }),
  );
  await Promise.all(copying);
  stop.signal.throwIfAborted();
  return uploaded;
}

/**
 * Keeps V8's young generation small. A blob's pieces become garbage once they are sent, and in a larger young
 * generation more of them would wait to be collected, for no benefit. V8 reads this flag each time before that
 * generation grows.
 */
function collectEarly(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
