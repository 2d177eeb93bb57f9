import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { freshImageDirectory, freshRepository, sandbox } from './current.js';
import { type Fault, type FaultProxyOptions, startFaultProxy } from './fault-proxy.js';
import { buildImage, pushImage } from './images.js';
import type { Stoppable } from './process.js';
import { type Break, startTcpProxy } from './tcp-proxy.js';

const TEXT = '0123456789'.repeat(10);
let path = '';

beforeAll(async () => {
  const directory = await freshImageDirectory();
  await writeFile(join(directory.path, 'file'), TEXT);
  path = new URL(`${directory.url}/file`).pathname;
});

const started: Stoppable[] = [];

afterEach(async () => {
  for (const proxy of started.splice(0)) await proxy.stop();
});

async function start(options: FaultProxyOptions) {
  const proxy = await startFaultProxy(options);
  started.push(proxy);
  return proxy;
}

/** What a client sees: the status and the body, and an error's code where the connection broke. */
function get(origin: string, timeout = 600_000): Promise<string> {
  return new Promise((resolve) => {
    let seen = '';
    const fail = (error: NodeJS.ErrnoException) => resolve(`${seen} ${error.code}`.trim());
    const sent = request(origin + path, { agent: false, timeout }, (response) => {
      seen = `${response.statusCode} `;
      response.on('data', (chunk) => {
        seen += chunk;
      });
      response.on('end', () => resolve(seen));
      response.on('error', fail);
    });
    sent.on('timeout', () => resolve('timeout'));
    sent.on('error', fail).end();
  });
}

describe('fault proxy', () => {
  test.each<[Fault, string, number]>([
    [{ kind: 'answer', status: 500, body: 'oh' }, '500 oh', 0],
    [{ kind: 'reset' }, 'ECONNRESET', 0],
    [{ kind: 'lose-answer' }, 'ECONNRESET', 1],
    [{ kind: 'cut-answer', after: 12 }, '200 012345678901 ECONNRESET', 1],
    [{ kind: 'truncate', after: 12 }, '200 012345678901 ECONNRESET', 1],
    [{ kind: 'flip', at: 50 }, `200 ${TEXT.slice(0, 50)}1${TEXT.slice(51)}`, 1],
    [{ kind: 'drip', everyMs: 1 }, `200 ${TEXT}`, 1],
    [{ kind: 'delay', ms: 1 }, `200 ${TEXT}`, 1],
  ])('%j', async (fault, seen, reached) => {
    const behind = await start({ upstream: sandbox().imageServer.web.url });
    const { url } = await start({ upstream: behind.url, rules: [{ fault, times: 1 }] });
    expect(await get(url)).toBe(seen);
    expect(behind.requests.length).toBe(reached);
    expect(await get(url)).toBe(`200 ${TEXT}`);
  });

  test('an upload that is cut, or whose answer is lost, and one that passes', async () => {
    const { url, requests, rules } = await start({ upstream: sandbox().source.url });
    const to = { url, repository: freshRepository() };
    const image = buildImage();
    rules.push({ method: 'PUT', path: /digest=/, fault: { kind: 'cut-request', after: 10 }, times: 1 });
    await expect(pushImage(to, image, ['tag'])).rejects.toThrow('fetch failed');
    rules.splice(0, 1, { method: 'PUT', path: /manifests/, fault: { kind: 'lose-answer' }, times: 1 });
    await expect(pushImage(to, image, ['tag'])).rejects.toThrow('fetch failed');
    const tag = `/v2/${to.repository}/manifests/tag`;
    expect((await fetch(url + tag, { headers: { accept: image.mediaType } })).status).toBe(200);
    await pushImage(to, image, ['tag']);
    expect(requests.filter((one) => one.path === tag)).toEqual([
      { method: 'PUT', path: tag },
      { method: 'GET', path: tag, status: 200 },
      { method: 'PUT', path: tag, status: 201 },
    ]);
  });

  test('rules choose by count and by a seeded chance', async () => {
    const fault: Fault = { kind: 'answer', status: 503 };
    const statuses = async (rule: { skip?: number; times?: number; probability?: number }) => {
      const { url } = await start({ upstream: sandbox().imageServer.web.url, rules: [{ ...rule, fault }] });
      const seen: string[] = [];
      for (let n = 0; n < 8; n += 1) seen.push((await get(url)).slice(0, 3));
      return seen.join(' ');
    };
    expect(await statuses({ skip: 2, times: 3 })).toBe('200 200 503 503 503 200 200 200');
    expect(await statuses({ probability: 0.5 })).toBe(await statuses({ probability: 0.5 }));
  });

  test('reports each request before it is handled', async () => {
    const order: string[] = [];
    const behind = await start({
      upstream: sandbox().imageServer.web.url,
      onRequest: (n) => void order.push(`${n} there`),
    });
    const { url } = await start({ upstream: behind.url, onRequest: (n) => void order.push(`${n} here`) });
    await get(url);
    await get(url);
    expect(order).toEqual(['1 here', '1 there', '2 here', '2 there']);
  });
});

describe('TCP proxy', () => {
  const HEAD_AND_MORE = 300;

  test.each<[Break | undefined, RegExp]>([
    [undefined, /^200 (\d{10}){10}$/],
    [{ direction: 'to-server', afterBytes: 5, how: 'reset' }, /^ECONNRESET$/],
    [{ direction: 'to-client', afterBytes: HEAD_AND_MORE, how: 'reset' }, /^200 \d{1,99} ECONNRESET$/],
    [{ direction: 'to-client', afterBytes: 10, how: 'stall' }, /^timeout$/],
  ])('%j', async (planned, seen) => {
    const proxy = await startTcpProxy(Number(new URL(sandbox().imageServer.web.url).port));
    started.push(proxy);
    proxy.break = planned;
    const timeout = planned?.how === 'stall' ? 200 : undefined;
    expect(await get(`http://127.0.0.1:${proxy.port}`, timeout)).toMatch(seen);
    if (planned !== undefined) expect(proxy.connections[0]?.[planned.direction]).toBe(planned.afterBytes);
  });
});
