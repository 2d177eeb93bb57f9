import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { namesProxy, proxyFor } from '../../src/http/proxy.js';
import { undiciTransport } from '../../src/http/undici-transport.js';
import { hastyClock } from '../registry/support.js';
import { silent } from '../store/fixture.js';

const NAMES = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);
const before = NAMES.map((name) => [name, process.env[name]] as const);

beforeEach(() => {
  for (const name of NAMES) delete process.env[name];
});
afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const of = (url: string) => {
  const found = proxyFor(new URL(url));
  return found && `${found.variable} ${found.url.href}`;
};

describe('the proxy for a URL', () => {
  test.each<[Record<string, string>, string, string | undefined]>([
    [{}, 'http://a.test', undefined],
    [{ http_proxy: 'http://p:1' }, 'http://a.test', 'http_proxy http://p:1/'],
    [{ http_proxy: 'http://p:1' }, 'https://a.test', undefined],
    [{ HTTPS_PROXY: 'http://p:1' }, 'https://a.test', 'HTTPS_PROXY http://p:1/'],
    [{ HTTPS_PROXY: 'http://p:1' }, 'http://a.test', undefined],
    [{ https_proxy: 'http://p:1', HTTPS_PROXY: 'http://q:2' }, 'https://a.test', 'https_proxy http://p:1/'],
    [{ https_proxy: '', HTTPS_PROXY: 'http://q:2' }, 'https://a.test', 'HTTPS_PROXY http://q:2/'],
  ])('%j: %s', (env, url, expected) => {
    Object.assign(process.env, env);
    expect(of(url)).toBe(expected);
  });

  test.each(['http://localhost', 'http://a.localhost:80', 'http://127.1.2.3', 'http://[::1]', 'http://0.0.0.0'])(
    'never one for %s',
    (url) => {
      process.env.http_proxy = 'http://p:1';
      expect(of(url)).toBeUndefined();
      expect(namesProxy(new URL(url))).toBe(true);
    },
  );

  test.each([
    ['*', true],
    ['a.test', true],
    ['.a.test', true],
    ['*.a.test', true],
    ['test', true],
    ['x.test,  A.TEST', true],
    ['x.test a.test', true],
    ['a.test:443', true],
    ['a.test:80', false],
    ['b.a.test', false],
    ['.test.example', false],
    ['est', false],
    ['.', false],
    [',', false],
  ])('NO_PROXY=%s', (hosts, isExcepted) => {
    Object.assign(process.env, { https_proxy: 'http://p:1', NO_PROXY: hosts });
    expect(of('https://a.test') === undefined).toBe(isExcepted);
  });

  test.each(['proxy.test:3128', '10.0.0.1:3128', 'ftp://secret@p', 'secret word'])('not %s', (value) => {
    process.env.https_proxy = value;
    expect(() => of('https://a.test')).toThrow(
      'https_proxy is not the URL of a proxy, as in http://proxy.example:3128',
    );
    expect(of('http://a.test')).toBeUndefined();
  });
});

describe('a proxy that cannot be reached', () => {
  async function failure(url: string): Promise<{ readonly error: unknown; readonly lines: string[] }> {
    const lines: string[] = [];
    const { transport, close } = undiciTransport({});
    const log = { ...silent, debug: (line: string) => void lines.push(line) };
    const http = createHttp({ transport, policy: defaultPolicy, clock: hastyClock, log });
    const options = { idempotent: true, hint: 'dlrn-url', maxBytes: 99 } as const;
    const sent = http.sendForText({ method: 'GET', url: new URL(url) }, options);
    const error = await sent.catch((thrown: unknown) => thrown);
    await close();
    return { error, lines };
  }

  test.each([
    ['http://dlrn.invalid/', 'HTTP_PROXY'],
    ['https://dlrn.invalid/', 'HTTPS_PROXY'],
  ])('is blamed instead of the host: %s', async (url, variable) => {
    process.env[variable] = 'http://user:secret@127.0.0.1:1/';
    const { error, lines } = await failure(url);
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: `GET ${url}: the proxy 127.0.0.1:1 (${variable}) cannot be reached: no server listens at 127.0.0.1:1 (ECONNREFUSED)`,
      hint: undefined,
      host: undefined,
    });
    // As often as a server that refuses connections.
    expect(lines.map((line) => /retry \d of \d/.exec(line)?.[0])).toEqual([1, 2, 3, 4].map((n) => `retry ${n} of 4`));
  });

  test('is not blamed for a host that NO_PROXY excepts', async () => {
    Object.assign(process.env, { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: 'invalid' });
    const { error } = await failure('http://dlrn.invalid/');
    expect(error).toMatchObject({ kind: 'unreachable', hint: 'dlrn-url', host: 'dlrn.invalid' });
    expect(String(error)).not.toContain('proxy');
  });
});
