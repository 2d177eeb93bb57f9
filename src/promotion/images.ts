import { ServiceError } from '../base/errors.js';
import {
  type Candidate,
  type Digest,
  formatCandidate,
  formatRepository,
  type Repository,
  sameRepository,
} from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../image-server/ledger-record.js';
import type { Copy } from '../registry/registry.js';
import { candidateOf, previousOf, repositoryOf } from './plan.js';
import type { Promotion } from './promotion.js';
import { ownedRepositories } from './targets.js';

/**
 * Sees to it that all is there that a record names, before any label does: its images at their targets under their
 * versioned tags, and the artifacts. Nothing at all is copied where one of the tags is on another image.
 */
export async function ensureImages(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, server, referrers } = promotion;
  const targets = ownedTargets(promotion, record);
  try {
    await registry.copy(
      targets.map((target) => copyOf(promotion, target)),
      { referrers },
    );
  } catch (error) {
    if (!isGone(error)) throw error;
    const copies = await Promise.all(targets.map((target) => findCopy(promotion, targets, target)));
    await registry.copy(copies, { referrers });
  }
  for (const image of [candidateOf(record.candidate), previousOf(record)]) {
    if (image !== undefined) await server.writeArtifact(artifactOf(image, record));
  }
}

/** What the record says of targets that are ours: no other repository is ever touched. */
function ownedTargets({ targets }: Promotion, record: LedgerRecord): LedgerTarget[] {
  const owned = ownedRepositories(targets).map(formatRepository);
  return record.targets.filter(({ repository }) => owned.includes(repository));
}

/** The copies that a record's targets ask for. */
export function copiesOf(promotion: Promotion, record: LedgerRecord): Copy[] {
  return ownedTargets(promotion, record).map((target) => copyOf(promotion, target));
}

function copyOf(promotion: Promotion, target: LedgerTarget): Copy {
  const { repository, digest } = candidateOf(target.source);
  const from = isSource(promotion, repository) ? repository : repositoryOf(target);
  return copyFrom(from, digest, target);
}

function copyFrom(repository: Repository, digest: Digest, target: LedgerTarget): Copy {
  return { source: { repository, digest }, target: { repository: repositoryOf(target), tag: target.tag } };
}

/** A record's source is asked only where it is configured: whoever forges a record cannot send our login elsewhere. */
function isSource({ source, targets }: Promotion, repository: Repository): boolean {
  return [source, ...targets.companions.map((companion) => companion.source.repository)].some((one) =>
    sameRepository(one, repository),
  );
}

/** The copy from wherever the image still is: a registry may clean up, and a target may be the last to have it. */
async function findCopy(promotion: Promotion, all: readonly LedgerTarget[], target: LedgerTarget): Promise<Copy> {
  const { repository: source, digest } = candidateOf(target.source);
  const places = [
    ...all.filter((one) => one.digest === digest).map(repositoryOf),
    ...(isSource(promotion, source) ? [source] : []),
  ];
  for (const place of places) {
    if (await has(promotion, place, digest)) return copyFrom(place, digest, target);
  }
  throw new ServiceError(
    'not-found',
    `${target.repository}:${target.tag}: ${digest} is lost, at its source ${target.source} and at every target; ` +
      'push it again, or roll back',
  );
}

async function has({ registry }: Promotion, repository: Repository, digest: Digest): Promise<boolean> {
  try {
    await registry.getManifest(repository, digest);
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
