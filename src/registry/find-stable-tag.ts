import { type Hint, oneLine, ServiceError, type ServiceErrorKind, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { explain } from '../candidate/explain.js';
import type { KnownImage } from '../candidate/known-images.js';
import { aliasesOf, checkListing, type ListedTag } from '../candidate/listing.js';
import type { Policy } from '../candidate/policy.js';
import { type Candidate, type Digest, formatRepository, type Repository, type Tag } from '../candidate/reference.js';
import type { Scheme } from '../candidate/scheme.js';
import { type Chosen, type Nothing, selectCandidate } from '../candidate/selection.js';
import { isImage, type PlatformImage, readImages } from './images.js';
import type { ListOptions, Registry, RepositoryClient } from './registry.js';

export interface FindOptions {
  readonly registry: Registry;
  readonly repository: Repository;
  readonly policy: Policy;
  readonly listing: ListOptions['listing'];
  /** The number of tags that the last run read; 0 if unknown. */
  readonly knownTags: number;
  /** The time limit for everything, in milliseconds. */
  readonly limitMs: number;
  readonly log: Log;
}

export interface Found {
  readonly candidate: Candidate;
  readonly selection: Chosen;
  /** Other tags of the same digest, if the listing includes digests. */
  readonly aliases: readonly string[];
  readonly tagsRead: number;
}

/**
 * Finds the newest stable tag of a repository and its current digest, checked against the manifest's bytes.
 *
 * @throws UserError if no tag fits or the listing is implausible; ServiceError if the registry fails or takes longer
 * than the limit.
 */
export async function findStableTag(options: FindOptions): Promise<Found> {
  const { repository, limitMs } = options;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const what = `${formatRepository(repository)}: no stable tag found within ${limitMs / 1000} s`;
    const late = new ServiceError('timeout', `${what}: the registry is too slow or limits requests; run again later`);
    timer = setTimeout(() => reject(late), limitMs);
  });
  try {
    return await Promise.race([find(options), limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function find(options: FindOptions): Promise<Found> {
  const { registry, repository, policy, log } = options;
  const image = formatRepository(repository);
  const { filter, prefix } = policy.scheme;
  const { tags, listing, narrowed } = await registry.repository(repository).listTags({
    listing: options.listing,
    times: policy.minimumAge > 0,
    ...(filter !== undefined && { filter }),
    ...(prefix !== undefined && { prefix }),
  });
  const by = listing === 'quay' ? "Quay's API" : 'the distribution API';
  const leftOut = narrowed ? ', without those that cannot be stable' : '';
  log.info(`${image}: ${tags.length} tags read with ${by}${leftOut}`);
  checkListing(tags.length, options.knownTags);

  if (tags.length === 0) {
    const what = narrowed ? `none of its tags can be stable under scheme ${policy.scheme.name}` : 'it has no tags';
    throw new UserError(`${image}: ${what}`, { hint: narrowed ? 'scheme' : 'image' });
  }
  const { selection, digest } = await select(options, tags);
  const { tag, digest: listedDigest } = selection.chosen;
  if (listedDigest !== undefined && listedDigest !== digest) {
    throw new ServiceError(
      'conflict',
      `${image}:${tag} moved from ${listedDigest} to ${digest} while it was read; run again in a few minutes`,
    );
  }
  const aliases = aliasesOf(tags, digest, tag);
  return { candidate: { repository, tag, digest }, selection, aliases, tagsRead: tags.length };
}

/** At most this many images are read, best first. A policy that refuses more is not what its author meant. */
const MAX_IMAGES = 50;

/**
 * Chooses a tag, and reads only the images of tags that are about to be chosen, once each. A tag gives way to the next
 * if its image is gone, is not an image, or does not fit.
 */
async function select(
  { registry, repository, policy, log }: FindOptions,
  tags: readonly ListedTag[],
): Promise<{ readonly selection: Chosen; readonly digest: Digest }> {
  const image = registry.repository(repository);
  const name = formatRepository(repository);
  const known = new Map<string, KnownImage>();
  for (;;) {
    const selection = selectCandidate(tags, policy, known);
    if (selection.kind === 'nothing') {
      const [message, ...more] = explain(selection);
      for (const line of more) log.info(line);
      throw new UserError(`${name}: ${message}`, { hint: HINTS[selection.reason] });
    }
    const tag = selection.kind === 'chosen' ? selection.chosen.tag : selection.tag;
    const read = known.get(tag);
    if (selection.kind === 'chosen' && read !== undefined && 'digest' in read)
      return { selection, digest: read.digest };
    if (known.size >= MAX_IMAGES) {
      throw new UserError(`${name}: none of the ${MAX_IMAGES} best images is what was asked for`, {
        hint: 'exclude-tag',
      });
    }
    known.set(tag, await readImage(image, tag, policy).catch(asProblem));
  }
}

const HINTS: Readonly<Record<Nothing['reason'], Hint>> = {
  'no-tags': 'image',
  'nothing-stable': 'scheme',
  'no-order': 'pattern',
  flavor: 'flavor',
  distro: 'distro',
  arch: 'arch',
  exclude: 'exclude-tag',
  image: 'exclude-tag',
  'minimum-age': 'minimum-age',
  platforms: 'platforms',
};

/** Reads as much about a tag's image as the policy needs. */
async function readImage(image: RepositoryClient, tag: Tag, policy: Policy): Promise<KnownImage> {
  const manifest = await image.findManifest(tag);
  if (manifest === undefined) return { problem: 'no longer has a manifest' };
  if (!(await isImage(image, manifest))) {
    const problem =
      manifest.kind === 'index'
        ? 'contains no image'
        : `is an artifact of type ${oneLine(manifest.config.mediaType, 100)}`;
    return { problem };
  }
  const { digest } = manifest;
  const { scheme, arch, platforms, minimumAge, unknownAgePasses } = policy;
  const asksAge = minimumAge > 0 && !unknownAgePasses;
  // A tag that names an architecture is trusted if nothing else is required.
  const asksPlatforms = platforms.length > 0 || arch !== undefined || !namesArch(scheme, tag);
  if (!asksAge && !asksPlatforms) return { digest, platforms: undefined, created: undefined };
  const images = await readImages(image, manifest);
  return {
    digest,
    platforms: images.map(({ platform }) => platform),
    created: asksAge ? await lastBuilt(images) : undefined,
  };
}

/**
 * A tag gives way to the next if its manifest or configuration has an unknown format, such as schema 1, or if a part of
 * its image is gone.
 */
function asProblem(error: unknown): KnownImage {
  if (!(error instanceof ServiceError && PROBLEMS.has(error.kind))) throw error;
  return { problem: `cannot be read: ${error.message}` };
}

const PROBLEMS: ReadonlySet<ServiceErrorKind> = new Set(['unsupported', 'not-found']);

/** An index is as old as its newest image; undefined if one of them has no build time. */
async function lastBuilt(images: readonly PlatformImage[]): Promise<number | undefined> {
  const configs = await Promise.all(images.slice(0, MAX_CONFIGS).map((one) => one.config()));
  const built = configs.flatMap(({ created }) => created ?? []);
  return built.length < images.length ? undefined : Math.max(...built);
}

/** Keeps a hostile index from costing more than an honest one. */
const MAX_CONFIGS = 20;

function namesArch({ read }: Scheme, tag: Tag): boolean {
  const reading = read(tag);
  return reading.kind === 'stable' && reading.build.arch !== undefined;
}
