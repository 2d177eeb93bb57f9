import { unixSeconds } from '../base/clock.js';
import { errorLine, ServiceError } from '../base/errors.js';
import { formatCandidate, formatRepository } from '../candidate/reference.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { PlannedCopy } from '../registry/registry.js';
import { type Asked, decide } from '../rules/decide.js';
import type { Outcome } from '../rules/outcome.js';
import { lastPromotion } from './history.js';
import { copiesOf, copyLaterReferrers } from './images.js';
import { look } from './look.js';
import { describeStep, nextRecord, stepsTo } from './plan.js';
import type { Promotion } from './promotion.js';
import { commit, reconcile } from './reconcile.js';

/** How many other runs may be first before we give up. */
const ATTEMPTS = 20;

/**
 * The commit protocol: reconcile, decide, copy, append, move. All before the append can be repeated, all after it is
 * finished by whoever comes next. A run that was not the first to append decides again, on what the other left.
 *
 * @throws UserError for a guard that refuses; ServiceError for a server that fails. Nothing is lost by either.
 */
export async function promote(promotion: Promotion, asked: Asked): Promise<Outcome> {
  const { log, label, author, clock, dryRun } = promotion;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { head, unfinished } = await log.group('Reconcile', () => reconcile(promotion));
    const { outcome, change } = await log.group('Decide', () => decide(promotion, asked, head?.record));
    const replaces = change !== undefined && formatCandidate(change.candidate) !== head?.record.candidate;
    if (unfinished !== undefined && !replaces) throw unfinished;
    if (unfinished !== undefined) log.warning(`what is promoted is not whole, and replaced: ${errorLine(unfinished)}`);
    if (change === undefined) {
      if (outcome.decision === 'unchanged' && head !== undefined) await copyLaterReferrers(promotion, head.record);
      return { ...outcome, lastPromotion: head && (await lastPromotion(promotion, head.record)) };
    }
    const record = nextRecord(head, label, change, author, unixSeconds(clock));
    if (dryRun) {
      await log.group('Plan', () => showPlan(promotion, record));
      return outcome;
    }
    if ((await log.group('Copy and commit', () => commit(promotion, head, record))) === 'lost') continue;
    const after = await log.group('Move', () => reconcile(promotion, record.n));
    if (after.unfinished !== undefined) throw after.unfinished;
    return outcome;
  }
  throw new ServiceError(
    'conflict',
    `${ATTEMPTS} other runs were first to write the ledger of ${label}; try again later`,
  );
}

/** What a run that is not dry would do, in its order. */
async function showPlan(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, log, label, referrers } = promotion;
  const plan = await registry.planCopy(copiesOf(promotion, record), { referrers });
  for (const planned of plan) log.info(describePlanned(planned));
  log.info(`would write ledger record ${record.n} of ${label}: ${record.kind} ${record.candidate}`);
  for (const step of stepsTo(record, await look(promotion, record))) {
    if (step.kind !== 'copy-image') log.info(`would ${describeStep(step, label)}`);
  }
}

function describePlanned(planned: PlannedCopy): string {
  const { source, target } = planned.copy;
  const where = `${formatRepository(target.repository)}:${target.tag}`;
  switch (planned.state) {
    case 'there':
      return (
        `${where} is there already, as ${source.digest}` +
        (planned.referrers === 0 ? '' : `; would copy ${planned.referrers} referrers`)
      );
    case 'conflict':
      return `would be refused: ${where} is ${planned.found}, not ${source.digest}`;
    case 'copy':
      return (
        `would ${planned.way} ${source.digest} to ${where}: ${planned.platforms.join(', ')}, ` +
        `${planned.manifests} manifests, ${planned.blobs} blobs, ${planned.bytes} bytes, ${planned.referrers} referrers`
      );
  }
}
