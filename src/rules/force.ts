import { companionsOf, type ImageSet } from '../candidate/image-set.js';
import { type Candidate, formatCandidate, formatRepository } from '../candidate/reference.js';
import { blockingJobs } from '../criteria/explain.js';
import { findBan } from '../ledger/bans.js';
import type { LedgerRecord, Overridden } from '../ledger/record.js';
import { directionOf } from './downgrade.js';
import type { Facts, Setting } from './facts.js';
import {
  contentsIfBanned,
  describeBan,
  describePromoted,
  keepPromoted,
  refuseMovedSource,
  refuseUnusableName,
} from './guards.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import { statePromoted } from './promotion.js';
import type { Request } from './request.js';
import { isPromotedTo } from './targets.js';

/** Promotes a tag although the criteria are not met. A quarantine still refuses it. */
export async function force(
  { tag, reason, skipJobs }: Request & { readonly kind: 'force' },
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  const { source: repository, candidate: tested } = setting;
  const image = `${formatRepository(repository)}:${tag}`;
  const digest = await facts.resolve(repository, tag);
  if (digest === undefined) {
    const similar = await facts.similarTags(repository, tag);
    return refuse(
      `${image} does not exist${similar.length === 0 ? '' : `; there are ${similar.join(', ')}`}`,
      'forced-tag',
    );
  }
  const name = refuseUnusableName({ repository, tag, digest }, setting.label);
  if (name !== undefined) return name;
  const candidate = await setOf({ repository, tag, digest }, setting, facts);
  if (tested !== undefined && tested.tag === tag && tested.digest !== digest) {
    return refuse(`the candidate is ${formatCandidate(tested)}, and ${image} is now ${digest}`);
  }
  const contents = await contentsIfBanned(candidate, head, facts);
  const banned = findBan(head, digest, contents);
  if (banned?.kind === 'quarantine') return refuse(describeBan(banned));
  const report = await facts.report(candidate);
  if (head !== undefined && isPromotedTo(head, setting.targets, candidate)) {
    return keepPromoted(head, describePromoted(head), report);
  }
  const guard = refuseWrongSkips(skipJobs, blockingJobs(report)) ?? (await refuseMovedSource(candidate, facts));
  if (guard !== undefined) return guard;
  const state = await statePromoted(candidate, contents, reason, setting, head, facts);
  if ('refused' in state) return state;
  const overridden: Overridden[] = [
    ...(report.verdict === 'promote' ? [] : [report.verdict]),
    ...(banned === undefined ? [] : (['hold'] as const)),
    ...(directionOf(tag, head) === 'up' ? [] : (['downgrade'] as const)),
  ];
  const { previous } = state;
  return {
    outcome: { decision: 'force', reason, candidate, previous, report, skippedJobs: skipJobs, overridden },
    change: { kind: 'forced', reason, decision: report, skippedJobs: skipJobs, overridden, ...state },
  };
}

/** The image with the companions that the run names for it or, if it names another image, those that are published. */
async function setOf(image: Candidate, { candidate: tested }: Setting, facts: Facts): Promise<ImageSet> {
  const known = tested?.digest === image.digest ? tested : await facts.published(image.tag);
  const isSame = known !== undefined && formatCandidate(known) === formatCandidate(image);
  return { ...image, companions: isSame ? companionsOf(known) : [] };
}

/** The person who forces must know what they skip, so they must name exactly the unmet jobs. */
function refuseWrongSkips(named: readonly string[], unmet: readonly string[]): Refused | undefined {
  const missing = unmet.filter((job) => !named.includes(job));
  if (missing.length > 0) {
    return refuse(`these jobs are unmet, and not named: ${missing.join(', ')}`, 'skip-jobs');
  }
  const extra = named.filter((job) => !unmet.includes(job));
  return extra.length === 0
    ? undefined
    : refuse(`these jobs are named, but they are met or not in the criteria: ${extra.join(', ')}`, 'skip-jobs');
}
