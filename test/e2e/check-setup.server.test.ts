import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readlink, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pemPair } from '../proof/fixture.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const JOB = `scenario001-${randomUUID()}`;
const CRITERIA = 'criteria.yml';

let settings: Settings;
let front: FaultProxy;
let workspace: string;
let all: Readonly<Record<string, string>>;

/** The state and the line of each check. */
function checks({ summary }: BundleRun): Record<string, string> {
  const rows = summary.split('\n').flatMap((row) => /^\| \S+ \| (.*) \| (.*) \| (.*) \|$/.exec(row) ?? []);
  const table: Record<string, string> = {};
  for (let n = 0; n < rows.length; n += 4) table[rows[n + 1] ?? ''] = `${rows[n + 2]}: ${rows[n + 3]}`;
  delete table['---'];
  return table;
}

const run = (inputs: Readonly<Record<string, string>> = {}) =>
  runBundle('check-setup', { ...all, ...inputs }, { GITHUB_WORKSPACE: workspace });

beforeAll(async () => {
  settings = await freshSettings();
  front = await startFaultProxy({ upstream: sandbox().target.url });
  workspace = await mkdtemp(join(tmpdir(), 'setup-'));
  await writeFile(join(workspace, CRITERIA), `current-ceph:\n  required: [${JOB}]\n`);
  const reference = `${settings.image}:${TAG}@${cephDaemonImage(TAG).digest}`;
  const [hash = ''] = sandbox().dlrn.branches.master.hashes;
  const job = { 'job-id': JOB, 'job-url': 'https://ci.example/1', outcome: 'success', 'aggregate-hash': hash };
  await runBundle('report-dlrn', { ...settings.dlrn, ...job, reference });
  const promotion = {
    image: settings.image,
    targets: `${front.host}/${settings.targetPath}`,
    ...settings.targetLogin,
    ...settings.imageServer,
    'ledger-key': 'seal',
    criteria: CRITERIA,
  };
  const evaluation = { ...promotion, reference, 'dlrn-url': settings.dlrn['dlrn-url'] };
  const promoted = await runBundle('evaluate-and-promote', evaluation, { ...DISPATCH, GITHUB_WORKSPACE: workspace });
  expect(promoted.errors).toEqual([]);
  all = {
    ...promotion,
    url: settings.directory.url,
    ...settings.dlrn,
    'signing-key': pemPair().secret,
  };
});

afterAll(async () => {
  await front?.stop();
  if (workspace !== undefined) await rm(workspace, { recursive: true });
});

const read = () => `read ${settings.image}`;
const write = () => `write ${front.host}/${settings.targetPath}`;
const STORE = 'the store, as a promotion opens it';
const RIGHTS = 'permissions of the store';
const LEDGER = 'label current-ceph and its ledger';
const REPORTS = 'reports of the jobs in the criteria';

test('if everything is set and right, each check is ok', async () => {
  const done = await run();
  expect(checks(done)).toEqual({
    [read()]: 'ok: 606 tags',
    [write()]: expect.stringMatching(/^ok: allowed; tag current-ceph is sha256:/),
    [STORE]: expect.stringMatching(/^ok: sftp:\/\//),
    [RIGHTS]: 'ok: they let nobody else promote',
    [LEDGER]: expect.stringMatching(`^ok: ledger record 1 \\(earned\\) says ${settings.image}:${TAG}@`),
    'read label ceph-ci-testing as a consumer': `ok: ${settings.directory.url}: no label ceph-ci-testing yet`,
    'read label current-ceph as a consumer': expect.stringMatching(/^ok: .*: current-ceph is v6\.0\.7-.*@sha256:/),
    DLRN: 'ok: ok',
    'DLRN login': 'ok: accepted',
    criteria: 'ok: requirements of current-ceph: 1',
    [REPORTS]: 'ok: each of them is reported',
    signing: expect.stringMatching(/^ok: promotions are signed by key [0-9a-f]{16}$/),
  });
  expect(done).toMatchObject({ status: 0, errors: [], outputs: { wrong: '0', 'not-set': '0' } });
});

test('if nothing is set, it is green and says what to set', async () => {
  const done = await runBundle('check-setup', { image: settings.image });
  expect(done).toMatchObject({ status: 0, errors: [], outputs: { wrong: '0', 'not-set': '8' } });
  expect(checks(done)).toMatchObject({
    targets: 'not set: its inputs are not set; check the input targets',
    [STORE]: 'not set: its inputs are not set; check the input server',
    'DLRN login': expect.stringMatching(/^not set: .*; check the input dlrn-url/),
  });
});

describe('what is wrong is reported, and the rest is still checked', () => {
  test.each<[string, () => string, Record<string, string>, RegExp]>([
    ['an image that is not there', () => `read ${settings.image}-no`, {}, /^wrong: .*\/daemon-no: /],
    [
      'a wrong password of the target',
      write,
      { 'target-password': 'x' },
      /set the inputs target-username and target-password/,
    ],
    [
      'a signing key that is cut',
      () => 'signing',
      { 'signing-key': '-----BEGIN PRIVATE KEY-----\nMC4C' },
      /^wrong: the signing key is damaged/,
    ],
    [
      'another host key',
      () => STORE,
      { 'ssh-known-hosts': 'a b c' },
      /offered the key .* add the line: .*; check the input ssh-known-hosts$/,
    ],
    ['no such directory', () => STORE, { server: '/none' }, /no such directory; check the input server$/],
    [
      'another ledger key',
      () => LEDGER,
      { 'ledger-key': 'x' },
      /record 1 not trusted: its HMAC was not made with the ledger key/,
    ],
    ['a wrong password of DLRN', () => 'DLRN login', { password: 'x' }, /DLRN refuses the login/],
    ['criteria of another label', () => 'criteria', { 'promoted-label': 'x' }, /has no label "x"; it has current-ceph/],
  ])('%s', async (_, what, inputs, line) => {
    const { server } = inputs;
    const done = await run({
      ...inputs,
      ...(what().endsWith('-no') && { image: `${settings.image}-no` }),
      ...(server !== undefined && { server: `${settings.imageServer.server}${server}` }),
    });
    expect(checks(done)[what()]).toMatch(line);
    expect(done).toMatchObject({ status: 1, outputs: { wrong: '1' }, errors: [expect.stringMatching(`^${what()}: `)] });
  });

  test('criteria that do not exist', async () => {
    const done = await run({ criteria: 'none.yml' });
    expect(checks(done).criteria).toMatch(
      /^wrong: input criteria: there is no file none\.yml in the working directory/,
    );
    expect(checks(done)[LEDGER]).toMatch(/^ok: /);
  });

  test('a directory of another branch', async () => {
    const done = await run({ 'promoted-label': 'other-ceph' });
    expect(checks(done)['label other-ceph and its ledger']).toBe(
      'ok: neither yet; the directory has current-ceph, ledger/current-ceph: is it the right one?',
    );
  });

  test('an input that its action does not have', async () => {
    const uses = 'o/ceph-promotion-actions/actions/evaluate-and-promote@v1';
    const step = { uses, with: { targets: 'x', freezes: 'the release' } };
    const file = '.github/workflows/promotion.yml';
    await mkdir(join(workspace, '.github/workflows'), { recursive: true });
    await writeFile(join(workspace, file), JSON.stringify({ jobs: { promote: { steps: [step] } } }));
    expect(checks(await run())[`inputs in ${file}`]).toBe(
      'wrong: evaluate-and-promote has no input freezes, so it is ignored; it has freeze',
    );
    await rm(join(workspace, '.github'), { recursive: true });
  });

  test('a label that was moved by hand', async () => {
    const label = join(settings.directory.path, 'current-ceph');
    expect(await readlink(label)).toBe(TAG);
    await unlink(label);
    await symlink('elsewhere', label);
    const done = await run();
    await unlink(label);
    await symlink(TAG, label);
    expect(checks(done)[LEDGER]).toMatch(
      /^wrong: ledger record 1 \(earned\) says .*; the next run of evaluate-and-promote will move label current-ceph to .* \(was elsewhere\)$/,
    );
  });
});

test('a job in the criteria that nobody reports is a warning, with the job that it is like', async () => {
  const done = await run({ criteria: `current-ceph: { required: ['${JOB}s'] }` });
  const line = `${JOB}s: no result under this name; DLRN has results of ${JOB}; check the input criteria`;
  expect(checks(done)[REPORTS]).toBe(`warning: ${line}`);
  expect(done).toMatchObject({ status: 0, errors: [], outputs: { wrong: '0' } });
  expect(done.log).toContain(`::warning::${REPORTS}: ${line}`);
});

test('for a target that keeps no referrers, it says what nothing there would notice', async () => {
  front.rules.push({ path: /\/(?:referrers\/|manifests\/sha256-)/, fault: { kind: 'answer', status: 405 } });
  const done = await run();
  front.rules.length = 0;
  expect(checks(done)[write()]).toMatch(
    /^ok: .*; it keeps no referrers, so nothing there would show if the ledger were cut or replaced$/,
  );
  expect(checks(done)[LEDGER]).toMatch(/^ok: /);
});

test('a ledger that the proofs contradict is wrong', async () => {
  const ledger = join(settings.directory.path, 'ledger/current-ceph');
  const record = await readFile(join(ledger, '1.json'), 'utf8');
  await writeFile(join(ledger, '1.json'), record.replace(/"who": "[^"]*"/, '"who": "eve"'));
  const done = await run({ 'ledger-key': '' });
  await writeFile(join(ledger, '1.json'), record);
  expect(checks(done)[LEDGER]).toMatch(/^wrong: the proof at .* contradicts the ledger: .* another ledger/);
});

test('nothing is created, and the right to push is not checked if the target does not exist', async () => {
  front.requests.length = 0;
  const repository = `${front.host}/${freshRepository()}`;
  const done = await run({ targets: repository });
  expect(checks(done)[`write ${repository}`]).toBe(
    'not asked: no tag current-ceph there yet; asking could create the repository',
  );
  expect(front.requests.map(({ method }) => method)).not.toContain('PATCH');
  front.requests.length = 0;
  await run();
  const changes = front.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD');
  expect(changes.map(({ method, status }) => `${method} ${status}`)).toEqual([expect.stringMatching(/^PATCH 40[04]$/)]);
});
