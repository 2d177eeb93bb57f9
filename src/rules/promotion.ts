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
  const isNewer = (a: Candidate['tag'], b: Candidate['tag']) => (setting.compareTags(a, b) ?? 0) > 0;
  const kept = holdsAfter(head?.holds ?? [], candidate, contents, isNewer);
  const leaves = head !== undefined && directionOf(setting, candidate.tag, head) === 'down';
  const holds = leaves ? withBan(kept, await banOn(head.candidate, candidate, reason, setting, head, facts)) : kept;
  const quarantine = head?.quarantine ?? [];
  const previous = head && (await findPrevious(facts.history, candidate.digest, [...holds, ...quarantine]));
  const targets: LedgerTarget[] = candidateTargets(setting.targets, candidate);
  for (const companion of setting.targets.companions) {
    const target = await (companions.length === 0
      ? untestedTarget(companion, head, facts)
      : testedTarget(companion, companions, facts));
    if ('refused' in target) return target;
    targets.push(target);
  }
  return { candidate, companions, targets, previous, holds, quarantine };
}

/** A companion is promoted with the digest that was tested, and only while its tag still names it or `targets` pins it. */
async function testedTarget(
  { source, repository }: Companion,
  companions: readonly Candidate[],
  facts: Facts,
): Promise<LedgerTarget | Refused> {
  const name = `companion ${formatRepository(source.repository)}:${source.tag}`;
  const tested = companions.find((one) => isNamed(one, source));
  if (tested === undefined) {
    const there = companions.map(formatCandidate).join(', ');
    return refuse(`${name} was not tested with the candidate, whose companions are ${there}`, 'companions');
  }
  if (source.digest !== undefined) {
    return source.digest === tested.digest
      ? targetOf(repository, tested)
      : refuse(`${name} was tested as ${tested.digest}, and is pinned to ${source.digest}`, 'targets');
  }
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
 * The companion of a candidate that was tested alone. Versioned tags never move, so it stays on the digest that it was
 * promoted with.
 */
async function untestedTarget(
  { source, repository }: Companion,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<LedgerTarget | Refused> {
  if (source.digest !== undefined) return targetOf(repository, { ...source, digest: source.digest });
  const targetIn = (record: LedgerRecord) =>
    record.targets.find((target) => sameRepository(target.repository, repository) && holdsImage(target, source));
  const record = head && (await facts.history((one) => targetIn(one) !== undefined));
  const before = record && targetIn(record);
  if (before !== undefined) return before;
  const digest = await facts.resolve(source.repository, source.tag);
  if (digest !== undefined) return targetOf(repository, { ...source, digest });
  return refuse(`companion ${formatRepository(source.repository)}:${source.tag} does not exist`);
}
