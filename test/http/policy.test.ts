import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Clock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import type { Log } from '../../src/base/log.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { backoffMs, createHttp, defaultPolicy, type HttpPolicy, retryAfterMs } from '../../src/http/policy.js';

const silent: Log = { debug() {}, info() {}, warning() {}, group: (_, phase) => phase() };
const GET = { method: 'GET' } as const;

type Answer = (request: IncomingMessage, response: ServerResponse, number: number) => void;
const servers: Server[] = [];

async function serve(answer: Answer): Promise<{ url: URL; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => answer(request, response, seen.push(request)));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a`), seen };
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A clock on which waiting takes no time, and that remembers how long it was asked to wait. */
function fastClock(): Clock & { readonly waits: number[] } {
  let skipped = 0;
  const waits: number[] = [];
  return {
    waits,
    now: () => Date.now() + skipped,
    sleep: async (milliseconds) => {
      waits.push(milliseconds);
      skipped += milliseconds;
    },
    random: () => 0.5,
  };
}

function http(policy: Partial<HttpPolicy> = {}, clock: Clock = fastClock(), log: Log = silent) {
  return createHttp({ transport: actionsTransport(), policy: { ...defaultPolicy, ...policy }, clock, log });
}

const kindOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof ServiceError ? error.kind : error;
};

describe('retries', () => {
  test('a series of 5xx is waited out, each wait longer than the last', async () => {
    const { url, seen } = await serve((_, response, number) => response.writeHead(number < 4 ? 503 : 200).end('ok'));
    const clock = fastClock();
    const answer = await http({}, clock).sendForText({ ...GET, url }, { idempotent: true, maxBytes: 10 });
    expect(answer).toMatchObject({ status: 200, text: 'ok' });
    expect(seen).toHaveLength(4);
    expect(clock.waits).toEqual([...clock.waits].sort((a, b) => a - b));
  });

  test('Retry-After is obeyed, and a wait beyond the limit ends with an error at once', async () => {
    const { url, seen } = await serve((_, response, number) =>
      response.writeHead(429, { 'retry-after': number === 1 ? '7' : '3600' }).end(),
    );
    const clock = fastClock();
    expect(await kindOf(http({}, clock).send({ ...GET, url }, { idempotent: true }))).toBe('server-error');
    expect(clock.waits).toEqual([7000]);
    expect(seen).toHaveLength(2);
  });

  test('what is not idempotent is sent once, unless a rate limit refused it', async () => {
    const { url, seen } = await serve((_, response, number) => response.writeHead(number === 1 ? 429 : 502).end());
    const request = { method: 'POST', url, body: '{}' } as const;
    const answer = await http().send(request, { idempotent: false });
    expect(answer.status).toBe(502);
    expect(seen.map((one) => one.method)).toEqual(['POST', 'POST']);
  });

  test('a connection reset is tried again; a server that does not exist is named', async () => {
    const { url, seen } = await serve((request, response, number) =>
      number === 1 ? request.socket.resetAndDestroy() : response.end('ok'),
    );
    expect((await http().sendForText({ ...GET, url }, { idempotent: true, maxBytes: 9 })).text).toBe('ok');
    expect(seen).toHaveLength(2);
    const told: string[] = [];
    const log = { ...silent, debug: (line: string) => told.push(line) };
    const nowhere = http({}, fastClock(), log).send(
      { ...GET, url: new URL('http://127.0.0.1:1/') },
      { idempotent: true, hint: 'dlrn-url' },
    );
    await expect(nowhere).rejects.toMatchObject({
      kind: 'unreachable',
      message: 'GET http://127.0.0.1:1/: no server listens at 127.0.0.1:1 (ECONNREFUSED)',
      host: '127.0.0.1:1',
      hint: 'dlrn-url',
    });
    expect(told.map((line) => /retry \d of \d/.exec(line)?.[0])).toEqual([1, 2, 3, 4].map((n) => `retry ${n} of 4`));
  });

  test('a body that was cut off is asked for again', async () => {
    const { url } = await serve((request, response, number) => {
      response.writeHead(200, { 'content-length': '4' });
      if (number > 1) response.end('full');
      else response.write('fu', () => request.socket.destroy());
    });
    expect((await http().sendForText({ ...GET, url }, { idempotent: true, maxBytes: 9 })).text).toBe('full');
  });
});

describe('limits', () => {
  test('a server that does not answer', async () => {
    const { url } = await serve(() => undefined);
    const work = http({ attempts: 2, answerMs: 50 }).send({ ...GET, url }, { idempotent: true });
    await expect(work).rejects.toMatchObject({
      kind: 'timeout',
      message: expect.stringContaining('no answer within'),
      host: url.host,
    });
  });

  test('a server that drips', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const work = http({ attempts: 1, bodyMs: 100 }).sendForText({ ...GET, url }, { idempotent: true, maxBytes: 1e6 });
    expect(await kindOf(work)).toBe('timeout');
  });

  test('a body over its bound', async () => {
    const { url } = await serve((_, response) => response.end('x'.repeat(100)));
    expect(await kindOf(http().sendForText({ ...GET, url }, { idempotent: true, maxBytes: 99 }))).toBe('too-large');
  });
});

describe('redirects', () => {
  const headers = { authorization: 'Basic c2VjcmV0' };

  test('credentials stay within the origin and never come back', async () => {
    const away = await serve((_, response, number) =>
      number === 1 ? response.writeHead(307, { location: `${home.url.origin}/back` }).end() : response.end(),
    );
    const home: Awaited<ReturnType<typeof serve>> = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' }).end();
      else if (request.url === '/b') response.writeHead(302, { location: away.url.href }).end();
      else response.end('end');
    });
    const answer = await http().sendForText({ ...GET, url: home.url, headers }, { idempotent: true, maxBytes: 9 });
    expect(answer.text).toBe('end');
    expect(home.seen.map((one) => one.headers.authorization)).toEqual([
      headers.authorization,
      headers.authorization,
      undefined,
    ]);
    expect(away.seen.map((one) => one.headers.authorization)).toEqual([undefined]);
  });

  test.each([
    ['a loop', '/a', 'more than 5 redirects'],
    ['another scheme', 'file:///etc/passwd', 'redirected to file:///etc/passwd'],
    ['no address', 'http://', 'redirected to http://'],
  ])('%s is refused', async (_, location, message) => {
    const { url } = await serve((_request, response) => response.writeHead(302, { location }).end());
    await expect(http().send({ ...GET, url }, { idempotent: true })).rejects.toThrow(message);
  });
});

test('an upload is redirected within the origin, and never to another one', async () => {
  const away = await serve((_, response) => response.end());
  const { url, seen } = await serve((request, response) => {
    const location = new URL(request.url ?? '', url).searchParams.get('to');
    if (location === null) request.pipe(response);
    else response.writeHead(request.url?.startsWith('/301') ? 301 : 307, { location }).end();
  });
  const post = (path: string) =>
    http().sendForText({ method: 'POST', url: new URL(path, url), body: 'text' }, { idempotent: true, maxBytes: 99 });
  expect(await post('/307?to=/b')).toMatchObject({ status: 200, text: 'text' });
  expect(seen.at(-1)).toMatchObject({ method: 'POST', url: '/b' });
  expect(await post('/301?to=/b')).toMatchObject({ status: 301 });
  expect(await post(`/307?to=${away.url.href}`)).toMatchObject({ status: 307 });
  expect(away.seen).toEqual([]);
});

describe('a compressed body', () => {
  const read = async (content: Buffer, encoding: string) => {
    const { url, seen } = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).end(content);
    });
    const answer = await http().sendForText({ ...GET, url }, { idempotent: true, maxBytes: 99 });
    expect(seen[0]?.headers['accept-encoding']).toBe('identity');
    return answer.text;
  };

  test('is not asked for, and is unpacked, up to the limit', async () => {
    expect(await read(gzipSync('text'), 'gzip')).toBe('text');
    expect(await read(gzipSync('text'), 'x-gzip')).toBe('text');
    expect(await read(gzipSync('a'.repeat(99)), 'gzip')).toBe('a'.repeat(99));
  });

  test.each([
    ['larger than the limit once it is unpacked', gzipSync('a'.repeat(100)), 'too-large', 'an answer of more than 99'],
    ['cut', gzipSync('text').subarray(0, -4), 'bad-answer', 'whose gzip cannot be unpacked: unexpected end of file'],
  ])('is an error if it is %s', async (_, content, kind, message) => {
    await expect(read(content, 'gzip')).rejects.toMatchObject({ kind, message: expect.stringContaining(message) });
  });

  // moby/moby#17595
  test('is left alone if it only claims to be one', async () => {
    expect(await read(Buffer.from('text'), 'x-gzip')).toBe('text');
  });
});

test('a server is reached over http and over https', async () => {
  const { url } = await serve((_, response) => response.end());
  const { send } = http({ attempts: 1 });
  expect(await send({ ...GET, url }, { idempotent: true })).toMatchObject({ status: 200 });
  const secure = new URL(url.href.replace('http:', 'https:'));
  await expect(send({ ...GET, url: secure }, { idempotent: true })).rejects.toMatchObject({
    message: `${secure.host}: does not speak TLS, which https:// needs`,
    host: secure.host,
  });
});

test('the User-Agent says who asks', async () => {
  const { url, seen } = await serve((_, response) => response.end());
  await http().send({ ...GET, url }, { idempotent: true });
  expect(seen[0]?.headers['user-agent']).toMatch(/^ceph-promotion-actions/);
});

test.each([
  [{ 'retry-after': '3' }, 3000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:01:00 GMT' }, 50_000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 0],
  [{ 'retry-after': 'soon' }, undefined],
  // By the server's clock, which is an hour ahead of ours or behind it.
  [{ 'retry-after': 'Thu, 01 Jan 1970 01:00:03 GMT', date: 'Thu, 01 Jan 1970 01:00:00 GMT' }, 3000],
  [{ 'retry-after': 'Wed, 31 Dec 1969 23:00:03 GMT', date: 'Wed, 31 Dec 1969 23:00:00 GMT' }, 3000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:01:00 GMT', date: 'no date' }, 50_000],
  // A proxy added its own Date.
  [
    {
      'retry-after': 'Thu, 01 Jan 1970 01:00:03 GMT',
      date: 'Thu, 01 Jan 1970 00:00:10 GMT, Thu, 01 Jan 1970 01:00:00 GMT',
    },
    3000,
  ],
  [{}, undefined],
])('Retry-After %j', (headers, expected) => {
  expect(retryAfterMs(headers, 10_000)).toBe(expected);
});

test('backoff doubles, is jittered by half, and is bounded', () => {
  expect([1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([250, 500, 1000]);
  expect(backoffMs(1, 0)).toBe(125);
  expect(backoffMs(20, 1)).toBe(10_000);
});
