import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readCandidate } from '../../src/store/consume.js';
import { httpReader } from '../../src/store/http-reader.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { http } from '../store/fixture.js';
import { type Forge, startForge } from '../store/git/support.js';
import { freshGitScene, losesAndRecovers, problemOf, stateOf, withRun } from './on-git.js';
import { CURRENT, digestAt, openRegistry, publish, run, runOn } from './support.js';

/** The promises of a promotion, kept by a store in a branch too. The whole crash matrix and the race are in on-git.field.test.ts. */

let forge: Forge;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());
afterEach(() => {
  forge.fault = () => false;
});

const count = (kind: 'push' | 'fetch') =>
  // A fetch with protocol 2 asks for refs first; the answer to that is short.
  forge.requests.filter((request) => request.kind === kind && (kind === 'push' || request.bytes > 400)).length;

test('a promotion takes at most two pushes and three fetches, and a second run pushes nothing', async () => {
  const place = await freshGitScene(forge);
  for (const name of ['v1.0.1', 'v1.0.2']) {
    const candidate = await publish(place.scene, name);
    forge.requests.length = 0;
    await withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate }));
    expect(count('push')).toBe(2);
    expect(count('fetch')).toBeLessThanOrEqual(3);
    forge.requests.length = 0;
    await withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate }));
    expect(count('push')).toBe(0);
  }
});

test('a promotion whose forge goes down after it got the record is finished', () =>
  losesAndRecovers(forge, { at: 'answer', step: 1 }));

test('if a branch lost a head that has a proof at the targets, the run stops, and nothing moves', async () => {
  const place = await freshGitScene(forge);
  const { scene, repository } = place;
  const candidates = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2'), await publish(scene, 'v1.0.3')];
  const cut: string[] = [];
  for (const candidate of candidates.slice(0, 2)) {
    await withRun(forge, place, (opened) => runOn(scene, opened, { candidate, with: { referrers: true } }));
    cut.push(repository.git('rev-parse', 'promotions'));
  }
  const [first = ''] = cut;
  repository.git('update-ref', 'refs/heads/promotions', first);
  const again = withRun(forge, place, (opened) =>
    runOn(scene, opened, { candidate: candidates[2], with: { referrers: true } }),
  );
  await expect(again).rejects.toThrow(/proof/);
  expect(repository.git('rev-parse', 'promotions')).toBe(first);
  expect(await stateOf(place)).toMatchObject({ label: 'v1.0.1', moving: candidates[1]?.digest });
  expect(await digestAt(scene.target, scene.targetRepository, 'v1.0.3')).toBeUndefined();
});

test('a store that moves from SFTP keeps its ledger, and the next run changes nothing', async () => {
  const place = await freshGitScene(forge);
  const { scene, repository } = place;
  const old = await publish(scene, 'v1.0.1');
  const candidate = await publish(scene, 'v1.0.2');
  await run(scene, { candidate: old });
  await run(scene, { candidate });

  // As docs/how-to/keep-the-store-in-a-branch.md says.
  const work = mkdtempSync(join(tmpdir(), 'move-'));
  const git = (...args: string[]) => execFileSync('git', ['-C', work, ...args], { stdio: 'pipe' });
  git('clone', '--quiet', '--no-checkout', repository.path, '.');
  git('checkout', '--quiet', '--orphan', 'promotions');
  git('rm', '-r', '--cached', '--quiet', '--ignore-unmatch', '.');
  cpSync(scene.directory.path, work, { recursive: true, verbatimSymlinks: true });
  git('-c', 'core.autocrlf=false', 'add', '--all', '.');
  git('-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '--quiet', '--message', 'Move the store here');
  git('push', '--quiet', 'origin', 'promotions');
  rmSync(work, { recursive: true });

  const tip = repository.git('rev-parse', 'promotions');
  const { decision } = await withRun(forge, place, (opened) => runOn(scene, opened, { candidate }));
  expect(decision).toBe('unchanged');
  expect(repository.git('rev-parse', 'promotions')).toBe(tip);
  for (const n of [1, 2]) {
    const file = `ledger/current-ceph/${n}.json`;
    expect(`${repository.show(file)}\n`).toBe(readFileSync(join(scene.directory.path, file), 'utf8'));
  }
  expect(await problemOf(forge, place)).toBeUndefined();
  const newer = await publish(scene, 'v1.0.3');
  await withRun(forge, place, (opened) => runOn(scene, opened, { candidate: newer }));
  expect(await stateOf(place)).toEqual({ label: 'v1.0.3', previous: 'v1.0.2', records: 3, moving: newer.digest });
});

test("readers find the head by a forge's raw address of the branch", async () => {
  const place = await freshGitScene(forge);
  const { scene, repository } = place;
  const candidates = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2')];
  for (const candidate of candidates) await withRun(forge, place, (opened) => runOn(scene, opened, { candidate }));
  // A forge shows what git has at a path: of a symbolic link that is the name it points at.
  const prefix = '/owner/repository/raw/branch/promotions/';
  const raw = createServer(({ url = '' }, response) => {
    try {
      if (!url.startsWith(prefix)) throw new Error(url);
      response.end(
        execFileSync('git', ['-C', repository.path, 'cat-file', 'blob', `promotions:${url.slice(prefix.length)}`], {
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      );
    } catch {
      response.writeHead(404).end('Not found.');
    }
  });
  await new Promise<void>((done) => raw.listen(0, '127.0.0.1', done));
  const { port } = raw.address() as AddressInfo;
  const store = httpReader(http, new URL(`http://127.0.0.1:${port}${prefix}`));
  const registry = openRegistry(scene);
  try {
    expect(await store.readLabel(CURRENT)).toBe('v1.0.2');
    expect(await readCandidate({ store, label: CURRENT, unpinnedRepository: undefined })).toMatchObject({
      tag: 'v1.0.2',
      digest: candidates[1]?.digest,
    });
    const options = { label: CURRENT, ledgerKey: undefined, repositories: [] };
    expect(await verifyPromotion({ reader: store, registry, ...options })).toMatchObject({ problem: undefined });
  } finally {
    await registry.close();
    raw.closeAllConnections();
    raw.close();
  }
});
