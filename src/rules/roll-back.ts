import { similarNames } from '../base/similar-names.js';
import { type Candidate, sameRepository, type Tag } from '../candidate/reference.js';
import { findBan, withBan } from '../ledger/bans.js';
import { findPrevious, isWayBack } from '../ledger/history.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { Facts, Setting } from './facts.js';
import { banOn, contentsIfBanned, describeBan, describePromoted, keepPromoted } from './guards.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';
import { candidateTargets, type Targets } from './targets.js';

/** Promotes an earlier image again, and puts a hold on the one that it replaces. */
export async function rollBack(
  { to, reason }: Pick<Request & { readonly kind: 'rollback' }, 'to' | 'reason'>,
  setting: Setting,
  head: LedgerRecord,
  facts: Facts,
): Promise<Decided | Refused> {
  const record = await findEarlier(to, setting, head, facts);
  if ('refused' in record) return record;
  const { candidate } = record;
  const banned = findBan(head, candidate.digest, await contentsIfBanned(candidate, head, facts));
  if (banned !== undefined) return refuse(describeBan(banned));
  if (candidate.digest === head.candidate.digest) return keepPromoted(head, describePromoted(head));
  const holds = withBan(head.holds, await banOn(head.candidate, candidate, reason, setting, head, facts));
  const { quarantine } = head;
  const previous = await findPrevious(facts.history, candidate.digest, [...holds, ...quarantine]);
  const targets = earlierTargets(setting.targets, candidate, [record, head]);
  return {
    outcome: { decision: 'rollback', reason, candidate, previous, report: undefined },
    change: {
      kind: 'rollback',
      reason,
      candidate,
      companions: record.companions,
      targets,
      previous,
      holds,
      quarantine,
    },
  };
}

async function findEarlier(
  to: 'previous' | Tag,
  { label }: Setting,
  head: LedgerRecord,
  facts: Facts,
): Promise<LedgerRecord | Refused> {
  const bans = [...head.holds, ...head.quarantine];
  if (to !== 'previous') {
    // Collected on the way: a tag that was never promoted is looked for in the whole ledger.
    const ways: LedgerRecord[] = [];
    const named = await facts.history((record) => {
      if (isWayBack(record, head.candidate.digest, bans)) ways.push(record);
      return record.candidate.tag === to;
    });
    return named ?? refuse(`${to} was never promoted to ${label}${describeWaysBack(to, ways)}`, 'earlier-tag');
  }
  const found = await facts.history(
    async (record) =>
      isWayBack(record, head.candidate.digest, bans) &&
      findBan(head, record.candidate.digest, await contentsIfBanned(record.candidate, head, facts)) === undefined,
  );
  return found ?? refuse(`the ledger of ${label} has no earlier image that is neither on hold nor quarantined`);
}

/** A refusal names at most this many tags. */
const NAMED = 3;

/** Names the tags that `to` may stand for or, if there are none, the newest ones to roll back to. */
function describeWaysBack(to: string, ways: readonly LedgerRecord[]): string {
  if (ways.length === 0) return '';
  const names = ['previous', ...new Set(ways.map(({ candidate }) => candidate.tag))];
  const similar = similarNames(to, names);
  const named = similar.length > 0 ? similar : names.slice(0, NAMED);
  return `; there are ${named.join(', ')}`;
}

/**
 * The recorded digests at all targets that are configured now, including targets that were added later. A companion
 * takes the digest of the first record that has it.
 */
function earlierTargets(
  targets: Targets,
  candidate: Candidate,
  records: readonly LedgerRecord[],
): readonly LedgerTarget[] {
  const recorded = records.flatMap((record) => record.targets);
  const companions = targets.companions.flatMap(({ repository }) => {
    const target = recorded.find((one) => sameRepository(one.repository, repository));
    return target === undefined ? [] : [target];
  });
  return [...candidateTargets(targets, candidate), ...companions];
}
