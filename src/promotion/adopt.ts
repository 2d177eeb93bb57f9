import { unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { type Candidate, type Digest, formatCandidate, formatRepository, type Tag } from '../candidate/reference.js';
import type { LedgerRecord } from '../ledger/record.js';
import { type Change, movingTag, nextRecord } from './plan.js';
import type { Promotion } from './promotion.js';
import { candidateTargets } from './targets.js';

/**
 * Record 1 for a label that has no ledger, as RDO's artifact_promoter leaves it: the tag is the label's, the digest is
 * that of the moving tag at the targets, since that is what consumers run. Undefined where there is no label.
 *
 * @throws UserError where what is there does not agree on the image.
 */
export async function adoptedRecord(promotion: Promotion): Promise<LedgerRecord | undefined> {
  const { server, label, source, targets, author, clock, dryRun, log } = promotion;
  const tag = await server.readLabel(label);
  if (tag === undefined) return undefined;
  const candidate: Candidate = { repository: source, tag, digest: await adoptedDigest(promotion, tag) };
  log.info(`${dryRun ? 'would adopt' : 'adopting'} ${label} as it is: ${formatCandidate(candidate)}`);
  const change: Change = {
    kind: 'adopted',
    reason: `${label} was there before the ledger`,
    candidate,
    targets: candidateTargets(targets, candidate),
    previous: undefined,
    holds: [],
    quarantine: [],
    decision: null,
  };
  return nextRecord(undefined, label, change, author, unixSeconds(clock));
}

async function adoptedDigest(promotion: Promotion, tag: Tag): Promise<Digest> {
  const { server, registry, label, targets } = promotion;
  const said = new Map<string, Digest>();
  for (const repository of targets.candidate) {
    for (const name of [movingTag(label), tag]) {
      const found = await registry.repository(repository).resolve(name);
      if (found !== undefined) said.set(`${formatRepository(repository)}:${name}`, found.digest);
    }
  }
  const file = await server.readArtifact(tag);
  const published = file === 'bare' ? undefined : file?.digest;
  if (published !== undefined) said.set(`${server.where}/${tag}.json`, published);
  const [first] = said.values();
  if (first === undefined) {
    throw new UserError(
      `label ${label} points at ${tag}, there is no ledger, and no target has ${label} or ${tag}: ` +
        'which image was promoted cannot be told; remove the label, or push the image that it means',
    );
  }
  const atSource = await sourceDigest(promotion, tag, first);
  if (atSource !== undefined) said.set(`${formatRepository(promotion.source)}:${tag}`, atSource);
  if ([...said.values()].some((digest) => digest !== first)) {
    const all = [...said].map(([where, digest]) => `${where} is ${digest}`).join(', ');
    throw new UserError(
      `label ${label} points at ${tag}, there is no ledger, and they disagree: ${all}; ` +
        (published === undefined || published === first
          ? 'make them equal'
          : `delete ${tag}.json, which was published since, and name ${tag} in input exclude of find-stable-tag`),
    );
  }
  return first;
}

/** What the tag is at the source; undefined where `promoted` is one of its platforms, which is all that RDO's copy took. */
async function sourceDigest({ registry, source }: Promotion, tag: Tag, promoted: Digest): Promise<Digest | undefined> {
  const found = await registry.repository(source).resolve(tag);
  if (found === undefined || found.digest === promoted) return found?.digest;
  const manifest = await registry.repository(source).getManifest(found.digest);
  const isPlatform = manifest.kind === 'index' && manifest.children.some(({ digest }) => digest === promoted);
  return isPlatform ? undefined : found.digest;
}
