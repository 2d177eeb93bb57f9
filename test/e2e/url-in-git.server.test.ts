import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** A store in a branch, named by `url`, in the actions that also take `server`. */

let root: string;
let forge: GitServer;
let other: GitServer;
let settings: Settings;
let reference: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'url-'));
  forge = await startGitServer(root);
  other = await startGitServer(root);
  await makeBareRepository(root, 'owner/ceph');
  settings = await freshSettings();
  const found = await runBundle('find-stable-tag', { image: settings.image, flavor: 'pacific' });
  reference = found.outputs.reference ?? '';
  const published = await runBundle('publish-ci-testing', { server: at(forge), reference, 'git-token': forge.token });
  expect(published.errors).toEqual([]);
});
afterAll(async () => {
  for (const server of [forge, other]) await server.stop();
  rmSync(root, { recursive: true, force: true });
});

const at = ({ url }: GitServer) => `git+${url}/owner/ceph`;

function evaluate(inputs: Readonly<Record<string, string>>): Promise<BundleRun> {
  const all = {
    server: 'git',
    'git-token': forge.token,
    image: settings.image,
    evidence: 'needs',
    needs: JSON.stringify({ test: { result: 'success', outputs: { reference } } }),
    criteria: 'current-ceph: [test]',
    targets: settings.target,
    ...settings.targetLogin,
    ...inputs,
  };
  return runBundle('evaluate-and-promote', all, {
    ...DISPATCH,
    GITHUB_SERVER_URL: forge.url,
    GITHUB_REPOSITORY: 'owner/ceph',
    // As in action.yml, for a token that the workflow names.
    'INPUT_GIT-TOKEN-IS-DEFAULT': 'false',
  });
}

describe('evaluate-and-promote', () => {
  test('refuses what is not an address, and a label that does not exist', async () => {
    for (const [url, message] of [
      ['git@..', 'is not a branch name'],
      ['git+http://forge.example/owner/ceph', 'http is for loopback only'],
      ['git@promotions#none', 'ceph-ci-testing'],
    ] as const) {
      const { status, errors } = await evaluate({ url });
      expect({ status, errors }).toEqual({ status: 1, errors: [expect.stringContaining(message)] });
    }
  });

  test('sends the token for its own store to no other host', async () => {
    const asked: (string | undefined)[] = [];
    other.fault = (_kind, { headers }) => {
      asked.push(headers.authorization);
      return false;
    };
    const { status, errors } = await evaluate({ url: at(other) });
    expect({ status, errors }).toEqual({ status: 1, errors: [expect.stringContaining(at(other))] });
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter(Boolean)).toEqual([]);
  });

  test('promotes the candidate that a label in a branch names, and links only to pages that a browser can read', async () => {
    const { errors, outputs, log, summary } = await evaluate({ url: 'git' });
    expect(errors).toEqual([]);
    expect(outputs).toMatchObject({ decision: 'promote', reference });
    expect(summary).not.toContain('](git');
    expect(log).not.toContain(forge.token);
  });

  test('uses a token for the store at url if its own store is not in git', async () => {
    const rehearsal = { server: '', 'git-token': other.readingToken, 'dry-run': 'true' };
    const { errors, outputs } = await evaluate({ ...rehearsal, url: at(other) });
    expect(errors).toEqual([]);
    expect(outputs).toMatchObject({ decision: 'promote', reference });
  });
});

test('check-setup reads the labels in a branch as a consumer', async () => {
  const inputs = { image: settings.image, url: at(forge), 'git-token': forge.readingToken };
  const { errors, summary } = await runBundle('check-setup', inputs);
  expect(errors).toEqual([]);
  expect(summary).toMatch(/read label ceph-ci-testing as a consumer \| ok \| .*ceph-ci-testing is v6\.0\.7-/);
  expect(summary).toMatch(/read label current-ceph as a consumer \| ok \| .*current-ceph is v6\.0\.7-/);
});
