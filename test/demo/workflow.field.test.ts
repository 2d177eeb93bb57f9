import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { basicAuthorization } from '../sandbox/registry.js';
import type { BranchName } from '../sandbox/sandbox.js';
import { repositorySettings, runWorkflow, type WorkflowRun, type WorkflowSettings } from './act.js';

/** The workflow files themselves, run by act for two branches that share nothing. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const { digest: DIGEST } = cephDaemonImage(TAG);
const BRANCHES: readonly BranchName[] = ['master', 'wallaby'];

const runs: WorkflowRun[] = [];
type Values = Readonly<Record<string, string>>;
const run = async (workflow: string, inputs: Values, more: WorkflowSettings = {}) => {
  const result = await runWorkflow(sandbox(), workflow, { inputs, ...more });
  runs.push(result);
  return result;
};

/** Loose, so that a failure shows everything that a vote says. */
const voteSchema = v.looseObject({ job_id: v.string(), notes: v.string(), success: v.boolean() });

async function votes(branch: BranchName) {
  const { url, hashes } = sandbox().dlrn.branches[branch];
  const target = new URL(`${url}/api/agg_status`);
  target.searchParams.set('aggregate_hash', hashes[0] ?? '');
  const rows = v.parse(v.array(voteSchema), await (await fetch(target)).json());
  return rows;
}

async function manifest(branch: BranchName, tag: string) {
  const { target } = sandbox();
  const response = await fetch(`${target.url}/v2/tripleo${branch}centos9/daemon/manifests/${tag}`, {
    headers: {
      authorization: basicAuthorization(target.login),
      accept: 'application/vnd.docker.distribution.manifest.list.v2+json',
    },
  });
  return { digest: response.headers.get('docker-content-digest'), body: await response.text() };
}

const ledgerRecord = async (branch: BranchName, n: number) => {
  const { path } = sandbox().imageServer.branches[branch];
  const text = await readFile(join(path, 'ledger/current-ceph', `${n}.json`), 'utf8');
  return v.parse(ledgerRecordSchema, JSON.parse(text));
};

beforeAll(async () => {
  for (const branch of BRANCHES) await run('promotion.yml', { branch });
});

describe.each(BRANCHES)('promotion.yml for %s', (branch) => {
  test('is green', () => {
    expect(runs[BRANCHES.indexOf(branch)]?.status).toBe(0);
  });

  test('the image is at the target under both tags, with all platforms', async () => {
    for (const tag of [TAG, 'current-ceph']) {
      const { digest, body } = await manifest(branch, tag);
      expect(digest).toBe(DIGEST);
      expect(body).toContain('"amd64"');
      expect(body).toContain('"arm64"');
    }
  });

  test('the label is a symlink to a file with the tag, readable over HTTP', async () => {
    const { path, url } = sandbox().imageServer.branches[branch];
    expect(await readlink(join(path, 'current-ceph'))).toBe(TAG);
    expect(await (await fetch(`${url}/current-ceph`)).text()).toBe(TAG);
  });

  test('DLRN has a vote of each scenario, with the image in notes', async () => {
    const jobs = ['001', '004'].map(
      (scenario) => `tripleo-ci-centos-9-scenario${scenario}-standalone-ceph-updates-${branch}`,
    );
    const found = (await votes(branch)).filter(({ job_id: job }) => jobs.includes(job));
    const byJob = found.sort((one, other) => one.job_id.localeCompare(other.job_id));
    const notes = `${TAG}@${DIGEST}`;
    expect(byJob).toEqual(jobs.map((job) => expect.objectContaining({ job_id: job, success: true, notes })));
  });

  test('the ledger has one record, which was earned', async () => {
    expect(await ledgerRecord(branch, 1)).toMatchObject({ kind: 'earned', who: 'alice', event: 'workflow_dispatch' });
    await expect(ledgerRecord(branch, 2)).rejects.toThrow('ENOENT');
  });
});

test('a second run is green and changes nothing', async () => {
  const again = await run('promotion.yml', { branch: 'master' });
  expect(again.status).toBe(0);
  expect(again.log).toContain('current-ceph: nothing changed');
  await expect(ledgerRecord('master', 2)).rejects.toThrow('ENOENT');
});

test('a command that does not prove what it tested does not count', async () => {
  const silent = await run(
    'promotion.yml',
    { branch: 'wallaby' },
    {
      variables: { SCENARIO_COMMAND: 'echo tested something' },
    },
  );
  expect(silent.log).toContain('the test did not prove that it ran');
  expect(silent.log).not.toMatch(/\| reported: /);
});

test('a force or a rollback needs the name of a branch', async () => {
  const unnamed = await run('promotion.yml', { branch: 'all', 'rollback-to': 'previous', 'force-reason': 'x' });
  expect(unnamed.status).not.toBe(0);
  expect(unnamed.log).toContain('input branch: name one branch');
});

test('a rollback with nothing to go back to says so, and tests nothing', async () => {
  const rollback = await run('promotion.yml', { branch: 'master', 'rollback-to': 'previous', 'force-reason': 'try' });
  expect(rollback.status).not.toBe(0);
  expect(rollback.log).toContain('the ledger of current-ceph has no earlier image');
  expect(rollback.log).not.toContain('Test the candidate');
});

test('the alternative workflow promotes by the results of its own jobs', async () => {
  const byNeeds = await run('promotion-by-needs.yml', { branch: 'wallaby', flavor: 'pacific' });
  expect(byNeeds.status).toBe(0);
  expect(byNeeds.log).toContain('current-ceph: nothing changed');
  expect(byNeeds.log).toMatch(/met +ovb/);
});

test('nightly jobs test what the moving tag names, report under their own names, and promote nothing', async () => {
  const moving = 'latest-pacific-devel';
  const { digest } = cephDaemonImage(moving);
  const nightly = await run(
    'nightly.yml',
    {},
    { variables: { SCENARIO_COMMAND: `echo "tested-digest=${digest}" >> $GITHUB_OUTPUT` } },
  );
  expect(nightly.status).toBe(0);
  for (const branch of BRANCHES) {
    const found = (await votes(branch)).filter(({ notes }) => notes === `${moving}@${digest}`);
    expect(found.map(({ job_id: job }) => job).sort()).toEqual(
      ['001', '004'].map((scenario) => `tripleo-ci-centos-9-scenario${scenario}-ceph-nightly-${branch}`),
    );
  }
  await expect(ledgerRecord('master', 2)).rejects.toThrow('ENOENT');
});

const MASTER: WorkflowSettings = { matrix: { branch: 'master' } };

test('what is promoted verifies', async () => {
  const { status, log } = await run('verify.yml', {}, MASTER);
  expect(log).toContain('`current-ceph`: 1 record verified; ');
  expect(status).toBe(0);
});

describe('prune.yml', () => {
  test('lists, and deletes nothing', async () => {
    const { status, log } = await run('prune.yml', { branch: 'master' });
    expect(log).toContain('Not needed by any rollback: artifacts 0, tags 0. Deleted: 0.');
    expect(status).toBe(0);
  });

  test('does not delete if the confirmation names another branch', async () => {
    const { status, log } = await run('prune.yml', { branch: 'master', 'delete-confirm': 'wallaby' });
    expect(log).toContain('input delete-confirm: type master to delete what is listed');
    expect(log).not.toContain('Run Main Prune');
    expect(status).not.toBe(0);
  });

  test('deletes only for those who may', async () => {
    const confirmed = { branch: 'master', 'delete-confirm': 'master' };
    expect((await run('prune.yml', confirmed)).status).toBe(0);
    const stranger = await run('prune.yml', confirmed, { variables: { PROMOTION_ALLOWED_ACTORS: 'bob' } });
    expect(stranger.log).toContain('input delete: alice is not in allowed-actors');
    expect(stranger.status).not.toBe(0);
  });
});

describe('check-setup.yml', () => {
  test('is green if everything is set and right', async () => {
    const { status, log } = await run('check-setup.yml', {}, MASTER);
    for (const part of ['| the store, as a promotion opens it | ok |', '| DLRN login | ok |', '| criteria | ok |']) {
      expect(log).toContain(part);
    }
    expect(log).toMatch(/\| write \S+ \| ok \| allowed; tag current-ceph is sha256:/);
    expect(log).not.toContain('| wrong |');
    expect(status).toBe(0);
  });

  test('says what to do about what is wrong', async () => {
    const other = sandbox().imageServer.sshd.knownHosts.replace(/^\S+/, 'other.example');
    const { status, log } = await run(
      'check-setup.yml',
      {},
      { ...MASTER, variables: { IMAGE_SERVER_KNOWN_HOSTS: other } },
    );
    expect(log).toMatch(/\| the store, as a promotion opens it \| wrong \| .*check the input ssh-known-hosts/);
    expect(log).toContain('| DLRN login | ok |');
    expect(status).not.toBe(0);
  });
});

test('no log contains a secret', () => {
  const { secrets } = repositorySettings(sandbox());
  const parts = Object.entries(secrets)
    .filter(([name]) => !name.endsWith('_USERNAME'))
    .flatMap(([, secret]) => secret.split('\n').filter((line) => line !== '' && !line.startsWith('-----')));
  expect(parts.length).toBeGreaterThan(5);
  for (const { log } of runs) for (const part of parts) expect(log.includes(part)).toBe(false);
});
