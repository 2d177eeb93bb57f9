import { UserError } from '../base/errors.js';
import { type Candidate, formatCandidate, formatRepository } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { blockingJobs } from '../criteria/explain.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { findBack, wayBack } from '../promotion/history.js';
import { banOf, candidateOf, holdsAfter, isOf, isPromoted, previousOf } from '../promotion/plan.js';
import type { Promotion } from '../promotion/promotion.js';
import { candidateTargets, ledgerTarget } from '../promotion/targets.js';
import { lifted, quarantined, rolledBack } from './by-hand.js';
import { checkName, checkSource, describeBan, describePromoted, directionOf } from './guards.js';
import type { Decided, Decision } from './outcome.js';
import type { Request } from './request.js';

export interface Asked {
  readonly request: Request;
  /** The candidate that the evidence speaks of; undefined where a person names another image. */
  readonly candidate: Candidate | undefined;
  /** The reason why nothing is to be promoted; undefined: go on. */
  readonly freeze: string | undefined;
}

/** Decides what to do about the ledger's head. Reads evidence, registry and ledger; changes nothing. */
export async function decide(promotion: Promotion, asked: Asked, head: LedgerRecord | undefined): Promise<Decided> {
  const { request, candidate, freeze } = asked;
  if (request.kind === 'evaluate') {
    if (candidate === undefined) throw new UserError('input reference: required and not set: the candidate');
    return evaluated(promotion, candidate, freeze, head);
  }
  if (isRerun(promotion)) return rerun(promotion, head);
  if (request.kind === 'force') {
    refuseFrozen('force-tag', freeze);
    return forced(promotion, request, candidate, head);
  }
  if (head === undefined) {
    throw new UserError(`nothing was ever promoted to ${promotion.label}: there is nothing to ${WORDS[request.kind]}`);
  }
  switch (request.kind) {
    case 'hold':
    case 'adopt':
      throw new UserError(`${request.kind} is not supported yet`);
    case 'rollback':
      refuseFrozen('rollback-to', freeze);
      return rolledBack(promotion, request, head);
    case 'lift':
      return lifted(promotion, request, head);
    case 'quarantine':
      return quarantined(promotion, request, head);
  }
}

const WORDS = { rollback: 'go back to', hold: 'hold', adopt: 'adopt', lift: 'lift', quarantine: 'quarantine' } as const;

function refuseFrozen(input: string, reason: string | undefined): void {
  if (reason === undefined) return;
  throw new UserError(`input ${input}: promotion is frozen (${reason}); clear the input freeze first`);
}

/** Record ids begin with `run/attempt`. */
function isRerun({ author }: Promotion): boolean {
  return Number(author.id.split('/')[1]) > 1;
}

/** A person decided about the state that they saw: a re-run only finishes that, it never decides again. */
async function rerun(promotion: Promotion, head: LedgerRecord | undefined): Promise<Decided> {
  const runOf = ({ id }: { readonly id: string }) => id.split('/')[0];
  // What a label was before is nobody's decision.
  const isOurs = (record: LedgerRecord) => record.kind !== 'adopted' && runOf(record) === runOf(promotion.author);
  const own = head && (await findBack(promotion, head, isOurs));
  if (head === undefined || own === undefined) {
    throw new UserError(
      `a re-run decides nothing for a person, and the ledger of ${promotion.label} has no record of this run; ` +
        'dispatch anew',
    );
  }
  return unchanged(head, `ledger record ${own.n} is this run's: nothing is left to do`);
}

/** What is promoted stays. */
function unchanged(head: LedgerRecord, reason: string, report?: DecisionRecord): Decided {
  const candidate = candidateOf(head.candidate);
  return {
    outcome: { decision: 'unchanged', reason, candidate, previous: previousOf(head), report },
    change: undefined,
  };
}

async function evaluated(
  promotion: Promotion,
  candidate: Candidate,
  freeze: string | undefined,
  head: LedgerRecord | undefined,
): Promise<Decided> {
  checkName(candidate, promotion.label);
  const report = await promotion.evaluate(candidate);
  const nothing = (decision: Decision, reason: string): Decided => ({
    outcome: { decision, reason, candidate, previous: head && previousOf(head), report },
    change: undefined,
  });
  if (head !== undefined && isPromoted(head, promotion.targets, candidate))
    return unchanged(head, describePromoted(promotion, head), report);
  const ban = banOf(head, candidate.digest);
  if (ban !== undefined) return nothing(ban.kind === 'hold' ? 'wait' : 'reject', describeBan(ban.kind, ban.ban));
  if (report.verdict !== 'promote') return nothing(report.verdict, report.reason);
  refuseDowngrade(promotion, candidate, head);
  await checkSource(promotion, candidate);
  if (freeze !== undefined) return nothing('frozen', `the criteria are met, but promotion is frozen: ${freeze}`);
  return promoted(promotion, head, candidate, { kind: 'earned', decision: 'promote', reason: report.reason, report });
}

function refuseDowngrade(promotion: Promotion, candidate: Candidate, head: LedgerRecord | undefined): void {
  const direction = directionOf(promotion, candidate, head);
  if (head === undefined || direction === 'up') return;
  const current = candidateOf(head.candidate).tag;
  const what =
    direction === 'down'
      ? `${candidate.tag} would take ${promotion.label} down from ${current}`
      : `nothing says whether ${candidate.tag} is newer than ${current}, which ${promotion.label} is on`;
  throw new UserError(`${what}; roll back, or force it, if that is what you want`);
}

async function forced(
  promotion: Promotion,
  { tag, reason, skipJobs }: Request & { readonly kind: 'force' },
  tested: Candidate | undefined,
  head: LedgerRecord | undefined,
): Promise<Decided> {
  const found = await promotion.registry.repository(promotion.source).resolve(tag);
  const image = `${formatRepository(promotion.source)}:${tag}`;
  if (found === undefined) throw new UserError(`input force-tag: ${image} does not exist`);
  const candidate: Candidate = { repository: promotion.source, tag, digest: found.digest };
  checkName(candidate, promotion.label);
  if (tested !== undefined && tested.tag === tag && tested.digest !== found.digest) {
    throw new UserError(
      `input reference: ${formatCandidate(tested)} has another digest than ${image} has, ${found.digest}`,
    );
  }
  const ban = banOf(head, candidate.digest);
  if (ban?.kind === 'quarantine') throw new UserError(`input force-tag: ${describeBan('quarantine', ban.ban)}`);
  const report = await promotion.evaluate(candidate);
  if (head !== undefined && isPromoted(head, promotion.targets, candidate))
    return unchanged(head, describePromoted(promotion, head), report);
  checkSkippedJobs(skipJobs, blockingJobs(report));
  await checkSource(promotion, candidate);
  const overridden: LedgerRecord['overridden'] = [];
  if (report.verdict !== 'promote') overridden.push(report.verdict);
  if (ban !== undefined) overridden.push('hold');
  if (directionOf(promotion, candidate, head) !== 'up') overridden.push('downgrade');
  const how = { kind: 'forced', decision: 'force', reason, report, skippedJobs: skipJobs, overridden } as const;
  return promoted(promotion, head, candidate, how);
}

/** Whoever forces must know what is skipped: each unmet job is named, and no other. */
function checkSkippedJobs(named: readonly string[], unmet: readonly string[]): void {
  const missing = unmet.filter((job) => !named.includes(job));
  if (missing.length > 0) {
    throw new UserError(`input skip-jobs: does not name ${missing.join(', ')}, which would be skipped: not met`);
  }
  const extra = named.filter((job) => !unmet.includes(job));
  if (extra.length > 0) {
    throw new UserError(
      `input skip-jobs: names ${extra.join(', ')}: met, or not in the criteria; name only what is not met`,
    );
  }
}

interface How {
  readonly kind: 'earned' | 'forced';
  readonly decision: Decision;
  readonly reason: string;
  readonly report: DecisionRecord;
  readonly skippedJobs?: readonly string[];
  readonly overridden?: LedgerRecord['overridden'];
}

async function promoted(
  promotion: Promotion,
  head: LedgerRecord | undefined,
  candidate: Candidate,
  { kind, decision, reason, report, skippedJobs = [], overridden = [] }: How,
): Promise<Decided> {
  const isNewer = (a: Candidate['tag'], b: Candidate['tag']) => (promotion.compareTags(a, b) ?? 0) > 0;
  const holds = holdsAfter(head?.holds ?? [], candidate, isNewer);
  const quarantine = head?.quarantine ?? [];
  const previous = head && (await wayBack(promotion, head, candidate.digest, [...holds, ...quarantine]));
  const targets = [...candidateTargets(promotion.targets, candidate), ...(await companionTargets(promotion, head))];
  return {
    outcome: { decision, reason, candidate, previous, report, skippedJobs, overridden },
    change: {
      kind,
      reason,
      candidate,
      targets,
      previous,
      holds,
      quarantine,
      decision: report,
      skippedJobs,
      overridden,
    },
  };
}

/** A companion stays on the digest that its tag was promoted with: versioned tags never move. */
function companionTargets(promotion: Promotion, head: LedgerRecord | undefined): Promise<readonly LedgerTarget[]> {
  const { registry, targets } = promotion;
  return Promise.all(
    targets.companions.map(async ({ source, repository }) => {
      const name = formatRepository(repository);
      const targetIn = (record: LedgerRecord) =>
        record.targets.find((target) => target.repository === name && isOf(target, source));
      const record = head && (await findBack(promotion, head, (one) => targetIn(one) !== undefined));
      const before = record && targetIn(record);
      if (before !== undefined) return before;
      const found = await registry.repository(source.repository).resolve(source.tag);
      if (found !== undefined) return ledgerTarget(repository, { ...source, digest: found.digest });
      throw new UserError(
        `input targets: companion ${formatRepository(source.repository)}:${source.tag} does not exist`,
      );
    }),
  );
}
