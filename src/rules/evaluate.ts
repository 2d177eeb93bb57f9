import type { ImageSet } from '../candidate/image-set.js';
import type { Candidate } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { findBan } from '../ledger/bans.js';
import type { LedgerRecord } from '../ledger/record.js';
import { refuseDowngrade } from './downgrade.js';
import type { Facts, Setting } from './facts.js';
import { frozenReason } from './freeze.js';
import {
  contentsIfBanned,
  describeBan,
  describePromoted,
  keepPromoted,
  refuseMovedSource,
  refuseUnusableName,
} from './guards.js';
import { type Decided, type Decision, type Refused, refuse } from './outcome.js';
import { statePromoted } from './promotion.js';
import { describeRegression, findRegression, reactToRegression } from './regression.js';
import { isPromotedTo } from './targets.js';

/**
 * Promotes the candidate if its evidence meets the criteria and no guard refuses it. The promoted image is evaluated
 * from the same evidence. If a job that passed when that image was promoted fails now, this is always reported, but
 * acted on only if the candidate does not replace the image.
 */
export async function evaluate(
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  const { candidate } = setting;
  if (candidate === undefined) return refuse('there is no candidate to evaluate', 'reference');
  const decided =
    refuseUnusableName(candidate, setting.label) ?? (await evaluateCandidate(candidate, setting, head, facts));
  const regression = head && (await findRegression(head, facts));
  if (head === undefined || regression === undefined) return decided;
  if ('refused' in decided) {
    return { ...decided, refused: `${decided.refused}; besides, ${describeRegression(head, regression)}` };
  }
  if (decided.change !== undefined) return { ...decided, outcome: { ...decided.outcome, regression } };
  return reactToRegression(decided, regression, setting, head, facts);
}

async function evaluateCandidate(
  candidate: ImageSet,
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  const report = await facts.report(candidate);
  const nothing = (decision: Decision, reason: string): Decided => ({
    outcome: { decision, reason, candidate, previous: head?.previous, report },
    change: undefined,
  });
  if (head !== undefined && isPromotedTo(head, setting.targets, candidate)) {
    return keepPromoted(head, describePromoted(head), report);
  }
  const contents = await contentsIfBanned(candidate, head, facts);
  const banned = findBan(head, candidate.digest, contents);
  if (banned?.kind === 'quarantine') return nothing('reject', describeBan(banned));
  if (banned?.kind === 'hold')
    return nothing('wait', `${describeBan(banned)}; the hold ends with a newer version, or when a person lifts it`);
  if (report.verdict !== 'promote') return nothing(report.verdict, report.reason);
  const guard = refuseDowngrade(candidate, setting, head) ?? (await refuseMovedSource(candidate, facts));
  if (guard !== undefined) return guard;
  const frozen = frozenReason(setting);
  if (frozen !== undefined) return nothing('frozen', frozen);
  return earn(candidate, contents, report, setting, head, facts);
}

async function earn(
  candidate: ImageSet,
  contents: readonly Candidate['digest'][],
  report: DecisionRecord,
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  const state = await statePromoted(candidate, contents, report.reason, setting, head, facts);
  if ('refused' in state) return state;
  return {
    outcome: { decision: 'promote', reason: report.reason, candidate, previous: state.previous, report },
    change: { kind: 'earned', reason: report.reason, decision: report, ...state },
  };
}
