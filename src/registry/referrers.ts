import * as v from 'valibot';
import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { parseJson } from '../base/schema.js';
import { type Digest, type Repository, type Tag, tagSchema } from '../candidate/reference.js';
import { type Content, putBelow, readContent } from './content.js';
import { readPage, type TagPage } from './distribution-listing.js';
import { descriptorSchema, digestOf, MAX_MANIFEST_BYTES, named, OCI_INDEX } from './manifest.js';
import { findManifest, putManifest, resolve } from './manifests.js';
import { nextPage } from './pages.js';
import type { Access } from './session.js';

/**
 * What speaks about an image and is no part of it: signatures, attestations, bills of materials. Referrers by the OCI
 * distribution spec v1.1 ("Listing Referrers", and its referrers tag where a registry has no such API), and the tags
 * that cosign sets beside the image.
 */
export type Referral = ByList | ByTag;

/** Names its subject itself, and is listed under it. */
interface ByList {
  readonly kind: 'list';
  readonly content: Content;
  readonly subject: Digest;
  /** The entry in the list, with what it says beside the descriptor. */
  readonly entry: Entry;
}

/** Is found by its tag alone. */
interface ByTag {
  readonly kind: 'tag';
  readonly content: Content;
  readonly tag: Tag;
}

const COSIGN_SUFFIXES = ['.sig', '.att', '.sbom'] as const;
const MAX_REFERRALS = 500;

/** More tags than can be between those of two subjects whose digests differ in their last digit. */
const PAGE = 100;
/** What a registry says whose tags cannot be listed, or not in this way. */
const NO_LISTING: ReadonlySet<ServiceErrorKind> = new Set(['not-found', 'bad-answer', 'unsupported']);

const entrySchema = v.looseObject(descriptorSchema.entries);
export type Entry = v.InferOutput<typeof entrySchema>;
const listSchema = v.object({ manifests: v.array(entrySchema) });

/**
 * All referrals of an image: of its index, which comes first among the subjects, and of its children. One request for a
 * list of each where the registry has the API, one for the tags of all where it lists by name, and one for each found.
 * Quay may show a tag in its listing two minutes late.
 */
export async function findReferrals(
  access: Access,
  repository: Repository,
  [first, ...others]: readonly [Digest, ...Digest[]],
): Promise<readonly Referral[]> {
  const subjects = [first, ...others];
  const [names, ofFirst] = await Promise.all([
    namesAbout(access, repository, subjects),
    listReferrers(access, repository, first),
  ]);
  const isThere = (tag: Tag) => names === undefined || names.has(tag);

  const underTag = async (subject: Digest) =>
    isThere(tagOf(subject, '')) ? entriesUnderTag(access, repository, subject) : [];
  const listed = subjects.map(async (subject) => {
    const byApi =
      subject === first || ofFirst === undefined ? ofFirst : await listReferrers(access, repository, subject);
    const entries = byApi ?? (await underTag(subject));
    return (await Promise.all(entries.map((entry) => readListed(access, repository, subject, entry)))).flat();
  });
  const tagged = subjects
    .flatMap((subject) => COSIGN_SUFFIXES.map((suffix) => tagOf(subject, suffix)))
    .filter(isThere)
    .map((tag) => readTagged(access, repository, tag));
  return (await Promise.all([...listed, ...tagged])).flat();
}

/**
 * The tags that follow those of our subjects' names, as the registry lists them from there on (spec, "Listing Tags"):
 * all that speak about the subjects are among them. Undefined where an answer does not show that it is such a list, or
 * is empty, which proves nothing.
 */
async function namesAbout(
  access: Access,
  repository: Repository,
  subjects: readonly Digest[],
): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>();
  // All names up to here are known.
  let end = '';
  for (const subject of [...subjects].sort()) {
    const own = tagOf(subject, '');
    if (`${own}/` <= end) continue;
    const after = own.slice(0, -1);
    const page = await namesAfter(access, repository, after);
    if (page === undefined || page.names.length === 0) return undefined;
    for (const name of page.names) names.add(name);
    const isOrdered = page.names.every((name, n) => name > (page.names[n - 1] ?? after));
    const isWhole = page.next === undefined && page.names.length !== PAGE;
    if (isWhole) {
      // A registry that knows neither `n` nor `last` sends all its tags at once.
      if (!isOrdered) return names;
      end = '~';
    } else {
      end = page.names.at(-1) ?? '';
      if (!isOrdered || end < `${own}/`) return undefined;
    }
  }
  return names;
}

async function namesAfter(access: Access, repository: Repository, name: string): Promise<TagPage | undefined> {
  const path = `/v2/${repository.path}/tags/list?n=${PAGE}&last=${name}`;
  try {
    return await readPage(access, repository, new URL(path, await access.originOf(repository)));
  } catch (error) {
    if (error instanceof ServiceError && NO_LISTING.has(error.kind)) return undefined;
    throw error;
  }
}

/** Undefined where the registry has no such API. */
export async function listReferrers(
  access: Access,
  repository: Repository,
  subject: Digest,
): Promise<readonly Entry[] | undefined> {
  const what = `${named(repository, subject)}: referrers`;
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: ${problem}`);
  const entries: Entry[] = [];
  let page: URL | undefined;
  do {
    const answer = await access.fetch({
      repository,
      kind: 'manifest',
      method: 'GET',
      path: page ?? `referrers/${subject}`,
      headers: { accept: OCI_INDEX },
      expect: page === undefined ? [200, 404] : [200],
      maxBytes: MAX_MANIFEST_BYTES,
    });
    if (answer.status === 404) return undefined;
    entries.push(...parseJson(listSchema, answer.bytes.toString('utf8'), bad).manifests);
    if (entries.length > MAX_REFERRALS) throw new ServiceError('too-large', `${what}: more than ${MAX_REFERRALS}`);
    page = nextPage(answer.headers, page ?? (await access.originOf(repository)), what);
  } while (page !== undefined);
  return entries;
}

export async function entriesUnderTag(
  access: Access,
  repository: Repository,
  subject: Digest,
): Promise<readonly Entry[]> {
  const index = await findManifest(access, repository, tagOf(subject, ''));
  if (index?.kind !== 'index') return [];
  const bad = (problem: string) => new ServiceError('bad-answer', `${named(repository, index.digest)}: ${problem}`);
  return parseJson(listSchema, index.bytes.toString('utf8'), bad).manifests;
}

async function readListed(
  access: Access,
  repository: Repository,
  subject: Digest,
  entry: Entry,
): Promise<readonly Referral[]> {
  // A list in a tag still names what was deleted.
  const root = await findManifest(access, repository, entry.digest);
  if (root?.subject !== subject) return [];
  return [{ kind: 'list', content: await readContent(access, repository, root), subject, entry }];
}

async function readTagged(access: Access, repository: Repository, tag: Tag): Promise<readonly Referral[]> {
  const root = await findManifest(access, repository, tag);
  return root === undefined ? [] : [{ kind: 'tag', content: await readContent(access, repository, root), tag }];
}

/** Those that are not at the target, or not found there by what they speak about. */
export async function withoutLinked(
  access: Access,
  target: Repository,
  referrals: readonly Referral[],
): Promise<readonly Referral[]> {
  const subjects = [...new Set(referrals.flatMap((one) => (one.kind === 'list' ? [one.subject] : [])))];
  const lists = subjects.map(async (subject) => {
    const entries = (await listReferrers(access, target, subject)) ?? (await entriesUnderTag(access, target, subject));
    return entries.map(({ digest }) => `${subject} ${digest}`);
  });
  const linked = new Set((await Promise.all(lists)).flat());
  const missing = referrals.map(async (referral) => {
    const { digest } = referral.content.root;
    const isThere =
      referral.kind === 'list'
        ? linked.has(`${referral.subject} ${digest}`)
        : (await resolve(access, target, referral.tag))?.digest === digest;
    return isThere ? [] : [referral];
  });
  return (await Promise.all(missing)).flat();
}

/** Puts the manifests of referrals; their blobs are there already. */
export async function putReferrals(
  access: Access,
  target: Repository,
  referrals: readonly Referral[],
  log: Log,
): Promise<void> {
  const unlinked = new Map<Digest, Entry[]>();
  for (const referral of referrals) {
    const { root } = referral.content;
    await putBelow(access, target, referral.content);
    if (referral.kind === 'list') {
      const { linksSubject } = await putManifest(access, target, root.digest, root);
      const { subject, entry } = referral;
      if (!linksSubject) unlinked.set(subject, [...(unlinked.get(subject) ?? []), entry]);
      continue;
    }
    const there = await resolve(access, target, referral.tag);
    if (there === undefined) await putManifest(access, target, referral.tag, root);
    else if (there.digest !== root.digest) {
      log.warning(`${named(target, referral.tag)}: is another than the source's, and stays as it is`);
    }
  }
  for (const [subject, entries] of unlinked) await linkByTag(access, target, subject, entries);
}

/** Keeps the list of referrers in a tag, for a registry that keeps none (spec, "Referrers Tag Schema"). */
export async function linkByTag(
  access: Access,
  target: Repository,
  subject: Digest,
  added: readonly Entry[],
): Promise<void> {
  const there = await entriesUnderTag(access, target, subject);
  const known = new Set(there.map(({ digest }) => digest));
  const missing = added.filter(({ digest }) => !known.has(digest));
  if (missing.length === 0) return;
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...there, ...missing] };
  const bytes = Buffer.from(JSON.stringify(index));
  await putManifest(access, target, tagOf(subject, ''), { bytes, mediaType: OCI_INDEX, digest: digestOf(bytes) });
}

function tagOf(subject: Digest, suffix: string): Tag {
  return v.parse(tagSchema, `${subject.replace(':', '-')}${suffix}`);
}
