import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** Whatever is wrong: exit status 1, one line that names it, and nothing changed. */

type Inputs = Readonly<Record<string, string>>;

const DIGEST = `sha256:${'0'.repeat(64)}`;
const JOB = `refused-${randomUUID()}`;
const NOBODY = { 'registry-username': 'nobody', 'registry-password': 'wrong-password' };

let settings: Settings;
let valid: Readonly<Record<string, Inputs>>;

beforeAll(async () => {
  settings = await freshSettings();
  const found = await runBundle('find-stable-tag', { image: settings.image, flavor: 'pacific' });
  const { reference = '' } = found.outputs;
  const hash = sandbox().dlrn.branches.master.hashes[0] ?? '';
  const published = await freshImageDirectory();
  await runBundle('publish-ci-testing', { reference, ...settings.imageServer, server: published.server });
  valid = {
    'find-stable-tag': { image: settings.image, scheme: 'ceph-daemon', flavor: 'pacific' },
    'publish-ci-testing': { reference, ...settings.imageServer },
    'consume-ci-testing': { url: published.url },
    'check-image': { reference },
    'report-dlrn': {
      ...settings.dlrn,
      reference,
      'aggregate-hash': hash,
      'job-id': JOB,
      'job-url': 'https://forge.example/1',
      outcome: 'success',
    },
    'evaluate-and-promote': {
      reference,
      criteria: `current-ceph: [${JOB}]`,
      'dlrn-url': settings.dlrn['dlrn-url'],
      'aggregate-hash': hash,
      targets: settings.target,
      ...settings.targetLogin,
      ...settings.imageServer,
    },
    'publish-dashboard': {
      branches: `master ${published.url}`,
      'nightly-jobs': 'nightly',
      'zuul-url': 'http://127.0.0.1:1',
      'zuul-tenant': 'tenant',
    },
  };
});

async function votes(): Promise<number> {
  const url = new URL(`${settings.dlrn['dlrn-url']}/api/agg_status`);
  url.searchParams.set('aggregate_hash', sandbox().dlrn.branches.master.hashes[0] ?? '');
  const text = await (await fetch(url)).text();
  return text.split(JOB).length - 1;
}

async function refused(action: string, changes: Inputs, message: string | RegExp, env: Inputs = {}): Promise<void> {
  const run = await runBundle(action, { ...valid[action], ...changes }, env);
  expect(run.errors).toEqual([
    typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  ]);
  expect(run.status).toBe(1);
  expect(run.outputs).toEqual({});
  expect(await readdir(settings.directory.path)).toEqual([]);
  expect(await votes()).toBe(0);
}

describe('a required input that is missing', () => {
  test.each([
    ['publish-ci-testing', 'reference'],
    ['publish-ci-testing', 'server'],
    ['publish-ci-testing', 'ssh-known-hosts'],
    ['publish-ci-testing', 'ssh-private-key'],
    ['consume-ci-testing', 'url'],
    ['check-image', 'reference'],
    ['report-dlrn', 'dlrn-url'],
    ['report-dlrn', 'job-id'],
    ['report-dlrn', 'job-url'],
    ['report-dlrn', 'outcome'],
    ['report-dlrn', 'reference'],
    ['report-dlrn', 'password'],
    ['report-dlrn', 'aggregate-hash'],
    ['evaluate-and-promote', 'reference'],
    ['evaluate-and-promote', 'criteria'],
    ['evaluate-and-promote', 'dlrn-url'],
    ['evaluate-and-promote', 'targets'],
    ['evaluate-and-promote', 'server'],
    ['evaluate-and-promote', 'ssh-known-hosts'],
    ['evaluate-and-promote', 'ssh-private-key'],
    ['publish-dashboard', 'branches'],
    ['publish-dashboard', 'zuul-url'],
    ['publish-dashboard', 'zuul-tenant'],
  ])('%s: %s', async (action, input) => {
    await refused(action, { [input]: '' }, new RegExp(`^input ${input}: (?:required|not set)`));
  });
});

describe('a malformed reference', () => {
  const actions = ['publish-ci-testing', 'check-image', 'report-dlrn', 'evaluate-and-promote'];
  const references = [
    'quay.io/ceph/daemon',
    'quay.io/ceph/daemon:v1',
    `daemon:v1@${DIGEST}`,
    `quay.io/ceph/../x:v1@${DIGEST}`,
  ];
  test.each(actions.flatMap((action) => references.map((reference) => [action, reference])))(
    '%s: %s',
    async (action, reference) => {
      await refused(action, { reference }, `input reference: ${JSON.stringify(reference)} is not a reference such as`);
    },
  );
});

describe('a registry', () => {
  const DOWN = '127.0.0.1:1';
  test.each<[string, string, () => Inputs, RegExp]>([
    [
      'find-stable-tag',
      'is down',
      () => ({ image: `${DOWN}/ceph/daemon` }),
      /\/v2\/ceph\/daemon\/tags\/list: no server listens at 127\.0\.0\.1:1 \(ECONNREFUSED\); check the input image$/,
    ],
    [
      'check-image',
      'is down',
      () => ({ reference: `${DOWN}/ceph/daemon:v1@${DIGEST}` }),
      /listens at .* check the input reference$/,
    ],
    [
      'find-stable-tag',
      'has no such repository',
      () => ({ image: `${sandbox().source.host}/ceph/demon` }),
      /ceph\/demon.*repository name not known.*; see input image$/,
    ],
    [
      'check-image',
      'has no such repository',
      () => ({ reference: `${sandbox().source.host}/ceph/demon:v1@${DIGEST}` }),
      /ceph\/demon.*; see input reference$/,
    ],
    [
      'check-image',
      'has no such image',
      () => ({ reference: `${settings.image}:v1@${DIGEST}` }),
      /see input reference$/,
    ],
    [
      'resolve-tag',
      'has no such tag',
      () => ({ image: settings.image, tag: 'no-such-tag' }),
      /no-such-tag: there is no such manifest or repository; see inputs image and tag$/,
    ],
    [
      'find-stable-tag',
      'refuses the credentials',
      () => ({ image: settings.target, ...NOBODY }),
      /inputs registry-username and registry-password/,
    ],
    [
      'find-stable-tag',
      'wants credentials',
      () => ({ image: settings.target }),
      /inputs registry-username and registry-password/,
    ],
  ])(
    '%s: %s',
    async (action, _, inputs, message) => {
      await refused(action, inputs(), message);
    },
    60_000,
  );
});

describe('the target registry refuses the credentials', () => {
  test('evaluate-and-promote', async () => {
    const wrong = { 'target-username': 'promoter', 'target-password': 'wrong-password' };
    // Evidence from needs, so that the criteria are met and the promotion gets that far.
    const { reference = '' } = valid['evaluate-and-promote'] ?? {};
    const needs = JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } });
    await refused(
      'evaluate-and-promote',
      { evidence: 'needs', needs, ...wrong },
      'inputs target-username and target-password',
    );
  });
});

test('evidence from Zuul needs the pipelines that count', async () => {
  const zuul = { evidence: 'zuul', 'zuul-url': 'http://127.0.0.1:1', 'zuul-tenant': 't' };
  await refused('evaluate-and-promote', zuul, 'input zuul-pipelines: not set, but evidence is zuul');
});

describe('the image server', () => {
  const actions = ['publish-ci-testing', 'evaluate-and-promote'];

  test.each(actions)('%s: another host key', async (action) => {
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ0dIcTmcfTuBqTmsZmcQjB5CiHcMpBJZoUVZ4yVZDrk';
    const known = `[127.0.0.1]:${sandbox().imageServer.sshd.port} ssh-ed25519 ${other}`;
    await refused(action, { 'ssh-known-hosts': known }, 'ssh-known-hosts');
  });

  test.each(actions)('%s: an unknown host', async (action) => {
    await refused(
      action,
      { 'ssh-known-hosts': sandbox().imageServer.sshd.knownHosts.replace('127.0.0.1', '127.0.0.2') },
      'ssh-known-hosts',
    );
  });

  test.each(actions)('%s: a user that may not log in', async (action) => {
    await refused(
      action,
      { server: settings.imageServer.server.replace(/\/\/[^@]+@/, '//no-such-user@') },
      'ssh-private-key',
    );
  });

  test.each(actions)('%s: a key that is not one', async (action) => {
    await refused(action, { 'ssh-private-key': 'not a key' }, 'the input ssh-private-key');
  });

  test.each(actions)('%s: a directory that does not exist', async (action) => {
    await refused(action, { server: `${settings.imageServer.server}-missing` }, 'no such directory');
  });

  test.each([
    ['https://images.example/ceph', /^input server: not a server: https:\/\/ can only be read; write sftp:/],
    ['sftp://u@no-such-host.invalid/srv', /: there is no such host; check the input server$/],
    ['git+https://no-such-host.invalid/o/r', /Could not resolve host: no-such-host\.invalid; check the input server$/],
  ])('publish-ci-testing: %s as the server', async (server, message) => {
    await refused('publish-ci-testing', { server }, message);
  });

  test('publish-ci-testing: this forge, which no input names', async () => {
    const forge = { GITHUB_SERVER_URL: 'https://no-such-host.invalid', GITHUB_REPOSITORY: 'o/r' };
    await refused('publish-ci-testing', { server: 'git' }, /not resolve host: .*; check the input server$/, forge);
  });

  test.each(actions)('%s: an option for a host', async (action) => {
    await refused(action, { server: 'sftp://user@-oProxyCommand=x/dir' }, 'input server: ');
  });

  test('consume-ci-testing: a label that does not exist', async () => {
    await refused('consume-ci-testing', { label: 'no-such-label' }, 'there is no label');
  });
});

describe('DLRN', () => {
  const UNKNOWN = '0'.repeat(32);
  test.each<[string, string, Inputs, string]>([
    ['report-dlrn', 'wrong password', { password: 'wrong-password' }, 'set the inputs username and password'],
    ['report-dlrn', 'an aggregate hash that is unknown', { 'aggregate-hash': UNKNOWN }, 'DLRN knows only'],
    ['report-dlrn', 'an aggregate hash that is none', { 'aggregate-hash': 'x' }, 'input aggregate-hash: "x" is not'],
    ['report-dlrn', 'an outcome that is none', { outcome: 'passed' }, 'input outcome: "passed" is not one of'],
    ['report-dlrn', 'an hour ahead', { timestamp: '2099-01-01T00:00:00Z' }, 'check the input timestamp'],
    ['report-dlrn', 'is down', { 'dlrn-url': 'http://127.0.0.1:1/api' }, '(ECONNREFUSED); check the input dlrn-url'],
    [
      'evaluate-and-promote',
      'an aggregate hash that is unknown',
      { 'aggregate-hash': UNKNOWN },
      'check the input aggregate-hash',
    ],
    [
      'evaluate-and-promote',
      'is down',
      { 'dlrn-url': 'http://127.0.0.1:1/api' },
      '(ECONNREFUSED); check the input dlrn-url',
    ],
  ])(
    '%s: %s',
    async (action, _, inputs, message) => {
      await refused(action, inputs, message);
    },
    60_000,
  );
});

describe('a typo names the input that has it, and what may be meant', () => {
  test.each<[string, Inputs, RegExp]>([
    [
      'the label in DLRN',
      { 'aggregate-hash': '', 'dlrn-label': 'curent-tripleo' },
      /promoted to curent-tripleo; check the input dlrn-label$/,
    ],
    ['criteria without a label', { criteria: '[check]' }, /^input criteria: (?!there is no file)/],
    ['a URL with a login', { 'dlrn-url': 'https://me:secret@dlrn.example' }, /^input dlrn-url: has credentials in it/],
  ])('%s', async (_, inputs, message) => {
    await refused('evaluate-and-promote', inputs, message);
  });

  test('the port of a web server in place of an SSH server', async () => {
    const { server } = settings.imageServer;
    const { port } = new URL(sandbox().imageServer.web.url);
    const known = sandbox().imageServer.sshd.knownHosts.replace(/\]:\d+/, `]:${port}`);
    await refused(
      'publish-ci-testing',
      { server: server.replace(/:\d+\//, `:${port}/`), 'ssh-known-hosts': known },
      /: a web server answers at this port, not an SSH server; check the input server$/,
    );
  });

  test('a directory without a ledger', async () => {
    const run = await runBundle('verify-ledger', { url: settings.directory.url });
    expect(run.errors).toEqual([
      expect.stringMatching(/: there is no ledger of current-ceph; check the inputs url and promoted-label$/),
    ]);
  });
});

test('a freeze that was meant to be none', async () => {
  const message =
    'input freeze: "false" would freeze promotions: write the reason for a freeze, or leave it empty for none';
  await refused('evaluate-and-promote', { freeze: 'false' }, message);
});

test('a file of certificates that is not there', async () => {
  const message = 'input ca-file: there is no file none.pem in the working directory; is a checkout missing?';
  await refused('check-image', { 'ca-file': 'none.pem' }, message);
});

describe('criteria', () => {
  test.each([
    ['no YAML', 'current-ceph: [', /^input criteria: not YAML/],
    [
      'no file',
      'no-such-file.yml',
      /^input criteria: there is no file no-such-file\.yml in .* is a checkout missing\?$/,
    ],
    ['a directory', '.', 'input criteria: EISDIR'],
    [
      'another label',
      'other: [a]',
      /^input criteria: has no label "current-ceph"; .*; check the input promoted-label$/,
    ],
    ['no job', 'current-ceph: []', /^input criteria: current-ceph/],
    ['an unknown key', 'current-ceph: {jobs: [a]}', 'unknown key'],
    [
      'a waiver that ended',
      `current-ceph: {required: [${JOB}, other], waivers: [{job: ${JOB}, until: 2020-01-01, reason: x}]}`,
      'waiver',
    ],
  ])('%s', async (_, criteria, message) => {
    await refused('evaluate-and-promote', { criteria }, message);
  });
});
