import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { createDlrn } from '../../src/dlrn/client.js';
import type { Subject } from '../../src/dlrn/hashes.js';
import { clock, http, silent } from '../dlrn/support.js';
import { startTlsFront } from '../registry/tls-front.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { type FaultProxy, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import { DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** The whole action: what it reports on, and what is stored where DLRN or the network fails. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const { digest } = cephDaemonImage(TAG);
const master = () => sandbox().dlrn.branches.master;
let settings: Settings;
let build: { readonly commit: string; readonly distro: string; readonly extended: string };
let proxy: FaultProxy | undefined;

beforeAll(async () => {
  settings = await freshSettings();
  const row = v.object({ commit_hash: v.string(), distro_hash: v.string(), extended_hash: v.string() });
  const [newest] = v.parse(v.tuple([row]), await (await fetch(`${master().url}/api/promotions?limit=1`)).json());
  build = { commit: newest.commit_hash, distro: newest.distro_hash, extended: newest.extended_hash };
});

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

type Inputs = Readonly<Record<string, string>>;

function report(job: string, inputs: Inputs, env: Inputs = {}) {
  const reference = `${settings.image}:${TAG}@${digest}`;
  const own = { 'job-id': job, 'job-url': 'https://forge.example/1', outcome: 'success', reference };
  return runBundle('report-dlrn', { ...settings.dlrn, ...own, ...inputs }, env);
}

async function stored(job: string, subject: Subject) {
  const votes = await createDlrn({ http: http(), url: new URL(master().url), clock, log: silent }).votes(subject);
  return votes.filter(({ job_id: id }) => id === job);
}

test('a DLRN whose certificate a company signed is trusted only with ca-file', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'dlrn-tls-'));
  const upstream = new URL(master().url).origin;
  const front = await startTlsFront({ nginx: sandbox().tools.nginx, directory, upstream, http2: false });
  const file = path.join(directory, 'company.pem');
  await writeFile(file, front.ca);
  const url = new URL(new URL(master().url).pathname, `https://${front.host}`).href;
  const to = { 'dlrn-url': url, 'aggregate-hash': newest() };
  const job = freshJob();
  try {
    const refused = await report(job, to);
    expect(refused.errors).toEqual([expect.stringContaining('ca-file')]);
    expect(await stored(job, aggregate())).toEqual([]);
    expect((await report(job, { ...to, 'ca-file': file })).errors).toEqual([]);
    expect(await stored(job, aggregate())).toHaveLength(1);
  } finally {
    await front.stop();
    await rm(directory, { recursive: true });
  }
});

const freshJob = () => `scenario001-${randomUUID()}`;
const newest = () => master().hashes[0] ?? '';
const aggregate = () => ({ kind: 'aggregate', hash: newest() }) as const;

describe('a report is on', () => {
  test.each<[string, () => Inputs, () => Subject]>([
    ['an aggregate hash', () => ({ 'aggregate-hash': newest() }), aggregate],
    [
      'what the directory of a label says',
      () => ({ 'repository-url': `${master().repositoryUrl}/current-tripleo` }),
      aggregate,
    ],
    [
      'a build',
      () => ({ 'commit-hash': build.commit, 'distro-hash': build.distro }),
      () => ({ kind: 'commit', commit: build.commit, distro: build.distro }),
    ],
    [
      'a build with its extended hash',
      () => ({ 'commit-hash': build.commit, 'distro-hash': build.distro, 'extended-hash': build.extended }),
      () => ({ kind: 'commit', ...build }),
    ],
  ])('%s', async (_, inputs, subject) => {
    const job = freshJob();
    const { errors, outputs } = await report(job, { ...inputs(), outcome: 'failure' });
    expect(errors).toEqual([]);
    const on = subject();
    const hash = on.kind === 'aggregate' ? on.hash : '';
    expect(outputs).toEqual({ notes: `${TAG}@${digest}`, reported: 'true', 'aggregate-hash': hash });
    expect(await stored(job, on)).toMatchObject([{ success: false, notes: `${TAG}@${digest}` }]);
  });

  test.each<[string, Inputs, string]>([
    ['nothing', {}, 'input aggregate-hash: not set; set it, or commit-hash and distro-hash, or repository-url'],
    [
      'two things',
      { 'aggregate-hash': 'a'.repeat(32), 'repository-url': 'https://trunk.example/current-tripleo' },
      'inputs aggregate-hash and repository-url: set only one of them',
    ],
    ['half a build', { 'commit-hash': 'c'.repeat(40) }, 'input distro-hash: not set, but commit-hash is'],
    ['the other half', { 'distro-hash': 'd'.repeat(40) }, 'input commit-hash: not set, but distro-hash is'],
    ['an extended hash alone', { 'extended-hash': 'e'.repeat(40) }, 'input extended-hash: set without commit-hash'],
  ])('%s: refused', async (_, inputs, message) => {
    const { status, errors } = await report(freshJob(), inputs);
    expect({ status, errors }).toEqual({ status: 1, errors: [expect.stringContaining(message)] });
  });
});

test('it links to this run and attempt by default', async () => {
  const job = freshJob();
  const env = { ...DISPATCH, GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '2' };
  await report(job, { 'aggregate-hash': newest(), 'job-url': '' }, env);
  const url = 'https://forge.example/storage/promotion/actions/runs/7/attempts/2';
  expect(await stored(job, aggregate())).toMatchObject([{ url }]);
});

test.each(['cancelled', 'skipped'])('%s is neither a vote nor an error', async (outcome) => {
  const job = freshJob();
  const { status, outputs } = await report(job, { 'aggregate-hash': newest(), outcome });
  expect({ status, reported: outputs.reported }).toEqual({ status: 0, reported: 'false' });
  expect(await stored(job, aggregate())).toEqual([]);
});

test.each<[string, Rule]>([
  ['the answer is lost', { method: 'POST', times: 2, fault: { kind: 'lose-answer' } }],
  ['the answer is cut', { method: 'POST', times: 1, fault: { kind: 'truncate', after: 20 } }],
  ['DLRN answers HTML once', { method: 'POST', times: 1, fault: { kind: 'answer', status: 201, body: '<p>' } }],
  ['DLRN answers 500 three times', { method: 'POST', times: 3, fault: { kind: 'answer', status: 500, body: '<p>' } }],
])(
  'it is stored once where %s',
  async (_, rule) => {
    const { origin, pathname } = new URL(master().url);
    proxy = await startFaultProxy({ upstream: origin, rules: [rule] });
    const job = freshJob();
    const url = new URL(pathname, proxy.url).href;
    const { errors, outputs } = await report(job, { 'dlrn-url': url, 'aggregate-hash': newest() });
    expect({ errors, reported: outputs.reported }).toEqual({ errors: [], reported: 'true' });
    expect(await stored(job, aggregate())).toHaveLength(1);
  },
  60_000,
);
