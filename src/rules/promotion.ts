import { companionsOf, type ImageSet, isNamed } from '../candidate/image-set.js';
import {
  type Candidate,
  type Digest,
  formatCandidate,
  formatRepository,
  sameRepository,
} from '../candidate/reference.js';
import { withBan } from '../ledger/bans.js';
import { findPrevious } from '../ledger/history.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { directionOf } from './downgrade.js';
import { holdsAfter } from './end-holds.js';
import type { Facts, Setting } from './facts.js';
import { banOn } from './guards.js';
import { type Refused, refuse } from './outcome.js';
import { type Companion, candidateTargets, holdsImage, targetOf } from './targets.js';

/** The fields of every record that changes the promoted image. */
export interface Promoted {
  readonly candidate: Candidate;
  readonly companions: readonly Candidate[];
  readonly targets: readonly LedgerTarget[];
  readonly previous: Candidate | undefined;
  readonly holds: LedgerRecord['holds'];
  readonly quarantine: LedgerRecord['quarantine'];
}

/**
 * The state after promoting a set. A promotion to a lower version puts a hold on the image that it replaces, so
 * that the next scheduled run does not undo it.
 */
export async function statePromoted(
  set: ImageSet,
  contents: readonly Digest[],
  reason: string,
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Promoted | Refused> {
  const { repository, tag, digest } = set;
  const candidate: Candidate = { repository, tag, digest };
  const companions = companionsOf(set);
  const kept = holdsAfter(head?.holds ?? [], candidate, contents);
  const isDown = head !== undefined && directionOf(candidate.tag, head) === 'down';
  // Two tags may name one image, which then stays promoted.
  const holds =
    isDown && head.candidate.digest !== candidate.digest
      ? withBan(kept, await banOn(head.candidate, candidate, reason, setting, head, facts))
      : kept;
  const quarantine = head?.quarantine ?? [];
  const previous = head && (await findPrevious(facts.history, candidate.digest, [...holds, ...quarantine]));
  const targets: LedgerTarget[] = candidateTargets(setting.targets, candidate);
  for (const companion of setting.targets.companions) {
    const target = await (companions.length === 0
      ? untestedTarget(companion, head, facts)
      : testedTarget(companion, companions, head, facts));
    if ('refused' in target) return target;
    targets.push(target);
  }
  return { candidate, companions, targets, previous, holds, quarantine };
}

/** A companion is promoted with the digest that was tested, and only while its tag still names it or `targets` pins it. */
async function testedTarget(
  companion: Companion,
  companions: readonly Candidate[],
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<LedgerTarget | Refused> {
  const { source, repository } = companion;
  const name = `companion ${formatRepository(source.repository)}:${source.tag}`;
  const tested = companions.find((one) => isNamed(one, source));
  if (tested === undefined) {
    const there = companions.map(formatCandidate).join(', ');
    return refuse(`${name} was not tested with the candidate, whose companions are ${there}`, 'companions');
  }
  if (source.digest !== undefined && source.digest !== tested.digest) {
    return refuse(`${name} was tested as ${tested.digest}, and is pinned to ${source.digest}`, 'targets');
  }
  const before = await promotedBefore(companion, head, facts);
  if (before !== undefined && before.digest !== tested.digest) {
    return refuse(
      `${name} was tested as ${tested.digest}, and was promoted as ${before.digest} before, under a tag that never moves; ` +
        'name another tag of it, or pin it to that digest',
      'companions',
    );
  }
  if (source.digest !== undefined) return targetOf(repository, tested);
  const now = await facts.resolve(source.repository, source.tag);
  if (now === tested.digest) return targetOf(repository, tested);
  return now === undefined
    ? refuse(`${name} no longer exists; find a candidate again`, 'companions')
    : refuse(
        `${name} has moved from ${tested.digest}, which was tested, to ${now}; find a candidate again`,
        'companions',
      );
}

/**
 * The companion of a candidate that was tested alone. No job has tested what its tag names now, so it takes the digest
 * that it is pinned to or was promoted with, and no other.
 */
async function untestedTarget(
  companion: Companion,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<LedgerTarget | Refused> {
  const { source, repository } = companion;
  if (source.digest !== undefined) return targetOf(repository, { ...source, digest: source.digest });
  const name = `companion ${formatRepository(source.repository)}:${source.tag}`;
  return (
    (await promotedBefore(companion, head, facts)) ??
    refuse(
      `${name} was not tested with the candidate, and was never promoted; find a candidate with it, or pin it to a digest`,
      'companions',
    )
  );
}

/** The target of the newest record that promoted this tag of the companion there. */
async function promotedBefore(
  { source, repository }: Companion,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<LedgerTarget | undefined> {
  const targetIn = (record: LedgerRecord) =>
    record.targets.find((target) => sameRepository(target.repository, repository) && holdsImage(target, source));
  const record = head && (await facts.history((one) => targetIn(one) !== undefined));
  return record && targetIn(record);
}
