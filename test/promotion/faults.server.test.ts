import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { createFastClock } from '../registry/support.js';
import { sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import type { Stoppable } from '../sandbox/process.js';
import { startTcpProxy } from '../sandbox/tcp-proxy.js';
import { failure } from '../store/fixture.js';
import { mountTmpfs, testWithMounts, unmount } from '../store/mounts.js';
import { CURRENT, digestAt, freshScene, ledger, publish, run, type Scene, seen } from './support.js';

/** Servers that fail in the middle of a promotion: nothing is lost, and the next run finishes. */

const [V1, V2] = ['v1.0.1', 'v1.0.2'];
const isRoot = process.getuid?.() === 0;

const proxies: Stoppable[] = [];

afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

async function withOne(changes: Partial<Scene> = {}): Promise<Scene> {
  const scene = await freshScene(changes);
  await run(scene, { candidate: await publish(scene, V1) });
  return scene;
}

/** A scene whose target is behind a proxy. */
async function behindProxy(): Promise<{ scene: Scene; proxy: FaultProxy }> {
  const { target } = sandbox();
  const proxy = await startFaultProxy({ upstream: target.url });
  proxies.push(proxy);
  return { scene: await withOne({ target: { ...target, url: proxy.url, host: proxy.host } }), proxy };
}

async function isFinished(scene: Scene, records = 2): Promise<void> {
  const head = ledger(scene).at(-1);
  expect(head).toMatchObject({ n: records, kind: 'earned' });
  expect(head?.candidate.tag).toBe(V2);
  const digest = await digestAt(scene.target, scene.targetRepository, V2);
  expect(await seen(scene)).toEqual({ label: V2, previous: V1, moving: digest });
}

test('the SFTP connection breaks anywhere: the next run finishes', async () => {
  const { sshd } = sandbox().imageServer;
  const proxy = await startTcpProxy(sshd.port);
  proxies.push(proxy);
  const scene = await freshScene();
  const through = { ...scene, directory: { ...scene.directory, server: portOf(scene.directory.server, proxy.port) } };
  const knownHosts = sshd.knownHosts.replace(`]:${sshd.port}`, `]:${proxy.port}`);

  // The minute of patience with a server that hangs up also ends after a second.
  const options = { knownHosts, clock: createFastClock() };
  await run(through, { candidate: await publish(scene, 'v0.0.1') }, options);
  const whole = proxy.connections[0]?.['to-server'] ?? 0;
  const errors = new Set<string>();
  const CUTS = 20;
  for (let cut = 1; cut <= CUTS; cut += 1) {
    const candidate = await publish(scene, `v${cut}.0.0`);
    proxy.break = { direction: 'to-server', afterBytes: Math.floor((whole * cut) / CUTS), how: 'reset' };
    const { kind } = await failure(run(through, { candidate }, options));
    errors.add(kind);
    proxy.break = undefined;
    await run(through, { candidate }, options);
    expect(await seen(scene)).toMatchObject({ label: candidate.tag, moving: candidate.digest });
    const names = ledger(scene).map((record) => formatCandidate(record.candidate));
    expect(names.filter((name) => name === formatCandidate(candidate))).toHaveLength(1);
  }
  expect([...errors].filter((kind) => kind !== 'none')).toEqual(['unreachable']);
});

function portOf(server: string, port: number): string {
  return server.replace(/:\d+\//, `:${port}/`);
}

testWithMounts('the disk is full: the label stays, and the next run finishes', async () => {
  const scene = await freshScene();
  const { path } = scene.directory;
  mountTmpfs(path, '64k');
  try {
    await run(scene, { candidate: await publish(scene, V1) });
    const candidate = await publish(scene, V2);
    const whole = await seen(scene);
    const kinds: string[] = [];
    // The more space is free, the further it gets.
    for (const free of [0, 1, 2, 3]) {
      const filler = join(path, 'filler');
      const blocks = Number(execFileSync('stat', ['-f', '-c', '%a', path], { encoding: 'utf8' }));
      writeFileSync(filler, Buffer.alloc((blocks - free) * 4096));
      const { kind, message } = await failure(run(scene, { candidate }));
      rmSync(filler);
      kinds.push(kind);
      if (kind === 'none') break;
      expect({ free, kind, message }).toEqual({
        free,
        kind: 'full',
        message: expect.stringMatching(/no space left on the server$/),
      });
      if (ledger(scene).length === 1) expect(await seen(scene)).toMatchObject({ label: whole.label });
    }
    expect(kinds[0]).toBe('full');
    await run(scene, { candidate });
    await isFinished(scene);
    expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([]);
  } finally {
    unmount(path);
  }
});

test('the user may not write the ledger: nothing is promoted, and a user who may finishes it', async () => {
  const scene = await withOne();
  const { path, server } = scene.directory;
  const candidate = await publish(scene, V2);
  const folder = join(path, 'ledger', CURRENT);
  chmodSync(path, 0o1777);
  chmodSync(folder, 0o555);
  let user = server;
  if (isRoot) {
    // Permissions do not stop root, so the user nobody logs in instead.
    user = server.replace(/\/\/[^@]*@/, '//nobody@');
    for (const one of [path, sandbox().imageServer.sshd.authorizedKeys]) {
      for (let above = dirname(one); above !== '/' && above !== tmpdir(); above = dirname(above)) {
        if (above.includes('run-')) chmodSync(above, 0o755);
      }
    }
    const nobody = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));
    chownSync(folder, nobody, 0);
  }
  const wish = { candidate };
  const { kind, message } = await failure(run({ ...scene, directory: { ...scene.directory, server: user } }, wish));
  chmodSync(folder, 0o755);
  if (isRoot) chownSync(folder, 0, 0);
  expect({ kind, message }).toEqual({
    kind: 'forbidden',
    message: expect.stringMatching(/2\.json: user .* may not do this$/),
  });
  expect(await seen(scene)).toMatchObject({ label: V1 });
  expect(ledger(scene)).toHaveLength(1);
  await run(scene, wish);
  await isFinished(scene);
});

describe('the registry fails', () => {
  test('with 503 three times at every request: each request is repeated', async () => {
    const { scene, proxy } = await behindProxy();
    const candidate = await publish(scene, V2);
    proxy.rules.push({ method: 'PUT', path: /manifests/, fault: { kind: 'answer', status: 503 }, times: 3 });
    expect(await run(scene, { candidate })).toMatchObject({ decision: 'promote' });
    await isFinished(scene);
  });

  test('between the copy and its tag: nothing is promoted', async () => {
    const { scene, proxy } = await behindProxy();
    const candidate = await publish(scene, V2);
    proxy.rules.push({ method: 'PUT', path: /manifests\/v1\.0\.2/, fault: { kind: 'answer', status: 500 } });
    expect(await failure(run(scene, { candidate }))).toMatchObject({ kind: 'server-error' });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: undefined });
    expect(ledger(scene)).toHaveLength(1);
    proxy.rules.length = 0;
    await run(scene, { candidate });
    await isFinished(scene);
  });

  test('between the record and the moving tag: the label stays, and any run finishes', async () => {
    const { scene, proxy } = await behindProxy();
    const candidate = await publish(scene, V2);
    proxy.rules.push({ method: 'PUT', path: /manifests\/current-ceph/, fault: { kind: 'answer', status: 500 } });
    expect(await failure(run(scene, { candidate }))).toMatchObject({ kind: 'server-error' });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: undefined });
    expect(ledger(scene)).toHaveLength(2);
    proxy.rules.length = 0;
    const evaluate = async () => {
      throw new ServiceError('unreachable', 'DLRN is gone');
    };
    // Also one that then has no evidence.
    expect(await failure(run(scene, { candidate, with: { evaluate } }))).toMatchObject({ message: 'DLRN is gone' });
    await isFinished(scene);
    await run(scene, { candidate });
    await isFinished(scene);
  });

  test('by losing the answers to tags that it set', async () => {
    const { scene, proxy } = await behindProxy();
    const candidate = await publish(scene, V2);
    proxy.rules.push({ method: 'PUT', path: /manifests/, fault: { kind: 'lose-answer' }, times: 2 });
    expect(await run(scene, { candidate })).toMatchObject({ decision: 'promote' });
    await isFinished(scene);
  });

  test('by saying that it moved the tag when it did not: the run does not say that the image is promoted', async () => {
    const { scene, proxy } = await behindProxy();
    const candidate = await publish(scene, V2);
    const headers = { 'docker-content-digest': candidate.digest };
    proxy.rules.push({
      method: 'PUT',
      path: /manifests\/current-ceph/,
      fault: { kind: 'answer', status: 201, headers },
    });
    expect(await failure(run(scene, { candidate }))).toEqual({
      kind: 'conflict',
      message: expect.stringMatching(
        /^move tag .*:current-ceph to sha256:.* made and undone 20 times; find out who else writes/,
      ),
    });
    proxy.rules.length = 0;
    await run(scene, { candidate });
    await isFinished(scene);
  });
});

test('the evidence cannot be read: nothing is promoted', async () => {
  const scene = await withOne();
  mkdirSync(join(scene.directory.path, 'unrelated'));
  const evaluate = async () => {
    throw new ServiceError('unreachable', 'DLRN is gone');
  };
  const candidate = await publish(scene, V2);
  expect(await failure(run(scene, { candidate, with: { evaluate } }))).toMatchObject({ message: 'DLRN is gone' });
  expect(await seen(scene)).toMatchObject({ label: V1 });
  expect(await digestAt(scene.target, scene.targetRepository, V2)).toBeUndefined();
  await run(scene, { candidate });
  await isFinished(scene);
});
