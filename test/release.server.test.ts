import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serveGit, startServer } from './demo/git.js';
import { projectRoot } from './sandbox/project.js';

/**
 * The steps of release.yml, in a repository that has only what they read. `publish` as on Gitea and Forgejo, whose API
 * of releases is played here; on GitHub it is GitHub's program that makes the release.
 */

let folder: string;
const { version } = JSON.parse(readFileSync(path.join(projectRoot, 'package.json'), 'utf8'));

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return new Promise<{ status: number; printed: string }>((resolve) => {
    const settings = { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env } };
    execFile(program, args, settings, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), printed: stdout + stderr }),
    );
  });
}

const release = (step: string, env?: Readonly<Record<string, string>>) =>
  run(process.execPath, [path.join(projectRoot, 'build/scripts/release.js'), step], env);

async function git(...args: string[]): Promise<void> {
  const who = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.org'];
  const { status, printed } = await run('git', [...who, ...args]);
  expect({ status, printed: status === 0 ? '' : printed }).toEqual({ status: 0, printed: '' });
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'release-'));
  for (const name of ['dist', 'package.json', 'package-lock.json', 'CHANGELOG.md', '.gitignore']) {
    await cp(path.join(projectRoot, name), path.join(folder, name), { recursive: true });
  }
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'Start');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('check', () => {
  test('passes on a branch, and says what it would release', async () => {
    expect(await release('check')).toEqual({ status: 0, printed: `not on a tag: would release v${version}\n` });
  });

  test('refuses a tag that is not of this version', async () => {
    const { status, printed } = await release('check', { GITHUB_REF: 'refs/tags/v9.9.9' });
    expect(printed).toBe(`::error::tag v9.9.9: package.json has version ${version}\n`);
    expect(status).toBe(1);
  });

  test('refuses a version that the changelog does not have', async () => {
    const { status, printed } = await release('check', { GITHUB_REF: `refs/tags/v${version}` });
    expect(printed).toBe(`::error::CHANGELOG.md: no section ${version}\n`);
    expect(status).toBe(1);
  });
});

test('compare: a file that differs from the build is named', async () => {
  expect((await release('compare')).status).toBe(0);
  await rm(path.join(folder, 'dist/find-stable-tag/index.js'));
  const { status, printed } = await release('compare');
  expect(printed).toContain('dist/find-stable-tag/index.js');
  expect(status).toBe(1);
  await git('checkout', '--quiet', 'dist');
});

test('files: the notes, exactly the packages in the bundles, and right checksums; the same each time', async () => {
  expect((await release('files')).status).toBe(0);
  const read = (name: string) => readFile(path.join(folder, 'release', name), 'utf8');
  expect(await read('notes.md')).toMatch(/\S/);
  const sbom = await read('sbom.cdx.json');
  const packages: string[] = JSON.parse(sbom).components.map(({ name }: { name: string }) => name);
  expect(packages).toEqual(expect.arrayContaining(['@actions/core', 'semver', 'ssh2', 'undici', 'valibot', 'yaml']));
  for (const tool of ['jest', 'typescript', '@vercel/ncc']) expect(packages).not.toContain(tool);
  const checked = await run('sha256sum', ['--check', '--quiet', 'release/SHA256SUMS']);
  expect(checked).toEqual({ status: 0, printed: '' });
  await release('files');
  expect(await read('sbom.cdx.json')).toBe(sbom);
});

test('publish: the release with its files, and the major tag on its commit', async () => {
  await release('files');
  const forge = await mkdtemp(path.join(tmpdir(), 'forge-'));
  await git('clone', '--quiet', '--bare', folder, path.join(forge, 'somebody/actions'));
  await git('-C', path.join(forge, 'somebody/actions'), 'config', 'http.receivepack', 'true');
  const asked: { what: string; authorization: string | undefined; body: string }[] = [];
  const server = await startServer(async (request, response) => {
    const what = `${request.method} ${request.url}`;
    const { authorization } = request.headers;
    if (!what.includes(' /api/')) {
      if (what.endsWith('git-receive-pack')) asked.push({ what, authorization, body: '' });
      return serveGit(forge, request, response);
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({ what, authorization, body });
    response.writeHead(201).end('{"id": 7}');
  });
  const { status, printed } = await release('publish', {
    GITHUB_SERVER_URL: server.url,
    GITHUB_API_URL: `${server.url}/api/v1`,
    GITHUB_REPOSITORY: 'somebody/actions',
    TOKEN: 'token-of-the-test',
  });
  server.stop();
  const major = `v${version.split('.')[0]}`;
  expect(printed).toContain(`made release v${version}\nmoved ${major}\n`);
  expect(status).toBe(0);
  const releases = '/api/v1/repos/somebody/actions/releases';
  expect(asked.map(({ what }) => what)).toEqual([
    `POST ${releases}`,
    `POST ${releases}/7/assets?name=sbom.cdx.json`,
    `POST ${releases}/7/assets?name=SHA256SUMS`,
    'GET /somebody/actions/info/refs?service=git-receive-pack',
    'POST /somebody/actions/git-receive-pack',
  ]);
  expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject({
    tag_name: `v${version}`,
    body: expect.stringMatching(/\S/),
  });
  expect(asked[1]?.body).toContain('CycloneDX');
  const basic = `basic ${Buffer.from('x-access-token:token-of-the-test').toString('base64')}`;
  expect(asked.map(({ authorization }) => authorization)).toEqual([
    ...Array(3).fill('token token-of-the-test'),
    ...Array(2).fill(basic),
  ]);
  expect(printed).not.toContain('token-of-the-test');
  const tagged = await run('git', ['-C', path.join(forge, 'somebody/actions'), 'rev-parse', `refs/tags/${major}`]);
  expect(tagged).toEqual(await run('git', ['rev-parse', 'HEAD']));
  await rm(forge, { recursive: true });
});
