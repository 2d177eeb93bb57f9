import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type Fault, type FaultProxy, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import {
  buildImage,
  buildLayer,
  buildMultiPlatform,
  type Content,
  type Image,
  MEDIA_TYPES,
  pushImage,
  putManifest,
} from '../sandbox/images.js';
import { client, closeAll, copyOf, createLines, digest, repository, tag } from './support.js';

const { source } = sandbox();
const image = buildMultiPlatform({ seed: 'signed' });
const on = { referrers: true };
const tagOf = (of: Content, suffix = '') => `${of.digest.replace(':', '-')}${suffix}`;

/** A manifest about `subject`, with a blob of its own. */
function aboutIt(subject: Content, seed: string): Image {
  const base = buildImage({ layers: [buildLayer(seed, 50)] });
  const value = {
    ...JSON.parse(base.bytes.toString()),
    artifactType: 'application/x-signature',
    subject: descriptor(subject),
  };
  const bytes = Buffer.from(JSON.stringify(value));
  return { ...base, bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
}

const descriptor = ({ mediaType, digest, bytes }: Content) => ({ mediaType, digest, size: bytes.length });

function indexOf(...manifests: readonly object[]): Content {
  const mediaType = MEDIA_TYPES.oci.index;
  return { mediaType, digest: '', bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })) };
}

const signature = aboutIt(image, 'signature');
const entry = { ...descriptor(signature), artifactType: 'application/x-signature', annotations: { by: 'test' } };

let front: FaultProxy;
let from: string;
let to: string;

beforeEach(async () => {
  front = await startFaultProxy({ upstream: source.url });
  [from, to] = [freshRepository(), freshRepository()];
  await pushImage({ url: source.url, repository: from }, image, ['v1']);
});

afterEach(async () => {
  await closeAll();
  await front.stop();
});

const at = (name: string) => repository(`${front.host}/${name}`);
const copy = () => copyOf(`${front.host}/${from}`, image, `${front.host}/${to}`);
const digestAt = async (name: string) => (await client().repository(at(to)).resolve(tag(name)))?.digest;

async function listAt(subject: Content): Promise<unknown> {
  const manifest = await client()
    .repository(at(to))
    .getManifest(tag(tagOf(subject)));
  return JSON.parse(manifest.bytes.toString()).manifests;
}

test("cosign's tags of the index and of its children are copied, before the tag", async () => {
  const attestation = buildImage({ layers: [buildLayer('attestation', 40)] });
  const [child] = image.images;
  if (child === undefined) throw new Error('no child');
  await pushImage({ url: source.url, repository: from }, signature, [tagOf(image, '.sig')]);
  await pushImage({ url: source.url, repository: from }, attestation, [tagOf(child, '.att')]);
  expect(await client().planCopy([copy()], on)).toMatchObject([{ referrers: 2, manifests: 5 }]);
  expect(await client().copy([copy()], on)).toMatchObject([{ referrers: 2, manifests: 5 }]);
  expect(await digestAt(tagOf(image, '.sig'))).toBe(signature.digest);
  expect(await digestAt(tagOf(child, '.att'))).toBe(attestation.digest);
  const puts = front.requests.filter(({ method, path }) => method === 'PUT' && path.includes('manifests'));
  expect(puts.at(-1)?.path).toMatch(/v1$/);
});

test('a tag of cosign that differs at the target stays, and is named', async () => {
  const other = aboutIt(image, 'other');
  await pushImage({ url: source.url, repository: from }, signature, [tagOf(image, '.sig')]);
  await pushImage({ url: source.url, repository: to }, other, [tagOf(image, '.sig')]);
  const log = createLines();
  await client({ log }).copy([copy()], on);
  expect(await digestAt(tagOf(image, '.sig'))).toBe(other.digest);
  expect(log.lines).toContainEqual(expect.stringMatching(/\.sig: differs from the source's/));
});

describe.each(['by tag', 'by API'])('a list of referrers %s', (way) => {
  beforeEach(async () => {
    await pushImage({ url: source.url, repository: from }, signature, []);
    const list = indexOf(entry);
    if (way === 'by tag') return putManifest({ url: source.url, repository: from }, list, tagOf(image));
    const headers = { 'content-type': list.mediaType };
    const fault = { kind: 'answer', status: 200, headers, body: list.bytes.toString() } as const;
    front.rules.push({ path: new RegExp(`${from}/referrers/${image.digest}`), fault });
  });

  test('is copied, and a target without the API gets it as a tag', async () => {
    await client().copy([copy()], on);
    expect(await client().repository(at(to)).getManifest(digest(signature.digest))).toMatchObject({
      subject: image.digest,
    });
    expect(await listAt(image)).toEqual([entry]);
  });

  test('is added to what the target has', async () => {
    const other = aboutIt(image, 'other');
    await pushImage({ url: source.url, repository: to }, other, []);
    await putManifest({ url: source.url, repository: to }, indexOf(descriptor(other)), tagOf(image));
    await client().copy([copy()], on);
    expect(await listAt(image)).toEqual([descriptor(other), entry]);
  });

  test('is not copied with referrers off', async () => {
    await client().copy([copy()], { referrers: false });
    expect(await digestAt(tagOf(image))).toBeUndefined();
    expect(await digestAt('v1')).toBe(image.digest);
  });
});

describe('what was signed after the copy', () => {
  const later = buildImage({ layers: [buildLayer('later', 40)] });
  beforeEach(async () => {
    await pushImage({ url: source.url, repository: from }, signature, []);
    await client().copy([copy()], on);
    front.requests.length = 0;
  });
  const changes = () => front.requests.filter(({ method }) => method === 'POST' || method === 'PUT');

  test('is copied with the next run, once', async () => {
    await putManifest({ url: source.url, repository: from }, indexOf(entry), tagOf(image));
    await pushImage({ url: source.url, repository: from }, later, [tagOf(image, '.sig')]);
    expect(await client().planCopy([copy()], on)).toMatchObject([{ state: 'there', referrers: 2 }]);
    expect(changes()).toEqual([]);
    expect(await client().copy([copy()], on)).toMatchObject([{ state: 'there', referrers: 2, manifests: 2 }]);
    expect(await digestAt(tagOf(image, '.sig'))).toBe(later.digest);
    expect(await listAt(image)).toEqual([entry]);

    front.requests.length = 0;
    expect(await client().copy([copy()], on)).toMatchObject([{ state: 'there', referrers: 0, manifests: 0 }]);
    expect(changes()).toEqual([]);
  });

  test('is not asked for with referrers off', async () => {
    await client().copy([copy()], { referrers: false });
    expect(front.requests).toHaveLength(2);
  });

  test('is not known if the source has lost the image: a message says so, and the run goes on', async () => {
    front.rules.push({ method: 'GET', path: new RegExp(`${from}/manifests`), fault: { kind: 'answer', status: 404 } });
    const log = createLines();
    expect(await client({ log }).copy([copy()], on)).toMatchObject([{ state: 'there', referrers: 0 }]);
    expect(log.lines).toContainEqual(
      expect.stringMatching(/is already there; newer signatures could not be read: .*no such/),
    );
  });
});

test('what is listed but was deleted is not a referrer', async () => {
  await pushImage({ url: source.url, repository: from }, signature, []);
  await putManifest({ url: source.url, repository: from }, indexOf(entry), tagOf(image));
  front.rules.push({ path: new RegExp(`manifests/${signature.digest}`), fault: { kind: 'answer', status: 404 } });
  expect(await client().copy([copy()], on)).toMatchObject([{ referrers: 0 }]);
});

test('what is listed but is about another image is not a referrer', async () => {
  const stranger = aboutIt(signature, 'stranger');
  await pushImage({ url: source.url, repository: from }, stranger, []);
  await putManifest({ url: source.url, repository: from }, indexOf(descriptor(stranger)), tagOf(image));
  expect(await client().copy([copy()], on)).toMatchObject([{ referrers: 0 }]);
});

describe('requests for an image of 3 manifests without referrers', () => {
  const noApi: Rule = { path: /referrers/, fault: { kind: 'answer', status: 404 } };
  const list = indexOf();
  const headers = { 'content-type': list.mediaType };
  const api: Rule = { path: /referrers/, fault: { kind: 'answer', status: 200, headers, body: list.bytes.toString() } };
  const listing = (fault: Fault): Rule => ({ path: /tags.list/, fault });
  const page = (tags: readonly string[], link = {}) =>
    listing({ kind: 'answer', status: 200, headers: link, body: JSON.stringify({ tags }) });
  const more = { link: '</v2/next?last=a>; rel="next"' };

  test.each<[string, readonly Rule[], number]>([
    ['one for all tags, and one each by the API', [api], 1 + 3],
    ['one for all tags, and one that shows that there is no API', [noApi], 1 + 1],
    ['each tag, where tags are not listed', [noApi, listing({ kind: 'answer', status: 405 })], 1 + 1 + 3 * 4],
    ['each tag, where the listing is empty', [noApi, page([])], 1 + 1 + 3 * 4],
    [
      'each tag, where a listing that goes on does not begin where it should',
      [noApi, page(['a'], more)],
      1 + 1 + 3 * 4,
    ],
    ['each tag, where a listing that goes on is not by name', [noApi, page(['v', 'u'], more)], 1 + 1 + 3 * 4],
    ['each tag, where a page ends too early', [noApi, page(['sha256-'.padEnd(71, '0')], more)], 1 + 1 + 3 * 4],
    ['one for all tags, where the listing is whole', [noApi, page(['b', 'a'])], 1 + 1],
  ])('%s', async (_, rules, requests) => {
    await client().copy([copy()], { referrers: false });
    const without = front.requests.length;
    front.requests.length = 0;
    front.rules.push(...rules);
    to = freshRepository();
    expect(await client().copy([copy()], on)).toMatchObject([{ referrers: 0 }]);
    expect(front.requests.length - without).toBe(requests);
  });
});

test('tags of cosign are found among many, a page for each manifest', async () => {
  const subjects: readonly Content[] = [image, ...image.images];
  const at = { url: source.url, repository: from };
  for (const subject of subjects) await pushImage(at, signature, [tagOf(subject, '.sig')]);
  // So many before each that no page reaches from one to the next.
  const sorted = subjects.map((subject) => tagOf(subject)).sort();
  const others = sorted.flatMap((own) =>
    Array.from({ length: 105 }, (_, n) => `${own.slice(0, 10)}${String.fromCharCode(103 + (n % 20))}${n}`),
  );
  await pushImage(at, signature, others);
  expect(await client().copy([copy()], on)).toMatchObject([{ referrers: 3 }]);
  expect(front.requests.filter(({ path }) => path.includes('tags/list'))).toHaveLength(3);
});
