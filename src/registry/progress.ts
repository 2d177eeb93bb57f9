import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';

/** Logs the progress of an image's uploads every few seconds. */
export interface Progress {
  /** Adds the size of a blob that will be uploaded. */
  expect(size: number): void;
  /** Records how far a blob is uploaded. The position goes back if the upload restarts. */
  reached(blob: string, position: number): void;
}

const EVERY_MS = 5000;

export function createProgress(what: string, clock: Clock, log: Log): Progress {
  const started = clock.now();
  const positions = new Map<string, number>();
  let total = 0;
  let lastLine = started;

  return {
    expect(size) {
      total += size;
    },
    reached(blob, position) {
      positions.set(blob, position);
      const now = clock.now();
      if (now - lastLine < EVERY_MS) return;
      lastLine = now;
      const done = [...positions.values()].reduce((sum, bytes) => sum + bytes, 0);
      const perSecond = (done / (now - started)) * 1000;
      const left = perSecond > 0 ? `, ${Math.ceil((total - done) / perSecond)} s left` : '';
      log.info(`${what}: ${megabytes(done)} of ${megabytes(total)}, ${megabytes(perSecond)}/s${left}`);
    },
  };
}

/** 1 MB is 1,000,000 bytes, as registries and disks count. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
