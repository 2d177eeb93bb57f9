import { randomUUID } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { PROMOTION_TYPE } from '../../src/proof/statement.js';
import { pemPair } from '../proof/fixture.js';
import { startSigstore, tokenOf } from '../proof/sigstore.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { buildImage, pushImage } from '../sandbox/images.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** One action signs what is promoted, and others verify it, with the bundles. */

type Inputs = Readonly<Record<string, string>>;

const JOB = `signing-${randomUUID()}`;
const KEY = pemPair('ec');
const OTHER = pemPair('ed25519');

let settings: Settings;
let image: string;

/** A target that anybody may read, as a mirror does. */
async function start(): Promise<void> {
  settings = { ...(await freshSettings()), target: `${sandbox().source.host}/${freshRepository()}` };
  image = `${sandbox().source.host}/${freshRepository()}`;
}

async function promote(name: string, inputs: Inputs = {}, env: Inputs = {}): Promise<BundleRun> {
  const pushed = buildImage({ labels: { name } });
  const repository = image.slice(image.indexOf('/') + 1);
  await pushImage({ url: sandbox().source.url, repository }, pushed, [name]);
  const reference = `${image}:${name}@${pushed.digest}`;
  return runBundle(
    'evaluate-and-promote',
    {
      reference,
      image,
      criteria: `current-ceph: [${JOB}]`,
      evidence: 'needs',
      needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } }),
      targets: settings.target,
      ...settings.imageServer,
      'signing-key': KEY.secret,
      ...inputs,
    },
    env,
  );
}

const verify = (inputs: Inputs) =>
  runBundle('verify-ledger', { url: settings.directory.url, targets: settings.target, ...inputs });
const consume = (inputs: Inputs) =>
  runBundle('consume-ci-testing', { url: settings.directory.url, label: 'current-ceph', ...inputs });

/** Proposes it to a repository that does not exist, which is contacted only after the signature was verified. */
const propose = (inputs: Inputs) =>
  runBundle('propose-change', {
    url: settings.directory.url,
    repository: 'http://127.0.0.1:1/owner/name',
    file: 'a.yml',
    'yaml-path': 'tag',
    value: '{tag}',
    provider: 'gerrit',
    ...inputs,
  });

describe('by a key', () => {
  beforeAll(start);

  test('verify-ledger and consume-ci-testing accept what is signed', async () => {
    expect((await promote('v1.0.1')).errors).toEqual([]);
    const [verified, consumed] = [await verify({ verify: KEY.open }), await consume({ verify: OTHER.open + KEY.open })];
    expect(verified.errors).toEqual([]);
    expect(verified.summary).toMatch(/signed: .* by key [0-9a-f]{16}/);
    expect(consumed.errors).toEqual([]);
    expect(consumed.outputs.tag).toBe('v1.0.1');
    expect((await propose({ verify: KEY.open })).errors).toEqual([expect.stringContaining('127.0.0.1:1/owner/name')]);
  });

  test('and refuse what another key signed', async () => {
    for (const run of [
      await verify({ verify: OTHER.open }),
      await consume({ verify: OTHER.open }),
      await propose({ verify: OTHER.open }),
    ]) {
      expect(run.status).toBe(1);
      expect(run.errors).toEqual([expect.stringMatching(/no valid statement that ledger record 1 promotes it/)]);
    }
  });

  test('a web server that shows an older ledger is refused', async () => {
    const ledger = join(settings.directory.path, 'ledger');
    const kept = join(settings.directory.path, 'kept');
    expect((await promote('v1.0.2')).errors).toEqual([]);
    cpSync(ledger, kept, { recursive: true });
    rmSync(join(ledger, 'current-ceph/2.json'));
    const run = await consume({ verify: KEY.open });
    expect(run.errors).toEqual([expect.stringMatching(/contradicts the ledger: it proves record 2/)]);
    cpSync(kept, ledger, { recursive: true });
    expect((await consume({ verify: KEY.open })).outputs.tag).toBe('v1.0.2');
  });

  test('a key that cannot be read stops a run before anything changes', async () => {
    const run = await promote('v1.0.3', { 'signing-key': KEY.secret.slice(0, 80) });
    expect(run.errors).toEqual([expect.stringMatching(/the signing key is damaged.*input/)]);
    expect((await consume({})).outputs.tag).toBe('v1.0.2');
  });

  test('what was promoted without a signature is signed by the next run', async () => {
    expect((await promote('v1.0.4', { sign: 'off' })).errors).toEqual([]);
    expect((await consume({ verify: KEY.open })).status).toBe(1);
    expect((await promote('v1.0.4')).errors).toEqual([]);
    expect((await consume({ verify: KEY.open })).errors).toEqual([]);
  });

  test('a label of candidates has no signature to verify', async () => {
    const run = await consume({ verify: KEY.open, label: 'ceph-ci-testing' });
    expect(run.errors).toEqual([
      expect.stringMatching(/input verify: set, but ceph-ci-testing is a label of candidates/),
    ]);
  });
});

test("an upstream's signed promotion meets the criteria of another promotion, and its record evaluates again", async () => {
  await start();
  const upstream = settings.target;
  expect((await promote('v1.0.1')).errors).toEqual([]);
  settings = { ...(await freshSettings()), target: `${sandbox().source.host}/${freshRepository()}` };
  const key = (pem: string) => pem.replaceAll('\n', '\n        ');
  const criteria = (pem: string) =>
    `current-ceph:\n  attestations:\n    - type: ${PROMOTION_TYPE}\n      name: upstream\n      repositories: [${upstream}]\n      key: |\n        ${key(pem)}`;
  const mirror = { needs: '{}', 'signing-key': OTHER.secret };
  const refused = await promote('v1.0.1', { ...mirror, criteria: criteria(OTHER.open) });
  expect(refused.outputs.decision).toBe('wait');
  expect(refused.log).toContain('it is not signed by key');
  const accepted = await promote('v1.0.1', { ...mirror, criteria: criteria(KEY.open) });
  expect(accepted.outputs.decision).toBe('promote');
  expect(await verify({ verify: OTHER.open })).toMatchObject({ status: 0, outputs: { verified: 'true' } });
});

describe('keyless', () => {
  beforeAll(start);
  const ISSUER = 'https://token.actions.example';
  const WORKFLOW = 'storage/promotion/.github/workflows/promotion.yml@refs/heads/main';
  const identity = `https://forge.example/${WORKFLOW}`;

  test('the identity of the workflow signs, once', async () => {
    const sigstore = await startSigstore();
    const urls = {
      sign: 'keyless',
      'signing-key': '',
      'fulcio-url': sigstore.url.href,
      'rekor-url': sigstore.url.href,
    };
    const forge = {
      ...DISPATCH,
      GITHUB_WORKFLOW_REF: WORKFLOW,
      GITHUB_REF: '',
      SIGSTORE_ID_TOKEN: tokenOf(identity, ISSUER),
    };
    const allowed = { 'allowed-refs': 'main' };
    const run = await promote('v1.0.1', { ...urls, ...allowed }, { ...forge, GITHUB_REF: 'refs/heads/main' });
    expect(run.errors).toEqual([]);
    const asked = sigstore.asked();
    expect(asked).toBe(4);
    expect(
      (await promote('v1.0.1', { ...urls, ...allowed }, { ...forge, GITHUB_REF: 'refs/heads/main' })).errors,
    ).toEqual([]);
    expect(sigstore.asked()).toBe(asked);
    sigstore.stop();
    const by = { verify: `issuer: ${ISSUER}\nidentity: ${identity}`, 'trusted-root': sigstore.trustedRoot };
    expect((await consume(by)).errors).toEqual([]);
    const other = await consume({ ...by, verify: `issuer: ${ISSUER}\nidentity: ${identity}-old` });
    expect(other.errors).toEqual([expect.stringMatching(/it is signed by https:\/\/forge.example/)]);
  });

  test('without a token nothing is written', async () => {
    const run = await promote('v1.0.2', { sign: 'keyless', 'signing-key': '' });
    expect(run.errors).toEqual([expect.stringMatching(/gives this job no OIDC token.*the input sign to off/)]);
    expect((await consume({})).outputs.tag).toBe('v1.0.1');
  });
});
