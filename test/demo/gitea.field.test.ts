import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { writePins } from '../../scripts/pin.js';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { copyCallable, forkSettings, repositorySettings } from './act.js';
import { downstreamVariables } from './downstream.js';
import { makeRepository, serveGit, startServer } from './git.js';

/**
 * Workflows run by the engine of Gitea's runner, without a Gitea: it fetches the actions by their commit from a Git
 * repository, as a forge's runner does.
 */

// A name for this test alone: another test, whose votes count for the same image, uses the example's name.
const JOB = `scenario001-${randomUUID()}`;
const work = await mkdtemp(path.join(tmpdir(), 'gitea-'));
const DOWNSTREAM = 'somebody/downstream';
const UPSTREAM = 'rdo-infra/ceph-promotion-actions';

let commits: Readonly<Record<string, string>>;
let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  server = await startServer((request, response) => serveGit(work, request, response));
  await copyCallable(path.join(work, UPSTREAM));
  const commit = await makeRepository(path.join(work, UPSTREAM));
  const folder = path.join(work, DOWNSTREAM);
  await cp(path.join(projectRoot, 'examples/downstream'), folder, { recursive: true });
  for (const name of await readdir(path.join(folder, '.github'), { recursive: true })) {
    if (!name.endsWith('.yml')) continue;
    const file = path.join(folder, '.github', name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, writePins(text, commit, 'main').replaceAll('scenario001-ceph-updates-master', JOB));
  }
  commits = { [UPSTREAM]: commit, [DOWNSTREAM]: await makeRepository(folder) };
});

afterAll(async () => {
  server.stop();
  await rm(work, { recursive: true, force: true });
});

type Values = Readonly<Record<string, string>>;

async function run(
  repository: string,
  workflow: string,
  settings: { vars: Values; secrets?: Values; inputs?: Values },
) {
  const child = spawn(sandbox().tools.giteaRunner, {
    cwd: path.join(work, repository),
    env: { PATH: process.env.PATH, HOME: work },
  });
  const forge = { forge: server.url, repository, sha: commits[repository] };
  child.stdin.end(JSON.stringify({ workflow: `.github/workflows/${workflow}`, ...forge, ...settings }));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const [status] = await once(child, 'close');
  return { status, log };
}

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';

test('it rehearses, promotes what its job has tested, mirrors that, and is forced and rolled back by hand', async () => {
  const directory = await freshImageDirectory();
  const { servers, own } = downstreamVariables(sandbox(), 'wallaby', directory, `test-${randomUUID()}/daemon`);
  const { secrets } = repositorySettings(sandbox());
  const vars = { ...servers, ...own };
  const record = async (label: string, n: number) => {
    const text = await readFile(path.join(directory.path, 'ledger', label, `${n}.json`), 'utf8');
    return v.parse(ledgerRecordSchema, JSON.parse(text));
  };

  const rehearsal = await run(DOWNSTREAM, 'promotion.yml', { vars: servers });
  expect(rehearsal.log).toContain('so this run is a rehearsal');
  expect(rehearsal.log).toContain('current-ceph: wait: ');
  expect(rehearsal.status).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);

  const promotion = await run(DOWNSTREAM, 'promotion.yml', { vars, secrets });
  const mirror = await run(DOWNSTREAM, 'mirror.yml', { vars, secrets });
  for (const [label, { status, log }] of [['current-ceph', promotion] as const, ['mirrored-ceph', mirror] as const]) {
    expect(log).toContain(`${label}: promoted `);
    expect(status).toBe(0);
    const first = await record(label, 1);
    expect(first).toMatchObject({
      kind: 'earned',
      who: 'alice',
      'run-url': `${server.url}/${DOWNSTREAM}/actions/runs/3#attempt-1`,
    });
    expect(first.candidate).toContain(`:${TAG}@${cephDaemonImage(TAG).digest}`);
  }

  const reason = { 'force-reason': 'try' };
  const force = {
    'force-tag': OLDER,
    'force-confirm': OLDER,
    'skip-jobs': JOB,
    ...reason,
  };
  // A force to an older version puts a hold on the image that it leaves.
  for (const inputs of [force, { 'lift-hold': TAG, ...reason }, { 'rollback-to': 'previous', ...reason }]) {
    const { status, log } = await run(DOWNSTREAM, 'promotion.yml', { vars, secrets, inputs });
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
  }
  const kinds = await Promise.all([2, 3, 4].map(async (n) => (await record('current-ceph', n)).kind));
  expect(kinds).toEqual(['forced', 'lift', 'rollback']);
});

test('a workflow that calls another rehearses in a fork, and otherwise goes on to the tests', async () => {
  const { variables } = repositorySettings(sandbox());
  const inputs = { branch: 'master', 'dry-run': 'false' };
  const fork = await run(UPSTREAM, 'promotion.yml', {
    vars: { ...variables, ...forkSettings(sandbox()).variables },
    inputs,
  });
  expect(fork.log).toContain('so this run is a rehearsal');
  expect(fork.log).toContain('so this dry run does not know what is promoted');
  expect(fork.status).toBe(0);
  expect(fork.log).not.toContain('Run Main Test the candidate');

  const directory = await freshImageDirectory();
  await mkdir(path.join(directory.path, 'master'));
  const target = `${variables.TARGET_REGISTRY}/test-${randomUUID()}`;
  const vars = {
    ...variables,
    IMAGE_SERVER: directory.server,
    IMAGE_SERVER_URL: directory.url,
    TARGET_REGISTRY: target,
  };
  // Reports nothing: votes in DLRN count for every test of the same image.
  const silent = { ...vars, SCENARIO_COMMAND: 'echo tested something' };
  const { secrets } = repositorySettings(sandbox());
  const own = await run(UPSTREAM, 'promotion.yml', { vars: silent, secrets, inputs });
  expect(own.log).toContain('the test did not prove that it ran');
  expect(own.log).toMatch(/current-ceph: (wait: |promoted |\S+ waits: |would promote )/);
});
