import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ServiceError, UserError } from '../../src/base/errors.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { semver } from '../../src/candidate/schemes/semver.js';
import { DAY, NOW, tag } from '../candidate/policies.js';
import { CEPH_DAEMON, cephDaemonImage, cephDaemonTags } from '../sandbox/ceph-daemon.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { AMD64, ARM64, buildImage, buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { runDirectory } from '../sandbox/process.js';
import { type QuayLikeOptions, type QuayRow, startQuayLike } from '../sandbox/quay-like.js';
import { makeCertificate, startRegistry } from '../sandbox/registry.js';
import { find } from './finding.js';
import { client, closeAll, createLines, repository } from './support.js';

const { source, tools } = sandbox();
const stops: (() => unknown)[] = [];
afterEach(async () => {
  await closeAll();
  for (const stop of stops.splice(0).reverse()) await stop();
});

const both = buildMultiPlatform({ seed: 'both' });
const amd64Only = buildMultiPlatform({ seed: 'amd64', platforms: [AMD64] });

interface Server {
  readonly image: string;
  readonly front: FaultProxy;
}

async function before(upstream: string, path: string): Promise<Server> {
  const front = await startFaultProxy({ upstream });
  stops.push(front.stop);
  return { image: `${front.host}/${path}`, front };
}

async function quay(rows: readonly QuayRow[], options: Partial<QuayLikeOptions> = {}): Promise<Server> {
  const server = await startQuayLike({ repository: CEPH_DAEMON, rows, ...options });
  stops.push(server.stop);
  return before(server.url, CEPH_DAEMON);
}

const row = (name: string, more: Partial<QuayRow> = {}): QuayRow => ({ name, image: both, start: NOW, ...more });

const login = { username: 'ceph+robot', password: 'secret' };

const listing2022 = cephDaemonTags.map((name, n) => row(name, { image: cephDaemonImage(name), start: NOW + n }));
const NEWEST = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const [older, newer] = ['6.0.6 pacific centos-8', '6.0.7 pacific centos-8'].map(tag) as [string, string];

describe('the newest stable tag and its digest', () => {
  test('of distribution v3: two requests', async () => {
    const server = await before(source.url, CEPH_DAEMON);
    const { candidate, aliases, tagsRead } = await find(server.image);
    expect(candidate).toEqual({
      repository: repository(server.image),
      tag: NEWEST,
      digest: cephDaemonImage(NEWEST).digest,
    });
    expect(aliases).toEqual([]);
    expect(tagsRead).toBe(606);
    expect(server.front.requests).toHaveLength(2);
  });

  test.each([
    ['', {}, {}, 4 + 2],
    [', which asks for tokens', { tokens: true }, {}, 4 + 3],
    [', which asks for tokens, with a login', { tokens: true }, { login }, 4 + 3],
  ])('of Quay%s: only the tags that can be stable are listed', async (_, options, as, requests) => {
    const server = await quay(listing2022, options);
    const { candidate, tagsRead } = await find(server.image, { registry: client(as) });
    expect(candidate).toMatchObject({ tag: NEWEST, digest: cephDaemonImage(NEWEST).digest });
    expect(tagsRead).toBe(cephDaemonTags.filter((name) => name.includes('-stable-')).length);
    expect(server.front.requests).toHaveLength(requests);
  });

  test('of a registry with HTTP/2', async () => {
    const run = await runDirectory();
    stops.push(run.stop);
    const certificate = await makeCertificate(tools, join(run.path, 'tls'));
    const directory = join(run.path, 'registry');
    const plain = await startRegistry({ tools, directory });
    await pushImage({ url: plain.url, repository: CEPH_DAEMON }, both, [older, newer]);
    await plain.stop();
    const server = await startRegistry({ tools, directory, certificate });
    stops.push(server.stop);
    const registry = client({ ca: await readFile(certificate.certificate, 'utf8') });
    const { candidate } = await find(`${server.host}/${CEPH_DAEMON}`, { registry });
    expect(candidate).toMatchObject({ tag: newer, digest: both.digest });
    const asked = (await readFile(server.log, 'utf8')).match(/"GET \/v2\/ceph\/daemon\/\S+ \S+"/g);
    expect(asked).toEqual([
      '"GET /v2/ceph/daemon/tags/list HTTP/2.0"',
      `"GET /v2/ceph/daemon/manifests/${newer} HTTP/2.0"`,
    ]);
  });
});

test('a registry that is too slow for it', async () => {
  const server = await before(source.url, CEPH_DAEMON);
  server.front.rules.push({ fault: { kind: 'delay', ms: 5000 } });
  const found = find(server.image, { limitMs: 300 });
  await expect(found).rejects.toThrow(ServiceError);
  await expect(found).rejects.toMatchObject({
    kind: 'timeout',
    message: `${server.image}: no stable tag found within 0.3 s: the registry is too slow or limits requests; run again later`,
  });
});

describe("what Quay's listing tells", () => {
  test('aliases: other tags that the listing has for the digest', async () => {
    const aarch64 = `${newer}-aarch64`;
    const server = await quay([
      row(newer),
      row(aarch64),
      row(`${newer}-x86_64`, { image: amd64Only }),
      row(older, { end: NOW }),
      // Not in a listing of stable tags.
      row('latest-pacific'),
    ]);
    expect(await find(server.image, { listing: 'quay' })).toMatchObject({
      candidate: { tag: newer },
      aliases: [aarch64],
      tagsRead: 3,
    });
  });

  test('what was deleted or has expired is not chosen', async () => {
    const server = await quay([row(older), row(newer, { end: NOW }), row(newer, { image: amd64Only, end: NOW + 9 })]);
    expect((await find(server.image, { listing: 'quay' })).candidate.tag).toBe(older);
  });

  test('minimum-age: counts from when the tag was set', async () => {
    const server = await quay([row(older, { start: NOW - 8 * DAY }), row(newer, { start: NOW - 6 * DAY })]);
    const asked = { policy: { minimumAge: 7 * DAY } };
    expect((await find(server.image, asked)).candidate.tag).toBe(older);
    // The distribution listing has no times, and not every registry has another.
    const plain = await before(source.url, CEPH_DAEMON);
    expect((await find(plain.image, asked)).candidate.tag).toBe(NEWEST);
    const { candidate, selection } = await find(server.image, { ...asked, listing: 'distribution' });
    expect(candidate.tag).toBe(newer);
    expect(selection.warnings).toEqual([expect.stringMatching(/^minimum-age: .* which a builder can set$/)]);
  });

  test('a tag that moves while it is read is refused', async () => {
    const server = await quay([row(newer)]);
    const old = JSON.stringify({
      tags: [{ name: newer, manifest_digest: amd64Only.digest, start_ts: NOW }],
      has_additional: false,
    });
    server.front.rules.push({ path: /^\/api/, fault: { kind: 'answer', status: 200, body: old } });
    await expect(find(server.image, { listing: 'quay' })).rejects.toMatchObject({
      kind: 'conflict',
      message: `${server.image}:${newer} moved from ${amd64Only.digest} to ${both.digest} while it was read; run again in a few minutes`,
    });
  });
});

describe('the digest is computed from the bytes', () => {
  test.each([
    ['bytes that are not what the registry says', { kind: 'flip', at: 300 } as const, 'digest-mismatch'],
    [
      'HTML',
      { kind: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' } as const,
      'bad-answer',
    ],
  ])('%s', async (_, fault, kind) => {
    const server = await before(source.url, CEPH_DAEMON);
    server.front.rules.push({ path: /manifests/, fault });
    await expect(find(server.image)).rejects.toMatchObject({ kind, message: expect.stringContaining(NEWEST) });
  });
});

describe('platforms', () => {
  const bare = buildImage({ platform: ARM64 });
  const asked = { policy: { platforms: ['linux/amd64', 'linux/arm64'] } };

  async function pushed(tags: Readonly<Record<string, typeof both | typeof bare>>): Promise<Server> {
    const to = freshRepository();
    for (const [name, image] of Object.entries(tags)) {
      await pushImage({ url: source.url, repository: to }, image, [name]);
    }
    return before(source.url, to);
  }

  test('a tag that lacks one is passed over for the next; each manifest is read once', async () => {
    const server = await pushed({ [older]: both, [newer]: amd64Only, [tag('6.0.5 pacific centos-8')]: both });
    const { candidate, selection } = await find(server.image, asked);
    expect(candidate).toMatchObject({ tag: older, digest: both.digest });
    expect(selection.passedOver).toEqual([{ tag: newer, rule: 'platforms', why: 'with linux/amd64 only' }]);
    expect(server.front.requests.map(({ path }) => path.split('/').slice(4).join('/'))).toEqual([
      'tags/list',
      `manifests/${newer}`,
      `manifests/${older}`,
    ]);
  });

  test('those of an image without an index are read from its configuration', async () => {
    const server = await pushed({ [`${newer}-aarch64`]: bare });
    const { candidate } = await find(server.image, { policy: { platforms: ['linux/arm64'] } });
    expect(candidate.digest).toBe(bare.digest);
  });

  test('if no tag has them, the error says what there is instead', async () => {
    const server = await pushed({ [older]: bare, [newer]: amd64Only });
    await expect(find(server.image, asked)).rejects.toThrow(
      `${server.image}: no stable tag of flavor pacific on centos with linux/amd64 and linux/arm64; ` +
        `there is: 1 with linux/amd64 only (${newer}), 1 with linux/arm64 only (${older})`,
    );
  });
});

describe('what a tag turns out to be', () => {
  const arm = buildImage({ platform: ARM64 });

  /** The same bytes as an image, under a manifest whose configuration is of another type. */
  function artifact(mediaType: string): typeof arm {
    const image = buildImage();
    const manifest = JSON.parse(image.bytes.toString());
    const bytes = Buffer.from(JSON.stringify({ ...manifest, config: { ...manifest.config, mediaType } }));
    return { ...image, bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
  }

  async function pushed(images: Readonly<Record<string, typeof both | typeof arm>>): Promise<Server> {
    const to = { url: source.url, repository: freshRepository() };
    for (const [name, image] of Object.entries(images)) await pushImage(to, image, [name]);
    return before(source.url, to.repository);
  }

  const ofSemver = { policy: { scheme: semver, flavor: undefined } };

  test('an artifact that is not an image is passed over', async () => {
    const chart = artifact('application/vnd.cncf.helm.config.v1+json');
    const server = await pushed({ 'v1.5.1': both, '1.5.1': chart, '1.6.0': chart });
    const { candidate, selection } = await find(server.image, ofSemver);
    expect(candidate).toMatchObject({ tag: 'v1.5.1', digest: both.digest });
    expect(selection.warnings).toEqual(
      ['1.6.0', '1.5.1'].map(
        (name) =>
          `${name} is listed, and passed over: it is an artifact of type application/vnd.cncf.helm.config.v1+json`,
      ),
    );
  });

  test('a tag whose manifest is gone is passed over, and named', async () => {
    const server = await pushed({ [older]: both, [newer]: both });
    server.front.rules.push({ path: new RegExp(`manifests/${newer}$`), fault: { kind: 'answer', status: 404 } });
    const { candidate, selection } = await find(server.image);
    expect(candidate.tag).toBe(older);
    expect(selection.warnings).toEqual([`${newer} is listed, and passed over: it no longer has a manifest`]);
  });

  test('if all are gone, it is an error that says so', async () => {
    const server = await pushed({ [older]: both, [newer]: both });
    server.front.rules.push({ path: /manifests/, fault: { kind: 'answer', status: 404 } });
    await expect(find(server.image)).rejects.toThrow(
      `there is: 2 unusable: the tag no longer has a manifest (${newer}, …)`,
    );
  });

  test('an image of one other architecture is passed over, unless there is nothing else', async () => {
    const server = await pushed({ 'v1.2.3': both, 'v1.2.4': arm });
    expect((await find(server.image, ofSemver)).candidate.tag).toBe('v1.2.3');
    const alone = await pushed({ 'v1.2.4': arm });
    expect((await find(alone.image, ofSemver)).candidate.tag).toBe('v1.2.4');
  });

  test.each(['aarch64', 'x86_64'] as const)('%s is read from the images if tags do not name it', async (arch) => {
    const server = await pushed({ 'v1.2.3': both, 'v1.2.4': amd64Only, 'v1.2.5': arm });
    const { candidate, selection } = await find(server.image, { policy: { ...ofSemver.policy, arch } });
    expect(candidate.tag).toBe(arch === 'aarch64' ? 'v1.2.5' : 'v1.2.4');
    const passed = selection.passedOver.map(({ tag: name, why }) => `${name} ${why}`);
    expect(passed).toEqual(arch === 'aarch64' ? [] : ['v1.2.5 for linux/arm64 only']);
  });

  test('a digest can be excluded even if the listing does not have it', async () => {
    const server = await pushed({ [older]: amd64Only, [newer]: both });
    const { candidate } = await find(server.image, { policy: { exclude: [both.digest] } });
    expect(candidate.tag).toBe(older);
  });

  test('minimum-age counts from the build time in the image', async () => {
    const server = await pushed({ [newer]: both });
    const built = Date.parse('2022-05-06T00:00:00Z') / 1000;
    const aged = (days: number) => ({ policy: { minimumAge: 7 * DAY, now: built + days * DAY } });
    expect((await find(server.image, aged(7))).candidate.tag).toBe(newer);
    await expect(find(server.image, aged(6))).rejects.toThrow(
      `no stable tag of flavor pacific on centos at least 7 days old; there is: 1 built 6 days ago (${newer})`,
    );
  });

  test('reading ends after fifty images', async () => {
    const server = await pushed({ 'v1.0.0': amd64Only });
    const tags = Array.from({ length: 200 }, (_, n) => `v2.0.${n}`);
    const list = { kind: 'answer', status: 200, body: JSON.stringify({ name: 'x', tags }) } as const;
    server.front.rules.push({ path: /tags/, fault: list });
    await expect(find(server.image, ofSemver)).rejects.toThrow('none of the 50 best images is what was asked for');
    expect(server.front.requests.length).toBeLessThan(60);
  });
});

describe('nothing is chosen, and the error says what there is', () => {
  test.each([
    [
      'no such flavor',
      { policy: { flavor: 'reef' } },
      /^\S+: no stable tag of flavor reef; there is: 82 of flavor luminous .* 25 of flavor pacific \(v6\.0\.7-/,
    ],
    ['no such distro', { policy: { distro: 'ubuntu' } }, / on ubuntu; there is: 22 on centos-8 /],
    [
      'nothing stable',
      { policy: { scheme: ceph, flavor: undefined } },
      /^127\S+: no tag is stable under scheme ceph; there is: /,
    ],
    ['a listing that shrank', { knownTags: 800 }, /^606 tags were listed, but 800 were known/],
  ])('%s', async (_, asked, message) => {
    const found = find(`${source.host}/${CEPH_DAEMON}`, asked);
    await expect(found).rejects.toThrow(UserError);
    await expect(found).rejects.toThrow(message);
  });

  test('no tags', async () => {
    const server = await before(source.url, CEPH_DAEMON);
    server.front.rules.push({ fault: { kind: 'answer', status: 200, body: '{"name":"x","tags":[]}' } });
    await expect(find(server.image)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringMatching(/there are no tags$/),
    });
  });

  test('no tags that can be stable', async () => {
    const server = await quay([row('latest-pacific')]);
    await expect(find(server.image, { listing: 'quay' })).rejects.toThrow(
      `${server.image}: none of its tags can be stable under scheme ceph-daemon`,
    );
  });

  test('the log also names what looks newer', async () => {
    const server = await quay([row(older), row(`${newer}-sig`)]);
    const log = createLines();
    await expect(find(server.image, { log, listing: 'quay', policy: { flavor: 'quincy' } })).rejects.toThrow(UserError);
    expect(log.lines).toEqual([
      `${server.image}: 2 tags read with Quay's API, without those that cannot be stable`,
      '2 tags read: 1 stable, 1 near-miss',
      `${newer}-sig looks newer, but does not parse`,
    ]);
  });
});
