import { ServiceError } from '../base/errors.js';
import {
  type Digest,
  formatCandidate,
  formatRepository,
  type Repository,
  sameRepository,
} from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { Copy } from '../registry/registry.js';
import { configuredTargets, targetRepositories } from '../rules/targets.js';
import type { Promotion } from './promotion.js';

/**
 * Copies a record's images to their targets under their versioned tags. Copies nothing at all if one of the tags is on
 * another image.
 */
export async function copyImages(
  promotion: Promotion,
  record: LedgerRecord,
  targets = configuredTargets(promotion.targets, record),
): Promise<void> {
  const { registry, referrers } = promotion;
  const copies = copiesOf(promotion, targets);
  try {
    await registry.copy(copies, { referrers });
  } catch (error) {
    if (!isGone(error)) throw error;
    await registry.copy(await Promise.all(targets.map((target) => findCopy(promotion, target))), { referrers });
  }
}

/** Writes the artifacts of a record's image and of the one before, and repairs candidate files that were changed. */
export async function writeArtifacts({ store }: Promotion, record: LedgerRecord): Promise<void> {
  for (const image of [record.candidate, record.previous]) {
    if (image === undefined) continue;
    await store.writeArtifact(
      {
        reference: formatCandidate(image),
        tag: image.tag,
        digest: image.digest,
        created: record.when,
        'run-url': record.runUrl ?? null,
        'tags-read': 0,
      },
      { replace: true },
    );
  }
}

/** Copies signatures and the like that came after the promotion. That never fails a run. */
export async function copyLaterReferrers(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, log, referrers, dryRun } = promotion;
  if (!referrers || dryRun) return;
  try {
    await registry.copy(copiesOf(promotion, configuredTargets(promotion.targets, record)), { referrers });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.warning(`signatures that came after the promotion were not copied: ${error.message}`);
  }
}

/** The copies to targets, each from its recorded source if that is configured, and otherwise from the target itself. */
export function copiesOf(promotion: Promotion, targets: readonly LedgerTarget[]): Copy[] {
  const sources = sourcesOf(promotion);
  return targets.map((target) => {
    const { repository } = target.source;
    return copyFrom(sources.some((one) => sameRepository(one, repository)) ? repository : target.repository, target);
  });
}

function copyFrom(source: Repository, { repository, tag, digest }: LedgerTarget): Copy {
  return { source: { repository: source, digest }, target: { repository, tag } };
}

/** Only what is configured is ever asked: a forged record cannot send us, and our logins, elsewhere. */
function sourcesOf({ source, targets }: Promotion): Repository[] {
  return [source, ...targets.companions.map((companion) => companion.source.repository)];
}

/** The copy from wherever the image still is: a registry may have cleaned up, and a target may be the last to have it. */
async function findCopy(promotion: Promotion, target: LedgerTarget): Promise<Copy> {
  const places = [target.repository, ...targetRepositories(promotion.targets), ...sourcesOf(promotion)];
  for (const place of places) {
    if ((await findManifest(promotion, place, target.digest)) !== undefined) return copyFrom(place, target);
  }
  throw new ServiceError(
    'not-found',
    `${formatRepository(target.repository)}:${target.tag}: ${target.digest} is lost: no configured repository has it or ` +
      `lets us read it; it came from ${formatCandidate(target.source)}`,
    { hint: 'roll-back' },
  );
}

async function findManifest({ registry }: Promotion, repository: Repository, digest: Digest) {
  try {
    return await registry.repository(repository).getManifest(digest);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Registries also answer so where a repository is gone, or private now. */
function isGone(error: unknown): boolean {
  return error instanceof ServiceError && ['not-found', 'unauthorized', 'forbidden'].includes(error.kind);
}

/**
 * The digests of an image's platform manifests and of their configs, from wherever the image still is; empty where it
 * is gone. Attestation manifests do not count: they change with every build.
 */
export async function readContents(
  promotion: Promotion,
  repository: Repository,
  digest: Digest,
): Promise<readonly Digest[]> {
  for (const place of [repository, ...targetRepositories(promotion.targets)]) {
    const manifest = await findManifest(promotion, place, digest);
    if (manifest === undefined) continue;
    if (manifest.kind === 'image') return [manifest.digest, manifest.config.digest];
    const contents: Digest[] = [];
    for (const child of manifest.children.filter(({ platform }) => platform !== undefined)) {
      contents.push(child.digest);
      const image = await findManifest(promotion, place, child.digest);
      if (image?.kind === 'image') contents.push(image.config.digest);
    }
    return contents;
  }
  return [];
}
