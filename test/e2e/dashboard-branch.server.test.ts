import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { runBundle } from './bundle.js';

let root: string;
let forge: GitServer;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pages-'));
  forge = await startGitServer(root);
});
afterAll(async () => {
  await forge.stop();
  rmSync(root, { recursive: true, force: true });
});

test('publish-dashboard reads a store in a branch, and keeps its pages in one commit of another', async () => {
  const path = await makeBareRepository(root, 'owner/ceph');
  const git = (...args: string[]) => execFileSync('git', ['-C', path, ...args], { encoding: 'utf8' });
  const inputs = { server: 'git@gh-pages#ceph', branches: 'main git', 'git-token': forge.token };
  const commits = new Set<string>();
  for (const title of ['One', 'Two']) {
    const env = { GITHUB_SERVER_URL: forge.url, GITHUB_REPOSITORY: 'owner/ceph' };
    const { errors, log } = await runBundle('publish-dashboard', { ...inputs, title }, env);
    expect(errors).toEqual([]);
    expect(log).not.toContain(forge.token);
    expect(git('show', 'gh-pages:ceph/index.html')).toContain(`<title>${title}`);
    expect(git('rev-list', '--count', 'gh-pages').trim()).toBe('1');
    commits.add(git('rev-parse', 'gh-pages'));
  }
  expect(commits.size).toBe(2);
});
