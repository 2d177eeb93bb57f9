import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { smallApis } from '../../src/actions/shared/http.js';
import { ServiceError } from '../../src/base/errors.js';
import { silent } from '../store/fixture.js';

/** A proxy as companies have it: it lets nobody tunnel to a port but 443. */
const seen: string[] = [];
const proxy = createServer((request, response) => {
  seen.push(`${request.method} ${request.url}`);
  response.end('by proxy');
});
proxy.on('connect', (request, socket) => {
  seen.push(`CONNECT ${request.url}`);
  socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
});

const NAMES = ['http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY'];
const before = NAMES.map((name) => [name, process.env[name]] as const);
let address = '';

beforeAll(async () => {
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const at = proxy.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  address = `127.0.0.1:${at.port}`;
});

afterAll(() => {
  proxy.close();
});

afterEach(() => {
  seen.length = 0;
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** The text at a URL; `direct` if the proxy was left out: then its host is looked up here, and there is no such host. */
async function read(url: string, env: Readonly<Record<string, string>>): Promise<string> {
  for (const name of NAMES) delete process.env[name];
  Object.assign(process.env, env);
  const http = await smallApis(silent, { 'ca-file': undefined });
  try {
    return (await http.sendForText({ method: 'GET', url: new URL(url) }, { idempotent: false, maxBytes: 100 })).text;
  } catch (error) {
    const isLookedUp = error instanceof ServiceError && error.message.includes(`: the name ${new URL(url).hostname} `);
    if (isLookedUp && seen.length === 0) return 'direct';
    throw error;
  }
}

const FILE = 'http://images.invalid/ceph/current-ceph';

describe('small APIs over http, with a proxy', () => {
  test.each([
    ['http_proxy', () => ({ http_proxy: `http://${address}` })],
    ['HTTP_PROXY', () => ({ HTTP_PROXY: `http://${address}/` })],
    ['a NO_PROXY that names other hosts', () => ({ http_proxy: `http://${address}`, NO_PROXY: 'ges.invalid,x' })],
  ])('%s: the proxy is asked without a tunnel', async (_, env) => {
    expect(await read(FILE, env())).toBe('by proxy');
    expect(seen).toEqual([`GET ${FILE}`]);
  });

  test.each(['*', '.invalid', '*.invalid', 'images.invalid', 'x, IMAGES.invalid', 'images.invalid:80'])(
    'NO_PROXY=%s leaves the proxy out',
    async (hosts) => {
      expect(await read(FILE, { http_proxy: `http://${address}`, NO_PROXY: hosts })).toBe('direct');
    },
  );

  test('no proxy is asked for loopback', async () => {
    expect(await read(`http://${address}/x`, { http_proxy: 'http://127.0.0.1:1' })).toBe('by proxy');
    expect(seen).toEqual(['GET /x']);
  });
});
