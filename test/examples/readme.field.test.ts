import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { blocksOf } from '../docs/markdown.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { projectRoot } from '../sandbox/project.js';
import { askRegistry, PASSWORD, type Place, startGitea, startPlace, UPSTREAM } from './minimal.js';

/**
 * Only what the README says, from an empty repository to the first promotion, with the actions at the commit that it
 * names. The forge is one host for repositories and images, as Gitea is. It is not quay.io, so IMAGE is set.
 */

const TAG = 'v19.2.3-20251007';
const REPOSITORY = 'Alice/first';

let place: Place;
beforeAll(async () => {
  place = await startPlace();
  place.forge.fault = (_kind, asked, answer) => {
    const isForRegistry = asked.url?.startsWith('/v2/') === true;
    if (isForRegistry) passOn(place.registry.port, asked, answer);
    return isForRegistry;
  };
});
afterAll(() => place.stop());

function passOn(port: number, asked: IncomingMessage, answer: ServerResponse): void {
  const { method, url, headers } = asked;
  const asking = request({ host: '127.0.0.1', port, method, path: url, headers }, (answered) => {
    answer.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(answer);
  });
  asking.on('error', () => answer.destroy());
  asked.pipe(asking);
}

function bare(name: string): string {
  const repository = path.join(place.work, name);
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch', 'main', repository]);
  for (const setting of ['uploadpack.allowFilter', 'uploadpack.allowAnySHA1InWant']) {
    execFileSync('git', ['-C', repository, 'config', setting, 'true']);
  }
  return repository;
}

async function publishCeph(): Promise<string> {
  const repository = freshRepository().replace('/daemon', '/ceph/ceph');
  const image = buildMultiPlatform({
    seed: TAG,
    env: ['CEPH_REF=squid', 'CEPH_IS_DEVEL=false', 'CEPH_OSD_FLAVOR=default', 'FROM_IMAGE=centos:9'],
    labels: { CEPH_REF: 'squid', CEPH_SHA1: 'c92aebb279828e9c3c1f5d24613efca272649e62', OSD_FLAVOR: 'default' },
  });
  const { source } = sandbox();
  await pushImage({ url: source.url, repository }, image, [TAG, 'v19.2.3', 'v19.2', 'v19']);
  return `${source.host}/${repository}`;
}

test("the README's lines alone lead from an empty repository to the first promotion", async () => {
  const readme = readFileSync(path.join(projectRoot, 'README.md'), 'utf8');
  const [start = ''] = readme.split('\n## How it works');
  const workflow = blocksOf(start).find(({ info }) => info === 'yaml')?.text ?? '';
  const said = (pattern: RegExp): string => {
    const found = pattern.exec(start)?.[1];
    if (found === undefined) throw new Error(`the README does not say ${pattern}`);
    return found;
  };
  const file = said(/Copy it to `([^`]+)` on the default branch/);
  const secret = said(/On Gitea[^`.]* a secret `([A-Z_]+)`/);
  const look = said(/`(git show [^`]+)` prints the promoted\s+tag/);
  const pin = said(new RegExp(`${UPSTREAM}/\\S+@([0-9a-f]{40})`));

  const IMAGE = await publishCeph();
  const actions = bare(UPSTREAM);
  execFileSync('git', ['-C', actions, 'fetch', '--quiet', '--depth=1', projectRoot, `${pin}:refs/heads/main`]);
  const repository = bare(REPOSITORY);

  console.time('from an empty repository to the first promotion');
  const clone = path.join(place.work, 'clone');
  execFileSync('git', ['clone', '--quiet', repository, clone], { stdio: 'ignore' });
  const git = (...args: string[]) => execFileSync('git', args, { cwd: clone, encoding: 'utf8' }).trim();
  mkdirSync(path.dirname(path.join(clone, file)), { recursive: true });
  writeFileSync(path.join(clone, file), workflow);
  git('add', '.');
  git('-c', 'user.name=alice', '-c', 'user.email=alice@example.org', 'commit', '--quiet', '--message', 'Promote Ceph');
  git('push', '--quiet', 'origin', 'HEAD:main');
  const settings = {
    repository: REPOSITORY,
    vars: { IMAGE },
    secrets: { GITHUB_TOKEN: place.forge.token, [secret]: PASSWORD },
    inputs: {},
  };
  const run = () => startGitea(place, clone, git('rev-parse', 'HEAD'), settings);
  const first = await run();
  expect(first).toEqual({ status: 0, log: expect.stringContaining('current-ceph: promoted ') });
  console.timeEnd('from an empty repository to the first promotion');

  git('fetch', '--quiet');
  const [program = '', ...args] = look.split(' ');
  expect(execFileSync(program, args, { cwd: clone, encoding: 'utf8' })).toBe(TAG);
  const { digest } = JSON.parse(git('show', `origin/promotions:${TAG}.json`));
  for (const tag of [TAG, 'current-ceph']) {
    const manifest = await askRegistry(place, `alice/ceph/manifests/${tag}`, 'repository:alice/ceph:pull');
    expect(manifest.headers.get('docker-content-digest')).toBe(digest);
  }
  expect(await run()).toEqual({ status: 0, log: expect.stringContaining('current-ceph: nothing changed: ') });
});
