import { ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { explain } from '../candidate/explain.js';
import { aliasesOf, checkListing, type ListedTag } from '../candidate/listing.js';
import type { Policy } from '../candidate/policy.js';
import { type Candidate, formatRepository, type Repository, type Tag } from '../candidate/reference.js';
import { type Chosen, selectCandidate } from '../candidate/selection.js';
import { type Manifest, platforms as platformsOf } from './manifest.js';
import type { ListOptions, Registry, RepositoryClient } from './registry.js';

export interface FindOptions {
  readonly registry: Registry;
  readonly repository: Repository;
  readonly policy: Policy;
  readonly listing: ListOptions['listing'];
  /** How many tags there were last time; 0: unknown. */
  readonly knownTags: number;
  /** How long all of it may take. */
  readonly limitMs: number;
  readonly log: Log;
}

export interface Found {
  readonly candidate: Candidate;
  readonly selection: Chosen;
  /** Other tags on the same digest, as far as the listing tells. */
  readonly aliases: readonly string[];
  readonly tagsRead: number;
}

/**
 * The newest stable tag of a repository, with the digest that it has now, checked against the manifest's bytes.
 *
 * @throws UserError where nothing is to be chosen, or the listing is not to be believed; ServiceError where the registry
 * fails, or takes longer than the limit.
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

/** Chooses, and reads the platforms of those tags alone that are about to be chosen; each manifest is read once. */
async function select(
  { registry, repository, policy, log }: FindOptions,
  tags: readonly ListedTag[],
): Promise<{ readonly selection: Chosen; readonly manifest: Manifest }> {
  const image = registry.repository(repository);
  const manifests = new Map<Tag, Manifest>();
  const platforms = new Map<string, readonly string[]>();
  const read = async (tag: Tag) => {
    const manifest = manifests.get(tag) ?? (await image.getManifest(tag));
    manifests.set(tag, manifest);
    return manifest;
  };
  for (;;) {
    const selection = selectCandidate(tags, policy, platforms);
    if (selection.kind === 'chosen') return { selection, manifest: await read(selection.chosen.tag) };
    if (selection.kind === 'nothing') {
      const [message, ...more] = explain(selection);
      for (const line of more) log.info(line);
      const { reason } = selection;
      // Rules are called as the inputs that ask for them.
      const input = reason === 'no-tags' || reason === 'nothing-stable' ? '' : `input ${reason}: `;
      throw new UserError(`${input}${formatRepository(repository)}: ${message}`);
    }
    platforms.set(selection.tag, await readPlatforms(image, await read(selection.tag)));
  }
}

async function readPlatforms(image: RepositoryClient, manifest: Manifest) {
  if (manifest.kind === 'index') return platformsOf(manifest);
  return [(await image.getConfig(manifest)).platform];
}
