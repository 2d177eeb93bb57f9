import { type Candidate, type Digest, formatRepository, sameRepository } from '../candidate/reference.js';
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
  readonly targets: readonly LedgerTarget[];
  readonly previous: Candidate | undefined;
  readonly holds: LedgerRecord['holds'];
  readonly quarantine: LedgerRecord['quarantine'];
}

/**
 * The state after promoting a candidate. A promotion to a lower version puts a hold on the image that it replaces, so
 * that the next scheduled run does not undo it.
 */
export async function statePromoted(
  candidate: Candidate,
  contents: readonly Digest[],
  reason: string,
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Promoted | Refused> {
  const isNewer = (a: Candidate['tag'], b: Candidate['tag']) => (setting.compareTags(a, b) ?? 0) > 0;
  const kept = holdsAfter(head?.holds ?? [], candidate, contents, isNewer);
  const leaves = head !== undefined && directionOf(setting, candidate.tag, head) === 'down';
  const holds = leaves ? withBan(kept, await banOn(head.candidate, candidate, reason, setting, facts)) : kept;
  const quarantine = head?.quarantine ?? [];
  const previous = head && (await findPrevious(facts.history, candidate.digest, [...holds, ...quarantine]));
  const targets: LedgerTarget[] = candidateTargets(setting.targets, candidate);
  for (const companion of setting.targets.companions) {
    const target = await companionTarget(companion, head, facts);
    if ('refused' in target) return target;
    targets.push(target);
  }
  return { candidate, targets, previous, holds, quarantine };
}

/** Versioned tags never move, so a companion stays on the digest that it was promoted with. */
async function companionTarget(
  { source, repository }: Companion,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<LedgerTarget | Refused> {
  const targetIn = (record: LedgerRecord) =>
    record.targets.find((target) => sameRepository(target.repository, repository) && holdsImage(target, source));
  const record = head && (await facts.history((one) => targetIn(one) !== undefined));
  const before = record && targetIn(record);
  if (before !== undefined) return before;
  const digest = await facts.resolve(source.repository, source.tag);
  if (digest !== undefined) return targetOf(repository, { ...source, digest });
  return refuse(`companion ${formatRepository(source.repository)}:${source.tag} does not exist`);
}
