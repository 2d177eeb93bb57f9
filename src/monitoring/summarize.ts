import { rfc3339 } from '../base/clock.js';
import { errorLine, oneLine } from '../base/errors.js';
import type { Digest } from '../candidate/reference.js';
import { parseCriteria } from '../criteria/criteria-file.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { LedgerRecord } from '../image-server/ledger-record.js';
import type { Label } from '../image-server/names.js';
import { type Evaluated, evaluationTable, jobFigures, resultsOf } from './job-history.js';
import type { BranchModel, DashboardModel, NightlyJob, Promotion } from './model.js';
import type { BranchHistory } from './read-branch.js';
import { candidateOf, DAY, seconds, WEEK } from './words.js';

export interface DashboardSettings {
  readonly title: string;
  readonly label: Label;
  readonly candidateLabel: Label;
  /** Seconds: how old the newest promotion may be. */
  readonly targetAge: number;
  /** Seconds: how long ago the newest run may be. */
  readonly heartbeatAge: number;
}

/** So many promotions are listed; the figures rest on all that were read. */
const MAX_PROMOTIONS = 200;
/** What promotions a week are counted over. */
const RATE_WEEKS = 12;
const MAX_PROBLEMS = 10;

/** All that the dashboard says of these branches at `now` (unix seconds). */
export function summarize(
  histories: readonly BranchHistory[],
  settings: DashboardSettings,
  now: number,
  nightly: readonly NightlyJob[] = [],
): DashboardModel {
  return {
    version: 1,
    title: settings.title,
    label: settings.label,
    'candidate-label': settings.candidateLabel,
    'generated-at': rfc3339(now),
    'target-age': settings.targetAge,
    'heartbeat-age': settings.heartbeatAge,
    branches: histories.map((history) => summarizeBranch(history, settings, now)),
    nightly: nightly.map(nightlyInLines),
  };
}

function nightlyInLines({ job, problem, builds }: NightlyJob): NightlyJob {
  return {
    job,
    problem: problem === null ? null : oneLine(problem, 400),
    builds: builds.map(({ result, ...build }) => ({ ...build, result: result === null ? null : oneLine(result, 50) })),
  };
}

function summarizeBranch(history: BranchHistory, settings: DashboardSettings, now: number): BranchModel {
  const { records = [], lastDecision } = history;
  const head = records[0];
  const promotions = promotionsOf(records, history.candidateFiles);
  const current = promotions[0] ?? null;
  const success = promotions.find((promotion) => promotion.kind !== 'rollback');
  const evaluated = evaluatedOf(records, lastDecision?.report ?? undefined);
  const waivers = waiversOf(evaluated[0]?.record, now);
  const heartbeat = lastDecision?.['decided-at'] ?? null;
  const { jobs, evaluations } = evaluationTable(evaluated, current?.digest);
  return {
    branch: history.branch,
    url: history.url,
    state: stateOf(history, success, heartbeat, settings, now),
    problems: problemsOf(history, head, waivers.problems),
    'label-tag': history.labelTag ?? null,
    head: head?.n ?? null,
    current,
    previous: head?.previous ?? null,
    'last-success': success?.when ?? null,
    heartbeat,
    candidate: candidateUnderTest(history, current),
    decision: decisionOf(history, current),
    jobs,
    evaluations,
    promotions: promotions.slice(0, MAX_PROMOTIONS),
    figures: figuresOf(records, promotions, now),
    'job-figures': jobFigures(evaluated.map(({ record }) => record)),
    waivers: waivers.waivers,
    holds: head?.holds ?? [],
    quarantine: head?.quarantine ?? [],
  };
}

/** Newest first: the records that changed the image. */
function promotionsOf(records: readonly LedgerRecord[], files: BranchHistory['candidateFiles']): Promotion[] {
  const seen = new Set<Digest>();
  return records
    .toReversed()
    .flatMap((record): Promotion[] => {
      const { n, id, kind, when, who, reason, candidate: reference, overridden } = record;
      if (kind === 'hold' || kind === 'lift' || kind === 'quarantine') return [];
      const { tag, digest } = candidateOf(reference);
      const file = files.get(tag);
      const found = file?.digest === digest ? file.created : null;
      const lead = kind === 'earned' && !seen.has(digest) && found !== null ? seconds(when) - seconds(found) : -1;
      seen.add(digest);
      const results = record.decision === null ? [] : resultsOf(record.decision);
      const [first] = results.map(({ timestamp }) => timestamp).sort((a, b) => a - b);
      return [
        {
          n,
          id,
          kind,
          when,
          who: oneLine(who, 100),
          'run-url': record['run-url'],
          reason: oneLine(reason, 300),
          reference,
          tag,
          digest,
          'skipped-jobs': record['skipped-jobs'],
          overridden,
          found,
          'first-result': first !== undefined && first > 0 && first <= seconds(when) ? rfc3339(first) : null,
          'lead-time': lead < 0 ? null : lead,
        },
      ];
    })
    .reverse();
}

/** Newest first: the evaluation of the last run, then those in the ledger. */
function evaluatedOf(records: readonly LedgerRecord[], last: DecisionRecord | undefined): Evaluated[] {
  const evaluated = records.flatMap(({ decision, kind }): Evaluated[] =>
    decision === null ? [] : [{ record: decision, outcome: kind === 'forced' ? 'forced' : 'earned' }],
  );
  if (last === undefined) return evaluated;
  // A run that promotes leaves its evaluation in both places; one of what is promoted already repeats it.
  const digestOf = (record: DecisionRecord) => candidateOf(record.candidate).digest;
  const promoted = evaluated.find(({ record }) => digestOf(record) === digestOf(last));
  return [{ record: last, outcome: promoted?.outcome ?? last.verdict }, ...evaluated];
}

function stateOf(
  { records, trusted }: BranchHistory,
  success: Promotion | undefined,
  heartbeat: string | null,
  { targetAge, heartbeatAge }: DashboardSettings,
  now: number,
): BranchModel['state'] {
  if (records === undefined || !trusted) return 'broken';
  if (heartbeat !== null && now - seconds(heartbeat) > heartbeatAge) return 'silent';
  if (success === undefined) return 'empty';
  return now - seconds(success.when) > targetAge ? 'late' : 'ok';
}

function problemsOf(history: BranchHistory, head: LedgerRecord | undefined, more: readonly string[]): string[] {
  const { labelTag } = history;
  const promoted = head && candidateOf(head.candidate).tag;
  const unlike =
    history.trusted && promoted !== undefined && labelTag !== promoted
      ? [`the label names ${labelTag ?? 'nothing'}, and the ledger says ${promoted}: the next run mends it`]
      : [];
  const problems = [...history.problems, ...unlike, ...more].map((problem) => oneLine(problem, 400));
  if (problems.length <= MAX_PROBLEMS) return problems;
  return [...problems.slice(0, MAX_PROBLEMS), `and ${problems.length - MAX_PROBLEMS} more`];
}

function candidateUnderTest(
  { candidateTag: tag, candidateFiles, lastDecision, records }: BranchHistory,
  current: Promotion | null,
): BranchModel['candidate'] {
  if (tag === undefined) return null;
  const file = candidateFiles.get(tag);
  const digest = file?.digest ?? null;
  const head = records?.[0];
  const isThis = (reference: string) => {
    const other = candidateOf(reference);
    return other.tag === tag && (digest === null || other.digest === digest);
  };
  return {
    tag,
    digest,
    found: file?.created ?? null,
    promoted: current !== null && isThis(current.reference),
    banned: [...(head?.holds ?? []), ...(head?.quarantine ?? [])].some((ban) => ban.digest === digest),
    evaluated: lastDecision !== undefined && isThis(lastDecision.reference),
  };
}

function decisionOf({ lastDecision }: BranchHistory, current: Promotion | null): BranchModel['decision'] {
  if (lastDecision === undefined) return null;
  const { version: _, report, decision, ...rest } = lastDecision;
  const isWaiting = decision === 'wait' || decision === 'reject' || decision === 'frozen';
  // A person may have promoted it since.
  const isPromotedSince = current?.reference === rest.reference && current.when >= rest['decided-at'];
  return {
    ...rest,
    decision,
    reason: oneLine(rest.reason, 500),
    blocked: isWaiting && !isPromotedSince,
    jobs: report?.jobs.map((job) => ({ ...job, why: oneLine(job.why, 300) })) ?? [],
    'blocked-by': report?.['blocked-by'] ?? [],
    warnings: report?.warnings.map((warning) => oneLine(warning, 300)) ?? [],
  };
}

function figuresOf(
  records: readonly LedgerRecord[],
  promotions: readonly Promotion[],
  now: number,
): BranchModel['figures'] {
  const byKind: Partial<Record<LedgerRecord['kind'], number>> = {};
  for (const { kind } of records) byKind[kind] = (byKind[kind] ?? 0) + 1;
  const leads = promotions.flatMap((promotion) => promotion['lead-time'] ?? []).sort((a, b) => a - b);
  const restores = promotions.flatMap(({ kind, when }, index) => {
    const left = promotions[index + 1];
    return kind === 'rollback' && left !== undefined ? [seconds(when) - seconds(left.when)] : [];
  });
  return {
    records: records.length,
    'by-kind': byKind,
    'promotions-a-week': promotionsAWeek(promotions, now),
    'lead-time': { promotions: leads.length, p50: quantile(leads, 0.5), p90: quantile(leads, 0.9) },
    'time-to-restore': quantile(
      restores.sort((a, b) => a - b),
      0.5,
    ),
  };
}

/** Over the last 12 weeks, or over the ledger's age where that is less; null in its first week. */
function promotionsAWeek(promotions: readonly Promotion[], now: number): number | null {
  const oldest = promotions.at(-1);
  const weeks = oldest === undefined ? 0 : Math.min(RATE_WEEKS, (now - seconds(oldest.when)) / WEEK);
  if (weeks < 1) return null;
  const recent = promotions.filter(
    ({ kind, when }) => (kind === 'earned' || kind === 'forced') && now - seconds(when) <= weeks * WEEK,
  );
  return Math.round((recent.length / weeks) * 10) / 10;
}

/** By nearest rank: a value that was really there. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

function waiversOf(
  newest: DecisionRecord | undefined,
  now: number,
): { waivers: BranchModel['waivers']; problems: string[] } {
  if (newest === undefined) return { waivers: [], problems: [] };
  try {
    const { waivers } = parseCriteria(newest.criteria.content, newest.criteria.label);
    return {
      waivers: waivers.map(({ job, until, reason, issue }) => ({
        job,
        until,
        // Until the end of that day.
        'days-left': Math.floor((seconds(until) + DAY - now) / DAY),
        reason: oneLine(reason, 300),
        issue: issue ?? null,
      })),
      problems: [],
    };
  } catch (error) {
    return { waivers: [], problems: [`the criteria of the newest decision: ${errorLine(error)}`] };
  }
}
