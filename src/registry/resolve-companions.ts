import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type CompanionName, refuseDoubles } from '../candidate/image-set.js';
import { type Candidate, formatCandidate, formatRepository } from '../candidate/reference.js';
import type { Registry } from './registry.js';

/**
 * Resolves companions to their digests. A tag is resolved only here, once; a pinned digest must exist.
 *
 * @throws UserError if a companion is named twice or does not exist; ServiceError if its registry fails.
 */
export async function resolveCompanions(
  registry: Registry,
  names: readonly CompanionName[],
  log: Log,
): Promise<Candidate[]> {
  refuseDoubles(names);
  const companions = await Promise.all(names.map((name) => resolve(registry, name)));
  for (const companion of companions) log.info(`companion ${formatCandidate(companion)}`);
  return companions;
}

async function resolve(registry: Registry, { repository, tag, digest }: CompanionName): Promise<Candidate> {
  const image = registry.repository(repository);
  const found = digest === undefined ? await image.resolve(tag) : await image.findManifest(digest);
  if (found !== undefined) return { repository, tag, digest: found.digest };
  const pinned = digest === undefined ? '' : `@${digest}`;
  throw new UserError(`companion ${formatRepository(repository)}:${tag}${pinned} does not exist`, {
    hint: 'companions',
  });
}
