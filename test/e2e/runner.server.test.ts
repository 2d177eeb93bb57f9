import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sandbox } from '../sandbox/current.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** How the actions use what a runner gives them: files for results, a temporary folder, secrets, a ref. */

type Inputs = Readonly<Record<string, string>>;

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const JOB = `runner-${randomUUID()}`;

let folder: string;
let reference: string;
let settings: Settings;

const isPromoted = () => existsSync(join(settings.directory.path, 'current-ceph'));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runner-'));
  const accept = 'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json';
  const url = `${sandbox().source.url}/v2/ceph/daemon/manifests/${TAG}`;
  const response = await fetch(url, { method: 'HEAD', headers: { accept } });
  reference = `${sandbox().source.host}/ceph/daemon:${TAG}@${response.headers.get('docker-content-digest')}`;
});

beforeEach(async () => {
  settings = await freshSettings();
});

afterAll(() => rm(folder, { recursive: true }));

function evaluate(inputs: Inputs = {}, env: Inputs = {}): Promise<BundleRun> {
  const promotion = {
    reference,
    criteria: `current-ceph: [${JOB}]`,
    evidence: 'needs',
    needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } }),
    targets: settings.target,
    ...settings.targetLogin,
    ...settings.imageServer,
  };
  return runBundle('evaluate-and-promote', { ...promotion, ...inputs }, env);
}

describe('files for results', () => {
  test('outputs that cannot be written are an error before anything changes', async () => {
    const run = await evaluate({}, { GITHUB_OUTPUT: join(folder, 'missing/output') });
    expect(run.errors).toEqual([expect.stringContaining('the file for outputs cannot be written (GITHUB_OUTPUT)')]);
    expect(run.log).not.toContain('    at ');
    expect(run.summary).toContain('GITHUB_OUTPUT');
    expect(isPromoted()).toBe(false);
  });

  test('a summary that cannot be written is a warning', async () => {
    const run = await evaluate({}, { GITHUB_STEP_SUMMARY: join(folder, 'missing/summary') });
    expect(run.errors).toEqual([]);
    expect(run.outputs).toMatchObject({ decision: 'promote', promoted: 'true' });
    expect(run.log).toContain('::warning::there will be no summary');
    expect(isPromoted()).toBe(true);
  });

  test('the summary says why a run failed', async () => {
    const run = await evaluate({ criteria: 'missing.yml' });
    expect(run.errors).toEqual([expect.stringContaining('input criteria: there is no file missing.yml')]);
    expect(run.summary).toContain(run.errors[0]);
  });
});

describe('temporary files', () => {
  test("go to the runner's folder", async () => {
    const run = await evaluate({}, { TMPDIR: join(folder, 'missing') });
    expect(run.errors).toEqual([]);
  });

  test('that cannot be created are an error in one line', async () => {
    const missing = join(folder, 'missing');
    const run = await evaluate({}, { TMPDIR: missing, RUNNER_TEMP: missing });
    expect(run.errors).toEqual([expect.stringContaining(missing)]);
    expect(run.log).not.toContain('    at ');
    expect(isPromoted()).toBe(false);
  });
});

test.each([
  ['a word of the image', 'daemon', 'output reference'],
  ['a word of the targets', 'tripleomastercentos9', 'output managed-images'],
])('a secret that is %s is an error before anything changes', async (_, secret, output) => {
  const targets = settings.target.replace(settings.targetPath, `tripleomastercentos9/${settings.targetPath}`);
  const run = await evaluate({ targets, 'ledger-key': secret });
  expect(run.errors).toEqual([expect.stringContaining('would contain the value of the secret input ledger-key')]);
  expect(run.errors[0]).toContain(output);
  expect(run.outputs).toEqual({});
  expect(isPromoted()).toBe(false);
});

describe('the ref of the run', () => {
  test.each([
    ['a branch that is not allowed', { GITHUB_REF: 'refs/heads/try' }, 'this run is on refs/heads/try'],
    ['a tag that is not listed', { GITHUB_REF: 'refs/tags/main' }, 'this run is on refs/tags/main'],
    ['an unknown ref', { GITHUB_REF: '' }, 'the forge does not say which ref this run is on'],
  ])('%s promotes nothing', async (_, env, message) => {
    const run = await evaluate({ 'allowed-refs': 'main' }, { ...DISPATCH, ...env });
    expect(run.errors).toEqual([expect.stringContaining(`input allowed-refs: ${message}`)]);
    expect(run.outputs).toEqual({});
    expect(isPromoted()).toBe(false);
  });

  test('a dry run may be on any ref', async () => {
    const run = await evaluate({ 'dry-run': 'true' }, { ...DISPATCH, GITHUB_REF: 'refs/heads/try' });
    expect(run.outputs).toMatchObject({ decision: 'promote', promoted: 'false' });
  });
});

describe('the repositories that are accepted', () => {
  test('another one promotes nothing', async () => {
    const run = await evaluate({ image: 'quay.io/ceph/ceph\nquay.io/ceph/daemon' });
    expect(run.errors).toEqual([
      expect.stringContaining('input image accepts only quay.io/ceph/ceph, quay.io/ceph/daemon'),
    ]);
    expect(isPromoted()).toBe(false);
  });

  test('are required if the image comes from a store that others can write', async () => {
    const run = await evaluate({ reference: '', url: settings.directory.url });
    expect(run.errors).toEqual([expect.stringContaining('input image: required with url')]);
  });
});
