import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { minify } from '@swc/core';
import { actionNames, ROOT } from './actions.js';

/**
 * Bundles each entry under src/actions to dist/<name>/index.js.
 *
 * ncc makes CommonJS of an entry whose nearest package.json names no type, and ES modules otherwise. The bundles must
 * be CommonJS, since ssh2 uses __dirname: so the compiled sources are bundled from a copy with a package.json of its own.
 */
const STAGE = path.join(ROOT, 'build/bundle');
const DIST = path.join(ROOT, 'dist');

function stage(): void {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  cpSync(path.join(ROOT, 'build/src'), path.join(STAGE, 'src'), {
    recursive: true,
    filter: (file) => !file.endsWith('.map'),
  });
  writeFileSync(path.join(STAGE, 'package.json'), '{}\n');
  // The toolkit does not say that its modules do nothing by being loaded, so that all of it would come along: undici too.
  const core = path.join(STAGE, 'node_modules/@actions/core');
  cpSync(path.join(ROOT, 'node_modules/@actions/core'), core, { recursive: true });
  const manifest: object = JSON.parse(readFileSync(path.join(core, 'package.json'), 'utf8'));
  writeFileSync(path.join(core, 'package.json'), JSON.stringify({ ...manifest, sideEffects: false }));
}

async function bundle(name: string): Promise<void> {
  const entry = path.join(STAGE, `${name}.js`);
  writeFileSync(
    entry,
    `import { action } from './src/actions/${name}.js';\n` +
      `import { runAction } from './src/runner/run-action.js';\n` +
      `import { wordHint } from './src/actions/shared/hints.js';\n` +
      `runAction(action, wordHint);\n`,
  );
  const out = path.join(DIST, name);
  const ncc = path.join(ROOT, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const args = [ncc, 'build', entry, '--out', out, '--minify', '--no-cache', '--quiet'];
  await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  // An asset of ssh2 for agents on Windows.
  rmSync(path.join(out, 'pagent.exe'), { force: true });
  // ncc minifies what is loaded at the start, and leaves the rest.
  for (const chunk of readdirSync(out).filter((file) => file.endsWith('.index.js'))) {
    const file = path.join(out, chunk);
    const { code } = await minify(readFileSync(file, 'utf8'), { compress: false, mangle: true });
    writeFileSync(file, code);
  }
}

stage();
rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST);
writeFileSync(path.join(DIST, 'package.json'), `${JSON.stringify({ type: 'commonjs' }, undefined, 2)}\n`);
const queue = actionNames();
const worker = async () => {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) await bundle(name);
};
await Promise.all(Array.from({ length: availableParallelism() }, worker));
console.log(`bundled ${readdirSync(DIST).length - 1} actions`);
