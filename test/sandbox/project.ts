import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root: this file runs as test/sandbox/*.ts under jest and as build/test/sandbox/*.js under node. */
export const projectRoot = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** Everything that the sandbox writes: what is kept for the next time, and one directory a run. */
export const sandboxHome = join(projectRoot, '.sandbox');
export const toolsHome = join(sandboxHome, 'tools');

function rootAbove(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  const parent = dirname(directory);
  if (parent === directory) throw new Error('no package.json above the sandbox');
  return rootAbove(parent);
}
