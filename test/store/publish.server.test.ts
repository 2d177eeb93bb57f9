import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { systemClock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import { imageSet, setDigest } from '../../src/candidate/image-set.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { type PublishOptions, publishCandidate } from '../../src/store/publish.js';
import { formatServer, type ServerAddress, serverSchema } from '../../src/store/sftp/address.js';
import { connectSftp, type SftpSession } from '../../src/store/sftp/session.js';
import { createSftpStore } from '../../src/store/sftp/sftp-store.js';
import { findKnownHost, type KnownHost } from '../../src/store/ssh/host-keys.js';
import { readPrivateKey } from '../../src/store/ssh/private-key.js';
import type { Store } from '../../src/store/store.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { candidate, failure, silent, TESTING, withServer } from './fixture.js';
import { type FaultyProxy, startProxy } from './sftp/proxy.js';

const publish = (server: Store, tag: string, changes: Partial<PublishOptions> = {}) =>
  publishCandidate({
    server,
    candidate: candidate(tag),
    label: TESTING,
    tagsRead: 606,
    runUrl: 'https://forge.example/o/r/actions/runs/1/attempts/1',
    createdAt: Date.parse('2022-05-06T02:00:00Z') / 1000,
    dryRun: false,
    ...changes,
  });

describe('publishing', () => {
  test('names the candidate, and a second time changes nothing', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      expect(await publish(opened, 'v1')).toEqual({ changed: true, previousTag: undefined, label: TESTING });
      expect(await publish(opened, 'v1', { createdAt: 0 })).toEqual({
        changed: false,
        previousTag: 'v1',
        label: TESTING,
      });
      expect(await publish(opened, 'v2')).toEqual({ changed: true, previousTag: 'v1', label: TESTING });
    });
    expect(readdirSync(path).sort()).toEqual(['ceph-ci-testing', 'v1', 'v1.json', 'v2', 'v2.json']);
    expect(readlinkSync(join(path, 'ceph-ci-testing'))).toBe('v2');
    expect(JSON.parse(readFileSync(join(path, 'v2.json'), 'utf8'))).toEqual({
      reference: `quay.io/ceph/daemon:v2@${candidate('v2').digest}`,
      tag: 'v2',
      digest: candidate('v2').digest,
      created: '2022-05-06T02:00:00Z',
      'run-url': 'https://forge.example/o/r/actions/runs/1/attempts/1',
      'tags-read': 606,
    });
  });

  test('names the companions, and names others later', async () => {
    const { server, path } = await freshImageDirectory();
    const read = () => JSON.parse(readFileSync(join(path, 'v1.json'), 'utf8'));
    const set = (...tags: string[]) => ({
      candidate: imageSet(
        candidate('v1'),
        tags.map((tag) => candidate(tag)),
      ),
    });
    await withServer(server, async (opened) => {
      expect(await publish(opened, 'v1', set('9.4.7', '1.0'))).toMatchObject({ changed: true });
      expect(read()).toMatchObject({
        companions: [candidate('1.0'), candidate('9.4.7')].map(formatCandidate),
        'set-digest': setDigest(set('1.0', '9.4.7').candidate),
      });
      expect(await publish(opened, 'v1', set('1.0', '9.4.7'))).toMatchObject({ changed: false });
      expect(await publish(opened, 'v1', set('9.5.0'))).toMatchObject({ changed: true });
      expect(read()).toMatchObject({ companions: [formatCandidate(candidate('9.5.0'))] });
      expect(await publish(opened, 'v1')).toMatchObject({ changed: true });
      expect(Object.keys(read())).toEqual(['reference', 'tag', 'digest', 'created', 'run-url', 'tags-read']);
    });
    expect(readdirSync(path).sort()).toEqual(['ceph-ci-testing', 'v1', 'v1.json']);
  });

  test('in a dry run says what it would change, and changes nothing', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      expect(await publish(opened, 'v1', { dryRun: true })).toMatchObject({ changed: true, previousTag: undefined });
      expect(readdirSync(path)).toEqual([]);
      await publish(opened, 'v1');
      expect(await publish(opened, 'v1', { dryRun: true })).toMatchObject({ changed: false, previousTag: 'v1' });
      const moved = publish(opened, 'v1', { dryRun: true, candidate: candidate('v1', 'moved') });
      expect(await failure(moved)).toMatchObject({ kind: 'conflict' });
    });
  });

  test('for a tag that now means another image changes nothing', async () => {
    const { server, path } = await freshImageDirectory();
    await withServer(server, async (opened) => {
      await publish(opened, 'v1');
      await publish(opened, 'v2');
      const { kind, message } = await failure(publish(opened, 'v1', { candidate: candidate('v1', 'moved') }));
      expect(kind).toBe('conflict');
      expect(message).toMatch(/^tag v1 is published as .* and does not change to /);
    });
    expect(readlinkSync(join(path, 'ceph-ci-testing'))).toBe('v2');
  });

  test('for a tag of RDO adds the candidate file, and takes over the label', async () => {
    const { server, path } = await freshImageDirectory();
    writeFileSync(join(path, 'v1'), 'v1');
    await withServer(server, async (opened) => {
      expect(await publish(opened, 'v1')).toMatchObject({ changed: true });
    });
    expect(readdirSync(path).sort()).toEqual(['ceph-ci-testing', 'v1', 'v1.json']);
  });

  test.each([
    ['current-ceph', /name of a label/],
    ['ceph-ci-testing', /name of a label/],
    ['other-testing', /name of a label/],
    ['null', /reserved word/],
    ['previous-v1', /begins with previous-/],
  ])('a tag named %s is refused', async (tag, why) => {
    const { server, path } = await freshImageDirectory();
    const refused = await withServer(server, (opened) => failure(publish(opened, tag)));
    expect(refused).toEqual({ kind: 'UserError', message: expect.stringMatching(why) });
    expect(readdirSync(path)).toEqual([]);
  });
});

describe('a run that ends anywhere', () => {
  let proxy: FaultyProxy;
  let direct: SftpSession;
  let knownHost: KnownHost;
  const { port, privateKey, knownHosts } = sandbox().imageServer.sshd;

  const connect = async (server: ServerAddress) =>
    connectSftp({
      server,
      knownHost,
      identity: { privateKey: await readPrivateKey(privateKey) },
      connectMs: 10_000,
      answerMs: 10_000,
    });

  beforeAll(async () => {
    proxy = await startProxy(port);
    const server = addressOf((await freshImageDirectory()).server);
    knownHost = await findKnownHost(knownHosts, server);
    direct = await connect(server);
  });
  afterAll(() => {
    direct.close();
    proxy.close();
  });

  const addressOf = (url: string) => v.parse(serverSchema, url);
  const serverOn = (session: SftpSession, url: string) => {
    const address = addressOf(url);
    return createSftpStore({ session, where: formatServer(address), path: address.directory }, systemClock, silent);
  };

  /** What the directory was before: nothing, a candidate, or what a torn write of RDO's left. */
  const starts: Record<string, (url: string, path: string) => Promise<void>> = {
    nothing: async () => {},
    'an earlier candidate': async (url) => {
      await publish(serverOn(direct, url), 'v1');
    },
    'a torn artifact': async (url, path) => {
      await publish(serverOn(direct, url), 'v1');
      writeFileSync(join(path, 'v2'), '');
    },
  };

  /** What a consumer finds: the label of before or after, and never one without its image. */
  function asConsumed(path: string, atStart: string | undefined): string | undefined {
    const found = readlinkOr(join(path, 'ceph-ci-testing'));
    if (found === undefined) expect(atStart).toBeUndefined();
    else {
      expect([atStart, 'v2']).toContain(found);
      expect(readFileSync(join(path, 'ceph-ci-testing'), 'utf8')).toBe(found);
      expect(JSON.parse(readFileSync(join(path, `${found}.json`), 'utf8')).digest).toBe(candidate(found).digest);
    }
    return found;
  }

  async function finishes(url: string, path: string): Promise<void> {
    await publish(serverOn(direct, url), 'v2');
    expect(asConsumed(path, 'v1')).toBe('v2');
    const left = readdirSync(path).filter((name) => !name.startsWith('.promotion-'));
    expect(left.sort()).toEqual(expect.arrayContaining(['ceph-ci-testing', 'v2', 'v2.json']));
    expect(readdirSync(path).length - left.length).toBeLessThanOrEqual(1);
    for (const name of left) expect(lstatSync(join(path, name)).isDirectory()).toBe(false);
  }

  /** Makes the directory what it was before; returns what the label named. */
  async function prepare(start: string, url: string, path: string): Promise<string | undefined> {
    rmSync(path, { recursive: true });
    mkdirSync(path);
    await starts[start]?.(url, path);
    return asConsumed(path, start === 'nothing' ? undefined : 'v1');
  }

  describe.each(Object.keys(starts))('from %s', (start) => {
    test.each(['before', 'after', 'only at'] as const)('fails %s any call, and the next run finishes', async (when) => {
      const { server: url, path } = await freshImageDirectory();
      let steps = 0;
      for (let n = 1; ; n += 1) {
        const atStart = await prepare(start, url, path);
        const failing = faulty(direct, n, when, () => asConsumed(path, atStart));
        const { kind } = await failure(publish(serverOn(failing, url), 'v2'));
        asConsumed(path, atStart);
        if (kind === 'none') break;
        expect(kind).toBe('unreachable');
        await finishes(url, path);
        steps = n;
      }
      expect(steps).toBeGreaterThan(20);
    });
  });

  test('that loses its connection after any request is finished by the next', async () => {
    const { server: url, path } = await freshImageDirectory();
    let requests = 0;
    for (let n = 1; ; n += 1) {
      const atStart = await prepare('an earlier candidate', url, path);
      const session = await connect({ ...addressOf(url), port: proxy.port });
      proxy.cutAfter(n);
      const { kind } = await failure(publish(serverOn(session, url), 'v2'));
      proxy.cutAfter(Number.POSITIVE_INFINITY);
      session.close();
      asConsumed(path, atStart);
      if (kind === 'none') break;
      expect(kind).toBe('unreachable');
      await finishes(url, path);
      requests = n;
    }
    expect(requests).toBeGreaterThan(30);
  });
});

/**
 * A session whose n-th call fails: before or after it was done, and every later one too, as where the connection
 * breaks; or it alone.
 */
function faulty(session: SftpSession, n: number, when: 'before' | 'after' | 'only at', each: () => void): SftpSession {
  let calls = 0;
  return new Proxy(session, {
    get(target, name, receiver) {
      const method = Reflect.get(target, name, receiver);
      if (name === 'close') return method;
      return async (...args: unknown[]) => {
        calls += 1;
        const broken = new ServiceError('unreachable', `broken at call ${n}`);
        if (when === 'only at' ? calls === n : calls > n || (calls === n && when === 'before')) throw broken;
        const result = await method.apply(target, args);
        each();
        if (calls === n && when === 'after') throw broken;
        return result;
      };
    },
  });
}

function readlinkOr(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
