import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ListedTag } from '../candidate/listing.js';
import { canonicalRegistry, formatRepository, type Repository } from '../candidate/reference.js';
import type { Challenge } from './challenge.js';
import { listByDistribution, readPage } from './distribution-listing.js';
import { listByQuay } from './quay-listing.js';
import type { Access } from './session.js';

export interface ListOptions {
  /** `auto`: Quay's API on quay.io and servers that say they are Quay, else the distribution API. */
  readonly listing: 'auto' | 'quay' | 'distribution';
  /** Where the server can filter: only tags that contain this, as in `-stable-`. */
  readonly filter?: string;
  /** Where the server lists by name: no tags that follow its first page and do not begin with this. */
  readonly prefix?: string;
  /** Are times of use? Then with `auto` each server is asked for Quay's listing, since a small one may not say that it is Quay. */
  readonly times?: boolean;
}

export interface TagListing {
  /** Each name once, as the registry gave it: not all need be valid tags. */
  readonly tags: readonly ListedTag[];
  /** The API that listed them; Quay's alone tells digests and times. */
  readonly listing: 'quay' | 'distribution';
  /** Was `filter` or `prefix` made use of? */
  readonly narrowed: boolean;
}

/** All tags of a repository, or all that the options ask for, or an error: never a part of them. */
export async function listTags(
  access: Access,
  repository: Repository,
  { listing, filter = '', prefix, times = false }: ListOptions,
  log: Log,
): Promise<TagListing> {
  const { isQuay, firstPage } = listing === 'auto' ? await clues(access, repository) : { isQuay: listing === 'quay' };
  if (isQuay || (listing === 'auto' && times)) {
    const tags = await listByQuay(access, repository, filter);
    if (tags !== undefined) return { tags, listing: 'quay', narrowed: filter !== '' };
    const what = `${formatRepository(repository)}: no tag listing by Quay's API`;
    if (listing === 'quay') throw new ServiceError('unsupported', `${what}; set input listing to distribution`);
    if (isQuay) log.info(`${what}; listing by the distribution API instead`);
  }
  const { names, narrowed } = await listByDistribution(access, repository, firstPage, prefix);
  return { tags: names.map((name) => ({ name })), listing: 'distribution', narrowed };
}

/**
 * Whether a registry says that it is Quay: by where it sends for tokens, or by how its pages go on. Asks for nothing
 * that the distribution listing would not begin with.
 */
async function clues(access: Access, repository: Repository) {
  if (canonicalRegistry(repository.registry) === 'quay.io') return { isQuay: true };
  if (isQuayChallenge(await access.challenge(repository))) return { isQuay: true };
  const firstPage = await readPage(access, repository, undefined, 'say 401');
  if (firstPage === undefined) return { isQuay: isQuayChallenge(await access.challenge(repository)) };
  return { isQuay: firstPage.next?.searchParams.has('next_page') ?? false, firstPage };
}

function isQuayChallenge(challenge: Challenge | null | undefined): boolean {
  return challenge?.scheme === 'bearer' && challenge.realm.pathname === '/v2/auth';
}
