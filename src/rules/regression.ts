import type { ImageSet } from '../candidate/image-set.js';
import { formatCandidate } from '../candidate/reference.js';
import { findRegressedJobs } from '../criteria/regressions.js';
import { banByDigest } from '../ledger/bans.js';
import { decisionOf, type LedgerRecord } from '../ledger/record.js';
import type { Facts, Setting } from './facts.js';
import { hold } from './hold.js';
import type { Decided, Refused, Regression } from './outcome.js';
import { rollBack } from './roll-back.js';

/**
 * The jobs that the promoted image passed when it was promoted and that have failed since; undefined if there are none.
 * Only a job that the deciding record counted as passed can regress.
 */
export async function findRegression(head: LedgerRecord, facts: Facts): Promise<Regression | undefined> {
  const { digest } = head.candidate;
  const decider = await facts.history(
    (record) => record.candidate.digest === digest && decisionOf(record) !== undefined,
  );
  const decision = decider && decisionOf(decider);
  if (decision === undefined) return undefined;
  const [first, ...others] = findRegressedJobs(decision, await facts.report(setIn(head)));
  return first && { jobs: [first, ...others] };
}

/** The set that a record promotes. */
function setIn({ candidate, companions }: Pick<LedgerRecord, 'candidate' | 'companions'>): ImageSet {
  return { ...candidate, companions };
}

/** One sentence. `isReplaced`: this run promotes another image instead. */
export function describeRegression(
  { candidate }: LedgerRecord,
  { jobs }: Regression,
  { isReplaced }: { readonly isReplaced: boolean } = { isReplaced: false },
): string {
  const failed = jobs.map(({ job, since, url }) =>
    [since === null ? `${job} fails` : `${job} has failed since ${since}`, url === null ? '' : ` (${url})`].join(''),
  );
  const has = isReplaced ? 'which was promoted when this run began, had' : 'which is promoted, has';
  return `${formatCandidate(candidate)}, ${has} regressed: ${failed.join(', ')}`;
}

/**
 * Holds or rolls back a regressed image if the setting asks for it: only once, only if the image was promoted on
 * evidence, never during a freeze, and never to an image that fails itself.
 */
export async function reactToRegression(
  decided: Decided,
  regression: Regression,
  setting: Setting,
  head: LedgerRecord,
  facts: Facts,
): Promise<Decided | Refused> {
  const warned: Decided = { ...decided, outcome: { ...decided.outcome, regression } };
  const { onRegression, freeze } = setting;
  if (onRegression === 'warn' || freeze !== undefined || head.kind !== 'earned') return warned;
  if (banByDigest(head.holds, head.candidate.digest) !== undefined) return warned;
  const reason = describeRegression(head, regression);
  const reaction =
    onRegression === 'hold'
      ? await hold({ image: head.candidate.digest, reason }, setting, head, facts)
      : await rollBack({ to: 'previous', reason }, setting, head, facts);
  if ('refused' in reaction) return warned;
  const { change } = reaction;
  const isRed =
    onRegression === 'rollback' && change !== undefined && (await facts.report(setIn(change))).verdict === 'reject';
  return isRed ? warned : { ...reaction, outcome: { ...reaction.outcome, regression } };
}
