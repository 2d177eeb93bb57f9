import { rfc3339, unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { type Candidate, formatRepository, type Tag } from '../candidate/reference.js';
import type { Ban, LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { findBack, wayBack } from '../promotion/history.js';
import { banOf, candidateOf, isWayBack, previousOf } from '../promotion/plan.js';
import type { Promotion } from '../promotion/promotion.js';
import { candidateTargets } from '../promotion/targets.js';
import { describeBan, describePromoted } from './guards.js';
import type { Decided } from './outcome.js';
import type { Request } from './request.js';

/** What a person decides about what was promoted before: each is one more record, none is ever taken back. */

export async function rolledBack(
  promotion: Promotion,
  { to, reason }: Request & { readonly kind: 'rollback' },
  head: LedgerRecord,
): Promise<Decided> {
  const left = candidateOf(head.candidate);
  const target = await rollbackTarget(promotion, head, to);
  const candidate = candidateOf(target.candidate);
  const ban = banOf(head, candidate.digest);
  if (ban !== undefined) throw new UserError(`input rollback-to: ${describeBan(ban.kind, ban.ban)}`);
  if (candidate.digest === left.digest) {
    const told = describePromoted(promotion, head);
    const previous = previousOf(head);
    return {
      outcome: { decision: 'unchanged', reason: told, candidate, previous, report: undefined },
      change: undefined,
    };
  }
  const holds = [...head.holds, banFor(promotion, left, reason)];
  const previous = await wayBack(promotion, head, candidate.digest, [...holds, ...head.quarantine]);
  return {
    outcome: { decision: 'rollback', reason, candidate, previous, report: undefined },
    change: {
      kind: 'rollback',
      reason,
      candidate,
      targets: recordedTargets(promotion, candidate, [target, head]),
      previous,
      holds,
      quarantine: head.quarantine,
      decision: null,
    },
  };
}

async function rollbackTarget(promotion: Promotion, head: LedgerRecord, to: 'previous' | Tag): Promise<LedgerRecord> {
  const bans = [...head.holds, ...head.quarantine];
  const current = candidateOf(head.candidate).digest;
  const wanted = (record: LedgerRecord) =>
    to === 'previous' ? isWayBack(record, current, bans) : candidateOf(record.candidate).tag === to;
  const found = await findBack(promotion, head, wanted);
  if (found !== undefined) return found;
  throw new UserError(
    to === 'previous'
      ? `input rollback-to: the ledger of ${promotion.label} has no earlier image that is neither on hold nor quarantined`
      : `input rollback-to: ${to} was never promoted to ${promotion.label}; the ledger has no record of it`,
  );
}

/**
 * An image that was promoted before, by the recorded digests, to all that is configured now: a target that was added
 * since goes back too. A companion is as the first of the records that knows it says.
 */
function recordedTargets(
  { targets }: Promotion,
  candidate: Candidate,
  records: readonly LedgerRecord[],
): LedgerTarget[] {
  const companions = targets.companions.flatMap(({ repository }) => {
    const name = formatRepository(repository);
    const recorded = records.flatMap((record) => record.targets).find((target) => target.repository === name);
    return recorded === undefined ? [] : [recorded];
  });
  return [...candidateTargets(targets, candidate), ...companions];
}

export async function lifted(
  promotion: Promotion,
  { image, reason }: Request & { readonly kind: 'lift' },
  head: LedgerRecord,
): Promise<Decided> {
  const isMeant = (hold: Ban) => hold.digest === image || hold.tag === image;
  if (!head.holds.some(isMeant)) {
    const held = head.holds.map((hold) => hold.tag).join(', ');
    throw new UserError(`input lift-hold: ${image} is not on hold; on hold is ${held || 'nothing'}`);
  }
  const holds = head.holds.filter((hold) => !isMeant(hold));
  const told = `${image} is no longer on hold: ${reason}`;
  return amended(promotion, head, 'lift', { reason, told, holds, quarantine: head.quarantine });
}

export async function quarantined(
  promotion: Promotion,
  { image, reason }: Request & { readonly kind: 'quarantine' },
  head: LedgerRecord,
): Promise<Decided> {
  const candidate = typeof image === 'string' ? await knownImage(promotion, head, image) : image;
  if (candidate.digest === candidateOf(head.candidate).digest) {
    throw new UserError(`input quarantine: ${candidate.tag} is what ${promotion.label} points at; roll back first`);
  }
  const others = ({ digest }: Ban) => digest !== candidate.digest;
  return amended(promotion, head, 'quarantine', {
    reason,
    told: `${candidate.tag} (${candidate.digest}) is quarantined: ${reason}`,
    holds: head.holds.filter(others),
    quarantine: [...head.quarantine.filter(others), banFor(promotion, candidate, reason)],
  });
}

async function knownImage(promotion: Promotion, head: LedgerRecord, tag: Tag): Promise<Candidate> {
  const file = await promotion.server.readArtifact(tag);
  if (file !== undefined && file !== 'bare') return candidateOf(file.reference);
  const record = await findBack(promotion, head, (one) => candidateOf(one.candidate).tag === tag);
  if (record !== undefined) return candidateOf(record.candidate);
  throw new UserError(`input quarantine: ${tag} is not known here; name it as <image>:<tag>@<digest>`);
}

interface Amendment {
  /** Why, as the person says. */
  readonly reason: string;
  /** What is now, and why. */
  readonly told: string;
  readonly holds: Ban[];
  readonly quarantine: Ban[];
}

/** A record that changes nothing but what may be promoted, and with it perhaps the way back. */
async function amended(
  promotion: Promotion,
  head: LedgerRecord,
  kind: 'lift' | 'quarantine',
  { reason, told, holds, quarantine }: Amendment,
): Promise<Decided> {
  const candidate = candidateOf(head.candidate);
  const previous = await wayBack(promotion, head, candidate.digest, [...holds, ...quarantine]);
  return {
    outcome: { decision: 'unchanged', reason: told, candidate, previous, report: undefined },
    // A target that was added since waits for a promotion: nothing is copied by lifting or banning.
    change: { kind, reason, candidate, targets: head.targets, previous, holds, quarantine, decision: null },
  };
}

function banFor({ author, clock }: Promotion, { digest, tag }: Candidate, reason: string): Ban {
  return { digest, tag, reason, who: author.who, since: rfc3339(unixSeconds(clock)) };
}
