import { ServiceError } from '../base/errors.js';
import {
  type Candidate,
  type Digest,
  formatCandidate,
  type Repository,
  sameRepository,
} from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { Copy } from '../registry/registry.js';
import { candidateOf, previousOf, repositoryOf } from './plan.js';
import type { Promotion } from './promotion.js';
import { ownedRepositories, ownedTargets } from './targets.js';

/**
 * Sees to it that all is there that a record names, before any label does: its images at their targets under their
 * versioned tags, and the artifacts. Nothing at all is copied where one of the tags is on another image.
 */
export async function ensureImages(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, server, referrers } = promotion;
  try {
    await registry.copy(copiesOf(promotion, record), { referrers });
  } catch (error) {
    if (!isGone(error)) throw error;
    const targets = ownedTargets(promotion.targets, record);
    await registry.copy(await Promise.all(targets.map((target) => findCopy(promotion, target))), { referrers });
  }
  for (const image of [candidateOf(record.candidate), previousOf(record)]) {
    if (image !== undefined) await server.writeArtifact(artifactOf(image, record));
  }
}

/** Copies what came since to speak about the images of a record, as signatures do: never a reason to fail. */
export async function copyLaterReferrers(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, log, referrers, dryRun } = promotion;
  if (!referrers || dryRun) return;
  try {
    await registry.copy(copiesOf(promotion, record), { referrers });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.warning(`signatures that came since the promotion are not copied: ${error.message}`);
  }
}

/** The copies that a record asks for, of targets that are ours: no other repository is ever touched. */
export function copiesOf(promotion: Promotion, record: LedgerRecord): Copy[] {
  return ownedTargets(promotion.targets, record).map((target) => {
    const { repository: source } = candidateOf(target.source);
    const isConfigured = sourcesOf(promotion).some((one) => sameRepository(one, source));
    return copyFrom(isConfigured ? source : repositoryOf(target), target);
  });
}

function copyFrom(source: Repository, target: LedgerTarget): Copy {
  return {
    source: { repository: source, digest: target.digest },
    target: { repository: repositoryOf(target), tag: target.tag },
  };
}

/** Only what is configured is ever asked: whoever forges a record cannot send us, and our logins, elsewhere. */
function sourcesOf({ source, targets }: Promotion): Repository[] {
  return [source, ...targets.companions.map((companion) => companion.source.repository)];
}

/** The copy from wherever the image still is: a registry may clean up, and a target may be the last to have it. */
async function findCopy(promotion: Promotion, target: LedgerTarget): Promise<Copy> {
  for (const place of [repositoryOf(target), ...ownedRepositories(promotion.targets), ...sourcesOf(promotion)]) {
    if (await has(promotion, place, target.digest)) return copyFrom(place, target);
  }
  throw new ServiceError(
    'not-found',
    `${target.repository}:${target.tag}: ${target.digest} is lost: no repository that is configured has it, or lets us ` +
      `read it; it came from ${target.source}: push it again, or roll back`,
  );
}

async function has({ registry }: Promotion, repository: Repository, digest: Digest): Promise<boolean> {
  try {
    await registry.repository(repository).getManifest(digest);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Registries answer so, too, where a repository is not there any more, or is private now. */
function isGone(error: unknown): boolean {
  return error instanceof ServiceError && ['not-found', 'unauthorized', 'forbidden'].includes(error.kind);
}

function artifactOf(image: Candidate, record: LedgerRecord) {
  return {
    reference: formatCandidate(image),
    tag: image.tag,
    digest: image.digest,
    created: record.when,
    'run-url': record['run-url'],
    'tags-read': 0,
  };
}
