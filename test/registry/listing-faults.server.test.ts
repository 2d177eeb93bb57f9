import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { clock } from '../dlrn/support.js';
import { CEPH_DAEMON, cephDaemonImage, cephDaemonTags } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { type Fault, type FaultProxy, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import { pushImage } from '../sandbox/images.js';
import { runDirectory } from '../sandbox/process.js';
import { type QuayLike, startQuayLike } from '../sandbox/quay-like.js';
import { startRegistry } from '../sandbox/registry.js';
import { tagsAPage } from '../sandbox/tag-listings.js';
import { type Asked, find, NO_LIMIT_MS } from './finding.js';
import { client, closeAll } from './support.js';
import { startTokenServer } from './token-server.js';

/** Whatever a registry does while its tags are read: the right tag, or an error with a name, and in time. */

const { source, tools } = sandbox();
const NEWEST = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const LIST = /tags\/list|\/tag\//;

let quay: QuayLike;
beforeAll(async () => {
  const rows = cephDaemonTags.map((name, n) => ({ name, image: cephDaemonImage(name), start: 1_650_000_000 + n }));
  quay = await startQuayLike({ repository: CEPH_DAEMON, rows });
});
afterAll(() => quay.stop());

const stops: (() => unknown)[] = [];
afterEach(async () => {
  await closeAll();
  for (const stop of stops.splice(0).reverse()) await stop();
});

type Listing = 'quay' | 'distribution';

/** At 100 tags a page both listings have several pages. */
async function frontOf(listing: Listing, rules: readonly Rule[]): Promise<FaultProxy> {
  const upstream = listing === 'quay' ? quay.url : source.url;
  const front = await startFaultProxy({ upstream, rules, path: tagsAPage(100) });
  stops.push(front.stop);
  return front;
}

function search(front: FaultProxy, listing: Listing, limitMs = NO_LIMIT_MS, asked: Asked = {}) {
  return find(`${front.host}/${CEPH_DAEMON}`, { listing, limitMs, ...asked });
}

const answer = (status: number, body?: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'answer',
  status,
  headers: { 'content-type': 'application/json', ...headers },
  ...(body !== undefined && { body }),
});

const html = answer(200, '<!doctype html><p>Back soon', { 'content-type': 'text/html' });

describe.each<[Listing]>([['quay'], ['distribution']])('listing by %s', (listing) => {
  test.each<[string, Fault, number]>([
    ['429 without Retry-After', answer(429), 2],
    ['a burst of 500', answer(500), 3],
    ['a burst of 503, with HTML', { ...html, status: 503 } as Fault, 3],
    ['resets', { kind: 'reset' }, 3],
    ['pages that break off', { kind: 'cut-answer', after: 700 }, 2],
    ['pages shorter than their head says', { kind: 'truncate', after: 700 }, 2],
    ['answers that are lost', { kind: 'lose-answer' }, 2],
  ])('%s in the middle: the right tag', async (_, fault, times) => {
    const front = await frontOf(listing, [{ path: LIST, fault, skip: 1, times }]);
    const { candidate } = await search(front, listing);
    expect(candidate).toMatchObject({ tag: NEWEST, digest: cephDaemonImage(NEWEST).digest });
  });

  test('429 with Retry-After: no request is sent before it is over', async () => {
    const times: number[] = [];
    const front = await startFaultProxy({
      upstream: listing === 'quay' ? quay.url : source.url,
      path: tagsAPage(100),
      rules: [{ path: LIST, fault: answer(429, '', { 'retry-after': '1' }), skip: 1, times: 1 }],
      onRequest: () => void times.push(clock.now()),
    });
    stops.push(front.stop);
    const registry = client({ clock });
    expect((await search(front, listing, NO_LIMIT_MS, { registry })).candidate.tag).toBe(NEWEST);
    const refused = front.requests.findIndex(({ status }) => status === 429);
    expect((times[refused + 1] ?? 0) - (times[refused] ?? 0)).toBeGreaterThanOrEqual(1000);
    expect(front.requests.filter(({ status }) => status === 429)).toHaveLength(1);
  });

  test('the right JSON under a wrong Content-Type: the right tag', async () => {
    const front = await frontOf(listing, []);
    await search(front, listing);
    const second = front.requests.filter(({ path }) => LIST.test(path))[1]?.path ?? '';
    const page = await fetch(`${front.url}${second}`);
    const link = page.headers.get('link');
    const headers = { 'content-type': 'application/octet-stream', ...(link !== null && { link }) };
    front.rules.push({ path: LIST, fault: answer(200, await page.text(), headers), skip: 1, times: 1 });
    expect((await search(front, listing)).candidate.tag).toBe(NEWEST);
  });

  const half = '{"tags":["v6.0.7-stable-6.0-pacific-centos-8",{"name":"v6.0.7-sta';

  test.each<[string, Fault, string, RegExp]>([
    ['HTML in the place of a page', html, 'bad-answer', /tag listing/],
    ['half a document', answer(200, half), 'bad-answer', /tag listing: not JSON/],
    ['an empty answer', answer(200, ''), 'bad-answer', /tag listing: not JSON/],
    ['a page without tags in it', answer(200, '{"name":"ceph/daemon"}'), 'bad-answer', /tag listing: tags: /],
    [
      'empty pages',
      answer(200, '{"tags":[],"has_additional":false}'),
      'bad-answer',
      /tag listing: page 2 (?:is empty, and nothing shows|has nothing new)/,
    ],
    ['redirects in a circle', answer(302, '', { location: '?again' }), 'bad-answer', /more than 5 redirects/],
    ['a redirect to nowhere', answer(302, '', { location: 'file:///etc/passwd' }), 'bad-answer', /redirected to file:/],
    ['500 for ever', answer(500), 'server-error', /500/],
    ['429 for ever', answer(429), 'timeout', /no stable tag found within 1 s: .* limits requests/],
    ['resets for ever', { kind: 'reset' }, 'unreachable', /^GET http/],
    ['a refusal', answer(418), 'bad-answer', /answered 418/],
    ['Retry-After tomorrow', answer(429, '', { 'retry-after': '86400' }), 'server-error', /due in 86400 s/],
    ['a byte a second', { kind: 'drip', everyMs: 1000 }, 'timeout', /no stable tag found within 1 s/],
    ['no answer', { kind: 'delay', ms: 60_000 }, 'timeout', /no stable tag found within 1 s/],
  ])('%s in the middle: an error, and never a choice from half a list', async (_, fault, kind, message) => {
    // Not the range alone, which gives way to the whole listing where its first page is not as it should be.
    const front = await frontOf(listing, [{ path: LIST, fault, skip: listing === 'quay' ? 1 : 2 }]);
    const searching = search(front, listing, kind === 'timeout' ? 1000 : undefined);
    await expect(searching).rejects.toThrow(ServiceError);
    await expect(searching).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
    expect(front.requests.some(({ path }) => path.includes('/manifests/'))).toBe(false);
  });
});

test('a manifest that arrives at a byte a second', async () => {
  const front = await frontOf('distribution', [{ path: /manifests/, fault: { kind: 'drip', everyMs: 1000 } }]);
  await expect(search(front, 'distribution', 1000)).rejects.toMatchObject({ kind: 'timeout' });
});

test('an empty page, although the registry has more after it', async () => {
  const front = await frontOf('distribution', [{ path: LIST, fault: answer(200, '{"tags":[]}'), skip: 2, times: 1 }]);
  await expect(search(front, 'distribution')).rejects.toMatchObject({
    kind: 'bad-answer',
    message: expect.stringMatching(/page 2 is empty, and nothing shows that the list ends there$/),
  });
  expect(front.requests.at(-1)).toMatchObject({ path: expect.stringMatching(/[?&]n=2(?:&|$)/), status: 200 });
});

test('if the range breaks off at once, the whole listing is read', async () => {
  const front = await frontOf('distribution', [{ path: /last=v&/, fault: html }]);
  const { candidate, tagsRead } = await search(front, 'distribution');
  expect(candidate.tag).toBe(NEWEST);
  expect(tagsRead).toBe(cephDaemonTags.length);
});

test('a token that dies in the middle of the pages', async () => {
  const run = await runDirectory();
  stops.push(run.stop);
  const login = { username: 'reader', password: 'secret' };
  const tokens = await startTokenServer(join(run.path, 'jwks.json'), login);
  stops.push(tokens.stop);
  tokens.allows = () => true;
  const server = await startRegistry({ tools, directory: join(run.path, 'registry'), tokens: tokens.issuer });
  stops.push(server.stop);
  const { token } = (await (
    await fetch(`${tokens.issuer.realm}?service=registry&scope=repository:${CEPH_DAEMON}:pull,push`)
  ).json()) as { token: string };
  const to = { url: server.url, repository: CEPH_DAEMON, authorization: `Bearer ${token}` };
  const names = cephDaemonTags.filter((name) => name.startsWith('v6'));
  await pushImage(to, cephDaemonImage(NEWEST), names);

  // Four pages of half a second, by tokens that die after one and say that they live for an hour.
  tokens.lifetime = { real: 1, said: 3600 };
  tokens.asked.length = 0;
  const front = await startFaultProxy({ upstream: server.url, path: tagsAPage(8), delayMs: 400 });
  stops.push(front.stop);
  const { candidate, tagsRead } = await find(`${front.host}/${CEPH_DAEMON}`, { registry: client({ login }) });
  expect(candidate).toMatchObject({ tag: NEWEST, digest: cephDaemonImage(NEWEST).digest });
  expect(tagsRead).toBe(names.length);
  const statuses = front.requests.map(({ status }) => status);
  expect(statuses.slice(1).filter((status) => status === 401).length).toBeGreaterThan(0);
  expect(tokens.asked.length).toBeLessThan(10);
});
