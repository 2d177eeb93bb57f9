import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { sandbox } from './sandbox/current.js';
import { projectRoot } from './sandbox/project.js';

/** What the repository promises of its own files. */

const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: projectRoot }).then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );

const actions = readdirSync(join(projectRoot, 'actions'));

test('actions, READMEs, schemas and the Grafana dashboard are what the code says', async () => {
  expect(await run(process.execPath, ['build/scripts/describe.js', '--check'])).toBe('');
  expect(await run(process.execPath, ['build/scripts/schemas.js', '--check'])).toBe('');
  expect(await run(process.execPath, ['build/scripts/grafana.js', '--check'])).toBe('');
}, 60_000);

test('there is a bundle, a description and a README for each entry, and no other', () => {
  const entries = readdirSync(join(projectRoot, 'src/actions')).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  expect(actions).toEqual(entries.sort());
  const bundles = readdirSync(join(projectRoot, 'dist'), { withFileTypes: true });
  expect(bundles.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(actions);
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
      env: Object.fromEntries(inputs.map((input) => [`INPUT_${input.toUpperCase()}`, `\${{ inputs.${input} }}`])),
      run: `node "$GITHUB_ACTION_PATH/../../dist/${name}/index.js"`,
    },
  ]);
});

describe('no findings', () => {
  test('by actionlint, which has shellcheck look at what the steps run', async () => {
    const { actionlint, shellcheck } = sandbox().tools;
    expect(await run(actionlint, ['-shellcheck', shellcheck])).toBe('');
    const examples = 'examples/downstream/.github/workflows';
    const files = readdirSync(join(projectRoot, examples)).map((file) => join(examples, file));
    expect(await run(actionlint, ['-shellcheck', shellcheck, ...files])).toBe('');
  }, 60_000);

  test('by shellcheck, in any script and in what composite actions run', async () => {
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const { stdout } = await promisify(execFile)('git', list, { cwd: projectRoot });
    const files = stdout.split('\0').filter((file) => file !== '' && existsSync(join(projectRoot, file)));
    const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8');
    const scripts = files.filter((file) => /\.sh$/.test(file) || /^#!.*\b(ba|da|)sh\b/.test(read(file)));
    expect(scripts).toEqual(expect.arrayContaining(['.ci/run', 'scripts/release.sh']));
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
const workflow = (name: string) => parse(readText(join(WORKFLOWS, `${name}.yml`)));

describe('every branch of promotion.yml is in', () => {
  const promotion = workflow('promotion');
  const called = Object.entries<{
    uses?: string;
    with?: { branch: string; 'target-namespace': string; companions: string };
  }>(promotion.jobs);
  const branches = called.flatMap(([, job]) => (job.uses?.endsWith('branch-promotion.yml') ? (job.with ?? []) : []));
  const names = branches.map(({ branch }) => branch);
  const matrix = (name: string, job: string) => workflow(name).jobs[job].strategy.matrix;

  test('its own lists', () => {
    expect(names.length).toBeGreaterThan(2);
    expect(promotion.on.workflow_dispatch.inputs.branch.options).toEqual(['all', ...names]);
    expect(promotion.jobs.dashboard.needs).toEqual(names);
    const { branches: lines } = promotion.jobs.dashboard.steps.at(-1).with;
    expect(
      lines
        .trim()
        .split('\n')
        .map((line: string) => line.split(' ')[0]),
    ).toEqual(names);
  });

  test.each(['prune', 'promotion-by-needs'])('%s.yml', (name) => {
    expect(workflow(name).on.workflow_dispatch.inputs.branch.options).toEqual(names);
    const companions = [...readText(join(WORKFLOWS, `${name}.yml`)).matchAll(/'(\w+)' && vars\.COMPANIONS_(\w+)/g)];
    expect(companions.map(([, branch = '', variable]) => [branch, variable])).toEqual(
      names.map((branch) => [branch, branch.toUpperCase()]),
    );
  });

  test('verify.yml and check-setup.yml', () => {
    const targets = branches.map((one) => ({
      branch: one.branch,
      'target-namespace': one['target-namespace'],
      companions: one.companions,
    }));
    expect(matrix('verify', 'verify').include).toEqual(targets);
    expect(matrix('check-setup', 'promotion').include).toEqual(targets);
    expect(matrix('check-setup', 'candidate').branch).toEqual(names);
    expect(matrix('check-setup', 'scenario').include.map(({ branch }: { branch: string }) => branch)).toEqual(names);
  });

  test('the criteria that ci.yml tests', () => {
    const [{ with: inputs }] = workflow('ci').jobs.ci.steps.filter(({ uses = '' }) => uses.endsWith('test-criteria'));
    const files = inputs.criteria.trim().split('\n');
    expect(files).toEqual(expect.arrayContaining(names.map((name) => `.github/criteria/${name}.yml`)));
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
    const ofBranch = (name: string) => name.replace(/^(CEPH_FLAVOR|COMPANIONS)_.*/, '$1_<BRANCH>');
    const missing = [...used(WORKFLOWS)].map(ofBranch).filter((name) => !readText('README.md').includes(`\`${name}\``));
    expect(missing).toEqual([]);
    const known = new Set([...used(WORKFLOWS), ...used('examples/downstream/.github/workflows')]);
    const outside = ['CEPH_REFERENCE', 'CEPH_EXTRA_VARS', 'GITHUB_OUTPUT', 'SSH_AUTH_SOCK', 'BRANCH', 'SCENARIO'];
    const inActions = actions.flatMap((name) => [...told(join('actions', name, 'README.md'))]);
    expect([...inReadme, ...inActions].filter((name) => !known.has(name) && !outside.includes(name))).toEqual([]);
  });

  test('by the README of the example', () => {
    const inReadme = told('examples/downstream/README.md');
    expect([...used('examples/downstream/.github/workflows')].sort()).toEqual([...inReadme].sort());
  });
});
