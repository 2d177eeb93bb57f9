import { type Candidate, formatCandidate, formatRepository } from '../../candidate/reference.js';
import { blockingJobs, explainMarkdown, markdownText as plain } from '../../criteria/explain.js';
import type { Label } from '../../ledger/names.js';
import { recordPath } from '../../ledger/paths.js';
import { type Ban, keepsImage, type LedgerRecord } from '../../ledger/record.js';
import { dispatch, repositoryOf } from '../../monitoring/dispatch.js';
import { shortDigest } from '../../monitoring/words.js';
import type { Promoted } from '../../promotion/promote.js';
import type { RunContext } from '../../runner/context.js';
import { describeFailing } from './promotion-result.js';

/** The places that a summary names besides the decision. */
export interface SummaryPlaces {
  readonly label: Label;
  /** The store, as its user writes it; undefined in a dry run without one. */
  readonly store: string | undefined;
  /** The address at which a browser can read the store; undefined if it has none. */
  readonly url: URL | undefined;
  /** The page that shows this label. */
  readonly dashboard: URL | undefined;
  /** The file of the workflow that takes a person's decisions; undefined if it is not known. */
  readonly workflow: string | undefined;
  /** The inputs that its dispatch needs besides the decision itself. */
  readonly dispatchInputs: Readonly<Record<string, string>>;
}

/** A placeholder that a person replaces. */
const REASON = 'WHY';

/**
 * The result of a run and the way to undo it, as Markdown for the job's summary; the log repeats it. A digest is
 * written in full once, in the row of its image, and is short elsewhere.
 */
export function summarizePromotion(
  promoted: Promoted,
  dryRun: boolean,
  places: SummaryPlaces,
  context: RunContext,
): string {
  const { outcome, record, before } = promoted;
  const done = record !== undefined && record !== before ? record : undefined;
  const rows = done === undefined ? undecidedRows(promoted, places) : doneRows(done, promoted, dryRun, places);
  const isPromoted = done !== undefined || record?.candidate.digest === outcome.candidate.digest;
  const evidence = outcome.report && explainMarkdown(outcome.report, { isPromoted });
  return [
    `## ${plain(shortened(headline(promoted, places.label, dryRun)))}`,
    '',
    '| | |',
    '| --- | --- |',
    ...[...rows, ...regressionRows(promoted)].map(([name, text]) => `| ${name} | ${text} |`),
    '',
    ...(dryRun ? [] : wayBack(promoted, done, places, context)),
    ...(evidence === undefined ? [] : [evidence]),
  ].join('\n');
}

type Row = readonly [string, string];

function headline({ outcome, record, before }: Promoted, label: Label, dryRun: boolean): string {
  const { decision, candidate, reason } = outcome;
  const start = `${dryRun ? 'dry run: ' : ''}${label}: `;
  const did = (done: string, would: string) => `${start}${dryRun ? would : done}`;
  const [ban] = record === undefined || record === before ? [] : changedBans(record, before);
  if (record !== undefined && record !== before && keepsImage(record) && ban !== undefined) {
    if (record.kind === 'lift') return did(`lifted the hold on ${ban.tag}`, `would lift the hold on ${ban.tag}`);
    return record.kind === 'hold'
      ? did(`put ${ban.tag} on hold`, `would put ${ban.tag} on hold`)
      : did(`quarantined ${ban.tag}`, `would quarantine ${ban.tag}`);
  }
  const { tag } = candidate;
  switch (decision) {
    case 'promote':
      return did(`promoted ${tag}`, `would promote ${tag}`);
    case 'force':
      return did(`forced ${tag}`, `would force ${tag}`);
    case 'adopt':
      return did(`adopted ${tag}`, `would adopt ${tag}`);
    case 'rollback': {
      const way = `${before === undefined ? '' : `from ${before.candidate.tag} `}to ${tag}`;
      return did(`rolled back ${way}`, `would roll back ${way}`);
    }
    case 'wait':
      return `${start}${tag} waits: ${reason}`;
    case 'reject':
      return `${start}${tag} is rejected: ${reason}`;
    case 'frozen':
      return `${start}frozen: ${reason}`;
    case 'unchanged':
      return outcome.regression === undefined
        ? `${start}nothing changed: ${tag} is promoted already`
        : `${start}${tag} is promoted, and has regressed`;
  }
}

/** The changes of a record, and where to see them; in a dry run, the changes that it would make. */
function doneRows(record: LedgerRecord, promoted: Promoted, dryRun: boolean, places: SummaryPlaces): Row[] {
  const { outcome, before, withoutReferrers } = promoted;
  const { candidate, targets, label, previous, holds } = record;
  const { skippedJobs = [], overridden = [] } = outcome;
  const moves = !keepsImage(record);
  const about = moves ? [] : changedBans(record, before);
  const at = places.store === undefined ? '' : ` at ${code(places.store)}`;
  return [
    ...about.map(({ tag, digest }): Row => ['Image', code(`${tag}@${digest}`)]),
    [moves ? 'Image' : 'Promoted now', moves ? code(formatCandidate(candidate)) : short(candidate)],
    ...(moves ? [['Before', before === undefined ? 'nothing' : short(before.candidate)] as const] : []),
    ['Why', plain(record.reason)],
    ['Who', plain([record.who, ...(record.event === '' ? [] : [`by ${record.event}`])].join(', '))],
    ...(skippedJobs.length === 0 ? [] : [['Skipped', skippedJobs.map(code).join(', ')] as const]),
    ...(overridden.length === 0 ? [] : [['Overridden', overridden.join(', ')] as const]),
    ...(moves
      ? targets.map(({ repository, tag, digest, source }): Row => {
          const name = formatRepository(repository);
          const isCandidate = digest === candidate.digest;
          const of = isCandidate ? `\`${shortDigest(digest)}…\`` : code(digest);
          const from = isCandidate ? '' : `, from ${code(formatRepository(source.repository))}`;
          return ['Target', `${code(`${name}:${tag}`)} and ${code(`:${label}`)}, ${of}${from}`];
        })
      : []),
    ['Label', `${code(label)} ${dryRun ? 'would name' : 'names'} ${code(candidate.tag)}${at}`],
    ['Previous', previous === undefined ? 'nothing: there is no image to roll back to' : short(previous)],
    ['On hold', holds.length === 0 ? 'nothing' : holds.map(describeHold).join('; ')],
    ...(dryRun
      ? []
      : [
          ['Record', recordLink(record, places)] as const,
          [
            'Proof',
            withoutReferrers.length === 0
              ? 'attached at each target'
              : `not kept by ${withoutReferrers.map(code).join(', ')}`,
          ] as const,
        ]),
    ...dashboardRows(places),
  ];
}

/** The candidate and the promoted image, if this run changed nothing. */
function undecidedRows({ outcome: { candidate }, record }: Promoted, places: SummaryPlaces): Row[] {
  const isPromoted = record?.candidate.digest === candidate.digest;
  return [
    ['Image', code(formatCandidate(candidate))],
    ...(isPromoted ? [] : [['Promoted now', record === undefined ? 'nothing' : short(record.candidate)] as const]),
    ...(record === undefined ? [] : [['Record', recordLink(record, places)] as const]),
    ...dashboardRows(places),
  ];
}

function regressionRows(promoted: Promoted): Row[] {
  const failing = describeFailing(promoted);
  return failing === undefined ? [] : [['Regressed', plain(shortened(failing))]];
}

function dashboardRows({ dashboard }: SummaryPlaces): Row[] {
  return dashboard === undefined ? [] : [['Dashboard', dashboard.href]];
}

/** The bans that a record adds, or that a lift ends. */
function changedBans(record: LedgerRecord, before: LedgerRecord | undefined): readonly Ban[] {
  const without = (bans: readonly Ban[], others: readonly Ban[]) =>
    bans.filter((ban) => !others.some((other) => JSON.stringify(other) === JSON.stringify(ban)));
  const earlier = { holds: before?.holds ?? [], quarantine: before?.quarantine ?? [] };
  return record.kind === 'lift'
    ? without(earlier.holds, record.holds)
    : [...without(record.holds, earlier.holds), ...without(record.quarantine, earlier.quarantine)];
}

/** The way to undo the decision, to roll back from an image that has regressed, or to force one that waits. */
function wayBack(
  { outcome: { decision, reason, candidate, report, regression }, before }: Promoted,
  done: LedgerRecord | undefined,
  places: SummaryPlaces,
  context: RunContext,
): string[] {
  if (done !== undefined) {
    const way = undo(done, before);
    return 'none' in way ? [`**Undo:** ${way.none}.`, ''] : startByHand('Undo', way.inputs, places, context, way.then);
  }
  if (regression !== undefined && before?.previous !== undefined) {
    return startByHand(`Go back to ${before.previous.tag}`, { 'rollback-to': 'previous' }, places, context);
  }
  if (decision === 'frozen')
    return ['**Way out:** whoever set the input `freeze` has to clear it; then the next run promotes.', ''];
  // A force does not help if something other than the evidence blocks the candidate.
  if (report === undefined || report.verdict === 'promote' || report.reason !== reason) return [];
  const { tag } = candidate;
  const jobs = blockingJobs(report);
  const force = {
    'force-tag': tag,
    'force-confirm': tag,
    ...(jobs.length > 0 && { 'skip-jobs': jobs.join(' ') }),
  };
  return startByHand('Only if it cannot wait', force, places, context);
}

type Fields = Readonly<Record<string, string>>;

/** How to undo a record: the inputs of a dispatch, and what comes after it. */
function undo(
  record: LedgerRecord,
  before: LedgerRecord | undefined,
): { readonly inputs: Fields; readonly then?: string } | { readonly none: string } {
  const [ban] = changedBans(record, before);
  if (record.kind === 'quarantine') return { none: 'nothing ends a quarantine' };
  if (ban !== undefined && record.kind === 'hold') return { inputs: { 'lift-hold': ban.digest } };
  if (ban !== undefined && record.kind === 'lift') return { inputs: { hold: ban.digest } };
  // The image that an older one has replaced is on hold, so it cannot be rolled back to.
  const left = record.holds.find(({ digest }) => digest === before?.candidate.digest);
  if (left !== undefined) {
    const then = `Then the next run promotes ${plain(left.tag)} again if it meets the criteria; if not, force it.`;
    return { inputs: { 'lift-hold': left.tag }, then };
  }
  return record.previous === undefined
    ? { none: 'there is no earlier image to roll back to' }
    : { inputs: { 'rollback-to': 'previous' } };
}

/** The inputs with which a person starts the workflow and, if `gh` can start it, the command. */
function startByHand(
  what: string,
  decision: Fields,
  { workflow, dispatchInputs }: SummaryPlaces,
  { isGitHub, runUrl }: RunContext,
  then?: string,
): string[] {
  const fields = { ...dispatchInputs, ...decision, 'force-reason': REASON };
  const inputs = Object.entries(fields).map(([name, value]) => code(`${name}: ${value}`));
  const start = workflow === undefined ? 'dispatch evaluate-and-promote' : `start ${code(workflow)} by hand`;
  const said = `**${what}:** ${start} with ${inputs.join(', ')}.${then === undefined ? '' : ` ${then}`}`;
  if (workflow === undefined || !isGitHub) return [said, ''];
  return [said, '', '```sh', dispatch({ file: workflow, repository: repositoryOf(runUrl) }, fields), '```', ''];
}

function recordLink({ label, n, kind }: LedgerRecord, { url, store }: SummaryPlaces): string {
  const path = recordPath(label, n);
  if (url !== undefined) return `[${n}](${url.href.replace(/\/*$/, '')}/${path}), ${kind}`;
  return `${n}, ${kind}: ${code(path)}${store === undefined ? '' : ` at ${code(store)}`}`;
}

function describeHold({ tag, digest, reason }: Ban): string {
  return `${code(tag)} (\`${shortDigest(digest)}…\`): ${plain(shortened(reason))}`;
}

function short({ tag, digest }: Candidate): string {
  return `${code(tag)} (\`${shortDigest(digest)}…\`)`;
}

/** Text with its digests cut to 12 hex digits. */
function shortened(text: string): string {
  return text.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, '$1…');
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
