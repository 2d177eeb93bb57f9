import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { minify } from '@swc/core';
import { actionNames, ROOT } from './actions.js';

/**
 * One bundle of all actions, dist/bundle, and for each action a stub of two lines, dist/<name>/index.js.
 *
 * ncc writes CommonJS for an entry whose nearest package.json names no type, and ES modules otherwise. The bundle must
 * be CommonJS, since ssh2 uses __dirname. So the compiled sources are bundled from a copy with its own package.json.
 */
const STAGE = path.join(ROOT, 'build/bundle');
const OUT = path.join(ROOT, 'build/bundled');

/** The oldest Node that runs the bundle. */
const OLDEST_NODE = 20;

export async function bundles(): Promise<ReadonlyMap<string, string>> {
  const names = actionNames();
  stage(names);
  await bundle();
  return new Map([
    ['dist/package.json', `${JSON.stringify({ type: 'commonjs' }, undefined, 2)}\n`],
    ...names.map((name) => [`dist/${name}/index.js`, stub(name)] as const),
    ...(await Promise.all(
      readdirSync(OUT)
        .filter((file) => file.endsWith('.js'))
        .map(async (file) => [`dist/bundle/${file}`, await minified(path.join(OUT, file))] as const),
    )),
  ]);
}

/** The first line runs on any Node, so that an old one prints a line about its version instead of a syntax error. */
function stub(name: string): string {
  return [
    `if (parseInt(process.versions.node, 10) < ${OLDEST_NODE}) { console.log('::error::Node ${OLDEST_NODE} or newer is needed, and ' + process.execPath + ' is Node ' + process.versions.node); process.exit(1); }`,
    `require('../bundle/index.js').run('${name}');`,
    '',
  ].join('\n');
}

function stage(names: readonly string[]): void {
  rmSync(STAGE, { recursive: true, force: true });
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  cpSync(path.join(ROOT, 'build/src'), path.join(STAGE, 'src'), {
    recursive: true,
    filter: (file) => !file.endsWith('.map'),
  });
  writeFileSync(path.join(STAGE, 'package.json'), '{}\n');
  // The toolkit does not declare its modules free of side effects, so ncc would include all of it, with its own undici.
  const core = path.join(STAGE, 'node_modules/@actions/core');
  cpSync(path.join(ROOT, 'node_modules/@actions/core'), core, { recursive: true });
  const manifest: object = JSON.parse(readFileSync(path.join(core, 'package.json'), 'utf8'));
  writeFileSync(path.join(core, 'package.json'), JSON.stringify({ ...manifest, sideEffects: false }));
  writeFileSync(path.join(STAGE, 'index.js'), entry(names));
}

/** Each action is evaluated only when it is run. Actions are not separate chunks, since a change would rewrite many. */
function entry(names: readonly string[]): string {
  return [
    `import { runAction } from './src/runner/run-action.js';`,
    `import { wordHint } from './src/actions/shared/hints.js';`,
    'const actions = {',
    ...names.map((name) => `  '${name}': () => import(/* webpackMode: "eager" */ './src/actions/${name}.js'),`),
    '};',
    `export const run = async (name) => runAction((await actions[name]()).action, wordHint);`,
    '',
  ].join('\n');
}

async function bundle(): Promise<void> {
  const ncc = path.join(ROOT, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const args = [ncc, 'build', path.join(STAGE, 'index.js'), '--out', OUT, '--no-cache', '--quiet'];
  await promisify(execFile)(process.execPath, args, { cwd: ROOT });
}

async function minified(file: string): Promise<string> {
  const options = { compress: true, mangle: true, module: false } as const;
  return (await minify(readFileSync(file, 'utf8'), options)).code;
}
