import { oneLine, ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { explain } from '../candidate/explain.js';
import { aliasesOf, checkListing, type ListedTag } from '../candidate/listing.js';
import type { Policy } from '../candidate/policy.js';
import { type Candidate, formatRepository, type Repository, type Tag } from '../candidate/reference.js';
import { type Chosen, type Nothing, selectCandidate } from '../candidate/selection.js';
import { isImage, readImages } from './images.js';
import type { Manifest } from './manifest.js';
import type { ListOptions, Registry, RepositoryClient } from './registry.js';

export interface FindOptions {
  readonly registry: Registry;
  readonly repository: Repository;
  readonly policy: Policy;
  readonly listing: ListOptions['listing'];
  /** How many tags there were last time; 0: unknown. */
  readonly knownTags: number;
  /** How many milliseconds all of it may take. */
  readonly limitMs: number;
  readonly log: Log;
}

export interface Found {
  readonly candidate: Candidate;
  readonly selection: Chosen;
  /** Other tags on the same digest, as far as the listing gives digests. */
  readonly aliases: readonly string[];
  readonly tagsRead: number;
}

/**
 * Finds the newest stable tag of a repository, with its digest of now, checked against the manifest's bytes.
 *
 * @throws UserError where there is nothing to choose, or the listing is not to be believed; ServiceError where the
 * registry fails, or takes longer than the limit.
 */
export async function findStableTag(options: FindOptions): Promise<Found> {
  const { repository, limitMs } = options;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const what = `${formatRepository(repository)}: no stable tag found within ${limitMs / 1000} s`;
    const late = new ServiceError('timeout', `${what}: the registry is too slow, or lets us wait; run again later`);
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
  const leftOut = narrowed ? ', where those that cannot be stable were left out' : '';
  log.info(`${image}: ${tags.length} tags read by ${by}${leftOut}`);
  checkListing(tags.length, options.knownTags);

  if (tags.length === 0) {
    const what = narrowed ? `none of its tags can be stable by scheme ${policy.scheme.name}` : 'it has no tags';
    throw new UserError(`${image}: ${what}`);
  }
  const { selection, manifest } = await select(options, tags);
  const { tag, digest: listedDigest } = selection.chosen;
  const { digest } = manifest;
  if (listedDigest !== undefined && listedDigest !== digest) {
    throw new ServiceError(
      'conflict',
      `${image}:${tag} moved from ${listedDigest} to ${digest} while it was read; run again in a few minutes`,
    );
  }
  const aliases = aliasesOf(tags, digest, tag);
  return { candidate: { repository, tag, digest }, selection, aliases, tagsRead: tags.length };
}

/** How many tags in a row may turn out to be no images before the listing is not worth more requests. */
const MAX_UNFIT = 50;

/**
 * Chooses a tag. Reads only manifests of tags that are about to be chosen, each once. A listed tag without a manifest,
 * or whose manifest is no image, is passed over with a warning.
 */
async function select(
  { registry, repository, policy, log }: FindOptions,
  tags: readonly ListedTag[],
): Promise<{ readonly selection: Chosen; readonly manifest: Manifest }> {
  const image = registry.repository(repository);
  const manifests = new Map<Tag, Manifest>();
  const platforms = new Map<string, readonly string[]>();
  const unfit = new Map<string, string>();
  for (;;) {
    const fit = tags.filter(({ name }) => !unfit.has(name));
    const selection = selectCandidate(fit, policy, platforms);
    if (selection.kind === 'nothing') throw nothingFound(repository, selection, unfit, log);
    const tag = selection.kind === 'chosen' ? selection.chosen.tag : selection.tag;
    const manifest = manifests.get(tag) ?? (await readImageManifest(image, tag));
    if (typeof manifest === 'string') {
      log.warning(`${formatRepository(repository)}:${tag} is listed, and passed over: ${manifest}`);
      unfit.set(tag, manifest);
      if (unfit.size <= MAX_UNFIT) continue;
      const what = `${formatRepository(repository)}: more than ${MAX_UNFIT} tags are listed and are no images, as ${tag}`;
      throw new ServiceError('bad-answer', what, { hint: 'exclude-tag' });
    }
    manifests.set(tag, manifest);
    if (selection.kind === 'chosen') return { selection, manifest };
    platforms.set(
      tag,
      (await readImages(image, manifest)).map(({ platform }) => platform),
    );
  }
}

function nothingFound(repository: Repository, selection: Nothing, unfit: ReadonlyMap<string, string>, log: Log) {
  const [message, ...more] = explain(selection);
  for (const line of more) log.info(line);
  const what = `${formatRepository(repository)}: ${message}`;
  if (unfit.size === 0) return new UserError(what);
  const passedOver = [...unfit].slice(0, 3).map(([tag, why]) => `${tag}: ${why}`);
  const count = unfit.size > passedOver.length ? ` ${unfit.size} tags, as` : '';
  return new ServiceError('not-found', `${what}; listed, and passed over:${count} ${passedOver.join('; ')}`, {
    hint: 'exclude-tag',
  });
}

/** The manifest of a tag; a reason where there is none, or it is of no image. */
async function readImageManifest(image: RepositoryClient, tag: Tag): Promise<Manifest | string> {
  const manifest = await image.findManifest(tag);
  if (manifest === undefined) return 'its manifest is gone';
  if (await isImage(image, manifest)) return manifest;
  return manifest.kind === 'index'
    ? 'none of its parts is an image'
    : `it is no image but an artifact of type ${oneLine(manifest.config.mediaType, 100)}`;
}
