import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sandbox } from '../sandbox/current.js';
import { basicAuthorization } from '../sandbox/registry.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** Attempts to get an unwanted image promoted: each is refused, and nothing changes. */

type Inputs = Readonly<Record<string, string>>;

const [OLD, NEW] = ['v6.0.6-stable-6.0-pacific-centos-8', 'v6.0.7-stable-6.0-pacific-centos-stream8'];
const QUARANTINED = 'v6.0.5-stable-6.0-pacific-centos-8';
const OTHER_KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ0dIcTmcfTuBqTmsZmcQjB5CiHcMpBJZoUVZ4yVZDrk';
const JOB = `attacked-${randomUUID()}`;
const CRITERIA = `current-ceph: [${JOB}]`;

let settings: Settings;
let references: ReadonlyMap<string, string>;

const reference = (tag: string) => references.get(tag) ?? '';
const digest = (tag: string) => reference(tag).split('@')[1] ?? '';
const label = () => readlink(join(settings.directory.path, 'current-ceph'));
const records = () => readdir(join(settings.directory.path, 'ledger/current-ceph'));
const passed = (tag: string) =>
  JSON.stringify({ [JOB]: { result: 'success', outputs: { reference: reference(tag) } } });

function evaluate(inputs: Inputs, env: Inputs = {}): Promise<BundleRun> {
  return runBundle(
    'evaluate-and-promote',
    {
      reference: reference(NEW),
      image: settings.image,
      criteria: CRITERIA,
      evidence: 'needs',
      needs: passed(NEW),
      targets: settings.target,
      ...settings.targetLogin,
      ...settings.imageServer,
      ...inputs,
    },
    env,
  );
}

async function digestOf(tag: string): Promise<string> {
  const accept = 'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json';
  const url = `${sandbox().source.url}/v2/ceph/daemon/manifests/${tag}`;
  const response = await fetch(url, { method: 'HEAD', headers: { accept } });
  return response.headers.get('docker-content-digest') ?? '';
}

const byHand: Inputs = { 'force-reason': 'because', 'allowed-actors': 'alice', reference: '' };
const force: Inputs = { ...byHand, 'force-tag': NEW, 'force-confirm': NEW, 'skip-jobs': JOB, needs: '{}' };
const forced = (tag: string): Inputs => ({ ...force, 'force-tag': tag, 'force-confirm': tag });

beforeAll(async () => {
  settings = await freshSettings();
  const tags = [OLD, NEW, QUARANTINED];
  const digests = await Promise.all(tags.map(digestOf));
  references = new Map(tags.map((tag, index) => [tag, `${settings.image}:${tag}@${digests[index]}`]));
  for (const inputs of [
    { reference: reference(OLD), needs: passed(OLD) },
    { ...byHand, quarantine: reference(QUARANTINED) },
  ]) {
    const run = await evaluate(inputs, DISPATCH);
    expect(run.errors).toEqual([]);
  }
});

async function refused(inputs: Inputs, env: Inputs, message: string): Promise<BundleRun> {
  const before = [await label(), await records()];
  const run = await evaluate(inputs, env);
  expect(run.errors).toEqual([expect.stringContaining(message)]);
  expect(run.status).toBe(1);
  expect(run.outputs).toEqual({});
  expect([await label(), await records()]).toEqual(before);
  return run;
}

describe('a force', () => {
  test.each<[string, Inputs, Inputs, string]>([
    ['from schedule', {}, { GITHUB_EVENT_NAME: 'schedule' }, 'input force-tag: needs workflow_dispatch'],
    ['from a pull request', {}, { GITHUB_EVENT_NAME: 'pull_request' }, 'input force-tag: needs workflow_dispatch'],
    ['mistyped the second time', { 'force-confirm': OLD }, {}, 'input force-confirm: '],
    ['without a reason', { 'force-reason': '' }, {}, 'input force-reason: '],
    ['of a job that is not named', { 'skip-jobs': '' }, {}, `these jobs are unmet, and not named: ${JOB}`],
    ['by somebody who is not allowed', { 'allowed-actors': 'bob' }, {}, 'alice is not in allowed-actors (bob)'],
    ['where nobody is allowed', { 'allowed-actors': '' }, {}, 'alice is not in allowed-actors (empty: nobody is)'],
    ['run again by somebody else', {}, { GITHUB_TRIGGERING_ACTOR: 'eve' }, 'eve is not in allowed-actors'],
    ['run again', {}, { GITHUB_RUN_ATTEMPT: '2' }, 'a re-run does not decide for a person again'],
    ['of a path', forced('../evil'), {}, 'input force-tag: "../evil" is not a tag'],
    ['of two lines', forced(`${NEW}\nv2`), {}, 'input force-tag: '],
    ['of nothing', forced('null'), {}, 'null does not exist'],
    ['of what is quarantined', forced(QUARANTINED), {}, `${QUARANTINED} (sha256:`],
    ['with a reference of another digest', { reference: '' }, {}, ' is now sha256:'],
  ])('%s', async (name, changes, env, message) => {
    const other = `${settings.image}:${NEW}@${digest(OLD)}`;
    const inputs = name === 'with a reference of another digest' ? { reference: other } : changes;
    await refused({ ...force, ...inputs }, { ...DISPATCH, ...env }, message);
  });
});

describe('a candidate', () => {
  const other = () => digest(OLD);
  test.each<[string, () => string, string]>([
    ['with another digest', () => `${settings.image}:${NEW}@sha256:${'0'.repeat(64)}`, `${NEW} has moved from`],
    ['that is nothing', () => `${settings.image}:null@${other()}`, '"null" is a reserved word'],
    ['that is a path', () => `${settings.image}:../evil@${other()}`, 'input reference: '],
    ['that is a label', () => `${settings.image}:current-ceph@${other()}`, '"current-ceph" is the name of a label'],
    ['that is a candidate file', () => `${settings.image}:x.json@${other()}`, 'ends with .json'],
    ['that is two lines', () => `${settings.image}:v1\nv2@${other()}`, 'input reference: '],
    ['that is quarantined', () => reference(QUARANTINED), ''],
  ])('%s', async (_, attack, message) => {
    const inputs = {
      reference: attack(),
      needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference: attack() } } }),
    };
    if (message !== '') return void (await refused(inputs, {}, message));
    const run = await evaluate(inputs);
    expect(run.outputs).toMatchObject({ decision: 'reject', promoted: 'false' });
    expect(await label()).toBe(OLD);
  });
});

describe('the image server', () => {
  test.each<[string, () => Inputs, string]>([
    ['an option as its host', () => ({ server: 'sftp://user@-oProxyCommand=x/dir' }), 'input server: '],
    [
      'another host key',
      () => ({ 'ssh-known-hosts': `[127.0.0.1]:${sandbox().imageServer.sshd.port} ssh-ed25519 ${OTHER_KEY}` }),
      'input ssh-known-hosts',
    ],
    ['a directory above', () => ({ server: `${settings.imageServer.server}/..` }), 'input server: '],
  ])('%s', async (_, inputs, message) => {
    await refused(inputs(), {}, message);
  });

  test('a label that is a directory', async () => {
    const aside = await freshSettings();
    await mkdir(join(aside.directory.path, 'current-ceph'));
    const run = await evaluate({ ...aside.imageServer, targets: aside.target });
    expect(run.errors).toEqual([expect.stringContaining('current-ceph: is a directory')]);
    expect(await readdir(aside.directory.path)).toEqual(['current-ceph']);
  });

  test('a forged ledger record', async () => {
    const folder = join(settings.directory.path, 'ledger/current-ceph');
    const [first, second] = await Promise.all([1, 2].map((n) => readFile(join(folder, `${n}.json`), 'utf8')));
    const forgery = {
      ...JSON.parse((first ?? '').replaceAll(OLD, NEW).replaceAll(digest(OLD), digest(NEW))),
      n: 3,
      'prev-sha256': createHash('sha256')
        .update(second ?? '')
        .digest('hex'),
    };
    const attacks: [Inputs, unknown, string][] = [
      [{}, { ...forgery, decision: null }, 'it is earned, but has no decision'],
      [{}, { ...forgery, decision: { ...forgery.decision, evidence: [] } }, 'its decision evaluates to wait'],
      [{}, { ...forgery, n: 4 }, 'it says that it is record 4'],
      [{}, { ...forgery, 'prev-sha256': '0'.repeat(64) }, 'its prev-sha256 is not the hash of record 2'],
      [{ 'ledger-key': 'a key of ours' }, forgery, 'it has no HMAC'],
      [
        { 'ledger-key': 'a key of ours' },
        { ...forgery, hmac: '0'.repeat(64) },
        'its HMAC was not made with the ledger key',
      ],
    ];
    try {
      for (const [inputs, record, problem] of attacks) {
        await writeFile(join(folder, '3.json'), `${JSON.stringify(record, undefined, 2)}\n`);
        await refused(inputs, {}, `ledger record 3 not trusted: ${problem}`);
      }
    } finally {
      await rm(join(folder, '3.json'));
    }
  });
});

describe('criteria', () => {
  test('a file that is empty', async () => {
    const file = join(settings.directory.path, '..', `${randomUUID()}.yml`);
    await writeFile(file, '');
    await refused({ criteria: file }, {}, 'criteria: ');
  });

  test('a waiver that ended', async () => {
    const waiver = `{job: ${JOB}, until: 2020-01-01, reason: x}`;
    const criteria = `current-ceph: {required: [${JOB}, other], waivers: [${waiver}]}`;
    await refused({ criteria, needs: '{}' }, {}, `the waiver of ${JOB} ended on 2020-01-01`);
  });
});

describe('votes that do not count', () => {
  const dlrn = () => sandbox().dlrn;
  const hash = () => dlrn().branches.master.hashes[1] ?? '';

  async function vote(job: string, changes: Record<string, unknown> = {}): Promise<void> {
    const response = await fetch(`${dlrn().branches.master.url}/api/report_result`, {
      method: 'POST',
      headers: { authorization: basicAuthorization(dlrn().login), 'content-type': 'application/json' },
      body: JSON.stringify({
        aggregate_hash: hash(),
        job_id: job,
        notes: `${NEW}@${digest(NEW)}`,
        success: 'true',
        timestamp: Math.floor(Date.now() / 1000),
        url: 'https://forge.example/1',
        ...changes,
      }),
    });
    expect(response.status).toBe(201);
  }

  test.each<[string, string, (job: string) => Promise<void>]>([
    ['by a name that contains the job', '', (job) => vote(`${job}-foo`)],
    ['by a name that the job contains', '', (job) => vote(job.slice(0, -1))],
    ['dated 2099', '', (job) => vote(job, { timestamp: 4_070_908_800 })],
    ['by another user', ', trusted-users: [somebody]', (job) => vote(job)],
    ['on another digest', '', (job) => vote(job, { notes: `${NEW}@${digest(OLD)}` })],
    ['on another tag', '', (job) => vote(job, { notes: `${OLD}@${digest(OLD)}` })],
    ['without an image', '', (job) => vote(job, { notes: '' })],
  ])('%s', async (_, more, cast) => {
    const job = `attacked-${randomUUID()}`;
    await cast(job);
    const run = await evaluate({
      evidence: 'dlrn',
      'dlrn-url': dlrn().branches.master.url,
      'aggregate-hash': hash(),
      criteria: `current-ceph: {required: [${job}]${more}}`,
    });
    expect(run.errors).toEqual([]);
    expect(run.outputs).toMatchObject({ decision: 'wait', promoted: 'false' });
    expect(await label()).toBe(OLD);
  });
});

describe('secrets that a server echoes', () => {
  const SECRET = `s3cret/${randomUUID()}+`;
  const posts: string[] = [];
  let servers: Server[] = [];

  /** Echoes requests, as error pages of debugging servers do; keeps what a webhook receives. */
  async function start(serve: (told: string, body: string) => { status: number; body: string }): Promise<string> {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const answer = serve(`${request.headers.authorization} ${encodeURIComponent(SECRET)} ${SECRET}`, body);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    });
    servers = [...servers, server];
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `127.0.0.1:${address.port}`;
  }

  afterAll(() => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  test('are neither in the log, the outputs and the summary, nor sent to the webhook', async () => {
    const webhook = await start((_, body) => {
      posts.push(body);
      return { status: 200, body: '' };
    });
    const refusing = await start((told) => ({
      status: 400,
      body: JSON.stringify({ message: told, errors: [{ code: 'DENIED', message: told, detail: told }] }),
    }));
    const password = { 'target-password': SECRET, 'target-username': 'promoter' };
    const attacks: Inputs[] = [
      { ...password, targets: `${refusing}/t/daemon` },
      { evidence: 'dlrn', 'dlrn-url': `http://${refusing}`, username: 'ciuser', password: SECRET },
      {
        evidence: 'dlrn',
        'dlrn-url': `http://${refusing}`,
        username: 'ciuser',
        password: SECRET,
        'aggregate-hash': '0'.repeat(32),
      },
    ];
    for (const inputs of attacks) {
      const run = await evaluate({ ...inputs, 'webhook-url': `http://${webhook}/hook` });
      expect(run.status).toBe(1);
      expect(run.errors).toHaveLength(1);
      const told = run.log.replace(/^::add-mask::.*$/gm, '') + run.summary + JSON.stringify(run.outputs);
      for (const text of [told, posts.join()]) {
        for (const form of [SECRET, encodeURIComponent(SECRET)]) expect(text).not.toContain(form);
        for (const [encoded] of text.matchAll(/[A-Za-z0-9+/]{16,}={0,2}/g)) {
          expect(Buffer.from(encoded, 'base64').toString('latin1')).not.toContain('cret/');
        }
      }
    }
    expect(posts).toHaveLength(attacks.length);
    expect(posts.join()).toContain('current-ceph: error: ');
    expect(await label()).toBe(OLD);
  });
});
