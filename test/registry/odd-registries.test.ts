import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Account, Copy } from '../../src/registry/registry.js';
import { MEDIA_TYPES } from '../sandbox/images.js';
import { find } from './finding.js';
import { type Answer, type Asked, type MemoryRegistry, startMemoryRegistry } from './memory-registry.js';
import { client, closeAll, copyOf, createLines, repository, tag } from './support.js';

/** What registries and the proxies in front of them were seen to answer, and what is right then. */

const FROM = 'ceph/daemon';
const TO = 'tripleo/daemon';
const OLD = 'v6.0.6-stable-6.0-pacific-centos-stream8';
const NEW = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const LOGIN = { username: 'robot', password: 'secret' };
const BASIC = `Basic ${Buffer.from('robot:secret').toString('base64')}`;

let source: MemoryRegistry;
let target: MemoryRegistry;
beforeEach(async () => {
  [source, target] = await Promise.all([startMemoryRegistry(), startMemoryRegistry()]);
});
afterEach(async () => {
  await closeAll();
  source.stop();
  target.stop();
});

const search = (options: Parameters<typeof find>[1] = {}) => find(`${source.host}/${FROM}`, options);
const across = (image: { readonly digest: string }): Copy =>
  copyOf(`${source.host}/${FROM}`, image, `${target.host}/${TO}`);
const within = (image: { readonly digest: string }): Copy =>
  copyOf(`${source.host}/${FROM}`, image, `${source.host}/${TO}`);
const isManifest = ({ url }: Asked) => url.pathname.includes('/manifests/');
const error = (status: number, code: string, message = ''): Answer => ({
  status,
  body: { errors: [{ code, message }] },
});

describe('HEAD is never evidence', () => {
  test.each([404, 403, 400, 501])('answered %i', async (status) => {
    target.answer = (asked) => (asked.method === 'HEAD' ? { status } : undefined);
    const image = source.image(FROM, 'v1');
    const other = target.image(TO, 'v1', (manifest) => ({ ...manifest, annotations: { other: 'one' } }));
    await expect(client().copy([across(image)], { referrers: false })).rejects.toMatchObject({ kind: 'conflict' });
    expect(target.digestAt(TO, 'v1')).toBe(other.digest);
    await client().copy([copyOf(`${source.host}/${FROM}`, image, `${target.host}/${TO}`, 'v2')], { referrers: false });
    expect(target.digestAt(TO, 'v2')).toBe(image.digest);
  });
});

describe('layers', () => {
  test('one that names urls is copied', async () => {
    const image = source.image(FROM, 'v1', (manifest) => ({
      ...manifest,
      layers: manifest.layers.map((layer) => ({ ...layer, urls: ['https://mirror.example/layer'] })),
    }));
    await client().copy([across(image)], { referrers: false });
    expect(target.blobs.size).toBe(source.blobs.size);
  });

  test('one of a foreign type is not copied, with a message', async () => {
    const log = createLines();
    const image = source.image(FROM, 'v1', (manifest) => ({
      ...manifest,
      layers: [
        ...manifest.layers,
        {
          mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          digest: `sha256:${'f'.repeat(64)}`,
          size: 1,
        },
      ],
    }));
    await client({ log }).copy([across(image)], { referrers: false });
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
    expect(log.lines).toContainEqual(expect.stringMatching(/1 layers are not copied.*sha256:ffff/));
  });
});

describe('a mount is best effort', () => {
  test.each([401, 403, 400, 404, 405, 500, 501])('refused with %i', async (status) => {
    source.answer = ({ url }) =>
      url.searchParams.get('from') === FROM ? error(status, 'UNAUTHORIZED', 'no access to the source') : undefined;
    const image = source.image(FROM, 'v1');
    const report = await client().copy([within(image)], { referrers: false });
    expect(report).toMatchObject([{ state: 'copied', uploaded: { blobs: 2 } }]);
    expect(source.digestAt(TO, 'v1')).toBe(image.digest);
  });
});

describe('referrers', () => {
  test.each<[string, Answer]>([
    ['406', { status: 406 }],
    ['400', error(400, 'MANIFEST_INVALID')],
    ['401 without a challenge', { status: 401 }],
    ['403', { status: 403, body: 'Forbidden' }],
    ['405', { status: 405 }],
    ['501', { status: 501 }],
    ['HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<!doctype html>' }],
    ['null', { status: 200, body: { manifests: null } }],
    ['entries that are odd', { status: 200, body: { manifests: [null, 1, { digest: 'x' }] } }],
  ])('an API that answers %s has none', async (_, answer) => {
    source.answer = ({ url }) => (url.pathname.includes('/referrers/') ? answer : undefined);
    const image = source.image(FROM, 'v1');
    await client().copy([across(image)], { referrers: true });
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  const sign = (subject: { readonly digest: string; readonly size: number }, n: number) =>
    source.manifest(
      FROM,
      {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.oci.manifest,
        artifactType: 'application/x-signature',
        config: source.blob(FROM, '{}', 'application/vnd.oci.empty.v1+json'),
        layers: null,
        subject: { mediaType: MEDIA_TYPES.oci.manifest, ...subject },
        annotations: { n: String(n) },
      },
      MEDIA_TYPES.oci.manifest,
    );

  test.each([400, 403, 405])(
    'a target that refuses their list with %i: one warning, and the image is there',
    async (status) => {
      const log = createLines();
      const image = source.image(FROM, 'v1');
      const signature = sign(image, 1);
      source.answer = ({ url }) =>
        url.pathname.includes('/referrers/') ? { status: 200, body: { manifests: [signature] } } : undefined;
      target.answer = (asked) =>
        isManifest(asked) && asked.url.pathname.includes('/sha256-') ? error(status, 'TAG_INVALID') : undefined;
      await client({ log }).copy([across(image)], { referrers: true });
      expect(target.digestAt(TO, 'v1')).toBe(image.digest);
      expect(log.lines.filter((line) => line.includes('does not keep all referrers'))).toHaveLength(1);
    },
  );

  // sigstore/cosign#2208
  test('a target that refuses a signature before its image', async () => {
    const log = createLines();
    const image = source.image(FROM, 'v1');
    const name = `${image.digest.replace(':', '-')}.sig`;
    const signature = source.image(FROM, name);
    target.answer = (asked) => {
      const isEarly = target.digestAt(TO, image.digest) === undefined;
      const isSignature = asked.method === 'PUT' && asked.url.pathname.endsWith(name);
      return isSignature && isEarly ? error(404, 'NOT_FOUND', `${image.digest} not found`) : undefined;
    };
    await client({ log }).copy([across(image)], { referrers: true });
    expect(target.digestAt(TO, name)).toBe(signature.digest);
    const puts = target.asked.filter((asked) => asked.method === 'PUT' && isManifest(asked));
    expect(puts.map(({ url }) => url.pathname.split('/manifests/')[1])).toEqual([name, image.digest, name, 'v1']);
    expect(log.lines.filter((line) => line.includes('does not keep'))).toEqual([]);
  });

  test('a target that fails ends the copy before the tag', async () => {
    const image = source.image(FROM, 'v1');
    const signature = sign(image, 1);
    source.answer = ({ url }) =>
      url.pathname.includes('/referrers/') ? { status: 200, body: { manifests: [signature] } } : undefined;
    target.answer = (asked) =>
      asked.method === 'PUT' && asked.url.pathname.includes(signature.digest) ? { status: 503 } : undefined;
    await expect(client().copy([across(image)], { referrers: true })).rejects.toMatchObject({ kind: 'server-error' });
    expect(target.digestAt(TO, 'v1')).toBeUndefined();
  });

  test('600 of them: 500 are copied, with a message', async () => {
    const log = createLines();
    const image = source.image(FROM, 'v1');
    // Those in between were deleted, which takes less time than to copy them.
    const manifests = Array.from({ length: 600 }, (_, n) => ({
      ...(n === 0 || n === 499 || n === 500 ? sign(image, n) : { digest: `sha256:${String(n).padStart(64, '0')}` }),
      mediaType: MEDIA_TYPES.oci.manifest,
      size: 9,
    }));
    source.answer = ({ url }) =>
      url.pathname.includes('/referrers/') ? { status: 200, body: { manifests } } : undefined;
    const [copied] = await client({ log }).copy([across(image)], { referrers: true });
    expect(copied).toMatchObject({ referrers: 2 });
    const isThere = [0, 499, 500].map((n) => target.digestAt(TO, manifests[n]?.digest ?? '') !== undefined);
    expect(isThere).toEqual([true, true, false]);
    expect(log.lines).toContainEqual(expect.stringMatching(/more than 500 referrers; only the first 500 are copied/));
  });

  test('endless empty pages come to an end', async () => {
    const image = source.image(FROM, 'v1');
    source.answer = ({ url }) =>
      url.pathname.includes('/referrers/')
        ? {
            status: 200,
            headers: { link: `<${url.pathname}?n=${source.asked.length}>; rel="next"` },
            body: { manifests: [] },
          }
        : undefined;
    await client().copy([across(image)], { referrers: true });
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
    expect(source.asked.filter(({ url }) => url.pathname.includes('/referrers/')).length).toBeLessThanOrEqual(100);
  });
});

describe('a PUT of a tag', () => {
  test.each([200, 202])('answered %i counts', async (status) => {
    const image = source.image(FROM, 'v1');
    const serve = target.answer;
    target.answer = (asked) => {
      if (asked.method !== 'PUT' || !isManifest(asked)) return serve(asked);
      target.manifests.set(`${TO}:v1`, { bytes: asked.body, type: asked.headers['content-type'] ?? '' });
      return { status };
    };
    await client().copy([across(image)], { referrers: false });
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  test.each([400, 403, 405, 409, 412, 422])('an immutable tag that is set already, and answers %i', async (status) => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => {
      if (asked.method !== 'PUT' || !isManifest(asked)) return undefined;
      target.manifests.set(`${TO}:v1`, { bytes: asked.body, type: asked.headers['content-type'] ?? '' });
      return error(status, 'DENIED', 'the tag is immutable');
    };
    await client().copy([across(image)], { referrers: false });
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  test('a refusal quotes the registry', async () => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) =>
      asked.method === 'PUT' && isManifest(asked) ? error(403, 'DENIED', 'Quota has been exceeded') : undefined;
    const copying = client().copy([across(image)], { referrers: false });
    await expect(copying).rejects.toMatchObject({
      kind: 'forbidden',
      hint: undefined,
      message: expect.stringContaining('DENIED (Quota has been exceeded)'),
    });
  });
});

describe('tokens', () => {
  const bearer = (scope?: string): Answer => ({
    status: 401,
    headers: {
      'www-authenticate': `Bearer realm="${source.url}/token",service="s"${scope === undefined ? '' : `,scope="${scope}"`}`,
    },
  });
  const read = (account?: Account) =>
    client(account && { account: () => account })
      .repository(repository(`${source.host}/${FROM}`))
      .resolve(tag('v1'));

  test('the scope that the challenge names is asked for too', async () => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token') {
        const isGood = url.searchParams.getAll('scope').includes('repository:remote/daemon:pull');
        return { status: 200, body: { token: isGood ? 'good' : 'narrow' } };
      }
      return headers.authorization === 'Bearer good' ? undefined : bearer('repository:remote/daemon:pull');
    };
    expect(await read()).toMatchObject({ digest });
  });

  test('a challenge never widens what is asked for', async () => {
    source.image(FROM, 'v1');
    source.answer = ({ url }) =>
      url.pathname === '/token' ? { status: 200, body: { token: 't' } } : bearer('repository:other/x:pull,push,delete');
    await expect(read()).rejects.toMatchObject({ kind: 'unauthorized' });
    const scopes = source.asked.flatMap(({ url }) => url.searchParams.getAll('scope'));
    expect(scopes).toContain('repository:other/x:pull');
    expect(scopes.filter((scope) => /push|delete/.test(scope))).toEqual([]);
  });

  test.each([
    ['without a lifetime', {}],
    ['with a lifetime of zero', { expires_in: 0 }],
    ['with null for one', { expires_in: null, access_token: null }],
  ])('one %s is used as long as it works', async (_, more) => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token') return { status: 200, body: { token: 'good', ...more } };
      return headers.authorization === 'Bearer good' ? undefined : bearer();
    };
    const there = client().repository(repository(`${source.host}/${FROM}`));
    for (let n = 0; n < 3; n += 1) expect(await there.resolve(tag('v1'))).toMatchObject({ digest });
    expect(source.asked.filter(({ url }) => url.pathname === '/token')).toHaveLength(1);
  });

  test.each<[string, (scopes: readonly string[]) => Answer]>([
    [
      'refuses two scopes',
      (scopes) => (scopes.length > 1 ? { status: 400 } : { status: 200, body: { token: scopes[0] ?? '' } }),
    ],
    ['gives a token for the first', (scopes) => ({ status: 200, body: { token: scopes[0] ?? '' } })],
    ['gives a token for the last', (scopes) => ({ status: 200, body: { token: scopes.at(-1) ?? '' } })],
  ])('a token server that %s', async (_, answer) => {
    const image = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token') return answer(url.searchParams.getAll('scope'));
      const path = /^\/v2\/(\w+\/\w+)\//.exec(url.pathname)?.[1];
      return headers.authorization?.includes(`repository:${path}:`) ? undefined : bearer();
    };
    await client().copy([within(image)], { referrers: false });
    expect(source.digestAt(TO, 'v1')).toBe(image.digest);
  });

  test('an identity token is exchanged', async () => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ method, url, headers, body }) => {
      if (url.pathname === '/token') {
        const form = new URLSearchParams(body.toString());
        const isRight =
          method === 'POST' && form.get('refresh_token') === 'refresh' && form.get('grant_type') === 'refresh_token';
        return isRight ? { status: 200, body: { access_token: 'good' } } : { status: 401 };
      }
      return headers.authorization === 'Bearer good' ? undefined : bearer();
    };
    expect(await read({ hint: 'log-in-to-source', login: { identityToken: 'refresh' } })).toMatchObject({ digest });
  });

  test.each([403, 404])('a login is sent if /v2/ is open and a private repository answers %i', async (status) => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) =>
      url.pathname !== '/v2/' && headers.authorization !== BASIC ? error(status, 'DENIED') : undefined;
    expect(await read({ hint: 'log-in-to-source', login: LOGIN })).toMatchObject({ digest });
  });

  test.each<[string, Record<string, string>, string]>([
    ['no challenge', {}, 'without saying how to log in (no WWW-Authenticate)'],
    ['an unknown one', { 'www-authenticate': 'Negotiate' }, 'asks for Negotiate, which is not supported'],
  ])('401 with %s says so', async (_, headers, message) => {
    source.answer = () => ({ status: 401, headers });
    await expect(read()).rejects.toMatchObject({
      kind: 'unauthorized',
      hint: 'log-in-to-target',
      message: expect.stringContaining(message),
    });
  });

  test('no login goes to a token server on another site', async () => {
    source.answer = () => ({ status: 401, headers: { 'www-authenticate': 'Bearer realm="http://evil.test/token"' } });
    await expect(read({ hint: 'log-in-to-source', login: LOGIN })).rejects.toMatchObject({
      kind: 'unauthorized',
      hint: 'trust-token-host',
      message: expect.stringContaining('evil.test, which is on another site'),
    });
  });

  test('logins for repositories of one registry: each is sent only for its own', async () => {
    const image = source.image(FROM, 'v1');
    const userOf = (authorization = '') => Buffer.from(authorization.slice(6), 'base64').toString().split(':')[0];
    source.answer = ({ url, headers }) => {
      const path = /^\/v2\/(\w+\/\w+)\//.exec(url.pathname)?.[1];
      const isRight = userOf(headers.authorization) === path?.split('/')[0];
      return isRight ? undefined : { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
    };
    const account = ({ path }: { readonly path: string }): Account => {
      const username = path.split('/')[0] ?? '';
      return { hint: 'log-in-to-source', login: { username, password: 'x' } };
    };
    await client({ account }).copy([within(image)], { referrers: false });
    expect(source.digestAt(TO, 'v1')).toBe(image.digest);
  });
});

describe('the finder', () => {
  test('passes over a tag whose manifest is gone, and names it', async () => {
    source.image(FROM, OLD);
    source.image(FROM, NEW);
    source.answer = ({ url }) =>
      url.pathname.endsWith(`/manifests/${NEW}`) ? error(404, 'MANIFEST_UNKNOWN') : undefined;
    for (const policy of [{}, { platforms: ['linux/amd64'] }]) {
      const { candidate, selection } = await search({ policy });
      expect(candidate.tag).toBe(OLD);
      expect(selection.warnings).toEqual([`${NEW} is listed, and passed over: it no longer has a manifest`]);
    }
  });

  test('passes over a chart', async () => {
    source.image(FROM, OLD);
    source.image(FROM, NEW, (manifest) => ({
      ...manifest,
      config: source.blob(FROM, '{}', 'application/vnd.cncf.helm.config.v1+json'),
    }));
    const { candidate, selection } = await search();
    expect(candidate.tag).toBe(OLD);
    expect(selection.warnings).toEqual([expect.stringMatching(/passed over: .*application\/vnd\.cncf\.helm\.config/)]);
  });

  test('names what it passed over if nothing is left', async () => {
    source.image(FROM, NEW);
    source.answer = (asked) => (isManifest(asked) ? error(404, 'MANIFEST_UNKNOWN') : undefined);
    await expect(search()).rejects.toMatchObject({ hint: 'exclude-tag', message: expect.stringContaining(NEW) });
  });

  test('takes an index whose children name no platform, but not one of artifacts', async () => {
    const index = (children: readonly object[], name: string) =>
      source.manifest(
        FROM,
        { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: children },
        MEDIA_TYPES.oci.index,
        name,
      );
    index([source.image(FROM, 'part')], OLD);
    const chart = source.image(FROM, 'chart', (manifest) => ({
      ...manifest,
      config: source.blob(FROM, '{}', 'application/vnd.cncf.helm.config.v1+json'),
    }));
    index([chart, { ...source.image(FROM, 'x'), platform: { os: 'unknown', architecture: 'unknown' } }], NEW);
    expect((await search()).candidate.tag).toBe(OLD);
  });

  test.each<[string, Answer]>([
    ['502', { status: 502 }],
    ['500 and HTML', { status: 500, headers: { 'content-type': 'text/html' }, body: '<h1>Internal Server Error</h1>' }],
    ['400', { status: 400, body: { detail: 'invalid' } }],
    ['406', { status: 406 }],
    ['501', { status: 501 }],
    ['JSON of its own', { status: 200, body: { ok: true } }],
  ])("lists by the distribution API where Quay's answers %s", async (_, answer) => {
    const log = createLines();
    source.image(FROM, NEW);
    source.answer = ({ url }) => (url.pathname.startsWith('/api/') ? answer : undefined);
    // A wish for times asks every server for Quay's listing.
    const { candidate } = await search({
      registry: client({ log }),
      policy: { minimumAge: 1, unknownAgePasses: true },
    });
    expect(candidate.tag).toBe(NEW);
    expect(log.lines).toContainEqual(expect.stringContaining("no tag listing from Quay's API"));
  });

  test('reads an empty page after an opaque cursor once more, and then accepts it', async () => {
    for (const name of [OLD, NEW]) source.image(FROM, name);
    const cursors: (string | null)[] = [];
    source.answer = ({ url }) => {
      if (!url.pathname.endsWith('/tags/list')) return undefined;
      const cursor = url.searchParams.get('last');
      cursors.push(cursor);
      const link = `<${source.url}${url.pathname}?last=b3BhcXVl>; rel="next"`;
      return cursor === null
        ? { status: 200, headers: { link }, body: { tags: [OLD, NEW] } }
        : { status: 200, body: { tags: null } };
    };
    expect((await search()).candidate.tag).toBe(NEW);
    expect(cursors).toEqual([null, 'b3BhcXVl', 'b3BhcXVl']);
  });
});

describe('the words of a server', () => {
  const words = 'Could not find robot with username ceph+promoter';
  const forms: [string, Answer][] = [
    ["the spec's form", error(403, 'DENIED', words)],
    ['error', { status: 403, body: { error: words } }],
    ['message', { status: 403, body: { message: words } }],
    ['OAuth2', { status: 403, body: { error: 'invalid_grant', error_description: words } }],
    ['status and message', { status: 403, body: { errors: [{ status: 403, message: words }] } }],
    ['plain text', { status: 403, headers: { 'content-type': 'text/plain' }, body: words }],
  ];

  test.each(forms)('a registry, by %s', async (_, answer) => {
    source.answer = () => answer;
    await expect(search({ listing: 'distribution' })).rejects.toThrow(words);
  });

  test.each(forms)('a token server, by %s', async (_, answer) => {
    const realm = { 'www-authenticate': `Bearer realm="${source.url}/token"` };
    source.answer = ({ url }) => (url.pathname === '/token' ? answer : { status: 401, headers: realm });
    await expect(search({ listing: 'distribution' })).rejects.toThrow(words);
  });

  const SECRET = 'eyJhbGciOiJFUzI1NiJ9';
  test.each<[string, Answer['body'], string, string]>([
    ['a token as text', SECRET, 'text/plain', 'not JSON'],
    ['a line of text that ends early', `{"token":"${SECRET}`, 'text/plain', 'not JSON'],
    ['JSON that ends early', `{"token":"${SECRET}`, 'application/json', 'not JSON'],
    ['a title', `<title>${SECRET}</title>`, 'text/html', 'not JSON'],
    ['a token of two lines', { token: `${SECRET}\n` }, 'application/json', 'no token in it'],
    ['other fields', { detail: SECRET, title: SECRET }, 'application/json', 'no token in it'],
    ['an error', { error: 'no robot', id_token: SECRET }, 'application/json', 'no robot'],
    ["an error in the spec's form", { errors: [{ code: 'DENIED' }], id_token: SECRET }, 'application/json', 'DENIED'],
    ['a message', { message: 'no robot', id_token: SECRET }, 'application/json', 'no robot'],
  ])('a token server that answers 200 with %s: only the words of an error are shown', async (_, body, type, words) => {
    const realm = { 'www-authenticate': `Bearer realm="${source.url}/token"` };
    const answer = { status: 200, headers: { 'content-type': type }, body: body ?? '' };
    source.answer = ({ url }) => (url.pathname === '/token' ? answer : { status: 401, headers: realm });
    const failed = search({ listing: 'distribution' });
    await expect(failed).rejects.toThrow(`not a token: ${words}`);
    await expect(failed).rejects.not.toThrow(SECRET);
  });

  test('nothing of a body from another host is shown, and the host is named', async () => {
    target.answer = () => ({ status: 403, body: { errors: [{ code: 'DENIED', message: 'inner secret' }] } });
    source.answer = ({ url }) => ({ status: 307, headers: { location: `${target.url}${url.pathname}` } });
    const refused = search({ listing: 'distribution' });
    await expect(refused).rejects.toThrow(`${target.host}, after a redirect, answered 403`);
    await expect(refused).rejects.not.toThrow('inner secret');
    target.answer = () => ({ status: 200, body: '"inner secret"' });
    const wrong = search({ listing: 'distribution' });
    await expect(wrong).rejects.toThrow(`${target.host}, after a redirect, sent something else`);
    await expect(wrong).rejects.not.toThrow('inner secret');
  });

  test('413 says that the size of a body is limited', async () => {
    const image = source.image(FROM, 'v1');
    target.answer = ({ method }) => (method === 'PUT' ? { status: 413, body: '<html>' } : undefined);
    await expect(client().copy([across(image)], { referrers: false })).rejects.toMatchObject({
      kind: 'too-large',
      message: expect.stringContaining('limits the size of a request body'),
    });
  });
});

test('a header that is sent twice with one value is that value; with two it is an error', async () => {
  const { digest } = source.image(FROM, 'v1');
  const other = `sha256:${'0'.repeat(64)}`;
  const image = () => client().repository(repository(`${source.host}/${FROM}`));
  const twice = (...values: string[]) => {
    source.answer = (asked) => {
      if (!isManifest(asked)) return undefined;
      const found = source.manifests.get(`${FROM}:v1`);
      const headers = { 'content-type': found?.type ?? '', 'docker-content-digest': values };
      return { status: 200, headers, body: found?.bytes ?? '' };
    };
  };
  twice(digest, digest);
  expect(await image().getManifest(tag('v1'))).toMatchObject({ digest });
  twice(digest, other);
  await expect(image().getManifest(tag('v1'))).rejects.toThrow('Docker-Content-Digest is not a digest');
  twice('garbage');
  await expect(image().getManifest(tag('v1'))).rejects.toThrow('Docker-Content-Digest is not a digest');
});
