import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { PINS, pinnedFiles } from '../scripts/pin.js';
import { parseBranches, writeBranches } from '../scripts/workflows.js';
import { sandbox } from './sandbox/current.js';
import { projectRoot } from './sandbox/project.js';

/** What the repository promises of its own files. */

const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: projectRoot }).then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );

const actions = readdirSync(join(projectRoot, 'actions'));

test('actions, READMEs, schemas, the Grafana dashboard and the workflows are what their sources say', async () => {
  const names = ['actions', 'schemas', 'grafana', 'workflows'];
  expect(await run(process.execPath, ['build/scripts/generate.js', '--check', ...names])).toBe('');
}, 60_000);

test('there is a bundle, a description and a README for each entry, and no other', () => {
  const entries = readdirSync(join(projectRoot, 'src/actions')).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  expect(actions).toEqual(entries.sort());
  const bundles = readdirSync(join(projectRoot, 'dist'), { withFileTypes: true });
  expect(bundles.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(['bundle', ...actions]);
});

test.each(actions)('%s: on an old Node it says in one line which one is needed', async (name) => {
  const stub = readText(`dist/${name}/index.js`);
  expect(stub.trimEnd().split('\n')).toHaveLength(2);
  // The stub as an old Node sees it.
  const old = `Object.defineProperty(process, 'versions', { value: { node: '12.22.9' } });${stub}`;
  const { stdout } = spawnSync(process.execPath, ['-e', old], { encoding: 'utf8' });
  expect(stdout).toBe(`::error::Node 20 or newer is needed, and ${process.execPath} is Node 12.22.9\n`);
});

test('the README lists each action', () => {
  const rows = [...readText('README.md').matchAll(/^\| \[(\S+)\]\(actions\/\1\/README\.md\) \| .+ \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(actions);
});

test.each(actions)('%s: one step, every input handed on by the name that the bundle reads', (name) => {
  const action = parse(readFileSync(join(projectRoot, 'actions', name, 'action.yml'), 'utf8'));
  const inputs = Object.keys(action.inputs);
  expect(action.runs.steps).toEqual([
    {
      name: expect.any(String),
      id: 'run',
      shell: 'bash',
      env: {
        ...Object.fromEntries(inputs.map((input) => [`INPUT_${input.toUpperCase()}`, `\${{ inputs.${input} }}`])),
        // The job's own token is told apart from one that a user set: it goes to the job's own forge only.
        ...(inputs.includes('git-token') && {
          'INPUT_GIT-TOKEN-IS-DEFAULT': '${{ inputs.git-token == github.token }}',
        }),
      },
      run: `node "$GITHUB_ACTION_PATH/../../dist/${name}/index.js"`,
    },
  ]);
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
  }, 60_000);

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
  }, 60_000);

  test('by zizmor', async () => {
    const args = ['--offline', '--persona=pedantic', '--quiet', '.github', 'actions', 'examples'];
    expect(await run(sandbox().tools.zizmor, args)).toBe('');
  }, 60_000);
});

const WORKFLOWS = '.github/workflows';
const readText = (file: string) => readFileSync(join(projectRoot, file), 'utf8');

interface Job {
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress': boolean };
  readonly steps?: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> }[];
}

interface Directories {
  readonly directory: string;
  readonly directories?: readonly string[];
}

/** The inputs by which a person decides. */
const DECISIONS = ['force-tag', 'rollback-to', 'lift-hold', 'quarantine', 'adopt', 'hold'];

describe('branches', () => {
  const names = Object.keys(parseBranches(readText('.github/branches.yml')));
  const workflows = readdirSync(join(projectRoot, WORKFLOWS));

  test.each(workflows)('%s names no branch outside of what is generated from .github/branches.yml', (name) => {
    const written = readText(join(WORKFLOWS, name)).replace(/# becomes:\n[\s\S]*?# end\n/g, '');
    const named = names.filter((branch) => new RegExp(`\\b${branch}\\b`, 'i').test(written));
    expect(named).toEqual([]);
  });

  test.each(names)('%s has criteria, and tests of them', (branch) => {
    expect(existsSync(join(projectRoot, `.github/criteria/${branch}.yml`))).toBe(true);
    expect(existsSync(join(projectRoot, `.github/criteria/${branch}.test.yml`))).toBe(true);
  });

  test('a template that names an unknown key is an error', () => {
    const text = '# each branch:\n#   - <no-such-key>\n# becomes:\n# end\n';
    expect(() => writeBranches(text, { master: {} })).toThrow('master has no key no-such-key');
  });
});

describe("a person's decision neither waits nor is replaced", () => {
  const promoting = [WORKFLOWS, 'examples/downstream/.github/workflows', 'examples/minimal/.github/workflows'].flatMap(
    (folder) =>
      readdirSync(join(projectRoot, folder)).flatMap((name) => {
        const { concurrency, jobs } = parse(readText(join(folder, name)));
        return Object.entries<Job>(jobs).flatMap(([id, job]) =>
          (job.steps ?? [])
            .filter(({ uses = '', with: inputs }) => /evaluate-and-promote/.test(uses) && inputs?.['dry-run'] !== true)
            .map(({ with: inputs }) => ({ name: `${folder}/${name}, job ${id}`, concurrency, job, inputs })),
        );
      }),
  );

  test.each(promoting)('$name', ({ concurrency, job, inputs }) => {
    expect(concurrency.group).toContain('github.run_id');
    expect(job.concurrency?.['cancel-in-progress']).toBe(false);
    const decisions = DECISIONS.filter((input) => inputs?.[input] !== undefined);
    for (const input of decisions) expect(job.concurrency?.group).toContain(`inputs.${input}`);
    if (decisions.length > 0) expect(job.concurrency?.group).toContain("format('-{0}', github.run_id)");
  });

  test('there are such jobs', () => expect(promoting.length).toBeGreaterThan(3));
});

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

  test('is named wherever an action is', () => {
    const unpinned = /uses: rdo-infra\/ceph-promotion-actions\S*@(?![0-9a-f]{40}\b)/;
    expect(pinnedFiles(projectRoot).filter((file) => unpinned.test(readText(file)))).toEqual([]);
  });

  test('exists, and a release is named only where there is one', () => {
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

describe('what a maintainer looks for', () => {
  const patterns = readText('.github/CODEOWNERS').match(/^\/\S+/gm) ?? [];

  test.each(patterns)('CODEOWNERS names what exists: %s', (pattern) => {
    expect(existsSync(join(projectRoot, pattern))).toBe(true);
  });

  test('the criteria have owners of their own', () => expect(patterns).toContain('/.github/criteria/'));

  test('dependabot.yml names directories that exist', () => {
    const { updates } = parse(readText('.github/dependabot.yml'));
    const folders: string[] = updates.flatMap(({ directory, directories = [directory] }: Directories) => directories);
    expect(folders.length).toBeGreaterThan(2);
    expect(folders.filter((folder) => !existsSync(join(projectRoot, folder)))).toEqual([]);
  });

  test('each issue form has a name, a description and fields', () => {
    const folder = '.github/ISSUE_TEMPLATE';
    for (const name of readdirSync(join(projectRoot, folder)).filter((one) => one !== 'config.yml')) {
      const form = parse(readText(join(folder, name)));
      expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
      expect(form.body.length).toBeGreaterThan(1);
    }
  });

  test('each decision record is in the list', () => {
    const records = readdirSync(join(projectRoot, 'docs/decisions')).filter((name) => name !== 'README.md');
    const list = readText('docs/decisions/README.md');
    expect(records.length).toBeGreaterThan(5);
    expect(records.filter((name) => !list.includes(`](${name})`))).toEqual([]);
  });
});

describe('what a repository has to set is told, and nothing else', () => {
  const used = (folder: string) => {
    const text = readdirSync(join(projectRoot, folder))
      .map((name) => readText(join(folder, name)))
      .join();
    return new Set([...text.matchAll(/\b(?:vars|secrets)\.([A-Z_]+)/g)].map(([, name = '']) => name));
  };
  const told = (file: string) =>
    new Set([...readText(file).matchAll(/`([A-Z][A-Z_]{3,})`/g)].map(([, name = '']) => name));

  test('by the README', () => {
    const inReadme = told('README.md');
    const ofBranch = (name: string) => name.replace(/^(CEPH_FLAVOR|COMPANIONS|NIGHTLY_TAG)_.*/, '$1_<BRANCH>');
    const missing = [...used(WORKFLOWS)].map(ofBranch).filter((name) => !readText('README.md').includes(`\`${name}\``));
    expect(missing).toEqual([]);
    const examples = ['minimal', 'downstream'].map((name) => used(`examples/${name}/.github/workflows`));
    const known = new Set([used(WORKFLOWS), ...examples].flatMap((names) => [...names]));
    const outside = ['CEPH_REFERENCE', 'CEPH_EXTRA_VARS', 'GITHUB_OUTPUT', 'SSH_AUTH_SOCK', 'BRANCH', 'SCENARIO'];
    const inActions = actions.flatMap((name) => [...told(join('actions', name, 'README.md'))]);
    expect([...inReadme, ...inActions].filter((name) => !known.has(name) && !outside.includes(name))).toEqual([]);
  });

  test('by the README of the example', () => {
    const inReadme = told('examples/downstream/README.md');
    expect([...used('examples/downstream/.github/workflows')].sort()).toEqual([...inReadme].sort());
  });
});
