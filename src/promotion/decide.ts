import { rfc3339, unixSeconds } from '../base/clock.js';
import { UserError } from '../base/errors.js';
import { type Candidate, type Digest, formatCandidate, formatRepository, type Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { blockingJobs } from '../criteria/explain.js';
import { ledgerOf } from '../image-server/image-server.js';
import type { Head } from '../image-server/ledger.js';
import type { Ban, LedgerRecord, LedgerTarget } from '../image-server/ledger-record.js';
import { findBack } from './history.js';
import { banOf, type Change, candidateOf, holdsAfter, isPromoted, isWayBack } from './plan.js';
import type { Promotion } from './promotion.js';
import type { Request } from './request.js';
import { ledgerTargets, ownedRepositories } from './targets.js';

export type Decision = 'promote' | 'wait' | 'reject' | 'force' | 'rollback' | 'unchanged' | 'frozen';

/** What a run decided, and why. */
export interface Outcome {
  readonly decision: Decision;
  /** One sentence. */
  readonly reason: string;
  readonly candidate: Candidate;
  /** What `previous-<label>` is after it; undefined where there is no way back. */
  readonly previous: Candidate | undefined;
  /** The evaluation, where there was one. */
  readonly report: DecisionRecord | undefined;
}

/** Nothing to do, or one more record. */
export interface Decided {
  readonly outcome: Outcome;
  readonly change: Change | undefined;
}

export interface Asked {
  readonly request: Request;
  /** The candidate that the evidence speaks of; undefined where a person names another image. */
  readonly candidate: Candidate | undefined;
  /** The reason why nothing is to be promoted; undefined: go on. */
  readonly freeze: string | undefined;
}

/** Decides what to do about the ledger's head. Reads evidence, registry and ledger; changes nothing. */
export async function decide(promotion: Promotion, asked: Asked, head: Head | undefined): Promise<Decided> {
  const { request, candidate, freeze } = asked;
  if (request.kind === 'evaluate') {
    if (candidate === undefined) throw new UserError('input reference: required and not set: the candidate');
    return evaluated(promotion, candidate, freeze, head?.record);
  }
  if (isRerun(promotion)) return rerun(promotion, head?.record);
  if (request.kind === 'force') {
    if (freeze !== undefined) throw frozen('force-tag', freeze);
    return forced(promotion, request, candidate, head?.record);
  }
  if (head === undefined) {
    throw new UserError(`nothing was ever promoted to ${promotion.label}: there is nothing to ${WORDS[request.kind]}`);
  }
  switch (request.kind) {
    case 'rollback':
      if (freeze !== undefined) throw frozen('rollback-to', freeze);
      return rolledBack(promotion, request, head.record);
    case 'lift':
      return lifted(promotion, request, head.record);
    case 'quarantine':
      return quarantined(promotion, request, head.record);
  }
}

/** Record ids begin with `run/attempt`. */
function isRerun({ author }: Promotion): boolean {
  return Number(author.id.split('/')[1]) > 1;
}

/** A person decided about the state that they saw: a re-run only finishes that, it never decides again. */
function rerun({ author, label }: Promotion, head: LedgerRecord | undefined): Decided {
  const [run] = author.id.split('/');
  if (head === undefined || head.id.split('/')[0] !== run) {
    throw new UserError(
      `a re-run decides nothing for a person, and the head of the ledger of ${label} is not this run's; dispatch anew`,
    );
  }
  const reason = `ledger record ${head.n} is this run's: nothing is left to do`;
  const outcome: Outcome = {
    decision: 'unchanged',
    reason,
    candidate: candidateOf(head.candidate),
    previous: previousOf(head),
    report: undefined,
  };
  return { outcome, change: undefined };
}

const WORDS = { rollback: 'go back to', lift: 'lift', quarantine: 'quarantine' } as const;

function frozen(input: string, reason: string): UserError {
  return new UserError(`input ${input}: promotion is frozen (${reason}); clear the input freeze first`);
}

async function evaluated(
  promotion: Promotion,
  candidate: Candidate,
  freeze: string | undefined,
  head: LedgerRecord | undefined,
): Promise<Decided> {
  const report = await promotion.evaluate(candidate);
  const previous = head === undefined ? undefined : previousOf(head);
  const nothing = (decision: Decision, reason: string): Decided => ({
    outcome: { decision, reason, candidate, previous, report },
    change: undefined,
  });
  if (head !== undefined && isPromoted(head, promotion.targets, candidate)) {
    return nothing('unchanged', `${formatCandidate(candidate)} is promoted already, by ledger record ${head.n}`);
  }
  if (report.verdict !== 'promote') return nothing(report.verdict, report.reason);

  const ban = banOf(head, candidate.digest);
  if (ban !== undefined) {
    const decision = ban.kind === 'hold' ? 'wait' : 'reject';
    return nothing(decision, `the criteria are met, but ${describeBan(ban.kind, ban.ban)}`);
  }
  if (head !== undefined) refuseDowngrade(promotion, candidate, head);
  await checkSource(promotion, candidate);
  if (freeze !== undefined) return nothing('frozen', `the criteria are met, but promotion is frozen: ${freeze}`);
  return promoted(promotion, head, candidate, { kind: 'earned', decision: 'promote', reason: report.reason, report });
}

interface Promoted {
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
  { kind, decision, reason, report, skippedJobs = [], overridden = [] }: Promoted,
): Promise<Decided> {
  const holds = holdsAfter(head?.holds ?? [], candidate, (a, b) => (promotion.compareTags(a, b) ?? 0) > 0);
  const quarantine = head?.quarantine ?? [];
  const previous = head && (await wayBack(promotion, head, candidate.digest, [...holds, ...quarantine]));
  const targets = ledgerTargets(promotion.targets, candidate, await companionDigests(promotion));
  return {
    outcome: { decision, reason, candidate, previous, report },
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

async function forced(
  promotion: Promotion,
  request: Request & { readonly kind: 'force' },
  tested: Candidate | undefined,
  head: LedgerRecord | undefined,
): Promise<Decided> {
  const { tag, reason } = request;
  const found = await promotion.registry.resolve(promotion.source, tag);
  const image = `${formatRepository(promotion.source)}:${tag}`;
  if (found === undefined) throw new UserError(`input force-tag: ${image} does not exist`);
  const candidate: Candidate = { repository: promotion.source, tag, digest: found.digest };
  if (tested !== undefined && tested.tag === tag && tested.digest !== found.digest) {
    throw new UserError(
      `input reference: ${formatCandidate(tested)} has another digest than ${image} has, ${found.digest}`,
    );
  }
  const ban = banOf(head, candidate.digest);
  if (ban?.kind === 'quarantine') throw new UserError(`input force-tag: ${describeBan('quarantine', ban.ban)}`);
  const report = await promotion.evaluate(candidate);
  if (head !== undefined && isPromoted(head, promotion.targets, candidate)) {
    const previous = previousOf(head);
    const told = `${formatCandidate(candidate)} is promoted already, by ledger record ${head.n}`;
    return { outcome: { decision: 'unchanged', reason: told, candidate, previous, report }, change: undefined };
  }
  checkSkippedJobs(request.skipJobs, blockingJobs(report));
  await checkSource(promotion, candidate);
  const overridden: LedgerRecord['overridden'] = [];
  if (report.verdict !== 'promote') overridden.push(report.verdict);
  if (ban !== undefined) overridden.push('hold');
  if (head !== undefined && isDowngrade(promotion, candidate, head)) overridden.push('downgrade');
  const skippedJobs = request.skipJobs;
  return promoted(promotion, head, candidate, {
    kind: 'forced',
    decision: 'force',
    reason,
    report,
    skippedJobs,
    overridden,
  });
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

async function rolledBack(
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
    const told = `${head.candidate} is promoted already, by ledger record ${head.n}`;
    const outcome: Outcome = {
      decision: 'unchanged',
      reason: told,
      candidate,
      previous: previousOf(head),
      report: undefined,
    };
    return { outcome, change: undefined };
  }
  const holds = [...head.holds.filter((hold) => hold.digest !== left.digest), banFor(promotion, left, reason)];
  const bans = [...holds, ...head.quarantine];
  const previous = await wayBack(promotion, head, candidate.digest, bans);
  return {
    outcome: { decision: 'rollback', reason, candidate, previous, report: undefined },
    change: {
      kind: 'rollback',
      reason,
      candidate,
      targets: configured(promotion, target.targets),
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
  const found = await findBack(ledgerOf(promotion.server, promotion.label), head, wanted);
  if (found !== undefined) return found;
  throw new UserError(
    to === 'previous'
      ? `input rollback-to: the ledger of ${promotion.label} has no earlier image that is neither on hold nor quarantined`
      : `input rollback-to: ${to} was never promoted to ${promotion.label}; the ledger has no record of it`,
  );
}

/** A record's targets that are still configured: no other repository is ever touched. */
function configured({ targets }: Promotion, recorded: readonly LedgerTarget[]): LedgerTarget[] {
  const owned = new Set(ownedRepositories(targets).map(formatRepository));
  return recorded.filter((target) => owned.has(target.repository));
}

async function lifted(
  promotion: Promotion,
  { image, reason }: Request & { readonly kind: 'lift' },
  head: LedgerRecord,
): Promise<Decided> {
  const holds = head.holds.filter((hold) => hold.digest !== image && hold.tag !== image);
  if (holds.length === head.holds.length) {
    const held = head.holds.map((hold) => hold.tag).join(', ');
    throw new UserError(`input lift-hold: ${image} is not on hold; on hold is ${held || 'nothing'}`);
  }
  return amended(promotion, head, 'lift', reason, { holds, quarantine: head.quarantine });
}

async function quarantined(
  promotion: Promotion,
  { image, reason }: Request & { readonly kind: 'quarantine' },
  head: LedgerRecord,
): Promise<Decided> {
  const candidate = typeof image === 'string' ? await knownImage(promotion, head, image) : image;
  if (candidate.digest === candidateOf(head.candidate).digest) {
    throw new UserError(`input quarantine: ${candidate.tag} is what ${promotion.label} points at; roll back first`);
  }
  const quarantine = head.quarantine.filter((ban) => ban.digest !== candidate.digest);
  const holds = head.holds.filter((hold) => hold.digest !== candidate.digest);
  return amended(promotion, head, 'quarantine', reason, {
    holds,
    quarantine: [...quarantine, banFor(promotion, candidate, reason)],
  });
}

async function knownImage(promotion: Promotion, head: LedgerRecord, tag: Tag): Promise<Candidate> {
  const file = await promotion.server.readArtifact(tag);
  if (file !== undefined && file !== 'bare') return candidateOf(file.reference);
  const record = await findBack(
    ledgerOf(promotion.server, promotion.label),
    head,
    (one) => candidateOf(one.candidate).tag === tag,
  );
  if (record !== undefined) return candidateOf(record.candidate);
  throw new UserError(`input quarantine: ${tag} is not known here; name it as <image>:<tag>@<digest>`);
}

/** A record that moves nothing but what may be promoted, and with it perhaps the way back. */
async function amended(
  promotion: Promotion,
  head: LedgerRecord,
  kind: 'lift' | 'quarantine',
  reason: string,
  bans: { readonly holds: Ban[]; readonly quarantine: Ban[] },
): Promise<Decided> {
  const candidate = candidateOf(head.candidate);
  const previous = await wayBack(promotion, head, candidate.digest, [...bans.holds, ...bans.quarantine]);
  return {
    outcome: { decision: 'unchanged', reason, candidate, previous, report: undefined },
    change: { kind, reason, candidate, targets: head.targets, previous, decision: null, ...bans },
  };
}

/** The digest tested is the digest promoted: a tag that moved since, or that is gone, is refused. */
async function checkSource(promotion: Promotion, candidate: Candidate): Promise<void> {
  const image = `${formatRepository(candidate.repository)}:${candidate.tag}`;
  const now = await promotion.registry.resolve(candidate.repository, candidate.tag);
  if (now === undefined) throw new UserError(`${image} does not exist any more; find a candidate again`);
  if (now.digest !== candidate.digest) {
    throw new UserError(
      `${image} has moved from ${candidate.digest} to ${now.digest}; find a candidate again, or exclude it`,
    );
  }
  const file = await promotion.server.readArtifact(candidate.tag);
  if (file !== undefined && file !== 'bare' && file.digest !== candidate.digest) {
    throw new UserError(
      `${image} is ${candidate.digest}, but was published as ${file.digest}; exclude it in find-stable-tag`,
    );
  }
}

async function companionDigests({ registry, targets }: Promotion): Promise<Digest[]> {
  return Promise.all(
    targets.companions.map(async ({ source }) => {
      const found = await registry.resolve(source.repository, source.tag);
      if (found !== undefined) return found.digest;
      throw new UserError(
        `input targets: companion ${formatRepository(source.repository)}:${source.tag} does not exist`,
      );
    }),
  );
}

function isDowngrade(promotion: Promotion, candidate: Candidate, head: LedgerRecord): boolean {
  // Versions that cannot be compared may be anything: fail closed.
  return (promotion.compareTags(candidate.tag, candidateOf(head.candidate).tag) ?? -1) < 0;
}

function refuseDowngrade(promotion: Promotion, candidate: Candidate, head: LedgerRecord): void {
  if (!isDowngrade(promotion, candidate, head)) return;
  const current = candidateOf(head.candidate).tag;
  throw new UserError(
    `${candidate.tag} would take ${promotion.label} down from ${current}; roll back, or force it, if that is what you want`,
  );
}

/** The newest image, from `record` on backwards, that can be gone back to from `digest`. */
async function wayBack(
  promotion: Promotion,
  record: LedgerRecord,
  digest: Digest,
  bans: readonly Ban[],
): Promise<Candidate | undefined> {
  const found = await findBack(ledgerOf(promotion.server, promotion.label), record, (one) =>
    isWayBack(one, digest, bans),
  );
  return found && candidateOf(found.candidate);
}

function previousOf(head: LedgerRecord): Candidate | undefined {
  return head.previous === null ? undefined : candidateOf(head.previous);
}

function banFor({ author, clock }: Promotion, { digest, tag }: Candidate, reason: string): Ban {
  return { digest, tag, reason, who: author.who, since: rfc3339(unixSeconds(clock)) };
}

function describeBan(kind: 'hold' | 'quarantine', ban: Ban): string {
  const way = kind === 'hold' ? '; a newer version, or lift-hold, ends it' : '';
  return `${ban.tag} (${ban.digest}) is ${kind === 'hold' ? 'on hold' : 'quarantined'} since ${ban.since} by ${ban.who}: ${ban.reason}${way}`;
}
