import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { semver } from '../../src/candidate/schemes/semver.js';
import { readImages } from '../../src/registry/images.js';
import type { Account, Copy } from '../../src/registry/registry.js';
import { MEDIA_TYPES } from '../sandbox/images.js';
import { find } from './finding.js';
import {
  type Answer,
  type Asked,
  digestOf,
  type ImageDocument,
  LAYER_TYPE,
  type MemoryRegistry,
  referrersOf,
  startMemoryRegistry,
} from './memory-registry.js';
import { client, closeAll, copyOf, createLines, repository, tag } from './support.js';

/** What users of crane, oras, regctl, skopeo and others reported of registries and proxies, and what is right then. */

const FROM = 'ceph/daemon';
const TO = 'tripleo/daemon';
const OLD = 'v6.0.6-stable-6.0-pacific-centos-stream8';
const NEW = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const HTML: Answer = {
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: '<!doctype html><title>UI</title>',
};

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

const plain = { referrers: false };
const across = (image: { readonly digest: string }): Copy =>
  copyOf(`${source.host}/${FROM}`, image, `${target.host}/${TO}`);
const within = (image: { readonly digest: string }): Copy =>
  copyOf(`${source.host}/${FROM}`, image, `${source.host}/${TO}`);
const isManifest = ({ url }: Asked) => url.pathname.includes('/manifests/');
const isTag = ({ url }: Asked) => url.pathname.endsWith('/manifests/v1');
const error = (status: number, code: string, message = ''): Answer => ({
  status,
  body: { errors: [{ code, message }] },
});
const puts = (registry: MemoryRegistry) => registry.asked.filter(({ method }) => method === 'PUT');

describe('only a GET that answers 404 shows that something does not exist', () => {
  test.each<[string, Answer]>([
    ['a web page', HTML],
    ['nothing', { status: 200 }],
    ['403', { status: 403 }],
    ['410', { status: 410 }],
    ['404, since we may not read it', error(404, 'DENIED')],
    ['502', { status: 502 }],
  ])('and not where %s is the answer: nothing is written', async (_, answer) => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => (asked.method === 'GET' && isTag(asked) ? answer : undefined);
    await expect(client().copy([across(image)], plain)).rejects.toThrow(`${target.host}/${TO}`);
    expect(puts(target)).toEqual([]);
  });
});

describe('layers', () => {
  const layers = (registry: MemoryRegistry, ...types: readonly string[]) => ({
    layers: types.map((type, n) => ({
      ...registry.blob(FROM, `layer ${n}`, type),
      urls: ['https://mirror.example/layer'],
    })),
  });

  test.each([
    ['application/vnd.oci.image.layer.v1.tar+zstd', false],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', false],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', true],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', true],
  ])('of type %s, with urls, are not copied %s', async (type, stays) => {
    const log = createLines();
    const image = source.image(FROM, 'v1', (document) => ({ ...document, ...layers(source, LAYER_TYPE, type) }));
    const [copied] = await client({ log }).copy([across(image)], plain);
    expect(copied?.uploaded.blobs).toBe(stays ? 2 : 3);
    expect(log.lines.some((line) => line.includes('1 layers are not copied'))).toBe(stays);
  });

  test('one that occurs twice is copied once', async () => {
    const image = source.image(FROM, 'v1', (document) => ({
      ...document,
      layers: [...document.layers, ...document.layers],
    }));
    expect(await client().copy([across(image)], plain)).toMatchObject([{ uploaded: { blobs: 2 } }]);
  });
});

describe('pages', () => {
  const pages = (link: (last: string) => string) => {
    for (const name of [OLD, NEW, 'x', 'y']) source.image(FROM, name);
    source.answer = ({ url }) => {
      if (!url.pathname.endsWith('/tags/list')) return undefined;
      if (url.pathname !== `/v2/${FROM}/tags/list`) return { status: 200, body: { tags: ['of-another-repository'] } };
      const tags = [OLD, NEW, 'x', 'y'].filter((name) => name > (url.searchParams.get('last') ?? '')).slice(0, 2);
      const headers = tags[1] === NEW ? { link: link(NEW) } : {};
      return { status: 200, headers, body: { tags } };
    };
    return client()
      .repository(repository(`${source.host}/${FROM}`))
      .listTags({ listing: 'distribution' });
  };

  // git-pkgs/proxy#280, oras-project/artifacts-spec#93
  test.each([
    (last: string) => `</v2/inner/name/tags/list?last=${last}>; rel="next"`,
    (last: string) => `<http://registry:5000/api/docker/remote/v2/${FROM}/tags/list?last=${last}>; rel="next"`,
    (last: string) => `<?last=${last}>; rel="next"`,
  ])("a link with the repository's name behind a proxy: %s", async (link) => {
    expect((await pages(link)).tags).toHaveLength(4);
  });

  test('a link to the same page', async () => {
    await expect(pages(() => `</v2/${FROM}/tags/list>; rel="next"`)).rejects.toThrow('page 2 has nothing new');
  });

  test.each<['distribution' | 'quay', (page: number) => Answer]>([
    [
      'distribution',
      (page) => ({ status: 200, headers: { link: `<?last=t${page}>; rel="next"` }, body: { tags: [`t${page}`] } }),
    ],
    ['quay', (page) => ({ status: 200, body: { tags: [{ name: `t${page}` }], has_additional: true } })],
  ])('of one tag each, without end, by the listing of %s', async (listing, answer) => {
    let page = 0;
    source.answer = ({ url }) => {
      if (!/\/tags\/list$|\/tag\/$/.test(url.pathname)) return undefined;
      page += 1;
      return answer(page);
    };
    const tags = client()
      .repository(repository(`${source.host}/${FROM}`))
      .listTags({ listing });
    await expect(tags).rejects.toThrow('101 pages have only 101 tags');
    expect(page).toBe(101);
  });
});

describe('referrers', () => {
  const ARTIFACT = 'application/vnd.test.note';
  const note = { artifactType: ARTIFACT, layer: Buffer.from('note'), annotations: { n: '1' } };

  async function attached(): Promise<unknown> {
    const { digest } = within(target.image(TO, 'v1')).source;
    const at = client().repository(repository(`${target.host}/${TO}`));
    await at.attach(digest, note);
    await at.attach(digest, note);
    return client()
      .repository(repository(`${target.host}/${TO}`))
      .listAttached(digest, ARTIFACT);
  }
  const withOciSubject = (asked: Asked): Answer | undefined => {
    if (asked.method !== 'PUT' || !isManifest(asked) || !asked.body.includes('"subject"')) return undefined;
    const [, digest = ''] = asked.url.pathname.split('/manifests/');
    target.manifests.set(`${TO}:${digest}`, { bytes: asked.body, type: MEDIA_TYPES.oci.manifest });
    return { status: 201, headers: { 'oci-subject': 'sha256:x' } };
  };
  const isReferrers = ({ url }: Asked) => url.pathname.includes('/referrers/');

  test.each<[string, (asked: Asked) => Answer | undefined]>([
    ['has an API', () => undefined],
    ['has none', () => undefined],
    // sigstore/sigstore-js#1183
    ['has none, and says OCI-Subject as ECR does', withOciSubject],
    // GHCR
    [
      'has none, says so by 404 MANIFEST_UNKNOWN, and says OCI-Subject',
      (asked) => (isReferrers(asked) ? error(404, 'MANIFEST_UNKNOWN') : withOciSubject(asked)),
    ],
    ['answers every path by JSON', (asked) => (isReferrers(asked) ? { status: 200, body: { ok: true } } : undefined)],
    ['answers every path by a web page', (asked) => (isReferrers(asked) ? HTML : undefined)],
  ])('are attached and found where a registry %s', async (name, answer) => {
    target.hasReferrers = name === 'has an API';
    target.answer = answer;
    expect(await attached()).toEqual([expect.objectContaining({ annotations: { n: '1' } })]);
  });

  type Listed = { readonly artifactType?: string | undefined; readonly annotations?: object | undefined };
  test.each<[string, (entry: Listed) => object]>([
    // goharbor/harbor#19867
    ['the type of the config', (entry) => ({ ...entry, artifactType: 'application/vnd.oci.empty.v1+json' })],
    // quay/quay#3047
    ['no type and no annotations', ({ artifactType: _, annotations: __, ...entry }) => entry],
    // Azure/acr#784
    ['null for both', (entry) => ({ ...entry, artifactType: null, annotations: null })],
    // google/go-containerregistry#1997
    ['no annotations', ({ annotations: _, ...entry }) => entry],
    ['odd annotations', (entry) => ({ ...entry, annotations: { n: 1 } })],
  ])('are found where a list has %s', async (_, change) => {
    const { digest } = within(target.image(TO, 'v1')).source;
    target.hasReferrers = true;
    await client()
      .repository(repository(`${target.host}/${TO}`))
      .attach(digest, note);
    target.answer = (asked) => {
      if (!isReferrers(asked)) return undefined;
      const { manifests } = referrersOf(target, TO, digest);
      const gone = { mediaType: MEDIA_TYPES.oci.manifest, digest: `sha256:${'0'.repeat(64)}`, size: 1 };
      return { status: 200, body: { manifests: [...manifests.map(change), gone] } };
    };
    const there = client().repository(repository(`${target.host}/${TO}`));
    const found = [expect.objectContaining({ annotations: { n: '1' } })];
    expect(await there.listAttached(digest, ARTIFACT)).toEqual(found);
    expect(await there.listAttached(digest, 'application/vnd.test.other')).toEqual([]);
  });

  test('are not listed without one that cannot be read', async () => {
    const { digest } = within(target.image(TO, 'v1')).source;
    target.hasReferrers = true;
    await client()
      .repository(repository(`${target.host}/${TO}`))
      .attach(digest, note);
    const there = client().repository(repository(`${target.host}/${TO}`));
    const entries = referrersOf(target, TO, digest).manifests.map(({ annotations: _, ...entry }) => entry);
    const own = entries[0]?.digest ?? '';
    target.answer = (asked) => {
      if (isReferrers(asked)) return { status: 200, body: { manifests: entries } };
      return asked.url.pathname.endsWith(own) ? error(400, 'UNKNOWN') : undefined;
    };
    await expect(there.listAttached(digest, ARTIFACT)).rejects.toMatchObject({ kind: 'bad-answer' });
  });

  test('are not listed if more have to be read than can be', async () => {
    const { digest } = within(target.image(TO, 'v1')).source;
    const entry = (n: number) => ({
      mediaType: MEDIA_TYPES.oci.manifest,
      digest: `sha256:${String(n).padStart(64, '0')}`,
      size: 1,
    });
    const list = (size: number) => {
      target.answer = (asked) =>
        isReferrers(asked)
          ? { status: 200, body: { manifests: Array.from({ length: size }, (_, n) => entry(n)) } }
          : undefined;
      return client()
        .repository(repository(`${target.host}/${TO}`))
        .listAttached(digest, ARTIFACT);
    };
    expect(await list(500)).toEqual([]);
    await expect(list(501)).rejects.toMatchObject({
      kind: 'too-large',
      message: expect.stringContaining('more referrers than can be read'),
    });
  });

  test('share one empty config, which is sent again only if it was lost', async () => {
    const { digest } = within(target.image(TO, 'v1')).source;
    target.hasReferrers = true;
    const own = client().repository(repository(`${target.host}/${TO}`));
    const empty = `${TO}@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a`;
    const sent = () => target.asked.filter(({ method, body }) => method === 'PUT' && body.toString() === '{}').length;
    for (const n of ['1', '2']) await own.attach(digest, { ...note, annotations: { n } });
    const next = client().repository(repository(`${target.host}/${TO}`));
    expect(await next.listAttached(digest, ARTIFACT)).toHaveLength(2);
    await next.attach(digest, { ...note, annotations: { n: '3' } });
    expect(sent()).toBe(1);

    target.blobs.delete(empty);
    target.answer = ({ method, url }) =>
      method === 'PUT' && url.pathname.includes('/manifests/') && !target.blobs.has(empty)
        ? error(400, 'MANIFEST_BLOB_UNKNOWN')
        : undefined;
    const puts = () => target.asked.filter((asked) => asked.method === 'PUT' && isManifest(asked)).length;
    const before = puts();
    await next.attach(digest, { ...note, annotations: { n: '4' } });
    expect(sent()).toBe(2);
    // Waiting does not bring back a blob that is absent.
    expect(puts() - before).toBe(2);
    expect(await next.listAttached(digest, ARTIFACT)).toHaveLength(4);
  });

  // oras-project/oras-go#1396
  test('cannot be kept if GitLab reads their tag as the digest', async () => {
    const { digest } = within(target.image(TO, 'v1')).source;
    target.answer = (asked) => {
      if (!asked.url.pathname.endsWith(`/manifests/${digest.replace(':', '-')}`)) return undefined;
      const there = target.manifests.get(`${TO}:v1`);
      if (asked.method !== 'GET') return error(400, 'DIGEST_INVALID', 'provided digest did not match');
      return { status: 200, headers: { 'content-type': there?.type ?? '' }, body: there?.bytes ?? '' };
    };
    const at = client().repository(repository(`${target.host}/${TO}`));
    expect(await at.listAttached(digest, ARTIFACT)).toEqual([]);
    await expect(at.attach(digest, note)).rejects.toMatchObject({ kind: 'unsupported' });
  });
});

describe('a mount', () => {
  test.each<[string, Answer]>([
    ['200', { status: 200 }],
    ['204', { status: 204 }],
    ['202 without a Location', { status: 202 }],
    ['307', { status: 307, headers: { location: '/elsewhere' } }],
    ['409', { status: 409 }],
    ['a web page', HTML],
  ])('that is answered %s becomes an upload', async (_, answer) => {
    source.answer = ({ url }) => (url.searchParams.get('from') === FROM ? answer : undefined);
    const image = source.image(FROM, 'v1');
    expect(await client().copy([within(image)], plain)).toMatchObject([{ uploaded: { blobs: 2 } }]);
    expect(source.digestAt(TO, 'v1')).toBe(image.digest);
  });
});

describe('an upload', () => {
  const isBlob = ({ method, url }: Asked) => method === 'PUT' && url.pathname.includes('/blobs/');
  const store = ({ body }: Asked) => target.blobs.set(`${TO}@${digestOf(body)}`, body);

  // Azure/acr#866, GoogleContainerTools/jib#4301, Azure/azure-sdk-for-java#34276
  test.each([
    [404, 'BLOB_UPLOAD_UNKNOWN'],
    [409, 'BLOB_UPLOAD_INVALID'],
    [416, 'RANGE_INVALID'],
  ])('answered %i %s begins again, unless the blob is there', async (status, code) => {
    const image = source.image(FROM, 'v1');
    let failures = 0;
    target.answer = (asked) => {
      if (!isBlob(asked)) return undefined;
      failures += 1;
      if (failures > 1) store(asked);
      return failures < 3 ? error(status, code) : { status: 204 };
    };
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
    expect(failures).toBe(3);
  });

  // apple/swift-container-plugin#43, gitpod-io/gitpod#10214, distribution/distribution#2867
  test.each([
    ['u1', `/v2/${TO}/blobs/uploads/u1?digest=`],
    ['/artifacts-uploads/u1?state=a%2Fb%3D', '/artifacts-uploads/u1?state=a%2Fb%3D&digest='],
  ])('at the Location %s', async (location, path) => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => {
      if (asked.method === 'POST') return { status: 202, headers: { location } };
      if (asked.method !== 'PUT' || isManifest(asked)) return undefined;
      store(asked);
      return { status: asked.url.href === `${target.url}${path}${digestOf(asked.body)}` ? 201 : 400 };
    };
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  // opencontainers/distribution-spec#299
  test('whose first request is redirected on the same host', async () => {
    const image = source.image(FROM, 'v1');
    target.answer = ({ method, url }) => {
      if (method !== 'POST' && !url.pathname.endsWith('/manifests/v1')) return undefined;
      if (method === 'GET' || url.searchParams.has('again')) return undefined;
      return { status: 307, headers: { location: `${url.pathname}?${url.searchParams}&again=1` } };
    };
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  test('whose blobs are redirected on the same host', async () => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => {
      if (!isBlob(asked) || asked.url.searchParams.has('again')) return undefined;
      return { status: 307, headers: { location: `${asked.url.pathname}?${asked.url.searchParams}&again=1` } };
    };
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
    const sent = target.asked.filter(isBlob);
    expect(sent.map(({ url }) => url.searchParams.has('again'))).toEqual(expect.arrayContaining([false, true]));
    // Each blob went to both addresses, whole, and to each only once.
    expect(sent).toHaveLength(4);
    for (const { url, body } of sent) expect(digestOf(body)).toBe(url.searchParams.get('digest'));
  });

  // openshift/image-registry#220
  test.each([
    [400, 'MANIFEST_BLOB_UNKNOWN'],
    [404, 'BLOB_UNKNOWN'],
  ])('that is not seen at once: the manifest is answered %i %s', async (status, code) => {
    const image = source.image(FROM, 'v1');
    let refusals = 3;
    target.answer = (asked) => {
      if (asked.method !== 'PUT' || !isManifest(asked)) return undefined;
      refusals -= 1;
      return refusals >= 0 ? error(status, code) : undefined;
    };
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });
});

describe('null, and headers', () => {
  test.each<[string, Answer]>([
    ['errors null', { status: 403, body: { errors: null, message: null } }],
    ['an error that is null', { status: 403, body: { errors: [null] } }],
    ['an error of nulls', { status: 403, body: { errors: [{ code: null, message: null, detail: null }] } }],
  ])('a refusal with %s is a refusal', async (_, answer) => {
    source.answer = () => answer;
    const reading = client()
      .repository(repository(`${source.host}/${FROM}`))
      .resolve(tag('v1'));
    await expect(reading).rejects.toMatchObject({ kind: 'forbidden' });
  });

  // GoogleContainerTools/kaniko#298, google/go-containerregistry#1749
  test.each([
    ['without its algorithm', (digest: string) => digest.slice('sha256:'.length)],
    ['empty', () => ''],
    ['of an algorithm that is not known', () => `sha3-256:${'0'.repeat(64)}`],
  ])('Docker-Content-Digest %s', async (_, header) => {
    const image = source.image(FROM, 'v1');
    for (const registry of [source, target]) {
      const serve = registry.answer;
      registry.answer = (asked) => {
        if (!isManifest(asked)) return serve(asked);
        const [, repositoryName = '', name = ''] = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(asked.url.pathname) ?? [];
        if (asked.method === 'PUT') {
          registry.manifests.set(`${repositoryName}:${name}`, { bytes: asked.body, type: MEDIA_TYPES.oci.manifest });
          return { status: 201, headers: { 'docker-content-digest': header(image.digest) } };
        }
        const found = registry.manifests.get(`${repositoryName}:${name}`);
        if (found === undefined) return undefined;
        const headers = { 'content-type': found.type, 'docker-content-digest': header(image.digest) };
        return { status: 200, headers, body: found.bytes };
      };
    }
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
  });

  // What a server that only has files says of a manifest without mediaType.
  test.each(['application/json', 'application/octet-stream', 'text/plain; charset=utf-8'])(
    'Content-Type %s',
    async (type) => {
      const image = source.image(FROM, 'v1', ({ mediaType: _, ...document }: ImageDocument) => document);
      const { bytes } = source.manifests.get(`${FROM}:v1`) ?? { bytes: Buffer.alloc(0) };
      for (const name of ['v1', image.digest]) source.manifests.set(`${FROM}:${name}`, { bytes, type });
      await client().copy([across(image)], plain);
      expect(target.manifests.get(`${TO}:v1`)).toEqual({ bytes, type: MEDIA_TYPES.oci.manifest });
    },
  );
});

describe('logging in', () => {
  const LOGIN = { username: 'robot', password: 'secret' };
  const BASIC = `Basic ${Buffer.from('robot:secret').toString('base64')}`;
  const read = (account?: Account) =>
    client(account && { account: () => account })
      .repository(repository(`${source.host}/${FROM}`))
      .resolve(tag('v1'));
  const asks = (challenge: string | string[]): Answer => ({ status: 401, headers: { 'www-authenticate': challenge } });
  const account: Account = { hint: 'log-in-to-source', login: LOGIN };

  test.each<[string, string | string[]]>([
    // nicholas-fedor/watchtower#1894
    ['a challenge without a service', 'Bearer realm="URL/token"'],
    // project-zot/zot#4033
    ['a realm that is a path', 'Bearer realm="/token",service="zot"'],
    // prowler-cloud/prowler#12691
    ['two challenges in one header', 'Basic realm="registry", Bearer realm="URL/token",service="s"'],
    ['two headers', ['Basic realm="registry"', 'Bearer realm="URL/token",service="s"']],
  ])('a token by %s', async (_, challenge) => {
    const { digest } = source.image(FROM, 'v1');
    const own = (text: string) => text.replace('URL', source.url);
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token')
        return headers.authorization === BASIC ? { status: 200, body: { access_token: 'good' } } : { status: 401 };
      if (headers.authorization === 'Bearer good') return undefined;
      return asks(typeof challenge === 'string' ? own(challenge) : challenge.map(own));
    };
    expect(await read(account)).toMatchObject({ digest });
  });

  // google/go-containerregistry#1075
  test('Basic beside Negotiate', async () => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ headers }) =>
      headers.authorization === BASIC ? undefined : asks(['Negotiate', 'Basic realm="x"']);
    expect(await read(account)).toMatchObject({ digest });
  });

  // goharbor/harbor#18856
  test('Basic if a token turns out not to be enough', async () => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token') return { status: 200, body: { token: 'little' } };
      if (headers.authorization === BASIC) return undefined;
      return asks(headers.authorization === undefined ? `Bearer realm="${source.url}/token"` : 'Basic realm="x"');
    };
    expect(await read(account)).toMatchObject({ digest });
  });

  // SgtSilvio/gradle-oci#144
  test('no password before the registry asks, because it refuses one that it did not ask for', async () => {
    const { digest } = source.image(FROM, 'v1');
    source.answer = ({ url, headers }) => {
      if (url.pathname === '/token') return { status: 200, body: { token: 'good' } };
      if (headers.authorization?.startsWith('Basic'))
        return error(400, 'DENIED', 'Your Authorization Token is invalid.');
      return headers.authorization === 'Bearer good' ? undefined : asks(`Bearer realm="${source.url}/token"`);
    };
    expect(await read(account)).toMatchObject({ digest });
  });
});

describe('an expired token', () => {
  /** Refuses `token1` for a PUT of a manifest or of a blob. `asked` counts the tokens, and `refused` the refusals. */
  function expiring(kind: 'manifests' | 'blobs', status: number): { asked: number; refused: number } {
    const counts = { asked: 0, refused: 0 };
    target.answer = ({ url, headers: { authorization }, method }) => {
      if (url.pathname === '/token') {
        counts.asked += 1;
        return { status: 200, body: { token: `token${counts.asked}` } };
      }
      const challenge = { 'www-authenticate': `Bearer realm="${target.url}/token"` };
      if (authorization === undefined) return { status: 401, headers: challenge };
      const isOver = authorization === 'Bearer token1' && method === 'PUT' && url.pathname.includes(`/${kind}/`);
      if (!isOver) return undefined;
      counts.refused += 1;
      const headers = status === 401 ? challenge : {};
      return { ...error(status, 'DENIED', 'Your authorization token has expired.'), headers };
    };
    return counts;
  }

  // spinnaker/clouddriver#2215
  test.each([
    ['manifests', 400],
    ['manifests', 403],
    ['blobs', 400],
    ['blobs', 403],
  ] as const)('is renewed in the middle of sending %s, also if the answer is %i', async (kind, status) => {
    const image = source.image(FROM, 'v1');
    const counts = expiring(kind, status);
    await client().copy([across(image)], plain);
    expect(target.digestAt(TO, 'v1')).toBe(image.digest);
    expect([...target.blobs.keys()].sort()).toEqual(
      [...source.blobs.keys()].map((key) => key.replace(FROM, TO)).sort(),
    );
    expect(counts.asked).toBe(2);
  });

  test.each([400, 401, 403])('that a person gave is not sent again after %i', async (status) => {
    const image = source.image(FROM, 'v1');
    const counts = expiring('manifests', status);
    const there = client({ account: () => ({ hint: 'log-in-to-target', login: { registryToken: 'token1' } }) });
    await expect(there.copy([across(image)], plain)).rejects.toMatchObject({
      message: expect.stringContaining('token has expired'),
    });
    expect(counts).toEqual({ asked: 0, refused: 1 });
  });
});

describe('the finder passes over', () => {
  const config = (content: object) => (document: ImageDocument) => ({
    ...document,
    config: source.blob(FROM, JSON.stringify(content), document.config.mediaType),
  });

  test.each<[string, () => unknown]>([
    ['a manifest of schema 1', () => source.manifest(FROM, { schemaVersion: 1, name: 'x' }, 'application/json', NEW)],
    [
      'an artifact manifest of ORAS',
      () => {
        const type = 'application/vnd.oci.artifact.manifest.v1+json';
        return source.manifest(FROM, { schemaVersion: 2, mediaType: type, blobs: [] }, type, NEW);
      },
    ],
    [
      'a signature with the configuration of an image',
      () => source.image(FROM, NEW, config({ os: '', architecture: '' })),
    ],
    [
      'an image whose configuration is gone',
      () => {
        const digest = `sha256:${'0'.repeat(64)}`;
        return source.image(FROM, NEW, (document) => ({ ...document, config: { ...document.config, digest } }));
      },
    ],
    ['a configuration that is none', () => source.image(FROM, NEW, config(['x']))],
    [
      'an empty index',
      () =>
        source.manifest(
          FROM,
          { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: null },
          MEDIA_TYPES.oci.index,
          NEW,
        ),
    ],
  ])('%s, and names it', async (_, make) => {
    source.image(FROM, OLD);
    make();
    const { candidate, selection } = await find(`${source.host}/${FROM}`);
    expect(candidate.tag).toBe(OLD);
    expect(selection.warnings).toEqual([expect.stringMatching(`^${NEW} is listed, and passed over: `)]);
  });
});

describe('a PUT of a tag', () => {
  const put = ({ method, body, headers }: Asked) => {
    if (method !== 'PUT') return;
    target.manifests.set(`${TO}:v1`, { bytes: body, type: headers['content-type'] ?? '' });
  };

  test('whose tag can be read a little later counts', async () => {
    const image = source.image(FROM, 'v1');
    let stale = 2;
    target.answer = (asked) => {
      if (!isTag(asked)) return undefined;
      if (asked.method === 'PUT') {
        put(asked);
        return { status: 202 };
      }
      const isStored = target.digestAt(TO, 'v1') !== undefined;
      if (!isStored) return undefined;
      stale -= 1;
      return stale >= 0 ? error(404, 'MANIFEST_UNKNOWN') : undefined;
    };
    expect(await client().copy([across(image)], plain)).toMatchObject([{ state: 'copied' }]);
  });

  test('whose tag can never be read does not', async () => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => (isTag(asked) && asked.method === 'PUT' ? { status: 201 } : undefined);
    await expect(client().copy([across(image)], plain)).rejects.toMatchObject({ kind: 'conflict' });
  });

  // aws/containers-roadmap#2179, moby/buildkit#3776
  test.each([
    [
      400,
      'TAG_INVALID',
      "The image tag 'v1' already exists and cannot be overwritten because the repository is immutable",
    ],
    [400, 'ImageAlreadyExistsException', 'already exists'],
    [500, 'UNKNOWN', 'it was stored all the same'],
  ])('answered %i %s with the same image there is done', async (status, code, message) => {
    const image = source.image(FROM, 'v1');
    target.answer = (asked) => {
      if (!isTag(asked) || asked.method !== 'PUT') return undefined;
      put(asked);
      return error(status, code, message);
    };
    expect(await client().copy([across(image)], plain)).toMatchObject([{ state: 'copied' }]);
  });
});

test('charts next to images, of the same and of a newer version: the image is chosen', async () => {
  const chart = (name: string) =>
    source.image(FROM, name, (document) => ({
      ...document,
      config: source.blob(FROM, `{"version":"${name}"}`, 'application/vnd.cncf.helm.config.v1+json'),
    }));
  source.image(FROM, 'v1.5.0');
  const image = source.image(FROM, 'v1.5.1');
  for (const name of ['1.5.0', '1.5.1', '1.6.0']) chart(name);
  const { candidate } = await find(`${source.host}/${FROM}`, { policy: { scheme: semver, flavor: undefined } });
  expect(candidate).toMatchObject({ tag: 'v1.5.1', digest: image.digest });
});

test('an index of one image and its provenance is an image of one platform', async () => {
  const platform = (os: string, architecture: string) => ({ platform: { os, architecture } });
  const manifests = [
    { ...source.image(FROM, 'part'), ...platform('linux', 'amd64') },
    {
      ...source.image(FROM, 'provenance', (document) => ({ ...document, annotations: { of: 'part' } })),
      ...platform('unknown', 'unknown'),
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  ];
  source.manifest(FROM, { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests }, MEDIA_TYPES.oci.index, 'v1');
  const there = client().repository(repository(`${source.host}/${FROM}`));
  const images = await readImages(there, await there.getManifest(tag('v1')));
  expect(images.map((image) => image.platform)).toEqual(['linux/amd64']);
});

describe('tag listings', () => {
  test('whose pages begin with the name that they continue from', async () => {
    for (const name of [OLD, NEW]) source.image(FROM, name);
    source.answer = ({ url }) => {
      if (!url.pathname.endsWith('/tags/list')) return undefined;
      const names = [OLD, NEW].filter((name) => name >= (url.searchParams.get('last') ?? '')).slice(0, 2);
      const headers = names.length === 2 ? { link: `<?last=${NEW}>; rel="next"` } : {};
      return { status: 200, headers, body: { tags: names } };
    };
    expect((await find(`${source.host}/${FROM}`, { listing: 'distribution' })).candidate.tag).toBe(NEW);
  });

  test("that are errors with a status of 200: the registry's words are told", async () => {
    source.answer = () => ({ ...error(200, 'UNAUTHORIZED', 'the robot is disabled') });
    await expect(find(`${source.host}/${FROM}`)).rejects.toThrow('UNAUTHORIZED (the robot is disabled)');
  });

  test('a last page of null after a full one', async () => {
    for (const name of [OLD, NEW]) source.image(FROM, name);
    source.answer = ({ url }) => {
      if (!url.pathname.endsWith('/tags/list')) return undefined;
      const size = Number(url.searchParams.get('n') ?? 2);
      const names = [OLD, NEW].filter((name) => name > (url.searchParams.get('last') ?? '')).slice(0, size);
      const next = `</v2/${FROM}/tags/list?last=${names.at(-1)}&n=${size}>; rel="next"`;
      const headers = names.length === size ? { link: next } : {};
      return { status: 200, headers, body: { tags: names.length === 0 ? null : names } };
    };
    expect((await find(`${source.host}/${FROM}`, { listing: 'distribution' })).candidate.tag).toBe(NEW);
  });

  test.each<[string, Answer]>([
    ['400', { status: 400, body: { detail: 'invalid' } }],
    ['401', { status: 401, body: {} }],
    ['500 and HTML', { status: 500, headers: { 'content-type': 'text/html' }, body: '<h1>Internal Server Error</h1>' }],
    ['502', { status: 502, body: 'bad gateway' }],
  ])("by the distribution API where a registry is Quay, and Quay's own answers %s", async (_, answer) => {
    source.image(FROM, NEW);
    source.answer = ({ url, headers }) => {
      if (url.pathname.startsWith('/api/v1/')) return answer;
      if (url.pathname === '/v2/auth') return { status: 200, body: { token: 'good' } };
      const challenge = `Bearer realm="${source.url}/v2/auth",service="${source.host}"`;
      const isKnown = headers.authorization === 'Bearer good';
      return isKnown ? undefined : { status: 401, headers: { 'www-authenticate': challenge } };
    };
    expect((await find(`${source.host}/${FROM}`)).candidate.tag).toBe(NEW);
  });
});

test.each([
  [202, true],
  [400, true],
  [404, true],
  [416, true],
  [405, false],
  [500, false],
  [501, false],
])('the probe for the right to push, answered %i, shows it: %s', async (status, shows) => {
  target.answer = ({ method }) => (method === 'PATCH' ? { status } : undefined);
  const there = client().repository(repository(`${target.host}/${TO}`));
  expect(await there.checkPush()).toBe(shows);
});

test('a server that is not a registry gives an error of one line', async () => {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  await expect(find(`${host}/${FROM}`)).rejects.toMatchObject({ kind: 'bad-answer' });
  server.close();
  server.closeAllConnections();
});
