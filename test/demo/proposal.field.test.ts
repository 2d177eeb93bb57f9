import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as ask } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runBundle } from '../e2e/bundle.js';
import { pemPair } from '../proof/fixture.js';
import { type ForgeStandIn, startForge } from '../proposal/forge-stand-in.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { type Dlrn, startDlrn } from '../sandbox/dlrn.js';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { repositorySettings, runWorkflow } from './act.js';

/** promotion.yml, run by act, signs what it promotes and proposes it to a repository that pins the image. */

const KEY = pemPair('ec');
const OTHER = pemPair('ed25519');
const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const REPOSITORY = 'storage/charts';
const VALUES = '# Ours\nceph:\n  tag: v1 # the image\n';
const scratch = mkdtempSync(join(tmpdir(), 'proposal-'));
const git = (...args: string[]) =>
  execFileSync('git', ['-C', join(scratch, REPOSITORY), ...args], { encoding: 'utf8' });
let server: GitServer;
let forge: ForgeStandIn;
/** Its own, since workflow.field.test.ts counts the votes of the same jobs in the shared one. */
let dlrn: Dlrn<'wallaby'>;

beforeAll(async () => {
  const { tools, dlrn: shared } = sandbox();
  const wallaby = { prefix: '/api-centos9-wallaby', repository: '/centos9-wallaby', hashes: 1 };
  dlrn = await startDlrn({ tools, directory: join(scratch, 'dlrn'), login: shared.login, branches: { wallaby } });
  server = await startGitServer(scratch);
  forge = await startForge('gitea', REPOSITORY);
  Object.assign(forge, { token: server.token });
  // One forge for both, as the workflow expects it: what is no request of git goes to the API.
  server.fault = (_, request, response) => {
    if (!request.url?.startsWith('/api/')) return false;
    const { method, headers } = request;
    const onward = ask(new URL(request.url, forge.url), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
    return true;
  };
  await makeBareRepository(scratch, REPOSITORY);
  const file = `commit refs/heads/main\ncommitter alice <alice@example.org> 2 +0000\ndata 4\nFile\nfrom refs/heads/main^0\nM 644 inline values.yaml\ndata ${VALUES.length}\n${VALUES}\n`;
  execFileSync('git', ['-C', join(scratch, REPOSITORY), 'fast-import', '--quiet'], { input: file });
});
afterAll(async () => {
  await server.stop();
  await forge.stop();
  await dlrn.stop();
  rmSync(scratch, { recursive: true });
});

test('it promotes, signs, proposes what is signed, links it, and a failed proposal reddens nothing', async () => {
  const directory = await freshImageDirectory();
  for (const name of ['wallaby', 'dashboard']) mkdirSync(join(directory.path, name));
  const target = `${sandbox().source.host}/test-${randomUUID()}`;
  const { secrets } = repositorySettings(sandbox());
  const promote = (publicKey: string) =>
    runWorkflow(sandbox(), 'promotion.yml', {
      inputs: { branch: 'wallaby' },
      variables: {
        IMAGE_SERVER: directory.server,
        IMAGE_SERVER_URL: directory.url,
        DLRN_SERVER: new URL(dlrn.branches.wallaby.url).origin,
        TARGET_REGISTRY: target,
        PROMOTION_PUBLIC_KEY: publicKey,
        PROPOSE_BRANCH: 'wallaby',
        PROPOSE_REPOSITORY: `${server.url}/${REPOSITORY}`,
        PROPOSE_PROVIDER: 'gitea',
        PROPOSE_FILE: 'values.yaml',
        PROPOSE_YAML_PATH: 'ceph.tag',
      },
      secrets: { ...secrets, PROMOTION_SIGNING_KEY: KEY.secret, CHANGE_TOKEN: server.token },
    });

  const refused = await promote(OTHER.open);
  expect(refused.log).toContain('current-ceph: promoted ');
  expect(refused.log).toMatch(/no valid statement that ledger record 1 promotes it/);
  expect(refused.log).toContain('the change was not proposed; what is promoted stays promoted');
  expect(refused.status).toBe(0);
  expect(forge.pulls).toEqual([]);

  const done = await promote(KEY.open);
  expect(done.log).toContain('current-ceph: nothing changed');
  expect(done.log).toMatch(/its promotion is signed by key [0-9a-f]{16}/);
  expect(done.status).toBe(0);
  expect(forge.pulls).toMatchObject([
    {
      state: 'open',
      title: `Update daemon to ${TAG} (current-ceph)`,
      body: expect.stringContaining(cephDaemonImage(TAG).digest),
    },
  ]);
  expect(git('show', 'ceph-promotion/current-ceph:values.yaml')).toBe(VALUES.replace('v1 #', `${TAG} #`));
  expect(forge.violations).toEqual([]);
  const page = readFileSync(join(directory.path, 'dashboard/index.html'), 'utf8');
  expect(page).toContain(`href="https://forge.example/${REPOSITORY}/pulls/1"`);

  const url = `${directory.url}/wallaby`;
  const targets = `${target}/tripleowallabycentos9/daemon`;
  const verified = await runBundle('verify-ledger', { url, targets, verify: KEY.open });
  expect(verified.errors).toEqual([]);
  expect(verified.summary).toMatch(/signed: .* by key [0-9a-f]{16}/);
});
