import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { blocksOf } from '../docs/markdown.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { ACT_OPTIONS, copyCallable, dotenv, forkSettings, repositorySettings, runWorkflow } from './act.js';
import { downstreamVariables, localRepository } from './downstream.js';
import { makeRepository } from './git.js';

/** examples/downstream as the repository of somebody else, run by act. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const { digest: DIGEST } = cephDaemonImage(TAG);
const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
const execute = promisify(execFile);

let folder: string;
let callable: string;
let directory: ImageDirectory;
let variables: ReturnType<typeof downstreamVariables>;

type Values = Readonly<Record<string, string>>;

interface Settings {
  readonly vars?: Values;
  readonly secrets?: Values;
  readonly inputs?: Values;
}

async function run(workflow: string, { vars, secrets, inputs = {} }: Settings = {}) {
  const settings = await mkdtemp(path.join(tmpdir(), 'settings-'));
  const [varFile, secretFile] = [path.join(settings, 'vars'), path.join(settings, 'secrets')];
  await writeFile(varFile, dotenv(vars ?? { ...variables.servers, ...variables.own }));
  await writeFile(secretFile, dotenv(secrets ?? repositorySettings(sandbox()).secrets), { mode: 0o600 });
  try {
    return await execute(
      sandbox().tools.act,
      [
        'workflow_dispatch',
        ...['-W', `.github/workflows/${workflow}`],
        ...ACT_OPTIONS,
        ...['--local-repository', localRepository(callable)],
        ...['--var-file', varFile, '--secret-file', secretFile],
        ...Object.entries(inputs).flatMap(([name, value]) => ['--input', `${name}=${value}`]),
      ],
      { cwd: folder },
    ).then(
      ({ stdout, stderr }) => ({ status: 0, log: stdout + stderr }),
      ({ code, stdout, stderr }) => ({ status: code, log: stdout + stderr }),
    );
  } finally {
    await rm(settings, { recursive: true, force: true });
  }
}

async function ledgerRecord(label: string, n: number) {
  const text = await readFile(path.join(directory.path, 'ledger', label, `${n}.json`), 'utf8');
  return v.parse(ledgerRecordSchema, JSON.parse(text));
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'downstream-'));
  await cp(path.join(projectRoot, 'examples/downstream'), folder, { recursive: true });
  callable = await mkdtemp(path.join(tmpdir(), 'callable-'));
  await copyCallable(callable);
  await makeRepository(folder);
  directory = await freshImageDirectory();
  // The other branch's DLRN: votes for the same job and image must not come from elsewhere.
  variables = downstreamVariables(sandbox(), 'wallaby', directory, `test-${randomUUID()}/daemon`);
});

afterAll(async () => {
  for (const one of [folder, callable]) await rm(one, { recursive: true, force: true });
});

const TIMEOUT = 120_000;

test(
  'on day one, with nothing set, it is a green rehearsal that says so and changes nothing',
  async () => {
    const { status, log } = await run('promotion.yml', { vars: variables.servers, secrets: {} });
    expect(log).toContain('the variable IMAGE_SERVER_KNOWN_HOSTS is not set, so this run is a rehearsal');
    expect(log).toContain(`current-ceph: wait: `);
    expect(log).toContain(TAG);
    expect(status).toBe(0);
    expect(await readdir(directory.path)).toEqual([]);
  },
  TIMEOUT,
);

test.each([
  ['mirror.yml', 'the variable UPSTREAM_URL is not set, so there is nothing to mirror'],
  ['prune.yml', 'the variable IMAGE_SERVER_KNOWN_HOSTS is not set, so there is nothing to prune'],
  ['verify.yml', ''],
])(
  'on day one %s is green and does nothing',
  async (workflow, says) => {
    const vars = { ...variables.servers, UPSTREAM_URL: '' };
    const { status, log } = await run(workflow, { vars, secrets: {} });
    expect(log).toContain(says);
    expect(log).not.toMatch(/Run Main (?!Say )/);
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
  },
  TIMEOUT,
);

test(
  'a fork of this repository rehearses too',
  async () => {
    const fork = { inputs: { branch: 'master' }, ...forkSettings(sandbox()) };
    const { status, log } = await runWorkflow(sandbox(), 'promotion.yml', fork);
    expect(log).toContain('the variable IMAGE_SERVER_KNOWN_HOSTS is not set, so this run is a rehearsal');
    expect(log).toContain('so this dry run does not know what is promoted');
    expect(status).toBe(0);
    for (const step of ['Publish it for the test jobs', 'Test the candidate', 'Publish the dashboard']) {
      expect(log).not.toContain(`Run Main ${step}`);
    }
  },
  TIMEOUT,
);

test(
  'its criteria do what their tests say',
  async () => {
    const { status, log } = await run('criteria.yml');
    expect(log).toContain('7 of 7 cases gave the expected verdict');
    expect(status).toBe(0);
  },
  TIMEOUT,
);

describe('a red run says what to do', () => {
  test.each([
    ['PUBLISH_SSH_KEY', 'input ssh-private-key: not set'],
    ['DLRN_PASSWORD', 'input password: '],
  ])(
    'without the secret %s',
    async (name, message) => {
      const secrets = { ...repositorySettings(sandbox()).secrets, [name]: '' };
      const { status, log } = await run('promotion.yml', { secrets });
      expect(log).toContain(message);
      expect(status).not.toBe(0);
      await expect(ledgerRecord('current-ceph', 1)).rejects.toThrow('ENOENT');
    },
    TIMEOUT,
  );
});

test(
  'without a passed test it is red, promotes nothing, and says what would have to pass',
  async () => {
    const script = path.join(folder, 'deploy-and-test.sh');
    const mine = await readFile(script);
    await writeFile(script, '#!/bin/sh\nexit 1\n');
    const { status, log } = await run('promotion.yml');
    await writeFile(script, mine);
    expect(log).toContain('current-ceph: reject: ');
    expect(log).toContain('would promote if scenario001-ceph-updates-master passed on aggregate hash ');
    expect(status).not.toBe(0);
    await expect(ledgerRecord('current-ceph', 1)).rejects.toThrow('ENOENT');
  },
  TIMEOUT,
);

test(
  'it promotes what its job has tested, and shows it',
  async () => {
    const dashboard = await freshImageDirectory();
    const vars = { ...variables.servers, ...variables.own, DASHBOARD_SERVER: dashboard.server };
    const { status, log } = await run('promotion.yml', { vars });
    expect(log).toContain('current-ceph: promoted ');
    expect(status).toBe(0);
    expect(await readFile(path.join(dashboard.path, 'index.html'), 'utf8')).toContain(TAG);
    expect(await ledgerRecord('current-ceph', 1)).toMatchObject({ kind: 'earned', who: 'alice' });
    expect((await ledgerRecord('current-ceph', 1)).candidate).toContain(`:${TAG}@${DIGEST}`);
  },
  TIMEOUT,
);

const byHand = (inputs: Values) => run('promotion.yml', { inputs: { ...inputs, 'force-reason': 'try' } });

test(
  'a candidate that is older than what is promoted is refused, and the way out is named',
  async () => {
    const vars = { ...variables.servers, ...variables.own, CEPH_FLAVOR: 'octopus' };
    const { status, log } = await run('promotion.yml', { vars });
    expect(log).toContain('would take current-ceph down from');
    expect(log).toContain('a person can promote it with the inputs force-tag');
    expect(status).not.toBe(0);
    await expect(ledgerRecord('current-ceph', 2)).rejects.toThrow('ENOENT');
  },
  TIMEOUT,
);

test(
  'it forces, rolls back and lifts a hold',
  async () => {
    const force = { 'force-tag': OLDER, 'force-confirm': OLDER, 'skip-jobs': 'scenario001-ceph-updates-master' };
    // A force to an older version puts a hold on the image that it leaves.
    const requests = [
      force,
      { 'lift-hold': TAG },
      { 'rollback-to': 'previous' },
      { 'lift-hold': OLDER },
      { 'rollback-to': OLDER },
    ];
    for (const inputs of requests) {
      const { status, log } = await byHand(inputs);
      expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
      expect(log).not.toContain('Find the newest stable tag');
    }
    const kinds = await Promise.all([2, 3, 4, 5, 6].map(async (n) => (await ledgerRecord('current-ceph', n)).kind));
    expect(kinds).toEqual(['forced', 'lift', 'rollback', 'lift', 'rollback']);
  },
  TIMEOUT,
);

test(
  'an image that was rolled back from waits, although its job has passed, and the way out is named',
  async () => {
    const { status, log } = await run('promotion.yml');
    expect(log).toContain(`current-ceph: wait: ${TAG} `);
    expect(log).toMatch(
      /is on hold \(since .*, by alice\): try; the hold ends with a newer version, or when a person lifts it/,
    );
    expect(status).toBe(0);
    await expect(ledgerRecord('current-ceph', 7)).rejects.toThrow('ENOENT');
    await byHand({ 'lift-hold': TAG });
    await run('promotion.yml');
    expect(await ledgerRecord('current-ceph', 8)).toMatchObject({ kind: 'earned', holds: [] });
  },
  TIMEOUT,
);

test(
  'the mirror takes over what upstream promoted, by its digest, once',
  async () => {
    const first = await run('mirror.yml');
    expect(first.log).toContain('mirrored-ceph: promoted ');
    expect(first.status).toBe(0);
    const record = await ledgerRecord('mirrored-ceph', 1);
    expect(record).toMatchObject({
      kind: 'earned',
      targets: [{ repository: variables.own.MIRROR_TARGET, tag: TAG, digest: DIGEST }],
    });
    const second = await run('mirror.yml');
    expect(second.log).toContain('mirrored-ceph: nothing changed: ');
    await expect(ledgerRecord('mirrored-ceph', 2)).rejects.toThrow('ENOENT');
  },
  TIMEOUT,
);

test(
  'the mirror does not follow upstream to an older version, but a person can',
  async () => {
    await byHand({ 'rollback-to': 'previous' });
    const refused = await run('mirror.yml');
    expect(refused.log).toContain('would take mirrored-ceph down from');
    expect(refused.log).toContain('a person can promote it with the inputs force-tag');
    expect(refused.status).not.toBe(0);
    const inputs = { 'force-tag': OLDER, 'force-confirm': OLDER, 'skip-jobs': 'check', 'force-reason': 'as upstream' };
    const { status, log } = await run('mirror.yml', { inputs });
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    expect(await ledgerRecord('mirrored-ceph', 2)).toMatchObject({ kind: 'forced', reason: 'as upstream' });
  },
  TIMEOUT,
);

test(
  'a workflow that is called from another repository uses the criteria of that repository',
  async () => {
    const page = await readFile(path.join(projectRoot, 'docs/how-to/call-the-workflow.md'), 'utf8');
    const workflow = blocksOf(page).find(({ info }) => info === 'yaml')?.text ?? '';
    const commit = await makeRepository(callable);
    expect(workflow).toContain('actions: *workflow');
    const called = workflow.replace('actions: *workflow', `actions: file://${callable}@${commit}`);
    await writeFile(path.join(folder, '.github/workflows/called.yml'), called);
    const job = 'tripleo-ci-centos-9-scenario001-standalone-ceph-updates-stein';
    await writeFile(path.join(folder, '.github/criteria/stein.yml'), `current-ceph: [${job}]\n`);
    await mkdir(path.join(directory.path, 'stein'));
    const { variables: ours } = repositorySettings(sandbox());
    const { status, log } = await run('called.yml', {
      vars: { ...ours, IMAGE_SERVER: directory.server, IMAGE_SERVER_URL: directory.url },
    });
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    expect(log).toContain('current-ceph: promoted ');
    const text = await readFile(path.join(directory.path, 'stein/ledger/current-ceph/1.json'), 'utf8');
    expect(v.parse(ledgerRecordSchema, JSON.parse(text)).candidate).toContain(`:${TAG}@${DIGEST}`);
  },
  TIMEOUT,
);
