import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse, stringify } from 'yaml';
import { parseUser } from '../../src/base/schema.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { labelSchema } from '../../src/ledger/names.js';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';

/** examples/zuul, loaded by Zuul's own configuration loader (zuul-layout.py), as it is and as changes propose it. */

const EXAMPLE = path.join(projectRoot, 'examples/zuul');
const JOBS = 'zuul.d/ceph-promotion.yaml';
const PROJECT = 'storage/ceph-jobs';
const FIND = 'tripleo-ci-ceph-daemon-get-latest-stable-tag-master';
const PUBLISH = 'tripleo-ci-ceph-daemon-publish-ci-testing-master';
const SCENARIOS = ['scenario001-standalone', 'scenario004-standalone', 'ovb'].map(
  (name) => `tripleo-ci-centos-9-${name}-ceph-updates-master`,
);
const PROMOTE = 'tripleo-ci-promote-ceph-daemon-tag-to-current-ceph-master';
const DECIDE = 'tripleo-ci-ceph-decision-master';

const runSchema = v.union([
  v.strictObject({ jobs: v.array(v.string()), roles: v.record(v.string(), v.string()) }),
  v.strictObject({ error: v.string() }),
]);
const layoutSchema = v.object({ errors: v.array(v.string()), runs: v.array(runSchema) });
type Layout = v.InferOutput<typeof layoutSchema>;

let work: string;
let directories: Record<string, string>;

beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'zuul-'));
  const [tenant] = parse(await readFile(path.join(EXAMPLE, 'config-project/tenant.yaml'), 'utf8'));
  // The tenant has other projects already.
  tenant.tenant.source.gerrit['config-projects'].unshift('storage/base');
  tenant.tenant.source.gerrit['untrusted-projects'].push('storage/testproject');
  await writeFile(path.join(work, 'tenant.yaml'), stringify([tenant]));
  await mkdir(path.join(work, 'testproject'));
  directories = {
    'storage/base': path.join(projectRoot, 'test/examples/zuul-base'),
    'storage/ceph-config': path.join(EXAMPLE, 'config-project'),
    'storage/ceph-jobs': EXAMPLE,
    'storage/testproject': path.join(work, 'testproject'),
    'rdo-infra/ceph-promotion-actions': projectRoot,
  };
});

afterAll(() => rm(work, { recursive: true }));

interface Asked {
  readonly projects?: Readonly<Record<string, string>>;
  readonly change?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
  readonly runs: readonly (readonly [project: string, pipeline: string])[];
}

async function load(asked: Asked): Promise<Layout> {
  const child = spawn(sandbox().tools.python, [path.join(projectRoot, 'test/examples/zuul-layout.py')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(
    JSON.stringify({
      tenant: path.join(work, 'tenant.yaml'),
      ...asked,
      projects: { ...directories, ...asked.projects },
    }),
  );
  let [said, wrong] = ['', ''];
  child.stdout.on('data', (chunk) => (said += chunk));
  child.stderr.on('data', (chunk) => (wrong += chunk));
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(wrong);
  return v.parse(layoutSchema, JSON.parse(said));
}

/** A copy of a project in which a file is changed. */
async function changed(project: string, file: string, edit: (text: string) => string): Promise<Record<string, string>> {
  const directory = await mkdtemp(path.join(work, 'change-'));
  await cp(directories[project] ?? '', directory, {
    recursive: true,
    filter: (name) => !name.includes('node_modules'),
  });
  const target = path.join(directory, file);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, edit(existsSync(target) ? await readFile(target, 'utf8') : ''));
  return { [project]: directory };
}

test('Zuul loads it, finds the role, and runs the jobs that the pipelines name', async () => {
  const { errors, runs } = await load({
    files: ['decisions/master.yaml'],
    runs: [
      [PROJECT, 'periodic-promote-ceph-daemon'],
      [PROJECT, 'check'],
      [PROJECT, 'ceph-decision'],
    ],
  });
  expect(errors).toEqual([]);
  const roles = { 'rdo-infra/ceph-promotion-actions': path.join(projectRoot, 'roles') };
  expect(runs).toEqual([
    { jobs: [FIND, PUBLISH, ...SCENARIOS, PROMOTE].sort(), roles },
    { jobs: [FIND, ...SCENARIOS.slice(0, 2)].sort(), roles },
    { jobs: [DECIDE], roles },
  ]);
});

test('a merged change without a decision starts no decision job', async () => {
  const { runs } = await load({ files: ['criteria/master.yaml'], runs: [[PROJECT, 'ceph-decision']] });
  expect(runs).toEqual([{ jobs: [], roles: {} }]);
});

test('without the top-level roles/ Zuul finds no role', async () => {
  const { runs } = await load({
    projects: { 'rdo-infra/ceph-promotion-actions': EXAMPLE },
    runs: [[PROJECT, 'check']],
  });
  expect(runs).toEqual([
    expect.objectContaining({
      roles: { 'rdo-infra/ceph-promotion-actions': `Unable to find role in ${EXAMPLE}` },
    }),
  ]);
});

test('without post-review the pipeline gets no job that may write', async () => {
  const projects = await changed('storage/ceph-config', 'zuul.d/pipelines.yaml', (text) =>
    text.replaceAll('post-review: true', 'post-review: false'),
  );
  const { runs } = await load({ projects, runs: [[PROJECT, 'periodic-promote-ceph-daemon']] });
  expect(runs).toEqual([
    {
      error: expect.stringMatching(/^Pre-review pipeline periodic-promote-ceph-daemon does not allow post-review job/),
    },
  ]);
});

const inCheck = (job: string) => (text: string) => text.replace('    check:\n      jobs:\n', `$&        - ${job}\n`);
/** With what it depends on. */
const ALL = [SCENARIOS[2], PROMOTE].join('\n        - ');
const refusedInCheck = (job: string) => `Pre-review pipeline check does not allow post-review job ${job}`;

describe('a change that nobody has reviewed', () => {
  test.each<[string, string, string, (text: string) => string, string]>([
    ['cannot run the promotion', PROJECT, JOBS, inCheck(ALL), refusedInCheck(PROMOTE)],
    ['cannot run a decision', PROJECT, JOBS, inCheck(DECIDE), refusedInCheck(DECIDE)],
    ['cannot publish', PROJECT, JOBS, inCheck(PUBLISH), refusedInCheck(PUBLISH)],
    [
      'cannot run the promotion where it takes post-review out: the secrets keep it',
      PROJECT,
      JOBS,
      (text) => inCheck(ALL)(text.replaceAll('    post-review: true\n', '')),
      refusedInCheck(PROMOTE),
    ],
    [
      'of another project cannot run the promotion with other criteria',
      'storage/testproject',
      'zuul.yaml',
      () =>
        stringify([
          { job: { name: 'mine', parent: PROMOTE, vars: { ceph_criteria: 'mine.yaml' } } },
          { project: { check: { jobs: [FIND, ...SCENARIOS, 'mine'] } } },
        ]),
      refusedInCheck('mine'),
    ],
  ])('%s', async (_, project, file, edit, error) => {
    const change = await changed(project, file, edit);
    const { errors, runs } = await load({ change, files: ['decisions/master.yaml'], runs: [[project, 'check']] });
    expect(errors).toEqual([]);
    expect(runs).toEqual([{ error: expect.stringContaining(error) }]);
  });

  test.each<[string, (text: string) => string, string]>([
    [
      'cannot make itself a pipeline',
      (text) =>
        `${text}\n- pipeline: { name: mine, manager: independent, post-review: true, trigger: { timer: [] } }\n`,
      'Pipelines may not be defined in untrusted',
    ],
    ['cannot unset post-review', (text) => text.replace('post-review: true', 'post-review: false'), 'post-review'],
    [
      'cannot set what Zuul does not know',
      (text) => text.replace('post-review:', 'after-review:'),
      'extra keys not allowed',
    ],
    ['cannot name a job that is not there', inCheck('no-such-job'), 'no-such-job'],
  ])('%s', async (_, edit, error) => {
    const change = await changed(PROJECT, JOBS, edit);
    const { errors } = await load({ change, runs: [] });
    expect(errors.join('\n')).toContain(error);
  });

  test('of testproject tests the candidate with the scenarios', async () => {
    const change = await changed('storage/testproject', 'zuul.yaml', () =>
      stringify([{ project: { check: { jobs: [FIND, ...SCENARIOS] } } }]),
    );
    const { errors, runs } = await load({ change, runs: [['storage/testproject', 'check']] });
    expect(errors).toEqual([]);
    expect(runs).toEqual([expect.objectContaining({ jobs: [FIND, ...SCENARIOS].sort() })]);
  });
});

const itemSchema = v.object({
  job: v.optional(
    v.object({
      name: v.string(),
      parent: v.optional(v.string()),
      secrets: v.optional(v.union([v.string(), v.array(v.string())]), []),
      'pre-run': v.optional(v.string()),
      run: v.optional(v.string()),
      vars: v.optional(v.record(v.string(), v.unknown()), {}),
    }),
  ),
});
const jobs = v
  .parse(v.array(itemSchema), parse(readFileSync(path.join(EXAMPLE, JOBS), 'utf8')))
  .flatMap(({ job }) => job ?? []);

test('the playbooks that it names exist', () => {
  const playbooks = jobs.flatMap((job) => [job['pre-run'], job.run]).filter((name) => name !== undefined);
  expect(playbooks.length).toBeGreaterThan(5);
  for (const playbook of playbooks) expect(existsSync(path.join(EXAMPLE, playbook))).toBe(true);
});

test('each job has the secrets that its playbook uses, and no other', () => {
  const secretsOf = (name = ''): string[] =>
    jobs.filter((job) => job.name === name).flatMap((job) => [...secretsOf(job.parent), job.secrets].flat());
  const defined: { secret: { name: string } }[] = parse(
    readFileSync(path.join(EXAMPLE, 'zuul.d/secrets.yaml'), 'utf8'),
    // Only Zuul knows the tag of what it has encrypted.
    { logLevel: 'silent' },
  );
  const names = defined.map(({ secret }) => secret.name);
  for (const { name, run } of jobs) {
    if (run === undefined) continue;
    const playbook = readFileSync(path.join(EXAMPLE, run), 'utf8');
    const used = names.filter((secret) => playbook.includes(`{{ ${secret}.`));
    expect([name, ...secretsOf(name).sort()]).toEqual([name, ...used.sort()]);
  }
});

test('its criteria are met by its scenarios', () => {
  const criteria = readFileSync(path.join(EXAMPLE, 'criteria/master.yaml'), 'utf8');
  const { requirements } = parseCriteria(criteria, parseUser(labelSchema, 'current-ceph', 'label'));
  expect(requirements).toEqual(SCENARIOS.map((job) => [job]));
});

test("RDO's panels show its scenarios, and count the promoting job as a promotion", () => {
  const names = jobs.map(({ name }) => name);
  expect(names.filter((name) => /.*ceph-updates.*-master$/.test(name))).toEqual(SCENARIOS);
  expect(names.filter((name) => /.*promote-ceph-daemon.*-master$/.test(name))).toEqual([PROMOTE]);
});
