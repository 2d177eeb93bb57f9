import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { runDirectory } from '../sandbox/process.js';
import { type Registry as Server, startRegistry } from '../sandbox/registry.js';
import { client, closeAll, copyOf, digest, hastyClock, repository, tag } from './support.js';
import { startTokenServer, type TokenServer } from './token-server.js';

const { source, target, tools } = sandbox();
const login = { username: 'tripleo+robot', password: 'pa:ss wörd' };
const plain = { referrers: false };
const image = buildMultiPlatform({ layers: Array(12).fill(2000), seed: 'wide' });

describe('bearer tokens', () => {
  let directory: Awaited<ReturnType<typeof runDirectory>>;
  let tokens: TokenServer;
  let server: Server;
  let front: FaultProxy;
  let from: string;
  let to: string;

  beforeAll(async () => {
    directory = await runDirectory();
    tokens = await startTokenServer(join(directory.path, 'jwks.json'), login);
    server = await startRegistry({ tools, directory: join(directory.path, 'registry'), tokens: tokens.issuer });
  });

  beforeEach(async () => {
    tokens.allows = () => true;
    tokens.lifetime = { real: 3600, said: 3600 };
    front = await startFaultProxy({ upstream: server.url });
    [from, to] = [`${front.host}/${freshRepository()}`, `${front.host}/${freshRepository()}`];
    await push(from, 'v1');
    tokens.allows = (user) => user !== undefined;
    tokens.asked.length = 0;
  });

  afterEach(async () => {
    await closeAll();
    await front.stop();
  });

  afterAll(async () => {
    await server.stop();
    await tokens.stop();
    await directory.stop();
  });

  /** With a token that the token server gives to anybody. */
  async function push(name: string, as: string): Promise<void> {
    const { path } = repository(name);
    const url = `${tokens.issuer.realm}?service=registry&scope=repository:${path}:pull,push`;
    const { token } = (await (await fetch(url)).json()) as { token: string };
    await pushImage({ url: server.url, repository: path, authorization: `Bearer ${token}` }, image, [as]);
  }

  const path = (name: string) => repository(name).path;

  test('one for the whole copy: 35 requests, and 3 for its repeat', async () => {
    await client({ login }).copy([copyOf(from, image, to)], plain);
    expect(tokens.asked).toEqual([[`repository:${path(from)}:pull`, `repository:${path(to)}:pull,push`]]);
    expect(front.requests.length + tokens.asked.length).toBe(35);
    front.requests.length = tokens.asked.length = 0;
    await client({ login }).copy([copyOf(from, image, to)], plain);
    expect(front.requests.length + tokens.asked.length).toBe(3);
  });

  test('a plan never requests the right to push', async () => {
    await client({ login }).planCopy([copyOf(from, image, to)], plain);
    expect(tokens.asked).toEqual([[`repository:${path(from)}:pull`, `repository:${path(to)}:pull`]]);
  });

  test('one is reused for what it covers', async () => {
    const registry = client({ login });
    await registry.copy([copyOf(from, image, to)], plain);
    await registry.repository(repository(to)).moveTag(tag('moving'), copyOf(from, image, to).source.digest);
    await registry.repository(repository(from)).resolve(tag('v1'));
    expect(tokens.asked).toHaveLength(1);
  });

  test('one that ends early, in the middle of a copy', async () => {
    tokens.lifetime = { real: 5, said: 3600 };
    await front.stop();
    const onRequest = async (n: number) => {
      if (n === 10) await setTimeout(6000);
    };
    front = await startFaultProxy({ upstream: server.url, onRequest });
    const [slowFrom, slowTo] = [from, to].map((name) => `${front.host}/${path(name)}`);
    await client({ login }).copy([copyOf(slowFrom ?? '', image, slowTo ?? '')], plain);
    expect(tokens.asked.length).toBeGreaterThan(1);
    expect(tokens.asked.length).toBeLessThan(front.requests.length / 2);
  });

  test('one that says when it ends is renewed before that', async () => {
    let later = 0;
    const registry = client({ login, clock: { ...hastyClock, now: () => hastyClock.now() + later } });
    await registry.repository(repository(from)).resolve(tag('v1'));
    later = 3_599_000;
    front.requests.length = 0;
    await registry.repository(repository(from)).resolve(tag('v1'));
    expect(front.requests.map(({ status }) => status)).toEqual([200]);
    expect(tokens.asked).toHaveLength(2);
  });

  test('anonymous ones', async () => {
    tokens.allows = (_, __, action) => action === 'pull';
    expect(await client().repository(repository(from)).resolve(tag('v1'))).toMatchObject({ digest: image.digest });
    expect(front.requests.map(({ status }) => status)).toEqual([401, 200]);
  });

  test('a wrong password', async () => {
    const registry = client({ login: { ...login, password: 'wrong' } });
    await expect(registry.repository(repository(from)).resolve(tag('v1'))).rejects.toMatchObject({
      kind: 'unauthorized',
      message: expect.stringMatching(/^token for .*: answered 401$/),
      hint: 'log-in-to-target',
    });
  });

  test.each([
    ['anonymous', undefined],
    ['with a login', login],
  ])('a scope that is denied, %s', async (_, as) => {
    tokens.allows = () => false;
    await expect(
      client(as === undefined ? {} : { login: as })
        .repository(repository(from))
        .resolve(tag('v1')),
    ).rejects.toMatchObject({
      kind: 'unauthorized',
      hint: 'log-in-to-target',
    });
    expect(tokens.asked.length).toBeLessThanOrEqual(2);
  });
});

describe('basic', () => {
  afterEach(closeAll);
  const there = repository(`${target.host}/no/such`);

  test('a login', async () => {
    expect(await client({ login: target.login }).repository(there).resolve(tag('v1'))).toBeUndefined();
  });

  test.each([
    ['none', {}],
    ['a wrong one', { login: { ...target.login, password: 'wrong' } }],
  ])('%s', async (_, options) => {
    await expect(client(options).repository(there).resolve(tag('v1'))).rejects.toMatchObject({
      kind: 'unauthorized',
      message: expect.stringMatching(/no\/such: GET manifests\/v1: the registry answered 401/),
      hint: 'log-in-to-target',
    });
  });
});

describe('errors name what was asked', () => {
  afterEach(closeAll);

  test('no server answers', async () => {
    await expect(client().repository(repository('127.0.0.1:1/a/b')).resolve(tag('v1'))).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/^GET http:\/\/127.0.0.1:1\/v2\/a\/b\/manifests\/v1: .*ECONNREFUSED/),
    });
  });

  test.each([
    ['by tag', tag('v1')],
    ['by digest', digest(`sha256:${'0'.repeat(64)}`)],
  ])('a manifest that is not there, %s', async (_, reference) => {
    const name = `${source.host}/no/such`;
    const asked = client().repository(repository(name)).getManifest(reference);
    await expect(asked).rejects.toMatchObject({ kind: 'not-found', message: expect.stringContaining(name) });
  });
});
