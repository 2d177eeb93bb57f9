import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseBranches, writeBranches } from '../scripts/workflows.js';
import { projectRoot } from './sandbox/project.js';

/** What the repository promises of its own files. */

const actions = readdirSync(join(projectRoot, 'actions'));

test('the README lists each action', () => {
  const rows = [...readText('README.md').matchAll(/^\| \[(\S+)\]\(actions\/\1\/README\.md\) \| .+ \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(actions);
});

test('each answer in CONTRIBUTING names what is in its file', () => {
  const answers = [...readText('CONTRIBUTING.md').matchAll(/\]\((src\/[^)]+\.ts)\)[,:] `(\w+)`/g)];
  expect(answers.length).toBeGreaterThan(10);
  const gone = answers.filter(([, file = '', name]) => !new RegExp(`\\b${name}\\b`).test(readText(file)));
  expect(gone.map(([answer]) => answer)).toEqual([]);
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

describe("a person's decision neither waits for another run nor is replaced by one", () => {
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

describe('files for maintainers', () => {
  const patterns = readText('.github/CODEOWNERS').match(/^\/\S+/gm) ?? [];

  test.each(patterns)('CODEOWNERS names what exists: %s', (pattern) => {
    expect(existsSync(join(projectRoot, pattern))).toBe(true);
  });

  test('the criteria have their own owners', () => expect(patterns).toContain('/.github/criteria/'));

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

describe('exactly what a repository has to set is documented', () => {
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
    const outside = [
      'CEPH_REFERENCE',
      'CEPH_SET',
      'CEPH_EXTRA_VARS',
      'GITHUB_OUTPUT',
      'SSH_AUTH_SOCK',
      'BRANCH',
      'SCENARIO',
    ];
    const inActions = actions.flatMap((name) => [...told(join('actions', name, 'README.md'))]);
    expect([...inReadme, ...inActions].filter((name) => !known.has(name) && !outside.includes(name))).toEqual([]);
  });

  test('by the README of the example', () => {
    const inReadme = told('examples/downstream/README.md');
    expect([...used('examples/downstream/.github/workflows')].sort()).toEqual([...inReadme].sort());
  });
});

test('the minimal example is one workflow of at most 70 lines', () => {
  const folder = 'examples/minimal/.github/workflows';
  expect(readdirSync(join(projectRoot, folder))).toEqual(['ceph.yml']);
  expect(readText(`${folder}/ceph.yml`).trimEnd().split('\n').length).toBeLessThanOrEqual(70);
});

test('promotion.yml takes, and hands to each branch, the secrets that branch-promotion.yml takes and uses', () => {
  const called = readText(join(WORKFLOWS, 'branch-promotion.yml'));
  const { on: calledOn } = parse(called);
  const taken = Object.keys(calledOn.workflow_call.secrets).sort();
  const used = [...called.matchAll(/\bsecrets\.([A-Z_]+)/g)].map(([, name = '']) => name);
  expect([...new Set(used)].sort()).toEqual(taken);
  const caller = parse(readText(join(WORKFLOWS, 'promotion.yml')));
  expect(Object.keys(caller.on.workflow_call.secrets).sort()).toEqual(taken);
  const jobs = Object.values<{ uses?: string; secrets?: object }>(caller.jobs).filter(({ uses }) => uses !== undefined);
  expect(jobs.length).toBeGreaterThan(1);
  for (const { secrets = {} } of jobs) {
    expect(secrets).toEqual(Object.fromEntries(taken.map((name) => [name, `\${{ secrets.${name} }}`])));
  }
});

describe('tests', () => {
  const files = readdirSync(join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && name !== 'repository.test.ts')
    .map((name) => `test/${name}`);

  test.each<[string, RegExp]>([
    // Data may hold today's date. A duration is the difference of two readings.
    ['measures a duration', /performance\.now|hrtime|cpuUsage|= Date\.now\(\);|Date\.now\(\) - [a-z]/],
    ['has a time limit of its own', /jest\.setTimeout|^\s*\}, [\d_]{5,}\);$/m],
  ])('none of them %s', (_, pattern) => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.filter((file) => pattern.test(readText(file)))).toEqual([]);
  });

  test('the slow tests that start first exist', () => {
    const slow: unknown = JSON.parse(readText('test/slow-files.json'));
    expect(files).toEqual(expect.arrayContaining((slow as string[]).map((name) => `test/${name}`)));
  });
});
