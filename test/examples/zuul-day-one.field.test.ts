import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse, stringify } from 'yaml';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { makeRepository } from '../demo/git.js';
import { startStandIn, stopStandIns } from '../dlrn/stand-in.js';
import { freshSettings, type Settings } from '../e2e/settings.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { type PlaybookRun, runPlaybook } from './playbook.js';

/**
 * The first day of a team with examples/zuul: the playbooks of its jobs, in checkouts as Zuul makes them, with Zuul's
 * variables, against the sandbox's registries, image server and DLRN. Zuul's API is a stand-in that lists the builds
 * with the artifacts that they returned.
 */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
const HOST = 'review.example.org';
const ACTIONS = 'src/github.com/rdo-infra/ceph-promotion-actions';
const PROJECT = `src/${HOST}/storage/ceph-jobs`;
const FIND = 'tripleo-ci-ceph-daemon-get-latest-stable-tag-master';
const PUBLISH = 'tripleo-ci-ceph-daemon-publish-ci-testing-master';
const SCENARIOS = ['scenario001-standalone', 'scenario004-standalone', 'ovb'].map(
  (name) => `tripleo-ci-centos-9-${name}-ceph-updates-master`,
);
const PROMOTE = 'tripleo-ci-promote-ceph-daemon-tag-to-current-ceph-master';
const DECIDE = 'tripleo-ci-ceph-decision-master';
const PERIODIC = 'periodic-promote-ceph-daemon';

const jobSchema = v.object({
  name: v.string(),
  parent: v.optional(v.string()),
  run: v.optional(v.string()),
  vars: v.optional(v.record(v.string(), v.unknown()), {}),
});
type Job = v.InferOutput<typeof jobSchema>;

let work: string;
let settings: Settings;
let pin: string;
let jobs: Map<string, Job>;
let zuulUrl: URL;
const builds: object[] = [];

beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'day-one-'));
  settings = await freshSettings();
  // The projects that Zuul pushes to the node: this one, and yours.
  for (const part of ['actions', 'dist', 'roles']) {
    await cp(path.join(projectRoot, part), path.join(work, ACTIONS, part), { recursive: true });
  }
  pin = await makeRepository(path.join(work, ACTIONS));
  // Zuul has checked out a branch, which has moved on: only what is pinned can run.
  const later = 'git rm --quiet -r dist && git -c user.name=x -c user.email=x@example.org commit --quiet -m later';
  execFileSync('sh', ['-c', later], { cwd: path.join(work, ACTIONS) });
  await cp(path.join(projectRoot, 'examples/zuul'), path.join(work, PROJECT), { recursive: true });
  await makeRepository(path.join(work, PROJECT));
  const items: { job?: unknown }[] = parse(
    await readFile(path.join(projectRoot, 'examples/zuul/zuul.d/ceph-promotion.yaml'), 'utf8'),
  );
  const all = items.flatMap(({ job }) => (job === undefined ? [] : [v.parse(jobSchema, job)]));
  jobs = new Map(all.map((job) => [job.name, job]));
  // Yours: what runs is what the registry says that the reference is.
  await writeFile(
    path.join(work, 'deploy.yaml'),
    stringify([
      {
        'ansible.builtin.uri': {
          url: `${sandbox().source.url}/v2/ceph/daemon/manifests/{{ reference.split('@')[1] }}`,
          method: 'HEAD',
          headers: {
            accept:
              'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json',
          },
        },
        register: 'manifest',
      },
      { 'ansible.builtin.set_fact': { running: ['x@{{ manifest.docker_content_digest }}'] } },
    ]),
  );
  await writeFile(
    path.join(work, 'test.yaml'),
    stringify([{ 'ansible.builtin.assert': { that: "ceph_scenario != broken | default('')" } }]),
  );
  const { url } = await startStandIn(({ url: asked }) => ({
    body: JSON.stringify(
      asked.searchParams.get('skip') === '0'
        ? builds.filter((build) => 'job_name' in build && build.job_name === asked.searchParams.get('job_name'))
        : [],
    ),
  }));
  zuulUrl = new URL('/zuul', url);
});

afterAll(async () => {
  stopStandIns();
  await rm(work, { recursive: true });
});

/** Not the newest: workflow.field.test.ts counts the votes of the same jobs on that one, and may run at the same time. */
function reportedHash(): string {
  return sandbox().dlrn.branches.master.hashes[1] ?? '';
}

/** The variables of a job, with those of its parents. */
function varsOf(name: string): Record<string, unknown> {
  const job = jobs.get(name);
  return job === undefined ? {} : { ...varsOf(job.parent ?? ''), ...job.vars };
}

function playbookOf(name: string): string {
  const job = jobs.get(name);
  return job === undefined ? '' : (job.run ?? playbookOf(job.parent ?? ''));
}

interface Built extends PlaybookRun {
  readonly build: string;
}

interface BuildSettings {
  readonly pipeline?: string;
  /** What the jobs that this one depends on returned. */
  readonly parents?: object;
  readonly more?: Readonly<Record<string, unknown>>;
  /** Runs after the job's own playbook, with its result. */
  readonly postRun?: string;
  /** The store and the target, where they are not those of the other tests. */
  readonly at?: Settings;
}

/** Runs a job as Zuul's executor would, and lists the build in Zuul. */
async function build(
  name: string,
  { pipeline = PERIODIC, parents = {}, more = {}, postRun, at = settings }: BuildSettings = {},
) {
  const { imageServer, targetLogin, dlrn, image, target } = at;
  const uuid = randomUUID();
  const started = new Date().toISOString().slice(0, 19);
  const vars = varsOf(name);
  const edit = (key: string, values: object) => (key in vars ? { [key]: { ...Object(vars[key]), ...values } } : {});
  const change = pipeline === PERIODIC ? {} : { change: String(merged), patchset: '2' };
  const variables = {
    ...vars,
    ...edit('ceph_find_stable_tag', { image, flavor: 'pacific' }),
    ...edit('ceph_publish_ci_testing', { ...withoutKey(imageServer) }),
    ...edit('ceph_evaluate_and_promote', {
      ...withoutKey(imageServer),
      image,
      targets: target,
      'zuul-url': zuulUrl.href,
    }),
    ceph_promotion_pin: `rdo-infra/ceph-promotion-actions@${pin}`,
    ansible_user_dir: work,
    ceph_deploy_tasks: path.join(work, 'deploy.yaml'),
    ceph_test_tasks: path.join(work, 'test.yaml'),
    ceph_registry: { username: targetLogin['target-username'], password: targetLogin['target-password'] },
    ceph_publisher: { private_key: imageServer['ssh-private-key'] },
    ceph_promoter: { private_key: imageServer['ssh-private-key'] },
    ceph_dlrn: { username: dlrn.username, password: dlrn.password },
    ceph_report_dlrn: { 'dlrn-url': dlrn['dlrn-url'], 'aggregate-hash': reportedHash() },
    zuul: {
      build: uuid,
      buildset: randomUUID(),
      job: name,
      pipeline,
      tenant: 'rdoproject.org',
      ...change,
      project: { name: 'storage/ceph-jobs', canonical_name: `${HOST}/storage/ceph-jobs`, src_dir: PROJECT },
      projects: { 'github.com/rdo-infra/ceph-promotion-actions': { src_dir: ACTIONS } },
    },
    ...parents,
    ...more,
  };
  const facts = await mkdtemp(path.join(work, 'facts-'));
  const where = { roles: path.join(work, ACTIONS, 'roles'), facts };
  const run = await runPlaybook(path.join(work, PROJECT, playbookOf(name)), variables, [], where);
  const success = run.status === 0;
  if (postRun !== undefined) {
    const after = { ...variables, zuul_success: success };
    const post = await runPlaybook(path.join(work, PROJECT, postRun), after, [], where);
    expect({ status: post.status, said: post.status === 0 ? '' : post.said }).toEqual({ status: 0, said: '' });
  }
  builds.unshift({
    uuid,
    job_name: name,
    result: success ? 'SUCCESS' : 'FAILURE',
    pipeline,
    start_time: started,
    end_time: new Date().toISOString().slice(0, 19),
    log_url: `https://logs.example/${uuid}/`,
    artifacts: v.parse(returnedSchema, run.returned ?? {}).zuul.artifacts,
  });
  return { ...run, build: uuid };
}

const returnedSchema = v.looseObject({
  zuul: v.optional(
    v.looseObject({ artifacts: v.optional(v.array(v.unknown()), []), warnings: v.optional(v.array(v.string()), []) }),
    {},
  ),
});

function withoutKey({ server, 'ssh-known-hosts': hosts }: Settings['imageServer']) {
  return { server, 'ssh-known-hosts': hosts };
}

function green(run: Built): Built {
  expect({ status: run.status, said: run.status === 0 ? '' : run.said }).toEqual({ status: 0, said: '' });
  return run;
}

const warnings = (run: Built) => v.parse(returnedSchema, run.returned).zuul.warnings.join('\n');

async function records({ directory } = settings) {
  const folder = path.join(directory.path, 'ledger/current-ceph');
  const names = await readdir(folder).catch(() => []);
  return Promise.all(
    names
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b)
      .map(async (n) =>
        v.parse(ledgerRecordSchema, JSON.parse(await readFile(path.join(folder, `${n}.json`), 'utf8'))),
      ),
  );
}

/** The number of the newest change that was merged. */
let merged = 12344;

/** A change of the decision that was merged. */
function merge(decision: object, email = 'alice@example.org'): void {
  merged += 1;
  const folder = path.join(work, PROJECT);
  execFileSync('sh', ['-c', 'cat > decisions/master.yaml'], {
    cwd: folder,
    input: `${stringify(decision)}# ${randomUUID()}\n`,
  });
  const who = ['-c', 'user.name=Somebody', '-c', `user.email=${email}`];
  execFileSync('git', [...who, 'commit', '--quiet', '--all', '--message', 'Decide'], { cwd: folder });
}

const decide = (more: BuildSettings = {}) => build(DECIDE, { pipeline: 'ceph-decision', ...more });
const page = (uuid: string) => `https://review.rdoproject.org/zuul/t/rdoproject.org/build/${uuid}`;

let parents: object;

test('the candidate is found and published', async () => {
  const found = green(await build(FIND));
  const { ceph_promotion } = v.parse(v.looseObject({ ceph_promotion: v.looseObject({}) }), found.returned);
  parents = { ceph_promotion };
  green(await build(PUBLISH, { parents }));
  expect(await readlink(path.join(settings.directory.path, 'ceph-ci-testing'))).toBe(TAG);
});

test('a scenario that fails is red, and so is a promotion that somebody starts anyway', async () => {
  const [first = '', second = '', third = ''] = SCENARIOS;
  const broken = { parents, more: { broken: 'scenario004-standalone' } };
  green(await build(first, broken));
  expect((await build(second, broken)).status).toBe(2);
  green(await build(third, broken));
  const refused = await build(PROMOTE, { parents });
  expect(refused.status).toBe(2);
  expect(warnings(refused)).toContain(`current-ceph: reject`);
  expect(warnings(refused)).toContain(second);
  expect(await records()).toEqual([]);
});

test('when all have passed it is promoted, DLRN has the votes, and the ledger links to the build', async () => {
  const [, second = ''] = SCENARIOS;
  green(await build(second, { parents, postRun: 'playbooks/ceph-promotion/report.yaml' }));
  const promoted = green(await build(PROMOTE, { parents }));
  expect(await records()).toEqual([
    expect.objectContaining({
      kind: 'earned',
      who: 'zuul',
      event: `zuul/${PERIODIC}`,
      'run-url': page(promoted.build),
    }),
  ]);
  expect(promoted.returned).toMatchObject({ zuul: { artifacts: [{ metadata: { decision: 'promote' } }] } });
  const { 'dlrn-url': dlrn } = settings.dlrn;
  const votes: unknown = await (await fetch(`${dlrn}/api/agg_status?aggregate_hash=${reportedHash()}`)).json();
  expect(votes).toContainEqual(
    expect.objectContaining({
      job_id: second,
      success: true,
      notes: `${TAG}@${cephDaemonImage(TAG).digest}`,
    }),
  );
});

test('a run that finds nothing new is green', async () => {
  green(await build(PROMOTE, { parents }));
  expect(await records()).toHaveLength(1);
});

test('a person forces an older tag, rolls back and lifts the hold, each by a merged change', async () => {
  const reason = { 'force-reason': 'v6.0.7 leaks memory' };
  merge({ 'force-tag': OLDER, 'force-confirm': OLDER, 'skip-jobs': SCENARIOS, ...reason });
  const forced = green(await decide());
  merge({ 'lift-hold': TAG, ...reason }, 'bob@example.org');
  const lifted = green(await decide());
  merge({ 'rollback-to': 'previous', ...reason });
  const back = green(await decide());
  // Somebody enqueues that change again: nothing is rolled back twice.
  green(await decide());
  const event = (n: number) => `zuul/ceph-decision/${n},2`;
  const [, ...decisions] = await records();
  expect(decisions).toEqual(
    [
      { kind: 'forced', who: 'alice@example.org', event: event(12345), 'run-url': page(forced.build) },
      { kind: 'lift', who: 'bob@example.org', event: event(12346), 'run-url': page(lifted.build) },
      { kind: 'rollback', who: 'alice@example.org', event: event(12347), 'run-url': page(back.build) },
    ].map((record) => expect.objectContaining({ ...record, reason: 'v6.0.7 leaks memory' })),
  );
  expect(await readlink(path.join(settings.directory.path, 'current-ceph'))).toBe(TAG);
});

test('a person holds an image and quarantines it, and then nobody forces it', async () => {
  const reason = { 'force-reason': 'loses data' };
  // What the last rollback left is on hold already, so this is a hold of its own.
  merge({ 'lift-hold': OLDER, ...reason });
  green(await decide());
  merge({ hold: OLDER, ...reason });
  const held = green(await decide());
  merge({ quarantine: OLDER, ...reason }, 'bob@example.org');
  const quarantined = green(await decide());
  const image = expect.objectContaining({ digest: cephDaemonImage(OLDER).digest, reason: 'loses data' });
  const done = await records();
  expect(done.slice(-2)).toEqual([
    expect.objectContaining({
      kind: 'hold',
      who: 'alice@example.org',
      event: `zuul/ceph-decision/${merged - 1},2`,
      'run-url': page(held.build),
      holds: expect.arrayContaining([image]),
      quarantine: [],
    }),
    expect.objectContaining({
      kind: 'quarantine',
      who: 'bob@example.org',
      event: `zuul/ceph-decision/${merged},2`,
      'run-url': page(quarantined.build),
      quarantine: [image],
    }),
  ]);
  // Nobody can force it past that, and the label stays.
  merge({ 'force-tag': OLDER, 'force-confirm': OLDER, 'skip-jobs': SCENARIOS, ...reason });
  const refused = await decide();
  expect(refused.status).toBe(2);
  expect(refused.said).toContain('quarantine');
  expect(await records()).toEqual(done);
});

test("a person adopts what RDO's promoter left in a store without a ledger", async () => {
  const at = await freshSettings();
  const { digest } = cephDaemonImage(TAG);
  await writeFile(path.join(at.directory.path, TAG), '');
  await symlink(TAG, path.join(at.directory.path, 'current-ceph'));
  const stopped = await build(PROMOTE, { parents, at });
  expect(stopped.status).toBe(2);
  expect(warnings(stopped)).toContain('has no ledger, but it was promoted');
  merge({ adopt: `${TAG}@${digest}`, 'force-reason': 'RDO promoted it' });
  const adopted = green(await decide({ at }));
  expect(await records(at)).toEqual([
    expect.objectContaining({
      kind: 'adopted',
      who: 'alice@example.org',
      reason: 'RDO promoted it',
      event: `zuul/ceph-decision/${merged},2`,
      'run-url': page(adopted.build),
      candidate: `${at.image}:${TAG}@${digest}`,
    }),
  ]);
  expect(await readFile(path.join(at.directory.path, 'current-ceph'), 'utf8')).toBe(TAG);
});

test('a scenario that is waived does not stop the promotion while it is red', async () => {
  const at = await freshSettings();
  const [, second = ''] = SCENARIOS;
  expect((await build(second, { parents, more: { broken: 'scenario004-standalone' } })).status).toBe(2);
  expect((await build(PROMOTE, { parents, at })).status).toBe(2);
  const file = path.join(work, PROJECT, 'criteria/master.yaml');
  const criteria = await readFile(file, 'utf8');
  const until = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
  await writeFile(file, `${criteria}  waivers: [{ job: ${second}, until: ${until}, reason: its host is replaced }]\n`);
  green(await build(PROMOTE, { parents, at }));
  await writeFile(file, criteria);
  expect(await records(at)).toEqual([expect.objectContaining({ kind: 'earned' })]);
});

test.each<[string, object, string, string, string]>([
  [
    'a periodic build',
    { hold: TAG, 'force-reason': 'x' },
    'alice@example.org',
    PERIODIC,
    `this build is in ${PERIODIC}`,
  ],
  [
    'a periodic build that would quarantine',
    { quarantine: OLDER, 'force-reason': 'x' },
    'alice@example.org',
    PERIODIC,
    `this build is in ${PERIODIC}`,
  ],
  [
    'a periodic build that would adopt',
    { adopt: `${TAG}@${cephDaemonImage(TAG).digest}`, 'force-reason': 'x' },
    'alice@example.org',
    PERIODIC,
    `this build is in ${PERIODIC}`,
  ],
  ['a stranger', { hold: TAG, 'force-reason': 'x' }, 'eve@example.org', 'ceph-decision', 'eve@example.org is not in'],
  [
    'what is more than a decision',
    { hold: TAG, targets: 'quay.io/eve/x' },
    'alice@example.org',
    'ceph-decision',
    'is not a decision',
  ],
  ['no decision', {}, 'alice@example.org', 'ceph-decision', 'is not a decision'],
])('%s decides nothing', async (_, decision, email, pipeline, message) => {
  const before = await records();
  merge(decision, email);
  const refused = await decide({ pipeline });
  expect(refused.status).toBe(2);
  expect(refused.said).toContain(message);
  expect(await records()).toEqual(before);
});
