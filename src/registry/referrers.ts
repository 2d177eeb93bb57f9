import * as v from 'valibot';
import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type Digest, type Repository, type Tag, tagSchema } from '../candidate/reference.js';
import type { BytesResponse } from '../http/policy.js';
import { readSaid } from '../http/said.js';
import { type Content, putBelow, readContent } from './content.js';
import { readPage, type TagPage } from './distribution-listing.js';
import {
  artifactParts,
  descriptorSchema,
  digestOf,
  MAX_MANIFEST_BYTES,
  named,
  OCI_INDEX,
  parseEach,
} from './manifest.js';
import { CANNOT, deleteManifest, findManifest, findOptional, putManifest, resolve } from './manifests.js';
import { nextPage } from './pages.js';
import type { Access } from './session.js';

/**
 * Manifests about an image that are not part of it: signatures, attestations, bills of materials. They are referrers by
 * the OCI distribution spec v1.1 ("Listing Referrers", or its referrers tag if a registry has no such API), and the
 * tags that cosign sets beside an image.
 */
export type Referrer = Listed | Tagged;

/** Names its subject itself, and appears in the subject's list. */
interface Listed {
  readonly kind: 'listed';
  readonly content: Content;
  readonly subject: Digest;
  /** Its entry in the list, which has more fields than a descriptor. */
  readonly entry: Entry;
}

/** Can only be found by its tag. */
interface Tagged {
  readonly kind: 'tagged';
  readonly content: Content;
  readonly tag: Tag;
}

const COSIGN_SUFFIXES = ['.sig', '.att', '.sbom'] as const;

/** Proofs are about their own target, so a copy elsewhere would be wrong. */
const NOT_COPIED: readonly unknown[] = ['application/vnd.ceph-promotion.record.v1+json'];

/** At most this many referrers of one manifest are copied. */
const MAX_COPIED = 500;
/** Limits on reading a list. Pages are counted too, since empty pages could link to each other forever. */
const MAX_LISTED = 20_000;
const MAX_PAGES = 100;

/** More than all tags about digests that differ only in the last digit: four for each of 16 digests. */
const PAGE = 100;
/** Errors of a registry whose tags cannot be listed, or not in this way. */
const NO_LISTING: ReadonlySet<ServiceErrorKind> = new Set([
  'not-found',
  'bad-answer',
  'unsupported',
  'forbidden',
  'unauthorized',
]);
/** Errors of a registry that will refuse the same request again. */
const DEFINITE: ReadonlySet<ServiceErrorKind> = new Set([
  'not-found',
  'bad-answer',
  'unsupported',
  'forbidden',
  'unauthorized',
  'conflict',
  'too-large',
]);

/** Errors of a registry that may lack the image that a referrer is about. */
const NEEDS_IMAGE: ReadonlySet<ServiceErrorKind> = new Set(['not-found', 'bad-answer']);

const entrySchema = v.looseObject(descriptorSchema.entries);
export type Entry = v.InferOutput<typeof entrySchema>;
const listSchema = v.object({ manifests: v.nullable(v.array(v.unknown())) });

/**
 * Finds all referrers of an image: of its index, which is the first subject, and of its children. Takes one request per
 * subject if the registry has the API, at most one more per subject for tags if it lists in lexical order, and one per
 * referrer. Quay may list a new tag two minutes late.
 */
export async function findReferrers(
  access: Access,
  repository: Repository,
  [first, ...others]: readonly [Digest, ...Digest[]],
  log: Log,
): Promise<readonly Referrer[]> {
  const subjects = [first, ...others];
  const [names, ofFirst] = await Promise.all([
    namesAbout(access, repository, subjects),
    listReferrers(access, repository, first),
  ]);
  const isThere = (tag: Tag) => names === undefined || names.has(tag);

  const entriesOf = async (subject: Digest): Promise<readonly Entry[]> => {
    const byApi =
      subject === first || ofFirst === undefined ? ofFirst : await listReferrers(access, repository, subject);
    const list = byApi ?? (isThere(tagOf(subject, '')) ? await findListUnderTag(access, repository, subject) : EMPTY);
    const entries = list.entries.filter(({ artifactType }) => !NOT_COPIED.includes(artifactType));
    if (list.isWhole && entries.length <= MAX_COPIED) return entries;
    const what = `${named(repository, subject)}: more than ${MAX_COPIED} referrers`;
    log.warning(`${what}; only the first ${MAX_COPIED} are copied`);
    return entries.slice(0, MAX_COPIED);
  };
  const listed = subjects.map(async (subject) => {
    const entries = await entriesOf(subject);
    return (await Promise.all(entries.map((entry) => readListed(access, repository, subject, entry)))).flat();
  });
  const tagged = subjects
    .flatMap((subject) => COSIGN_SUFFIXES.map((suffix) => tagOf(subject, suffix)))
    .filter(isThere)
    .map((tag) => readTagged(access, repository, tag));
  return (await Promise.all([...listed, ...tagged])).flat();
}

/**
 * Lists the tags that follow each subject's name (spec, "Listing Tags"). Every tag about the subjects is among them.
 * Undefined if an answer is not clearly such a list, or is empty, which proves nothing.
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
      // A registry that supports neither `n` nor `last` sends all its tags at once.
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

export interface ReferrerList {
  readonly entries: readonly Entry[];
  /** False if there are more than we read. */
  readonly isWhole: boolean;
}

const EMPTY: ReferrerList = { entries: [], isWhole: true };

/** The list of a subject's referrers; undefined if the registry has no such API, whatever its answer. */
export async function listReferrers(
  access: Access,
  repository: Repository,
  subject: Digest,
): Promise<ReferrerList | undefined> {
  const what = `${named(repository, subject)}: referrers`;
  const entries: Entry[] = [];
  let page: URL | undefined;
  if (access.memory.hasReferrers(repository) === false) return undefined;
  for (let count = 1; count <= MAX_PAGES; count += 1) {
    const answer = await access.fetch({
      repository,
      kind: 'manifest',
      method: 'GET',
      path: page ?? `referrers/${subject}`,
      headers: { accept: OCI_INDEX },
      expect: page === undefined ? [200, ...CANNOT] : [200],
      maxBytes: MAX_MANIFEST_BYTES,
    });
    const found = answer.status === 200 ? rowsIn(answer.bytes) : undefined;
    if (found === undefined) {
      if (page === undefined) {
        if (lacksApi(answer)) access.memory.noteReferrers(repository, false);
        return undefined;
      }
      throw new ServiceError('bad-answer', `${what}: page ${count} is not a list of referrers`);
    }
    access.memory.noteReferrers(repository, true);
    // Entries that cannot be parsed are left out.
    entries.push(...parseEach(entrySchema, found));
    page = nextPage(
      answer.headers,
      page ?? new URL(`/v2/${repository.path}/referrers/${subject}`, await access.originOf(repository)),
      what,
    );
    if (page === undefined) return { entries, isWhole: true };
    if (entries.length > MAX_LISTED) break;
  }
  return { entries, isWhole: false };
}

/** True if the registry has no such API. False if it may only be that the subject, or the repository, is missing. */
function lacksApi(answer: BytesResponse): boolean {
  if (answer.status === 405 || answer.status === 501) return true;
  // A registry with this API names what is missing by an error code. One without it answers a plain 404.
  return answer.status === 404 && readSaid({ ...answer, body: answer.bytes }).codes.length === 0;
}

/** The unparsed entries of a list; undefined for any other document, which has no `manifests`. */
function rowsIn(bytes: Buffer): readonly unknown[] | undefined {
  try {
    const list: unknown = JSON.parse(bytes.toString('utf8'));
    return v.parse(listSchema, list).manifests ?? [];
  } catch {
    return undefined;
  }
}

/** The list that a registry without the API keeps in a tag; empty if there is none. `find` reads the tag. */
async function rowsUnderTag(
  access: Access,
  repository: Repository,
  subject: Digest,
  find: typeof findManifest,
): Promise<readonly unknown[]> {
  const index = await find(access, repository, tagOf(subject, ''));
  // GitLab reads the tag as the digest, and sends the subject itself.
  if (index?.digest === subject) return [];
  return index?.kind === 'index' ? (rowsIn(index.bytes) ?? []) : [];
}

/** The parsed list from the tag. Throws if the registry refuses the tag. */
export async function listUnderTag(access: Access, repository: Repository, subject: Digest): Promise<ReferrerList> {
  const rows = await rowsUnderTag(access, repository, subject, findManifest);
  return { entries: parseEach(entrySchema, rows), isWhole: true };
}

/** The parsed list from the tag; empty if the registry refuses the tag. */
async function findListUnderTag(access: Access, repository: Repository, subject: Digest): Promise<ReferrerList> {
  const rows = await rowsUnderTag(access, repository, subject, findOptional);
  return { entries: parseEach(entrySchema, rows), isWhole: true };
}

async function readListed(
  access: Access,
  repository: Repository,
  subject: Digest,
  entry: Entry,
): Promise<readonly Referrer[]> {
  // A list in a tag may name referrers that were deleted.
  const root = await findOptional(access, repository, entry.digest);
  // A list may leave out the type by which proofs are recognized.
  if (root?.subject !== subject || NOT_COPIED.includes(artifactParts(root).artifactType)) return [];
  return [{ kind: 'listed', content: await readContent(access, repository, root), subject, entry }];
}

async function readTagged(access: Access, repository: Repository, tag: Tag): Promise<readonly Referrer[]> {
  const root = await findOptional(access, repository, tag);
  return root === undefined ? [] : [{ kind: 'tagged', content: await readContent(access, repository, root), tag }];
}

/** The referrers that the target lacks, or does not list under their subject. */
export async function missingAt(
  access: Access,
  target: Repository,
  referrers: readonly Referrer[],
): Promise<readonly Referrer[]> {
  const subjects = [...new Set(referrers.flatMap((one) => (one.kind === 'listed' ? [one.subject] : [])))];
  const lists = subjects.map(async (subject) => {
    const { entries } =
      (await listReferrers(access, target, subject)) ?? (await findListUnderTag(access, target, subject));
    return entries.map(({ digest }) => `${subject} ${digest}`);
  });
  const linked = new Set((await Promise.all(lists)).flat());
  const missing = referrers.map(async (referrer) => {
    const { digest } = referrer.content.root;
    const isThere =
      referrer.kind === 'listed'
        ? linked.has(`${referrer.subject} ${digest}`)
        : (await resolve(access, target, referrer.tag))?.digest === digest;
    return isThere ? [] : [referrer];
  });
  return (await Promise.all(missing)).flat();
}

/**
 * Puts the manifests of referrers whose blobs are already there. If a target refuses them or their list, that is a
 * warning, since the image does not need them. Some registries, such as Harbor, refuse a signature before its image:
 * then `putImage` stores the image, without a tag, and the signature is put again.
 */
export async function putReferrers(
  access: Access,
  target: Repository,
  referrers: readonly Referrer[],
  log: Log,
  putImage?: () => Promise<unknown>,
): Promise<void> {
  let hasImage = putImage === undefined;
  const unlinked = new Map<Digest, Entry[]>();
  const refused: ServiceError[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ServiceError && DEFINITE.has(error.kind))) throw error;
      if (hasImage || !NEEDS_IMAGE.has(error.kind)) {
        refused.push(error);
        return;
      }
      hasImage = true;
      await putImage?.();
      await attempt(work);
    }
  };
  for (const referrer of referrers) {
    await attempt(async () => {
      await putBelow(access, target, referrer.content);
      if (referrer.kind === 'tagged') return putTagged(access, target, referrer, log);
      const { root } = referrer.content;
      const { linksSubject } = await putManifest(access, target, root.digest, root);
      const { subject, entry } = referrer;
      if (!linksSubject || !(await hasApi(access, target, subject)))
        unlinked.set(subject, [...(unlinked.get(subject) ?? []), entry]);
    });
  }
  for (const [subject, entries] of unlinked) {
    await attempt(() => linkByTag(access, target, subject, entries));
  }
  const [first] = refused;
  if (first === undefined) return;
  log.warning(
    `the target does not keep all referrers (signatures and the like); refusals: ${refused.length}, such as ${first.message}`,
  );
}

/**
 * True if the registry lists referrers. It is asked once a run: some, such as ECR, answer a PUT with OCI-Subject
 * although they have no API.
 */
export async function hasApi(access: Access, repository: Repository, subject: Digest): Promise<boolean> {
  return access.memory.hasReferrers(repository) ?? (await listReferrers(access, repository, subject)) !== undefined;
}

async function putTagged(access: Access, target: Repository, { tag, content }: Tagged, log: Log): Promise<void> {
  const there = await resolve(access, target, tag);
  if (there === undefined) await putManifest(access, target, tag, content.root);
  else if (there.digest !== content.root.digest) {
    log.warning(`${named(target, tag)}: differs from the source's, and is left as it is`);
  }
}

/** Keeps the list of referrers in a tag, for a registry that keeps none (spec, "Referrers Tag Schema"). */
export async function linkByTag(
  access: Access,
  target: Repository,
  subject: Digest,
  added: readonly Entry[],
): Promise<void> {
  // Kept whole and unchanged, since it may contain more than we can parse.
  const there = await rowsUnderTag(access, target, subject, findManifest);
  const known = new Set(parseEach(entrySchema, there).map(({ digest }) => digest));
  const missing = added.filter(({ digest }) => !known.has(digest));
  if (missing.length === 0) return;
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...there, ...missing] };
  const bytes = Buffer.from(JSON.stringify(index));
  await putManifest(access, target, tagOf(subject, ''), { bytes, mediaType: OCI_INDEX, digest: digestOf(bytes) });
}

/** Removes entries from such a list. The tag of an empty list is deleted if the registry can do that. */
export async function unlinkByTag(
  access: Access,
  repository: Repository,
  subject: Digest,
  removed: readonly Digest[],
): Promise<void> {
  const there = await rowsUnderTag(access, repository, subject, findManifest);
  const isRemoved = (row: unknown) => parseEach(entrySchema, [row]).some(({ digest }) => removed.includes(digest));
  const left = there.filter((row) => !isRemoved(row));
  if (left.length === there.length) return;
  const tag = tagOf(subject, '');
  if (left.length === 0 && (await deleteManifest(access, repository, tag))) return;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: left }));
  await putManifest(access, repository, tag, { bytes, mediaType: OCI_INDEX, digest: digestOf(bytes) });
}

/** The tag of a subject's list, or of cosign's manifests about it: `<algorithm>-<64 digits><suffix>`. */
function tagOf(subject: Digest, suffix: string): Tag {
  const [algorithm = '', hex = ''] = subject.split(':');
  return v.parse(tagSchema, `${algorithm}-${hex.slice(0, 64)}${suffix}`);
}
