import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type Digest, formatRepository, type Repository, sameRepository, type Tag } from '../candidate/reference.js';
import { bytesOf, type Content, distinctBlobs, readContent } from './content.js';
import { type Descriptor, type Manifest, named, platforms } from './manifest.js';
import { recallManifest, resolve } from './manifests.js';
import { findReferrers, missingAt, type Referrer } from './referrers.js';
import type { Access } from './session.js';
import type { Grant } from './tokens.js';

/** One image to copy: the bytes of a digest, to a repository, under a tag. */
export interface Copy {
  readonly source: { readonly repository: Repository; readonly digest: Digest };
  readonly target: { readonly repository: Repository; readonly tag: Tag };
}

export interface CopyOptions {
  /** Copy signatures and other referrers too, including cosign's tags and those added after the image was copied. */
  readonly referrers: boolean;
}

/** The state of a copy at its target, and the work that is left. */
export type PlannedCopy =
  | {
      readonly state: 'there';
      readonly copy: Copy;
      /** The number of referrers that the target lacks. */
      readonly referrers: number;
    }
  | { readonly state: 'conflict'; readonly copy: Copy; readonly found: Digest }
  | {
      readonly state: 'copy';
      readonly copy: Copy;
      /** Within one registry blobs are mounted, which moves no bytes if the registry agrees. */
      readonly way: 'mount' | 'upload';
      /** Empty if the image is not an index, or its index names no platform. */
      readonly platforms: readonly string[];
      readonly manifests: number;
      readonly blobs: number;
      /** The size of all blobs, including those that the target already has. */
      readonly bytes: number;
      /** The number of referrers. Their manifests and blobs are counted above. */
      readonly referrers: number;
    };

export type CopyPlan = readonly PlannedCopy[];

/** A planned copy with everything that was read for it. */
export type Preparation =
  | Extract<PlannedCopy, { state: 'conflict' }>
  | ({ readonly state: 'there'; readonly copy: Copy } & Following)
  | ({ readonly state: 'copy'; readonly copy: Copy; readonly content: Content } & Following);

interface Following {
  readonly referrers: readonly Referrer[];
  /** Of the referrers, and of the image if it is to be copied; none within one repository. */
  readonly blobs: readonly Descriptor[];
}

const NOTHING: Following = { referrers: [], blobs: [] };

export type Feasible = Exclude<Preparation, { state: 'conflict' }>;

/** The rights that copies need. `pull` is enough to plan them. */
export function grantsFor(copies: readonly Copy[], targetActions: Grant['actions']): readonly Grant[] {
  const grants = new Map<string, Grant>();
  for (const { source } of copies) {
    grants.set(formatRepository(source.repository), { repository: source.repository, actions: 'pull' });
  }
  for (const { target } of copies) {
    grants.set(formatRepository(target.repository), { repository: target.repository, actions: targetActions });
  }
  return [...grants.values()];
}

/** Finds all referrers of an image; the first digest is its root. */
type Finder = (repository: Repository, subjects: readonly [Digest, ...Digest[]]) => Promise<readonly Referrer[]>;

/** Prepares copies side by side. The referrers of an image that goes to several targets are read once. */
export function prepareAll(
  access: Access,
  copies: readonly Copy[],
  options: CopyOptions,
  log: Log,
): Promise<Preparation[]> {
  const found = new Map<string, Promise<readonly Referrer[]>>();
  const find: Finder = (repository, subjects) => {
    const key = [formatRepository(repository), ...subjects].join(' ');
    const finding = found.get(key) ?? findReferrers(access, repository, subjects, log);
    found.set(key, finding);
    return finding;
  };
  return Promise.all(copies.map((copy) => prepare(access, copy, options, find, log)));
}

/** Reads what a copy needs: its target's tag, and the source's manifests if there is something to do. */
async function prepare(access: Access, copy: Copy, options: CopyOptions, find: Finder, log: Log): Promise<Preparation> {
  const { source, target } = copy;
  const looking = resolve(access, target.repository, target.tag);
  const read = () => recallManifest(access, source.repository, source.digest);
  // Both are read in parallel. With a login, which costs extra requests, the source waits for the target's answer,
  // since most copies are already done.
  const reading = access.hasLogin(target.repository) ? undefined : read();
  // The error is thrown where this is awaited below. If the target has the image, the source is not needed.
  reading?.catch(() => undefined);
  const found = await looking;
  if (found?.digest === source.digest) {
    const following = options.referrers ? await laterReferrers(access, copy, reading ?? read(), find, log) : NOTHING;
    return { state: 'there', copy, ...following };
  }
  if (found !== undefined) return { state: 'conflict', copy, found: found.digest };

  const root = await (reading ?? read());
  if (sameRepository(source.repository, target.repository)) {
    return { state: 'copy', copy, content: { root, below: [], blobs: [], leftBehind: [] }, ...NOTHING };
  }
  const content = await readContent(access, source.repository, root);
  warnOfLeftBehind(copy, content, log);
  const below = content.below.flat().map(({ digest }) => digest);
  const referrers = options.referrers ? await find(source.repository, [root.digest, ...below]) : [];
  return { state: 'copy', copy, content, referrers, blobs: blobsOf([content, ...contentsOf(referrers)]) };
}

function warnOfLeftBehind({ source, target }: Copy, { leftBehind }: Content, log: Log): void {
  if (leftBehind.length === 0) return;
  log.warning(
    `${named(target.repository, target.tag)}: ${leftBehind.length} layers are not copied, since their type forbids ` +
      `distribution, such as ${leftBehind[0]?.digest} of ${named(source.repository, source.digest)}`,
  );
}

/** Finds referrers that were added at the source after the target got the image. */
async function laterReferrers(
  access: Access,
  { source, target }: Copy,
  reading: Promise<Manifest>,
  find: Finder,
  log: Log,
): Promise<Following> {
  if (sameRepository(source.repository, target.repository)) return NOTHING;
  try {
    const root = await reading;
    const children = root.kind === 'index' ? root.children.map(({ digest }) => digest) : [];
    const all = await find(source.repository, [root.digest, ...children]);
    const referrers = await missingAt(access, target.repository, all);
    return { referrers, blobs: blobsOf(contentsOf(referrers)) };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.warning(
      `${named(target.repository, target.tag)}: is already there; newer signatures could not be read: ${error.message}`,
    );
    return NOTHING;
  }
}

function blobsOf(contents: readonly Content[]): readonly Descriptor[] {
  return distinctBlobs(contents.flatMap(({ blobs }) => blobs));
}

function contentsOf(referrers: readonly Referrer[]): Content[] {
  return referrers.map(({ content }) => content);
}

/** The part of a preparation that plans show. */
export function toPlan(prepared: Preparation): PlannedCopy {
  if (prepared.state === 'conflict') return prepared;
  const { copy, referrers, blobs } = prepared;
  if (prepared.state === 'there') return { state: 'there', copy, referrers: referrers.length };
  const { content } = prepared;
  return {
    state: 'copy',
    copy,
    way: copy.source.repository.registry === copy.target.repository.registry ? 'mount' : 'upload',
    platforms: content.root.kind === 'index' ? platforms(content.root) : [],
    manifests: manifestsOf(prepared),
    blobs: blobs.length,
    bytes: bytesOf(blobs),
    referrers: referrers.length,
  };
}

/** The number of manifests to push. */
export function manifestsOf(prepared: Feasible): number {
  const contents = contentsOf(prepared.referrers);
  if (prepared.state === 'copy') contents.push(prepared.content);
  return contents.reduce((sum, { below }) => sum + 1 + below.flat().length, 0);
}

/**
 * The preparations that can be carried out. Throws if a tag points at another image, since versioned tags never move.
 */
export function withoutConflicts(prepared: readonly Preparation[]): readonly Feasible[] {
  return prepared.map((one) => {
    if (one.state !== 'conflict') return one;
    const { source, target } = one.copy;
    throw new ServiceError(
      'conflict',
      `${named(target.repository, target.tag)}: is ${one.found} there, not ${source.digest}; a versioned tag is never ` +
        'overwritten: if the source is right, delete the tag there; otherwise exclude this tag',
    );
  });
}
