import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ListOptions } from '../../src/registry/registry.js';
import { CEPH_DAEMON, cephDaemonTags } from '../sandbox/ceph-daemon.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type Fault, startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildImage, pushImage } from '../sandbox/images.js';
import { basicAuthorization } from '../sandbox/registry.js';
import { client, closeAll, createLines, repository } from './support.js';

const { source, target } = sandbox();
const stops: (() => unknown)[] = [];

afterEach(async () => {
  await closeAll();
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

interface StandIn {
  /** Of `ns/repo` there. */
  readonly name: string;
  readonly host: string;
  /** `GET` and path with query, in order. */
  readonly asked: string[];
}

/** A server of pages that real ones cannot be made to send. */
async function standIn(answer: (url: URL, host: string) => Answer | undefined): Promise<StandIn> {
  const asked: string[] = [];
  const server: Server = createServer((request: IncomingMessage, response) => {
    const url = new URL(request.url ?? '', host());
    asked.push(request.url ?? '');
    const { status = 200, headers = {}, body } = answer(url, host()) ?? { status: 404, body: { errors: [] } };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  const host = () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}`;
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { name: `${host().slice(7)}/ns/repo`, host: host().slice(7), asked };
}

const list = (name: string, options: Partial<ListOptions> = {}) =>
  client()
    .repository(repository(name))
    .listTags({ listing: 'auto', ...options });

const names = async (listing: ReturnType<typeof list>) => (await listing).tags.map(({ name }) => name);

describe('the distribution API', () => {
  test('distribution v3: the whole listing in one request', async () => {
    const front = await startFaultProxy({ upstream: source.url });
    stops.push(front.stop);
    const found = await list(`${front.host}/${CEPH_DAEMON}`);
    expect(found.listing).toBe('distribution');
    expect(found.tags.map(({ name }) => name).sort()).toEqual([...cephDaemonTags].sort());
    expect(front.requests.map(({ path }) => path)).toEqual([`/v2/${CEPH_DAEMON}/tags/list`]);
  });

  test('Debian 2.8, which cannot filter', async () => {
    const { login, url, host } = target;
    const to = freshRepository();
    await pushImage({ url, repository: to, authorization: basicAuthorization(login) }, buildImage(), [
      'v1-stable-1',
      'devel',
    ]);
    const found = await client({ login })
      .repository(repository(`${host}/${to}`))
      .listTags({
        listing: 'auto',
        filter: '-stable-',
      });
    expect(found.tags.map(({ name }) => name).sort()).toEqual(['devel', 'v1-stable-1']);
  });

  test('a repository that does not exist', async () => {
    await expect(list(`${source.host}/no/such`)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('no/such: GET tags/list: the registry answered 404 NAME_UNKNOWN'),
    });
  });

  test.each<[string, Fault, number | undefined]>([
    ['429 with Retry-After', { kind: 'answer', status: 429, headers: { 'retry-after': '2' } }, 2],
    ['a burst of 503', { kind: 'answer', status: 503 }, 4],
    ['resets', { kind: 'reset' }, 3],
    ['half a document', { kind: 'truncate', after: 1000 }, 2],
    ['a document that breaks off', { kind: 'cut-answer', after: 1000 }, 2],
  ])('%s passes', async (_, fault, times) => {
    const front = await startFaultProxy({
      upstream: source.url,
      rules: [{ fault, ...(times !== undefined && { times }) }],
    });
    stops.push(front.stop);
    expect(await names(list(`${front.host}/${CEPH_DAEMON}`))).toHaveLength(cephDaemonTags.length);
  });

  const tags = Array.from({ length: 25 }, (_, n) => `t${n + 10}`);

  test.each([
    ['relative', 25, 3, () => ''],
    ['absolute', 25, 3, (host: string) => host],
    // After a full last page, distribution v3 links to an empty one: one more request shows that it is the end.
    ['relative, and the last page empty', 20, 4, () => ''],
  ])('Links are followed: %s', async (_, count, requests, base) => {
    const server = await standIn((url, host) => pageOf(tags.slice(0, count), url, base(host)));
    expect(await names(list(server.name))).toEqual(tags.slice(0, count));
    expect(server.asked[0]).toBe('/v2/ns/repo/tags/list');
    expect(server.asked).toHaveLength(requests);
  });

  const next = (path: string) => ({ link: `<${path}>; rel="next"` });

  test.each<[string, string, RegExp, (url: URL) => Answer]>([
    ['null for tags', 'not-found', /there are no tags/, () => ({ body: { tags: null } })],
    ['no tags', 'not-found', /there are no tags/, () => ({ body: { tags: [] } })],
    [
      'HTML',
      'bad-answer',
      /tag listing: not JSON/,
      () => ({ headers: { 'content-type': 'text/html' }, body: '<html>' }),
    ],
    ['a tag of a megabyte', 'bad-answer', /tags\.0/, () => ({ body: { tags: ['x'.repeat(1_000_000)] } })],
    ['numbers for tags', 'bad-answer', /tags\.0/, () => ({ body: { tags: [1] } })],
    ['a page that repeats', 'bad-answer', /page 2 has nothing new/, () => ({ body: { tags }, headers: next('?more') })],
    [
      'an empty page in the middle',
      'bad-answer',
      /page 2 (has nothing new|is empty)/,
      ({ search }) =>
        search === '' ? { body: { tags }, headers: next('?2') } : { body: { tags: [] }, headers: next('?3') },
    ],
    [
      'a next page elsewhere',
      'bad-answer',
      /another server/,
      () => ({ body: { tags }, headers: next('http://127.0.0.1:1/') }),
    ],
    [
      'an error after some pages',
      'server-error',
      /answered 500/,
      ({ search }) => (search === '' ? { body: { tags }, headers: next('?2') } : { status: 500, body: {} }),
    ],
    [
      'a missing page',
      'not-found',
      /answered 404/,
      ({ search }) => (search === '' ? { body: { tags }, headers: next('?2') } : { status: 404, body: {} }),
    ],
    [
      'redirects without end',
      'bad-answer',
      /redirects/,
      ({ pathname }) => ({ status: 302, headers: { location: pathname }, body: '' }),
    ],
  ])('refused: %s', async (_, kind, message, answer) => {
    const server = await standIn(answer);
    await expect(list(server.name)).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  });
});

describe("Quay's API", () => {
  const digests = (n: number) => `sha256:${n.toString(16).padStart(64, '0')}`;
  const row = (n: number, more = {}) => ({
    name: `v6.0.${n}-stable-6.0`,
    manifest_digest: digests(n),
    is_manifest_list: true,
    start_ts: 1_650_000_000 + n,
    last_modified: 'Fri, 06 May 2022 00:00:00 -0000',
    size: null,
    ...more,
  });
  const rows = Array.from({ length: 620 }, (_, n) => row(620 - n));

  /** By the API's documentation: newest first, 100 a page, `has_additional`. */
  const rest = (all: readonly object[]) => (url: URL) => {
    if (!url.pathname.startsWith('/api/v1/repository/ns/repo/tag/')) return undefined;
    const start = (Number(url.searchParams.get('page')) - 1) * 100;
    return { body: { tags: all.slice(start, start + 100), page: 1, has_additional: start + 100 < all.length } };
  };

  const challenge = (host: string) => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="${host}/v2/auth",service="quay"` },
    body: {},
  });

  test('is used if pages continue as on Quay, filtered, with digests and times', async () => {
    const linking = {
      body: { tags: ['a'] },
      headers: { link: '</v2/ns/repo/tags/list?n=100&next_page=gAA>; rel="next"' },
    };
    const server = await standIn((url) => rest(rows)(url) ?? linking);
    const found = await list(server.name, { filter: '-stable-' });
    expect(found).toMatchObject({ listing: 'quay', narrowed: true });
    expect(found.tags).toHaveLength(620);
    expect(found.tags).toContainEqual({ name: 'v6.0.7-stable-6.0', digest: digests(7), startedAt: 1_650_000_007 });
    expect(server.asked).toHaveLength(8);
    expect(server.asked[1]).toBe(
      '/api/v1/repository/ns/repo/tag/?limit=100&page=1&onlyActiveTags=true&filter_tag_name=like%3A-stable-',
    );
  });

  test('is used if tokens come from /v2/auth, and no token is requested', async () => {
    const server = await standIn((url, host) => rest(rows)(url) ?? challenge(host));
    expect((await list(server.name)).listing).toBe('quay');
    expect(server.asked).toHaveLength(8);
    expect(server.asked.filter((path) => path.startsWith('/v2/'))).toEqual(['/v2/ns/repo/tags/list']);
  });

  test('deleted and expired tags are left out', async () => {
    const dead = [row(1, { end_ts: 1_650_000_500 }), row(2, { expiration: 'Fri, 06 May 2022 00:00:00 -0000' })];
    const alive = [row(3, { end_ts: 4_000_000_000 }), row(4, { expiration: 'Fri, 06 May 2122 00:00:00 -0000' })];
    const server = await standIn(rest([...dead, ...alive]));
    expect(await names(list(server.name, { listing: 'quay' }))).toEqual(['v6.0.3-stable-6.0', 'v6.0.4-stable-6.0']);
  });

  test('a push in the meantime moves rows to the next page', async () => {
    const moved = [...rows.slice(0, 100), ...rows.slice(99, 150)];
    const server = await standIn(rest(moved));
    expect(await names(list(server.name, { listing: 'quay' }))).toHaveLength(150);
  });

  test.each<[string, Answer]>([
    ['it is not there', { status: 404, body: {} }],
    ['it is for others', { status: 401, body: {} }],
    ['there is HTML in its place', { headers: { 'content-type': 'text/html' }, body: '<!doctype html>' }],
  ])('where %s, the distribution API lists, if it may', async (_, api) => {
    const log = createLines();
    const tags = ['t1', 't2'];
    const server = await standIn((url, host) => {
      if (url.pathname.startsWith('/api')) return api;
      if (url.pathname === '/v2/auth') return { body: { token: 'x' } };
      return server.asked.filter((path) => path.startsWith('/v2/ns')).length < 2 ? challenge(host) : { body: { tags } };
    });
    const found = await client({ log }).repository(repository(server.name)).listTags({ listing: 'auto' });
    expect(found).toMatchObject({ listing: 'distribution', narrowed: false, tags: [{ name: 't1' }, { name: 't2' }] });
    expect(log.lines).toContainEqual(expect.stringMatching(/Quay's API lists no tags; listing with the distribution/));
    await expect(list(server.name, { listing: 'quay' })).rejects.toMatchObject({
      kind: 'unsupported',
      hint: 'distribution-listing',
    });
  });

  const more = { page: 1, has_additional: true };

  test.each<[string, RegExp, (page: number) => Answer]>([
    ['a page that repeats', /page 2 has nothing new/, () => ({ body: { tags: rows.slice(0, 100), ...more } })],
    ['an empty page', /page 1 has nothing new/, () => ({ body: { tags: [], ...more } })],
    [
      'a page that is gone',
      /page 2 does not exist/,
      (n) => (n === 1 ? { body: { tags: rows.slice(0, 100), ...more } } : { status: 404, body: {} }),
    ],
    ['another document', /tags/, () => ({ body: { ok: true } })],
    [
      'a digest that is none',
      /manifest_digest/,
      () => ({ body: { tags: [row(1, { manifest_digest: 'x' })], has_additional: false } }),
    ],
  ])('refused: %s', async (_, message, answer) => {
    const server = await standIn((url) => answer(Number(url.searchParams.get('page'))));
    await expect(list(server.name, { listing: 'quay' })).rejects.toMatchObject({
      kind: 'bad-answer',
      message: expect.stringMatching(message),
    });
  });
});

/** Ten tags a page, and a Link on each full page, as in distribution v3. */
function pageOf(tags: readonly string[], url: URL, base: string): Answer {
  const last = url.searchParams.get('last') ?? '';
  const shown = tags.filter((tag) => tag > last).slice(0, 10);
  const link = `<${base}/v2/ns/repo/tags/list?last=${shown.at(-1)}&n=10>; rel="next"`;
  return { body: { tags: shown }, headers: shown.length === 10 ? { link } : {} };
}
