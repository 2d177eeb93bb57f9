import { rfc3339, systemClock, unixSeconds } from '../../base/clock.js';
import { formatCandidate, formatRepository } from '../../candidate/reference.js';
import type { Promoted } from '../../promotion/promote.js';
import type { Outcome } from '../../rules/outcome.js';
import { describeRegression } from '../../rules/regression.js';
import { type Targets, targetRepositories } from '../../rules/targets.js';
import type { LastDecision } from '../../store/last-decision.js';

/** The outputs of evaluate-and-promote. */
export const promotionOutputs = {
  decision: '`promote`, `wait`, `reject`, `force`, `rollback`, `adopt`, `unchanged` or `frozen`',
  promoted: '`true` if this run promoted an image: by its evidence, a force, a rollback or an adoption',
  reference: 'What the decision is about',
  previous: 'What a rollback would go back to; empty if there is nothing',
  regressed: '`true` if a job that the promoted image had passed has failed since',
  record: "The number of the ledger's newest record; empty if there is none",
  targets: 'What is promoted, as `repository:tag@digest`, one target per line',
  report: 'The decision record, as JSON; empty if nothing was evaluated',
  'managed-images': 'The repositories that this pipeline promotes to, one per line: other promoters must skip them',
};

interface Line {
  readonly text: string;
  /** True if the criteria were not met, or if the promoted image fails. */
  readonly isUnmet: boolean;
}

const MOVES: readonly Outcome['decision'][] = ['promote', 'force', 'rollback', 'adopt'];

/** The decision in one line. */
export function describeOutcome({ decision, reason, regression }: Outcome, label: string, dryRun: boolean): Line {
  const would = dryRun && MOVES.includes(decision) ? ' (dry run: would)' : '';
  return {
    text: `${label}: ${decision}${would}: ${reason}`,
    isUnmet: decision === 'wait' || decision === 'reject' || regression !== undefined,
  };
}

/** The values of the outputs. */
export function formatOutputs(
  { outcome, record, before }: Promoted,
  targets: Targets,
  dryRun: boolean,
): Record<keyof typeof promotionOutputs, string> {
  const { decision, candidate, previous, report, regression } = outcome;
  return {
    decision,
    promoted: String(MOVES.includes(decision) && !dryRun),
    reference: formatCandidate(candidate),
    previous: previous === undefined ? '' : formatCandidate(previous),
    report: report === undefined ? '' : JSON.stringify(report),
    regressed: String(regression !== undefined),
    record: record === undefined || (dryRun && record !== before) ? '' : String(record.n),
    targets: (record?.targets ?? [])
      .map(({ repository, tag, digest }) => `${formatRepository(repository)}:${tag}@${digest}`)
      .join('\n'),
    'managed-images': managedImages(targets),
  };
}

export function managedImages(targets: Targets): string {
  return targetRepositories(targets).map(formatRepository).join('\n');
}

/** Says that what was promoted when the run began fails; undefined if it does not. */
export function describeFailing({ outcome: { decision, regression }, before }: Promoted): string | undefined {
  return before && regression && describeRegression(before, regression, { isReplaced: MOVES.includes(decision) });
}

/** Says the same, and how to roll back from what is promoted. */
export function describeRegressed(promoted: Promoted): string | undefined {
  const failing = describeFailing(promoted);
  const { outcome, before } = promoted;
  if (failing === undefined || before === undefined || MOVES.includes(outcome.decision)) return failing;
  const way =
    before.previous === undefined
      ? 'there is no earlier image to roll back to'
      : `to roll back to ${before.previous.tag}, dispatch with rollback-to: previous`;
  return `${failing}; ${way}`;
}

/**
 * The one line of a run that fails because something is unmet: what is promoted matters more than that nothing changed.
 */
export function describeFailure(promoted: Promoted, label: string, dryRun: boolean): string {
  const { text } = describeOutcome(promoted.outcome, label, dryRun);
  const regressed = describeRegressed(promoted);
  switch (promoted.outcome.decision) {
    case 'unchanged':
      return regressed === undefined ? text : `${label}: ${regressed}`;
    case 'rollback':
      // The regression is its reason.
      return text;
    default:
      return regressed === undefined ? text : `${text}; besides, ${regressed}`;
  }
}

/** The decision for the dashboard, decided now. `signer` is who signed what is promoted; undefined: nobody did. */
export function lastDecision(
  { outcome, before, record, withoutReferrers }: Promoted,
  runUrl: string | undefined,
  signer?: string,
): LastDecision {
  const { decision, reason, candidate, report, regression } = outcome;
  const jobs = regression?.jobs.map(({ job, since, url }) => ({ job, since, url }));
  return {
    version: 1,
    'decided-at': rfc3339(unixSeconds(systemClock)),
    decision,
    reason,
    reference: formatCandidate(candidate),
    'run-url': runUrl ?? null,
    report: report ?? null,
    ...(jobs !== undefined &&
      before !== undefined && { regressed: { reference: formatCandidate(before.candidate), jobs } }),
    ...(record !== undefined &&
      withoutReferrers.length === 0 && {
        signed: { reference: formatCandidate(record.candidate), by: signer ?? null },
      }),
    ...(withoutReferrers.length > 0 && { 'without-referrers': [...withoutReferrers] }),
  };
}
