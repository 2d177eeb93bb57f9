import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readlink, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { buildImage, pushImage } from '../sandbox/images.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** Maintenance between promotions: the ledger, what is no longer needed, and silence. */

type Inputs = Readonly<Record<string, string>>;

const JOB = `upkeep-${randomUUID()}`;
const TAGS = ['v1.0.1', 'v1.0.2', 'v1.0.3'];

let settings: Settings;
let image: string;
const references: string[] = [];

async function evaluate(reference: string, inputs: Inputs = {}, env: Inputs = {}): Promise<BundleRun> {
  return runBundle(
    'evaluate-and-promote',
    {
      reference,
      image,
      criteria: `current-ceph: [${JOB}]`,
      evidence: 'needs',
      needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } }),
      targets: settings.target,
      ...settings.targetLogin,
      ...settings.imageServer,
      ...inputs,
    },
    env,
  );
}

beforeAll(async () => {
  settings = await freshSettings();
  const { source } = sandbox();
  const repository = freshRepository();
  image = `${source.host}/${repository}`;
  for (const name of TAGS) {
    const pushed = buildImage({ labels: { name } });
    await pushImage({ url: source.url, repository }, pushed, [name]);
    references.push(`${image}:${name}@${pushed.digest}`);
    const run = await evaluate(references.at(-1) ?? '');
    expect(run.errors).toEqual([]);
  }
});

describe('verify-ledger', () => {
  const verify = (inputs: Inputs = {}) =>
    runBundle('verify-ledger', {
      url: settings.directory.url,
      targets: settings.target,
      ...settings.targetLogin,
      ...inputs,
    });

  test('says what is promoted, and that everything is right', async () => {
    const run = await verify();
    expect(run.errors).toEqual([]);
    expect(run.outputs).toEqual({ verified: 'true', records: '3', problem: '' });
    expect(run.summary).toContain(references[2]);
  });

  test('fails if something is wrong, after its outputs are written', async () => {
    const label = join(settings.directory.path, 'current-ceph');
    await rm(label);
    await symlink('v1.0.2', label);
    const run = await verify();
    const problem =
      'readers do not find what ledger record 3 says; still to do: move label current-ceph to v1.0.3 (was v1.0.2)';
    expect(run.outputs).toEqual({ verified: 'false', records: '3', problem });
    expect(run.errors).toEqual([problem]);
    expect(run.status).toBe(1);
    // The next run repairs it, whoever starts it.
    await evaluate(references[2] ?? '');
    expect((await verify()).outputs).toMatchObject({ verified: 'true' });
  });

  test('says nothing about the ledger if it cannot read it', async () => {
    const run = await verify({ 'target-password': 'wrong' });
    expect(run.errors).toEqual([expect.stringContaining('inputs target-username and target-password')]);
    expect(run.outputs).toEqual({});
  });
});

test('what an earlier run began is finished, also while DLRN is down', async () => {
  const label = join(settings.directory.path, 'current-ceph');
  await rm(label);
  await symlink('v1.0.2', label);
  const run = await evaluate(references[2] ?? '', {
    evidence: 'dlrn',
    'dlrn-url': sandbox().dlrn.branches.master.url,
    'repository-url': 'http://127.0.0.1:1/centos9-master/current-tripleo',
  });
  expect(run.errors).toEqual([expect.stringMatching(/127\.0\.0\.1:1.*ECONNREFUSED/)]);
  expect(run.status).toBe(1);
  expect(await readlink(label)).toBe('v1.0.3');
});

describe('prune-promotions', () => {
  const prune = (inputs: Inputs = {}, env: Inputs = {}) =>
    runBundle(
      'prune-promotions',
      { targets: settings.target, keep: '2', ...settings.targetLogin, ...settings.imageServer, ...inputs },
      env,
    );
  const listed = () => ({
    artifacts: 'v1.0.1',
    images: `${settings.target}:v1.0.1@${references[0]?.split('@')[1]}`,
  });

  test('lists what no rollback needs, and deletes nothing', async () => {
    const run = await prune();
    expect(run.errors).toEqual([]);
    expect(run.outputs).toEqual({ ...listed(), removed: '' });
    expect(await readdir(settings.directory.path)).toContain('v1.0.1');
  });

  test.each<[string, Inputs, Inputs, string]>([
    ['from schedule', {}, { GITHUB_EVENT_NAME: 'schedule' }, 'input delete: needs workflow_dispatch'],
    ['by nobody', { 'allowed-actors': '' }, {}, 'input delete: alice is not in allowed-actors (empty: nobody is)'],
    ['run again by another', {}, { GITHUB_TRIGGERING_ACTOR: 'eve' }, 'input delete: eve is not in allowed-actors'],
    ['keeping nothing', { keep: '0' }, {}, 'input keep: at least 1 image is kept'],
    ['without targets', { targets: '' }, {}, 'input targets: required and not set: Where'],
  ])('deletes nothing %s', async (_, inputs, env, message) => {
    const run = await prune({ delete: 'true', 'allowed-actors': 'alice', ...inputs }, { ...DISPATCH, ...env });
    expect(run.errors).toEqual([expect.stringContaining(message)]);
    expect(run.status).toBe(1);
    expect(await readdir(settings.directory.path)).toContain('v1.0.1');
  });

  test('deletes it if somebody who may do so dispatches', async () => {
    const run = await prune({ delete: 'true', 'allowed-actors': 'alice' }, DISPATCH);
    expect(run.errors).toEqual([]);
    // Debian's registry deletes no tags, and a warning says so.
    expect(run.outputs).toEqual({ ...listed(), removed: `${settings.imageServer.server}/v1.0.1` });
    expect(run.log).toContain('the registry does not delete tags, or not for this account; delete it there');
    expect(await readdir(settings.directory.path)).not.toContain('v1.0.1');
    expect((await prune()).outputs).toMatchObject({ artifacts: '' });
  });
});

describe('the webhook of evaluate-and-promote', () => {
  const posts: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    posts.push(JSON.parse(body).text);
    response.end();
  });
  let url: string;

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    url = `http://127.0.0.1:${address.port}/hook`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const tell = async (inputs: Inputs, env: Inputs = {}) => {
    posts.length = 0;
    await evaluate(references[2] ?? '', { 'webhook-url': url, ...inputs }, env);
    expect(posts).toHaveLength(1);
    return posts[0];
  };

  test('is told each decision, with its run', async () => {
    expect(await tell({ 'silence-after': '14 days' }, { ...DISPATCH, GITHUB_RUN_ID: '7' })).toBe(
      `current-ceph: unchanged: ${references[2]}: ${references[2]} is promoted already, by ledger record 3\n` +
        'https://forge.example/storage/promotion/actions/runs/7/attempts/1',
    );
    expect(await tell({ 'dry-run': 'true' })).toMatch(/^dry run:\ncurrent-ceph: unchanged: /);
  });

  test('is told that what is promoted fails, and how to go back', async () => {
    const failed = JSON.stringify({ [JOB]: { result: 'failure', outputs: {} } });
    expect(await tell({ needs: failed })).toMatch(
      /\n\S+, which is promoted, has regressed: \S+ has failed since \S+; to roll back to \S+, dispatch with rollback-to: previous$/,
    );
  });

  test('is told that nothing has been promoted for a long time', async () => {
    const silence = /\nnothing has been promoted for 0 days, since \S+Z$/;
    expect(await tell({ 'silence-after': '0 minutes' })).toMatch(silence);
    expect(await tell({})).not.toMatch(silence);
  });
});
