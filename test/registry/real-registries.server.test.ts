import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { buildImage, buildLayer, buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { runDirectory } from '../sandbox/process.js';
import { makeCertificate, type Registry, startRegistry } from '../sandbox/registry.js';
import { client, closeAll, copyOf, repository, tag } from './support.js';
import { startTokenServer, type TokenServer } from './token-server.js';

/**
 * distribution v3 and docker-registry 2.8, each as source and as target, open and with tokens: copying an image with a
 * signature, its repeat, moving a tag, listing, attaching.
 */

const { tools } = sandbox();
const login = { username: 'tripleo+robot', password: 'secret' };
const image = buildMultiPlatform({ layers: Array(3).fill(100_000), seed: 'real' });
const signature = buildImage({ layers: [buildLayer('signature', 100)] });
/** Of both. */
const BLOBS = 10;
const ARTIFACT = 'application/vnd.test.note';

const NAMES = ['v3, open', 'v3, tokens', '2.8, open', '2.8, tokens'] as const;
type Name = (typeof NAMES)[number];

let directory: Awaited<ReturnType<typeof runDirectory>>;
let tokens: TokenServer;
let registries: ReadonlyMap<Name, Registry>;

beforeAll(async () => {
  directory = await runDirectory();
  tokens = await startTokenServer(await makeCertificate(tools, join(directory.path, 'tls')), login);
  const started = NAMES.map(async (name, n) => {
    const registry = await startRegistry({
      tools,
      directory: join(directory.path, String(n)),
      kind: name.startsWith('v3') ? 'distribution' : 'debian',
      ...(name.endsWith('tokens') && { tokens: tokens.issuer }),
    });
    return [name, registry] as const;
  });
  registries = new Map(await Promise.all(started));
});
afterEach(closeAll);
afterAll(async () => {
  for (const registry of registries.values()) await registry.stop();
  await tokens.stop();
  await directory.stop();
});

function named(name: Name): Registry {
  const registry = registries.get(name);
  if (registry === undefined) throw new Error(`no registry ${name}`);
  return registry;
}

async function push(name: Name, path: string): Promise<void> {
  const { url } = named(name);
  let authorization: string | undefined;
  if (name.endsWith('tokens')) {
    const scope = `service=registry&scope=repository:${path}:pull,push`;
    const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    const answer = await fetch(`${tokens.issuer.realm}?${scope}`, { headers: { authorization: basic } });
    authorization = `Bearer ${((await answer.json()) as { token: string }).token}`;
  }
  const to = { url, repository: path, ...(authorization !== undefined && { authorization }) };
  await pushImage(to, image, ['v1']);
  await pushImage(to, signature, [`${image.digest.replace(':', '-')}.sig`]);
}

describe.each(NAMES)('from %s', (from) => {
  test.each(NAMES)('to %s', async (to) => {
    const [source, target] = [freshRepository(), freshRepository()];
    await push(from, source);
    const copy = copyOf(`${named(from).host}/${source}`, image, `${named(to).host}/${target}`);
    const registry = client({ login });
    const isMount = from === to;
    expect(await registry.copy([copy], { referrers: true })).toMatchObject([
      {
        state: 'copied',
        referrers: 1,
        mounted: { blobs: isMount ? BLOBS : 0 },
        uploaded: { blobs: isMount ? 0 : BLOBS },
      },
    ]);
    expect(await client({ login }).copy([copy], { referrers: true })).toMatchObject([{ state: 'there', manifests: 0 }]);

    const there = registry.repository(repository(`${named(to).host}/${target}`));
    const { digest } = copy.source;
    await there.moveTag(tag('current'), digest);
    expect(await there.resolve(tag('current'))).toMatchObject({ digest });
    const { tags } = await there.listTags({ listing: 'auto' });
    expect(tags.map(({ name }) => name).sort()).toEqual(['current', `${digest.replace(':', '-')}.sig`, 'v1']);

    await there.attach(digest, { artifactType: ARTIFACT, layer: Buffer.from('note'), annotations: { n: '1' } });
    expect(await there.listAttached(digest, ARTIFACT)).toMatchObject([{ annotations: { n: '1' } }]);
    expect(await there.checkPush()).toBe(true);
  });
});
