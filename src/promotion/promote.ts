import { unixSeconds } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import { formatRepository } from '../candidate/reference.js';
import type { LedgerRecord } from '../image-server/ledger-record.js';
import type { PlannedCopy } from '../registry/registry.js';
import { type Asked, decide, type Outcome } from './decide.js';
import { candidateOf, copiesOf, nextRecord } from './plan.js';
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
    const head = await log.group('Reconcile', () => reconcile(promotion));
    const { outcome, change } = await log.group('Decide', () => decide(promotion, asked, head));
    if (change === undefined) return outcome;
    const record = nextRecord(head, label, change, author, unixSeconds(clock));
    if (dryRun) {
      await log.group('Plan', () => showPlan(promotion, record));
      return outcome;
    }
    if ((await log.group('Copy and commit', () => commit(promotion, record))) === 'won') {
      await log.group('Move', () => reconcile(promotion));
      return outcome;
    }
  }
  throw new ServiceError(
    'conflict',
    `${ATTEMPTS} other runs were first to write the ledger of ${label}; try again later`,
  );
}

/** What a run that is not dry would do, in its order. */
async function showPlan({ registry, log, label, referrers }: Promotion, record: LedgerRecord): Promise<void> {
  const plan = await registry.planCopy(copiesOf(record.targets), { referrers });
  for (const planned of plan) log.info(describePlanned(planned));
  log.info(`would write ledger record ${record.n} of ${label}: ${record.kind} ${record.candidate}`);
  for (const { repository, digest } of record.targets) log.info(`would move ${repository}:${label} to ${digest}`);
  log.info(`would move label ${label} to ${candidateOf(record.candidate).tag}`);
}

function describePlanned(planned: PlannedCopy): string {
  const { source, target } = planned.copy;
  const where = `${formatRepository(target.repository)}:${target.tag}`;
  switch (planned.state) {
    case 'there':
      return `${where} is there already, as ${source.digest}`;
    case 'conflict':
      return `would be refused: ${where} is ${planned.found}, not ${source.digest}`;
    case 'copy':
      return (
        `would ${planned.way} ${source.digest} to ${where}: ${planned.platforms.join(', ')}, ` +
        `${planned.manifests} manifests, ${planned.blobs} blobs, ${planned.bytes} bytes, ${planned.referrers} referrers`
      );
  }
}
