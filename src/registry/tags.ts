import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ListedTag } from '../candidate/listing.js';
import { canonicalRegistry, formatRepository, type Repository } from '../candidate/reference.js';
import type { Challenge } from './challenge.js';
import { listByDistribution, readPage } from './distribution-listing.js';
import { listByQuay } from './quay-listing.js';
import type { Access } from './session.js';

export interface ListOptions {
  /** `auto`: Quay's API on quay.io and on servers recognized as Quay, else the distribution API. */
  readonly listing: 'auto' | 'quay' | 'distribution';
  /** Only tags that contain this text, such as `-stable-`. Used if the server can filter. */
  readonly filter?: string;
  /** Only tags that begin with this text, besides the first page. Used if the server lists in lexical order. */
  readonly prefix?: string;
  /**
   * If times are needed, `auto` tries Quay's listing on every server, since a Quay with few tags may not be recognized.
   */
  readonly times?: boolean;
}

export interface TagListing {
  /** Each name once, as the registry gave it. Some may not be valid tags. */
  readonly tags: readonly ListedTag[];
  /** The API that listed them; only Quay's gives digests and times. */
  readonly listing: 'quay' | 'distribution';
  /** True if `filter` or `prefix` was applied. */
  readonly narrowed: boolean;
}

/** Lists all tags of a repository, or all that the options ask for. Throws rather than return a part of them. */
export async function listTags(
  access: Access,
  repository: Repository,
  { listing, filter = '', prefix, times = false }: ListOptions,
  log: Log,
): Promise<TagListing> {
  const { isQuay, firstPage } = listing === 'auto' ? await clues(access, repository) : { isQuay: listing === 'quay' };
  if (isQuay || (listing === 'auto' && times)) {
    const tags = await tryQuay(access, repository, filter, listing, log);
    if (tags !== undefined) return { tags, listing: 'quay', narrowed: filter !== '' };
    if (isQuay)
      log.info(`${formatRepository(repository)}: Quay's API lists no tags; listing with the distribution API`);
  }
  const { names, narrowed } = await listByDistribution(access, repository, firstPage, prefix);
  return { tags: names.map((name) => ({ name })), listing: 'distribution', narrowed };
}

/** Quay's listing; undefined if there is none, or if it fails and another listing may be used instead. */
async function tryQuay(
  access: Access,
  repository: Repository,
  filter: string,
  listing: ListOptions['listing'],
  log: Log,
): Promise<readonly ListedTag[] | undefined> {
  const isOptional = listing === 'auto';
  const what = `${formatRepository(repository)}: no tag listing from Quay's API`;
  try {
    const tags = await listByQuay(access, repository, filter, isOptional);
    if (tags !== undefined || isOptional) return tags;
  } catch (error) {
    if (!isOptional || !(error instanceof ServiceError)) throw error;
    log.warning(`${what} (${error.message}); listing with the distribution API`);
    return undefined;
  }
  throw new ServiceError('unsupported', what, { hint: 'distribution-listing' });
}

/**
 * Recognizes Quay by its token server and by the form of its page links. Sends only requests that the distribution
 * listing begins with anyway.
 */
async function clues(access: Access, repository: Repository) {
  if (canonicalRegistry(repository.registry) === 'quay.io') return { isQuay: true };
  if (isQuayChallenge(await access.challenge(repository))) return { isQuay: true };
  const firstPage = await readPage(access, repository, undefined, 'return 401');
  if (firstPage === undefined) return { isQuay: isQuayChallenge(await access.challenge(repository)) };
  return { isQuay: firstPage.next?.searchParams.has('next_page') ?? false, firstPage };
}

function isQuayChallenge(challenge: Challenge | null | undefined): boolean {
  return challenge?.scheme === 'bearer' && challenge.realm.pathname === '/v2/auth';
}
