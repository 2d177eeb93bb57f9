import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { PINS, pinnedFiles } from '../scripts/pin.js';
import { sandbox } from './sandbox/current.js';
import { projectRoot } from './sandbox/project.js';

/** What the repository promises of its own files, as programs check it. */

const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: projectRoot }).then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );

const readText = (file: string) => readFileSync(join(projectRoot, file), 'utf8');
const actions = readdirSync(join(projectRoot, 'actions'));

test('actions, READMEs, schemas, the Grafana dashboard and the workflows are what is generated from their sources', async () => {
  const names = ['actions', 'schemas', 'grafana', 'workflows'];
  expect(await run(process.execPath, ['build/scripts/generate.js', '--check', ...names])).toBe('');
});

test('there is a bundle, a description and a README for each entry, and no other', () => {
  const entries = readdirSync(join(projectRoot, 'src/actions')).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  expect(actions).toEqual(entries.sort());
  const bundles = readdirSync(join(projectRoot, 'dist'), { withFileTypes: true });
  expect(bundles.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(['bundle', ...actions]);
});

test.each(actions)('%s: on an old Node.js it says in one line which version is needed', async (name) => {
  const stub = readText(`dist/${name}/index.js`);
  expect(stub.trimEnd().split('\n')).toHaveLength(2);
  // The stub as an old Node sees it.
  const old = `Object.defineProperty(process, 'versions', { value: { node: '12.22.9' } });${stub}`;
  const { stdout } = spawnSync(process.execPath, ['-e', old], { encoding: 'utf8' });
  expect(stdout).toBe(`::error::Node 20 or newer is needed, and ${process.execPath} is Node 12.22.9\n`);
});

test.each(actions)('%s: one step passes every input under the name that the bundle reads', (name) => {
  const action = parse(readFileSync(join(projectRoot, 'actions', name, 'action.yml'), 'utf8'));
  const inputs = Object.keys(action.inputs);
  expect(action.runs.steps).toEqual([
    {
      name: expect.any(String),
      id: 'run',
      shell: 'bash',
      env: {
        ...Object.fromEntries(inputs.map((input) => [`INPUT_${input.toUpperCase()}`, `\${{ inputs.${input} }}`])),
        // The job's own token is distinguished from one that a user set: it is sent only to the job's own forge.
        ...(inputs.includes('git-token') && {
          'INPUT_GIT-TOKEN-IS-DEFAULT': '${{ inputs.git-token == github.token }}',
        }),
      },
      run: `node "$GITHUB_ACTION_PATH/../../dist/${name}/index.js"`,
    },
  ]);
});

interface Job {
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress': boolean };
  readonly steps?: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> }[];
}

describe('the commit that the examples name', () => {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8' });
  const pins = pinnedFiles(projectRoot).flatMap((file) =>
    [...readText(file).matchAll(PINS)].map(([, , commit = '', ref]) => ({ file, commit, ref })),
  );
  const [{ commit, ref } = { commit: '', ref: '' }] = pins.filter((pin) => pin.ref !== undefined);

  test('is the same everywhere', () => {
    expect(pins.length).toBeGreaterThan(20);
    expect(pins.filter((pin) => pin.commit !== commit || (pin.ref ?? ref) !== ref)).toEqual([]);
  });

  test('is named wherever an action is used', () => {
    const unpinned = /uses: rdo-infra\/ceph-promotion-actions\S*@(?![0-9a-f]{40}\b)/;
    expect(pinnedFiles(projectRoot).filter((file) => unpinned.test(readText(file)))).toEqual([]);
  });

  test('exists, and the comment names a release only if there is one', () => {
    expect(() => git('merge-base', '--is-ancestor', commit, 'HEAD')).not.toThrow();
    const tagged = git('tag', '--points-at', commit).split('\n');
    expect(['main', ...tagged]).toContain(ref);
  });

  const folders = ['examples/downstream/.github/workflows', 'examples/minimal/.github/workflows'];
  const workflows = folders.flatMap((folder) =>
    existsSync(join(projectRoot, folder))
      ? readdirSync(join(projectRoot, folder)).map((name) => join(folder, name))
      : [],
  );

  test.each(workflows)('has the inputs that %s sets', (file) => {
    const steps = Object.values<Job>(parse(readText(file)).jobs).flatMap((job) => job.steps ?? []);
    const used = steps.flatMap(({ uses = '', with: inputs = {} }) =>
      [...uses.matchAll(PINS)].map(([, name = '']) => ({ path: name.split('/').slice(2).join('/'), inputs })),
    );
    for (const { path, inputs } of used) {
      const action = parse(git('show', `${commit}:${path}/action.yml`));
      expect(Object.keys(inputs).filter((input) => !(input in action.inputs))).toEqual([]);
    }
  });
});

describe('no findings', () => {
  test('by actionlint, which has shellcheck look at what the steps run', async () => {
    const { actionlint, shellcheck } = sandbox().tools;
    expect(await run(actionlint, ['-shellcheck', shellcheck])).toBe('');
    const files = ['downstream', 'minimal'].flatMap((example) => {
      const folder = `examples/${example}/.github/workflows`;
      return readdirSync(join(projectRoot, folder)).map((file) => join(folder, file));
    });
    expect(await run(actionlint, ['-shellcheck', shellcheck, ...files])).toBe('');
  });

  test('by shellcheck, in any script and in what composite actions run', async () => {
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const { stdout } = await promisify(execFile)('git', list, { cwd: projectRoot });
    const files = stdout.split('\0').filter((file) => file !== '' && existsSync(join(projectRoot, file)));
    const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8');
    const scripts = files.filter((file) => /\.sh$/.test(file) || /^#!.*\b(ba|da|)sh\b/.test(read(file)));
    expect(scripts).toEqual(expect.arrayContaining(['.ci/run']));
    const steps = files
      .filter((file) => /(^|\/)action\.yml$/.test(file))
      .flatMap((file) => parse(read(file)).runs.steps.flatMap((step: { run?: string }) => step.run ?? []));
    expect(steps.length).toBeGreaterThan(actions.length);
    const folder = await mkdtemp(join(tmpdir(), 'steps-'));
    const written = steps.map((_, n) => join(folder, `${n}.sh`));
    await Promise.all(steps.map((step, n) => writeFile(join(folder, `${n}.sh`), `#!/bin/bash\n${step}`)));
    expect(await run(sandbox().tools.shellcheck, [...scripts, ...written])).toBe('');
    await rm(folder, { recursive: true });
  });

  test('by zizmor', async () => {
    const args = ['--offline', '--persona=pedantic', '--quiet', '.github', 'actions', 'examples'];
    expect(await run(sandbox().tools.zizmor, args)).toBe('');
  });
});
