import { rfc3339 } from '../base/clock.js';
import { errorLine, oneLine, UserError } from '../base/errors.js';
import { type Digest, formatCandidate, formatRepository } from '../candidate/reference.js';
import { type Criteria, parseCriteria } from '../criteria/criteria-file.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import { formatBan } from '../ledger/codec.js';
import type { Label } from '../ledger/names.js';
import { decisionOf as decisionOfRecord, keepsImage, type LedgerRecord, overriddenBy } from '../ledger/record.js';
import { describeStep, stepsTo } from '../ledger/steps.js';
import { imageOf } from '../store/candidate-file.js';
import type { LastDecision } from '../store/last-decision.js';
import { adviseOn } from './advice.js';
import { repositoryOf } from './dispatch.js';
import { healthOf } from './health.js';
import { type Evaluated, evaluatedVotes, evaluationTable, jobFigures, resultsOf } from './job-history.js';
import type { BranchModel, DashboardModel, Health, Problem, Promotion, Target } from './model.js';
import type { NightlyHistory } from './nightly.js';
import { nightlyModel, problemsOf } from './problems.js';
import { type BranchHistory, type Failure, newestDecision } from './read-branch.js';
import { candidateOf, seconds, WEEK } from './words.js';

export interface DashboardSettings {
  readonly title: string;
  readonly label: Label;
  readonly candidateLabel: Label;
  /** Seconds: how old the newest promotion may get. */
  readonly targetAge: number;
  /** Seconds: how old the newest run may get. */
  readonly heartbeatAge: number;
  /** The file name of the promotion workflow, for the commands that start it. */
  readonly workflow: string;
}

/** data.json lists this many promotions; the figures count all that were read. */
const MAX_PROMOTIONS = 50;
/** The promotions a week are an average over this many weeks. */
const RATE_WEEKS = 12;

/** The dashboard of these branches at `now` (unix seconds); `before` is the dashboard of the run before. */
export function summarize(
  histories: readonly BranchHistory[],
  settings: DashboardSettings,
  now: number,
  nightly: readonly NightlyHistory[] = [],
  before?: DashboardModel,
): DashboardModel {
  return {
    version: 2,
    title: settings.title,
    label: settings.label,
    'candidate-label': settings.candidateLabel,
    'generated-at': rfc3339(now),
    'target-age': settings.targetAge,
    'heartbeat-age': settings.heartbeatAge,
    branches: histories.map((history) =>
      summarizeBranch(
        history,
        settings,
        now,
        before?.branches.find(({ branch }) => branch === history.branch),
      ),
    ),
    nightly: nightly.map((job) => nightlyModel(job, before, now)),
  };
}

function summarizeBranch(
  history: BranchHistory,
  settings: DashboardSettings,
  now: number,
  before: BranchModel | undefined,
): BranchModel {
  const { records, lastDecision } = history;
  const [head] = records;
  const promotions = promotionsOf(records, history.candidateFiles);
  const current = promotions[0] ?? null;
  const success = promotions.find((promotion) => promotion.kind !== 'rollback');
  const byCriteria = byNewestCriteria(history, now);
  const evaluated = withVotes(evaluatedOf(records, lastDecision?.report ?? undefined), byCriteria.records);
  const problems = problemsOf(
    [...history.failures, ...unfinished(history, head, settings.label), ...byCriteria.failures],
    before,
    now,
  );
  const heartbeat = lastDecision?.['decided-at'] ?? null;
  const { jobs, evaluations } = evaluationTable(evaluated, current?.digest);
  const health = healthOf({
    digest: current?.digest,
    isKnown: !problems.some(({ source }) => source === 'ledger' || source === 'image server'),
    promotedBy: promotingDecision(records, current?.digest),
    evaluated,
    lastDecision,
  });
  const model = {
    branch: history.branch,
    url: history.url,
    dlrn: history.dlrn ?? null,
    owner: history.owner ?? null,
    changes: [...history.changes],
    state: stateOf(problems, health, success, heartbeat, settings, now),
    health,
    targets: targetsOf(head),
    problems,
    'label-tag': history.labelTag ?? null,
    head: head?.n ?? null,
    current,
    previous: head?.previous === undefined ? null : formatCandidate(head.previous),
    'last-success': success?.when ?? null,
    due: later(success?.when, settings.targetAge),
    heartbeat,
    'heartbeat-due': later(lastDecision?.['decided-at'], settings.heartbeatAge),
    candidate: candidateUnderTest(history, current),
    decision: decisionOf(history, current),
    signed: signedOf(lastDecision, head),
    jobs,
    evaluations,
    promotions: promotions.slice(0, MAX_PROMOTIONS),
    figures: figuresOf(records, promotions, now),
    'job-figures': jobFigures(evaluated.map(({ record }) => record)),
    waivers: byCriteria.waivers,
    holds: (head?.holds ?? []).map(formatBan),
    quarantine: (head?.quarantine ?? []).map(formatBan),
  };
  const runs = [lastDecision?.['run-url'], ...records.slice(0, 10).map((record) => record.runUrl)];
  const [repository] = runs.flatMap((url) => repositoryOf(url) ?? []);
  return { ...model, next: adviseOn(model, { file: settings.workflow, repository }, now) };
}

/** The signer of the promoted image; null if the last run does not name it. */
function signedOf(last: LastDecision | undefined, head: LedgerRecord | undefined): BranchModel['signed'] {
  if (last?.signed === undefined || head === undefined) return null;
  return last.signed.reference === formatCandidate(head.candidate) ? { by: last.signed.by } : null;
}

function later(time: string | undefined, age: number): string | null {
  return time === undefined ? null : rfc3339(seconds(time) + age);
}

function targetsOf(head: LedgerRecord | undefined): Target[] {
  if (head === undefined) return [];
  return head.targets.map(({ repository, tag, digest, source }) => ({
    repository: formatRepository(repository),
    tag,
    digest,
    companion: formatCandidate(source) !== formatCandidate(head.candidate),
  }));
}

/** The decision in the newest record that promoted this image with one. */
function promotingDecision(records: readonly LedgerRecord[], digest: Digest | undefined): DecisionRecord | undefined {
  const own = records.filter(({ candidate }) => candidate.digest === digest);
  return own.map(decisionOfRecord).find((decision) => decision !== undefined);
}

/** The records that changed the image, newest first. */
function promotionsOf(records: readonly LedgerRecord[], files: BranchHistory['candidateFiles']): Promotion[] {
  const seen = new Set<Digest>();
  let promoted: string | null = null;
  return records
    .toReversed()
    .flatMap((record): Promotion[] => {
      const { n, id, kind, when, who, reason } = record;
      if (keepsImage(record)) return [];
      const { tag, digest } = record.candidate;
      const file = files.get(tag);
      const found = file?.digest === digest ? file.created : null;
      const lead = kind === 'earned' && !seen.has(digest) && found !== null ? seconds(when) - seconds(found) : -1;
      seen.add(digest);
      const left: string | null = promoted;
      promoted = formatCandidate(record.candidate);
      const decision = decisionOfRecord(record);
      const results = decision === undefined ? [] : resultsOf(decision);
      const [first] = results.map(({ timestamp }) => timestamp).sort((a, b) => a - b);
      return [
        {
          n,
          id,
          kind,
          when,
          who: oneLine(who, 100),
          'run-url': record.runUrl ?? null,
          reason: oneLine(reason, 300),
          reference: formatCandidate(record.candidate),
          tag,
          digest,
          left,
          'skipped-jobs': record.kind === 'forced' ? [...record.skippedJobs] : [],
          overridden: [...overriddenBy(record)],
          found,
          'first-result': first !== undefined && first > 0 && first <= seconds(when) ? rfc3339(first) : null,
          'lead-time': lead < 0 ? null : lead,
        },
      ];
    })
    .reverse();
}

/** The evaluation of the last run, then those in the ledger, newest first. */
function evaluatedOf(records: readonly LedgerRecord[], last: DecisionRecord | undefined): Evaluated[] {
  const evaluated = records.flatMap((record): Evaluated[] => {
    const decision = decisionOfRecord(record);
    return decision === undefined
      ? []
      : [{ record: decision, outcome: record.kind === 'forced' ? 'forced' : 'earned' }];
  });
  if (last === undefined) return evaluated;
  // A run that promotes writes its evaluation to both places; later runs evaluate the same image again.
  const promoted = evaluated.find(({ record }) => digestOf(record) === digestOf(last));
  return [{ record: last, outcome: promoted?.outcome ?? last.verdict }, ...evaluated];
}

function digestOf({ candidate }: DecisionRecord): Digest {
  return candidateOf(candidate).digest;
}

/** Adds evaluations of votes, newest first: a vote may be newer than the last evaluation of its image. */
function withVotes(evaluated: readonly Evaluated[], byVotes: readonly DecisionRecord[]): Evaluated[] {
  const added = byVotes.map((record): Evaluated => {
    const decided = evaluated.find((one) => digestOf(one.record) === digestOf(record));
    return { record, outcome: decided?.outcome ?? 'undecided' };
  });
  return [...evaluated, ...added].sort((a, b) => seconds(b.record['evaluated-at']) - seconds(a.record['evaluated-at']));
}

/** Without these sources, it is unknown what is promoted or whether the pipeline runs. */
const VITAL: readonly Problem['source'][] = ['image server', 'ledger', 'last decision'];

function stateOf(
  problems: readonly Problem[],
  health: Health,
  success: Promotion | undefined,
  heartbeat: string | null,
  { targetAge, heartbeatAge }: DashboardSettings,
  now: number,
): BranchModel['state'] {
  if (problems.some(({ source }) => VITAL.includes(source))) return 'broken';
  if (health.state === 'regressed') return 'regressed';
  if (heartbeat !== null && now - seconds(heartbeat) > heartbeatAge) return 'silent';
  if (success === undefined) return 'empty';
  return now - seconds(success.when) > targetAge ? 'late' : 'ok';
}

/** Reports the parts of the store that do not show the ledger's head, and the steps that the next run will take. */
function unfinished(history: BranchHistory, head: LedgerRecord | undefined, label: Label): Failure[] {
  const { labelTag, previousTag, candidateFiles, failures } = history;
  const isUnknown = failures.some(({ source }) => ['ledger', 'label', 'previous label'].includes(source));
  if (head === undefined || isUnknown) return [];
  const images = [head.candidate, head.previous].filter((image) => image !== undefined);
  const steps = stepsTo(head, {
    label: labelTag,
    previousLabel: previousTag,
    // Without listing the store, an absent file cannot be told from one that was not read.
    published: new Map(
      images.map((image) => {
        const file = candidateFiles.get(image.tag);
        return [image.tag, file === undefined ? image : imageOf(file)];
      }),
    ),
    // Registries are not read here.
    images: new Map(),
    withoutProof: new Set(),
  });
  if (steps.length === 0) return [];
  const todo = steps.map((step) => describeStep(step, label)).join(', ');
  return [{ source: 'label', why: `the store does not show record ${head.n} yet: the next run will ${todo}` }];
}

function candidateUnderTest(
  { candidateTag: tag, candidateFiles, lastDecision, records }: BranchHistory,
  current: Promotion | null,
): BranchModel['candidate'] {
  if (tag === undefined) return null;
  const file = candidateFiles.get(tag);
  const digest = file?.digest ?? null;
  const [head] = records;
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
  const { report, decision, reference, reason } = lastDecision;
  const isWaiting = decision === 'wait' || decision === 'reject' || decision === 'frozen';
  // A person may have promoted it after the decision.
  const isPromotedSince = current?.reference === reference && current.when >= lastDecision['decided-at'];
  return {
    'decided-at': lastDecision['decided-at'],
    decision,
    reason: oneLine(reason, 500),
    reference,
    'run-url': lastDecision['run-url'],
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

/** Over the last 12 weeks, or the ledger's age if it is younger; null in its first week. */
function promotionsAWeek(promotions: readonly Promotion[], now: number): number | null {
  const oldest = promotions.at(-1);
  const weeks = oldest === undefined ? 0 : Math.min(RATE_WEEKS, (now - seconds(oldest.when)) / WEEK);
  if (weeks < 1) return null;
  const recent = promotions.filter(
    ({ kind, when }) => (kind === 'earned' || kind === 'forced') && now - seconds(when) <= weeks * WEEK,
  );
  return Math.round((recent.length / weeks) * 10) / 10;
}

/** The nearest rank, so that the result is one of the values. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

/** The waivers of the newest decision's criteria, and the votes evaluated against them. */
function byNewestCriteria(
  history: BranchHistory,
  now: number,
): { waivers: BranchModel['waivers']; records: DecisionRecord[]; failures: Failure[] } {
  const newest = newestDecision(history.records, history.lastDecision);
  if (newest === undefined) return { waivers: [], records: [], failures: [] };
  try {
    const criteria = parseCriteria(newest.criteria.content, newest.criteria.label);
    const { repository } = candidateOf(newest.candidate);
    return { waivers: waiversOf(criteria), ...evaluatedVotes(history, criteria, repository, now) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { waivers: [], records: [], failures: [{ source: 'criteria', why: errorLine(error) }] };
  }
}

function waiversOf({ waivers }: Criteria): BranchModel['waivers'] {
  return waivers.map(({ job, until, reason, issue }) => ({
    job,
    until,
    reason: oneLine(reason, 300),
    issue: issue ?? null,
  }));
}
