import { ServiceError } from '../base/errors.js';
import {
  type Digest,
  formatCandidate,
  formatRepository,
  type Repository,
  sameRepository,
} from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { Copy, Manifest } from '../registry/registry.js';
import { configuredTargets, targetRepositories } from '../rules/targets.js';
import { companionKeys } from '../store/candidate-file.js';
import type { Promotion } from './promotion.js';

/**
 * Copies images to their targets under their versioned tags. Copies nothing if any of these tags already points at
 * another image.
 */
export async function copyImages(promotion: Promotion, targets: readonly LedgerTarget[]): Promise<void> {
  const { registry, referrers } = promotion;
  const copies = copiesOf(promotion, targets);
  try {
    await registry.copy(copies, { referrers });
  } catch (error) {
    if (!isGone(error)) throw error;
    await registry.copy(await Promise.all(targets.map((target) => findCopy(promotion, target))), { referrers });
  }
}

/** Writes the artifacts of a record's image and of the previous one, and repairs candidate files that were changed. */
export async function writeArtifacts({ store }: Promotion, record: LedgerRecord): Promise<void> {
  const set = { ...record.candidate, companions: record.companions };
  for (const image of [set, record.previous]) {
    if (image === undefined) continue;
    await store.writeArtifact(
      {
        reference: formatCandidate(image),
        tag: image.tag,
        digest: image.digest,
        ...companionKeys(image),
        created: record.when,
        'run-url': record.runUrl ?? null,
        'tags-read': 0,
      },
      { replace: 'image' },
    );
  }
}

/** Copies signatures and other referrers that were added after the promotion. A failure here never fails a run. */
export async function copyLaterReferrers(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, log, referrers, dryRun } = promotion;
  if (!referrers || dryRun) return;
  try {
    await registry.copy(copiesOf(promotion, configuredTargets(promotion.targets, record)), { referrers });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.warning(`signatures that were added after the promotion were not copied: ${error.message}`);
  }
}

/**
 * The copies to targets. Each reads from its recorded source if that is configured, and otherwise from the target
 * itself.
 */
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

/** Only configured repositories are read: a forged record cannot send us and our logins anywhere else. */
function sourcesOf({ source, targets }: Promotion): Repository[] {
  return [source, ...targets.companions.map((companion) => companion.source.repository)];
}

/** Finds a place that still has the image: the source may have deleted it, and one target may have the only copy. */
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

/** Registries also answer like this if the repository was deleted or made private. */
function isGone(error: unknown): boolean {
  return error instanceof ServiceError && ['not-found', 'unauthorized', 'forbidden'].includes(error.kind);
}

/**
 * The digests of an image's manifests and of their configs, read from any place that still has the image;
 * empty if none has. Attestation manifests are left out because they change with every build.
 */
export async function readContents(
  promotion: Promotion,
  repository: Repository,
  digest: Digest,
): Promise<readonly Digest[]> {
  for (const place of [repository, ...targetRepositories(promotion.targets)]) {
    const manifest = await findManifest(promotion, place, digest);
    if (manifest === undefined) continue;
    const contents = new Set<Digest>();
    await addContents(contents, manifest, (child) => findManifest(promotion, place, child));
    return [...contents];
  }
  return [];
}

/** No image that can be copied has more contents: 1000 manifests, each with its config. */
const MAX_CONTENTS = 2000;

/**
 * Adds everything that could run, even in an index that names no platform or has indexes in it. Otherwise a banned
 * image could be hidden by the way in which it is packed.
 */
async function addContents(
  contents: Set<Digest>,
  manifest: Manifest,
  find: (digest: Digest) => Promise<Manifest | undefined>,
): Promise<void> {
  if (manifest.kind === 'image') {
    contents.add(manifest.digest).add(manifest.config.digest);
    return;
  }
  for (const child of manifest.children) {
    if (child.isAttestation || contents.has(child.digest)) continue;
    if (contents.size >= MAX_CONTENTS) {
      throw new ServiceError('too-large', `${manifest.digest}: the index has too many manifests`);
    }
    contents.add(child.digest);
    const found = await find(child.digest);
    if (found !== undefined) await addContents(contents, found, find);
  }
}
