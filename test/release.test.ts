import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectRoot } from './sandbox/project.js';

/** The steps of release.yml, in a repository that has only what they read. Not `publish`, which needs a forge. */

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

const release = (step: string, env?: Readonly<Record<string, string>>) => run('scripts/release.sh', [step], env);

async function git(...args: string[]): Promise<void> {
  const who = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.org'];
  const { status, printed } = await run('git', [...who, ...args]);
  expect({ status, printed: status === 0 ? '' : printed }).toEqual({ status: 0, printed: '' });
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'release-'));
  for (const name of ['scripts', 'dist', 'package.json', 'package-lock.json', 'CHANGELOG.md', '.gitignore']) {
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

test('compare: a file that was built otherwise is named', async () => {
  expect((await release('compare')).status).toBe(0);
  await rm(path.join(folder, 'dist/find-stable-tag/index.js'));
  const { status, printed } = await release('compare');
  expect(printed).toContain('dist/find-stable-tag/index.js');
  expect(status).toBe(1);
  await git('checkout', '--quiet', 'dist');
});

test('files: the notes, the packages in the bundles and no other, and checksums that hold; the same each time', async () => {
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
