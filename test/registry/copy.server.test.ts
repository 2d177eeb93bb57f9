import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { CopiedImage, Registry, RegistryOptions } from '../../src/registry/registry.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, type FaultProxyOptions, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import {
  buildImage,
  buildMultiPlatform,
  type Content,
  type ImageIndex,
  pushImage,
  putManifest,
} from '../sandbox/images.js';
import { client, closeAll, copyOf, createLines, repository, tag } from './support.js';

const { source, target } = sandbox();
const plain = { referrers: false };
/** 2 platforms, 26 blobs. */
const wide = buildMultiPlatform({ layers: Array(12).fill(2000), seed: 'wide' });
/** 2 platforms, 4 layers of 2 MB. */
const heavy = buildMultiPlatform({ layers: [2_000_000, 2_000_000], seed: 'heavy' });

const proxies: FaultProxy[] = [];

/** Two registries, each behind a proxy: distribution v3, and Debian's 2.8 with a login. */
interface Scene {
  readonly front: FaultProxy;
  readonly back: FaultProxy;
  readonly account: RegistryOptions['account'];
  readonly registry: Registry;
  /** Where the image is, and where it goes: on the same registry, and on the other. */
  readonly from: string;
  readonly to: string;
  readonly across: string;
}

async function scene(
  image: ImageIndex,
  rules: readonly Rule[] = [],
  options: Partial<FaultProxyOptions> = {},
): Promise<Scene> {
  const front = await startFaultProxy({ upstream: source.url, rules, ...options });
  const back = await startFaultProxy({ upstream: target.url, rules, ...options });
  proxies.push(front, back);
  const [from, to] = [freshRepository(), freshRepository()];
  await pushImage({ url: source.url, repository: from }, image, ['v1']);
  const { login } = target;
  const account: Scene['account'] = ({ registry }) => ({
    hint: 'log-in-to-target',
    ...(registry === back.host && { login }),
  });
  return {
    front,
    back,
    account,
    registry: client({ account }),
    from: `${front.host}/${from}`,
    to: `${front.host}/${to}`,
    across: `${back.host}/${to}`,
  };
}

/** What a tag is on, asked without a proxy. */
async function tagged(name: string): Promise<string | undefined> {
  const [host = '', ...path] = name.split('/');
  const isSource = proxies[0]?.host === host;
  const direct = client(isSource ? {} : { login: target.login });
  const found = await direct
    .repository(repository(`${isSource ? source.host : target.host}/${path.join('/')}`))
    .resolve(tag('v1'));
  return found?.digest;
}

const mounted: Partial<CopiedImage> = { state: 'copied', uploaded: { blobs: 0, bytes: 0 } };

async function cleanUp(): Promise<void> {
  await closeAll();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
}

afterEach(cleanUp);

describe('requests', () => {
  test('33 for a copy by mount, 2 for its repeat, 1 in the same run', async () => {
    const { front, account, registry, from, to } = await scene(wide);
    expect(await registry.copy([copyOf(from, wide, to)], plain)).toMatchObject([
      { ...mounted, mounted: { blobs: 26 } },
    ]);
    expect(front.requests.length).toBe(33);
    expect(await tagged(to)).toBe(wide.digest);
    for (const [again, requests] of [[client({ account }), 2] as const, [registry, 1] as const]) {
      front.requests.length = 0;
      expect(await again.copy([copyOf(from, wide, to)], plain)).toMatchObject([{ state: 'there' }]);
      expect(front.requests.length).toBe(requests);
    }
  });

  test('85 across registries and one for the login, 1 for the repeat', async () => {
    const { front, back, registry, from, across } = await scene(wide);
    const report = await registry.copy([copyOf(from, wide, across)], plain);
    expect(report).toMatchObject([{ state: 'copied', manifests: 3, mounted: { blobs: 0 }, uploaded: { blobs: 26 } }]);
    expect(front.requests.length + back.requests.length).toBe(86);
    expect(await tagged(across)).toBe(wide.digest);
    front.requests.length = back.requests.length = 0;
    await registry.copy([copyOf(from, wide, across)], plain);
    expect([front.requests.length, back.requests.length]).toEqual([0, 1]);
  });

  test('2 to move a tag, 1 after the copy', async () => {
    const { front, registry, from, to } = await scene(wide);
    await registry.repository(repository(from)).moveTag(tag('moving'), copyOf(from, wide, to).source.digest);
    expect(front.requests.map(({ method }) => method)).toEqual(['GET', 'PUT']);
    await registry.copy([copyOf(from, wide, to)], plain);
    front.requests.length = 0;
    await registry.repository(repository(to)).moveTag(tag('moving'), copyOf(from, wide, to).source.digest);
    expect(front.requests.map(({ method }) => method)).toEqual(['PUT']);
    expect((await registry.repository(repository(to)).resolve(tag('moving')))?.digest).toBe(wide.digest);
  });

  test('within one repository, only the tag is written', async () => {
    const { front, registry, from } = await scene(wide);
    await registry.copy([copyOf(from, wide, from, 'v1-again')], plain);
    expect(front.requests.map(({ method }) => method).sort()).toEqual(['GET', 'GET', 'PUT']);
  });
});

describe('kinds of images', () => {
  test.each([
    ['Docker, 2 platforms', buildMultiPlatform({ format: 'docker', seed: 'docker' })],
    ['OCI, one platform', buildImage({ format: 'oci' })],
    ['Docker, one platform', buildImage({ format: 'docker' })],
  ])('%s', async (_, image) => {
    const { registry, from, across } = await scene(wide);
    await pushImage({ url: source.url, repository: repository(from).path }, image, []);
    await registry.copy([copyOf(from, image, across)], plain);
    expect(await tagged(across)).toBe(image.digest);
  });
});

test('an index of indexes', async () => {
  const { registry, from, across } = await scene(wide);
  const to = { url: source.url, repository: repository(from).path };
  const mediaType = wide.mediaType;
  const entry = ({ mediaType: type, digest, bytes }: Content) => ({ mediaType: type, digest, size: bytes.length });
  // The image is in the upper one and in the lower one.
  const manifests = [entry(wide), ...wide.images.slice(0, 1).map(entry)];
  const upper = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const digest = `sha256:${createHash('sha256').update(upper).digest('hex')}`;
  await putManifest(to, { mediaType, digest, bytes: upper }, digest);
  expect(await registry.copy([copyOf(from, { digest }, across)], plain)).toMatchObject([{ manifests: 4 }]);
  expect(await tagged(across)).toBe(digest);
});

describe('plan', () => {
  test('says what would be done, and does nothing', async () => {
    const { front, back, registry, from, to, across } = await scene(wide);
    const copies = [copyOf(from, wide, to), copyOf(from, wide, across)];
    const platforms = ['linux/amd64', 'linux/arm64'];
    expect(await registry.planCopy(copies, plain)).toMatchObject([
      { state: 'copy', way: 'mount', platforms, manifests: 3, blobs: 26, referrers: 0 },
      { state: 'copy', way: 'upload', platforms, manifests: 3, blobs: 26, referrers: 0 },
    ]);
    const methods = new Set([...front.requests, ...back.requests].map(({ method }) => method));
    expect([...methods].sort()).toEqual(['GET']);
    await registry.copy(copies.slice(0, 1), plain);
    expect(await registry.planCopy(copies, plain)).toMatchObject([{ state: 'there' }, { state: 'copy' }]);
  });

  test('a tag that is on another image is a conflict, and then nothing is copied', async () => {
    const { back, registry, from, to, across } = await scene(wide);
    await pushImage({ url: source.url, repository: repository(to).path }, heavy, ['v1']);
    const copies = [copyOf(from, wide, across), copyOf(from, wide, to)];
    expect(await registry.planCopy(copies, plain)).toMatchObject([{}, { state: 'conflict', found: heavy.digest }]);
    await expect(registry.copy(copies, plain)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining(`${to}:v1: is ${heavy.digest} there`),
    });
    expect(back.requests.filter(({ method }) => method === 'PUT')).toEqual([]);
    expect(await tagged(to)).toBe(heavy.digest);
  });
});

describe('what passes', () => {
  const busy = (status: number, headers = {}) => ({ kind: 'answer', status, headers }) as const;

  test.each<[string, Rule]>([
    ['429 twice on a mount', { path: /mount=/, fault: busy(429, { 'retry-after': '1' }), times: 2 }],
    ['502 twice on a manifest', { method: 'GET', path: /manifests/, fault: busy(502), times: 2 }],
    [
      'the answer to the tag is lost',
      { method: 'PUT', path: /manifests\/v1/, fault: { kind: 'lose-answer' }, times: 1 },
    ],
    ['the answer to a mount is lost', { path: /mount=/, fault: { kind: 'lose-answer' }, times: 3 }],
    ['resets', { fault: { kind: 'reset' }, probability: 0.1 }],
  ])('%s', async (_, rule) => {
    const { registry, from, to } = await scene(wide, [rule]);
    expect(await registry.copy([copyOf(from, wide, to)], plain)).toMatchObject([
      { ...mounted, mounted: { blobs: 26 } },
    ]);
    expect(await tagged(to)).toBe(wide.digest);
  });

  test('an immutable tag that is set already with the same digest', async () => {
    const path = /manifests\/v1$/;
    const lost: Rule = { method: 'PUT', path, fault: { kind: 'lose-answer' }, times: 1 };
    const { registry, from, to } = await scene(wide, [lost, { method: 'PUT', path, fault: busy(409) }]);
    await registry.copy([copyOf(from, wide, to)], plain);
    expect(await tagged(to)).toBe(wide.digest);
    await expect(registry.copy([copyOf(from, wide, `${to}-2`)], plain)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringMatching(/should be sha256:.* but is not there/),
    });
  });

  test('a registry that cannot mount gets uploads', async () => {
    const { registry, from, to } = await scene(wide, [{ path: /mount=/, fault: busy(404) }]);
    expect(await registry.copy([copyOf(from, wide, to)], plain)).toMatchObject([{ uploaded: { blobs: 26 } }]);
    expect(await tagged(to)).toBe(wide.digest);
  });

  test.each([...Array(20).keys()])('502 on a fifth of all requests, seed %i, both ways', async (seed) => {
    const rules: Rule[] = [{ fault: busy(502), probability: 0.2 }];
    const { registry, from, to, across } = await scene(wide, rules, { seed });
    await registry.copy([copyOf(from, wide, to), copyOf(from, wide, across)], plain);
    expect([await tagged(to), await tagged(across)]).toEqual([wide.digest, wide.digest]);
  });
});

/** Blobs of more than so many bytes are layers here. */
const layers = heavy.images.flatMap(({ blobs }) => blobs.slice(1));
const layerPaths = new RegExp(layers.map(({ digest }) => `blobs/${digest}$`).join('|'));

describe('blobs that break on the way', () => {
  test.each<[string, number, Rule['fault']]>([
    ['one is reset at 1 MB', 1, { kind: 'cut-answer', after: 1_000_000 }],
    ['one is truncated at 1 MB', 1, { kind: 'truncate', after: 1_000_000 }],
    ['all are truncated', 4, { kind: 'truncate', after: 1_234_567 }],
    ['all are reset', 4, { kind: 'cut-answer', after: 1_234_567 }],
  ])('%s', async (_, count, fault) => {
    const rules = layers
      .slice(0, count)
      .map(({ digest }) => ({ path: new RegExp(`blobs/${digest}$`), fault, times: 1 }));
    const { front, registry, from, across } = await scene(heavy, rules);
    await registry.copy([copyOf(from, heavy, across)], plain);
    expect(await tagged(across)).toBe(heavy.digest);
    // Each is asked for a second time, by Range, and none a third time.
    const gets = front.requests.filter(({ method, path }) => method === 'GET' && layerPaths.test(path));
    expect(gets.filter(({ status }) => status === 206)).toHaveLength(count);
    expect(gets).toHaveLength(4 + count);
  });

  test.each([
    ['goes on where distribution kept it', false],
    ['begins anew where Debian 2.8 kept nothing', true],
  ])('an upload that is reset %s', async (_, toDebian) => {
    const { front, back, registry, from, to, across } = await scene(heavy, [
      { path: new RegExp(`digest=${layers[0]?.digest}`), fault: { kind: 'cut-request', after: 1_000_000 }, times: 2 },
      { path: /mount=/, fault: { kind: 'answer', status: 404 } },
    ]);
    const [name, proxy] = toDebian ? [across, back] : [to, front];
    await registry.copy([copyOf(from, heavy, name)], plain);
    expect(await tagged(name)).toBe(heavy.digest);
    const asked = proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes('uploads'));
    expect(asked.map(({ status }) => status)).toEqual(toDebian ? [404, 404] : [204, 204]);
  });

  test('the answer to an upload is lost', async () => {
    const rule: Rule = { method: 'PUT', path: /uploads/, fault: { kind: 'lose-answer' }, times: 6 };
    const { back, registry, from, across } = await scene(heavy, [rule]);
    await registry.copy([copyOf(from, heavy, across)], plain);
    expect(await tagged(across)).toBe(heavy.digest);
    expect(back.requests.filter(({ method, path }) => method === 'PUT' && path.includes('uploads'))).toHaveLength(6);
  });

  test('progress is logged', async () => {
    const log = createLines();
    const { front, account, from, across } = await scene(heavy);
    let now = 0;
    const clock = { now: () => (now += 100), sleep: async () => undefined, random: () => 0 };
    await client({ log, clock, account }).copy([copyOf(from, heavy, across)], plain);
    expect(front.requests).not.toEqual([]);
    expect(log.lines).toContainEqual(expect.stringMatching(/: \d\.\d MB of 8\.0 MB, \d\.\d MB\/s, \d+ s left$/));
    expect(log.lines.at(-1)).toMatch(/copied in .* s: 3 manifests, 6 blobs uploaded \(8\.0 MB\), 0 mounted or there/);
  });
});

describe('what is refused before a tag is set', () => {
  const html = { 'content-type': 'text/html' };
  const child = new RegExp(`manifests/${wide.images[0]?.digest}`);
  const index = { 'content-type': wide.mediaType, 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
  const answer = (headers: Record<string, string>, body: string) =>
    ({ kind: 'answer', status: 200, headers, body }) as const;

  test.each<[string, Rule, string, RegExp]>([
    [
      'another digest than asked for is named',
      { method: 'GET', path: new RegExp(wide.digest), fault: answer(index, wide.bytes.toString()) },
      'digest-mismatch',
      /names sha256:0000/,
    ],
    [
      'a child with a flipped bit',
      { method: 'GET', path: child, fault: { kind: 'flip', at: 100 } },
      'digest-mismatch',
      /sent other bytes/,
    ],
    [
      'HTML for a child',
      { method: 'GET', path: child, fault: answer(html, '<html>') },
      'digest-mismatch',
      /sent other bytes/,
    ],
    [
      'a source that is not there',
      { method: 'GET', path: /manifests/, fault: { kind: 'answer', status: 404 } },
      'not-found',
      /no such manifest/,
    ],
  ])('%s', async (_, rule, kind, message) => {
    const { registry, from, to } = await scene(wide, [rule]);
    await expect(registry.copy([copyOf(from, wide, to)], plain)).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(message),
    });
    expect(await tagged(to)).toBeUndefined();
  });

  test.each<[string, Rule]>([
    [
      'a blob with a flipped bit',
      { method: 'GET', path: layerPaths, fault: { kind: 'flip', at: 1_500_000 }, times: 1 },
    ],
    [
      'a blob whose last bit is flipped',
      { method: 'GET', path: layerPaths, fault: { kind: 'flip', at: (layers[0]?.bytes.length ?? 0) - 1 }, times: 1 },
    ],
  ])('%s', async (_, rule) => {
    const { back, registry, from, across } = await scene(heavy, [rule]);
    await expect(registry.copy([copyOf(from, heavy, across)], plain)).rejects.toMatchObject({
      kind: 'digest-mismatch',
      message: expect.stringContaining(from),
    });
    const requests = back.requests.length;
    expect(await tagged(across)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(back.requests.length).toBe(requests);
  });

  test('a blob that always breaks off', async () => {
    const rule: Rule = { method: 'GET', path: layerPaths, fault: { kind: 'cut-answer', after: 1000 } };
    const { registry, from, across } = await scene(heavy, [rule]);
    await expect(registry.copy([copyOf(from, heavy, across)], plain)).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/broke off at \d+ of 20\d+ bytes/),
    });
    expect(await tagged(across)).toBeUndefined();
  });
});
