import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { actionFiles } from './action-files.js';
import { ROOT } from './actions.js';
import { bundles } from './bundle.js';
import { grafanaDashboard } from './grafana.js';
import { referencePages } from './reference.js';
import { schemaFiles } from './schemas.js';
import { workflows } from './workflows.js';

/**
 * Writes the generated files: `generate.js [--check] [name…]`, or all of them if no name is given. With `--check` it
 * writes nothing, and fails if a file differs from what it would write.
 */

/** Files by their path in the repository. */
export type Files = ReadonlyMap<string, string>;

const GENERATORS: Readonly<Record<string, () => Files | Promise<Files>>> = {
  schemas: schemaFiles,
  reference: referencePages,
  actions: actionFiles,
  grafana: grafanaDashboard,
  workflows,
  bundle: bundles,
};

/** Folders that contain only one generator's files. */
const OWNED: Readonly<Record<string, string>> = { schemas: 'schemas', bundle: 'dist' };

function staleFiles(files: Files): string[] {
  return [...files]
    .filter(([file, text]) => {
      const written = path.join(ROOT, file);
      return !existsSync(written) || readFileSync(written, 'utf8') !== text;
    })
    .map(([file]) => file);
}

function strayFiles(name: string, files: Files): string[] {
  const folder = OWNED[name];
  if (folder === undefined || !existsSync(path.join(ROOT, folder))) return [];
  return readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .filter((file) => !files.has(file));
}

async function main(args: readonly string[]): Promise<void> {
  const check = args.includes('--check');
  const named = args.filter((arg) => arg !== '--check');
  const unknown = named.find((name) => !(name in GENERATORS));
  if (unknown !== undefined) {
    throw new Error(`${unknown}: no such generator; there are ${Object.keys(GENERATORS).join(', ')}`);
  }
  for (const [name, generate] of Object.entries(GENERATORS)) {
    if (named.length > 0 && !named.includes(name)) continue;
    const files = await generate();
    const stale = staleFiles(files);
    const stray = strayFiles(name, files);
    if (check) {
      if (stale.length + stray.length === 0) continue;
      console.error(`not up to date, run \`npm run build\`: ${[...stale, ...stray].join(', ')}`);
      process.exitCode = 1;
      continue;
    }
    for (const file of stray) rmSync(path.join(ROOT, file));
    for (const file of stale) {
      const written = path.join(ROOT, file);
      mkdirSync(path.dirname(written), { recursive: true });
      writeFileSync(written, files.get(file) ?? '');
    }
  }
}

await main(process.argv.slice(2));
