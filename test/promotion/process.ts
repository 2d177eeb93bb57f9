import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../sandbox/project.js';

/** What one process is to promote, and where that is interrupted. */
export interface MortalPromotion {
  readonly inputs: Readonly<Record<string, string>>;
  /** After so many answers of the SFTP server. */
  readonly after?: number | undefined;
}

export interface ActionProcess {
  readonly child: ChildProcess;
  /** Its log, when it has ended; `status` is null where it was killed. */
  readonly ended: Promise<{ readonly status: number | null; readonly log: string }>;
  /** Resolves when its log has this; throws where it ends without. */
  says(text: string): Promise<void>;
}

/** Bundles what was compiled of mortal-promotion.ts, which halves its start; resolves to the bundle. */
export async function bundleMortalPromotion(directory: string): Promise<string> {
  const stage = join(directory, 'stage');
  for (const part of ['src', 'test/promotion']) {
    await cp(join(projectRoot, 'build', part), join(stage, part), { recursive: true });
  }
  // Without a type, so that ncc makes CommonJS of it.
  await writeFile(join(directory, 'package.json'), '{}');
  const ncc = join(projectRoot, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const out = join(directory, 'bundle');
  const args = ['build', join(stage, 'test/promotion/mortal-promotion.js'), '--out', out, '--no-cache', '--quiet'];
  await promisify(execFile)(process.execPath, [ncc, ...args]);
  return join(out, 'index.js');
}

/** Starts the bundle of mortal-promotion.ts in a process of its own. */
export function startPromotions(bundle: string, promotions: readonly MortalPromotion[]): ActionProcess {
  const child = spawn(process.execPath, [bundle], {
    env: { PATH: process.env.PATH, GITHUB_RUN_ID: randomUUID(), PROMOTIONS: JSON.stringify(promotions) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      log += chunk;
      for (const listen of listeners) listen();
    });
  }
  const ended = once(child, 'close').then(([status]) => ({ status, log }));
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const listen = () => log.includes(text) && resolve();
      listeners.add(listen);
      listen();
      ended.then(() => reject(new Error(`it never said ${text}:\n${log}`)));
    });
  return { child, ended, says };
}
