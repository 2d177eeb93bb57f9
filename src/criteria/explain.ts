import type { Tone } from '../base/log.js';
import type { Blockers, DecisionRecord } from './decision-record.js';

const WAYS_SHOWN = 3;

export interface Line {
  readonly text: string;
  readonly tone?: Tone;
}

const TONES = { met: 'good', unmet: 'bad', unknown: 'unsure', waived: 'unsure' } as const;
const VERDICT_TONES = { promote: 'good', reject: 'bad', wait: 'unsure' } as const;

/** A decision as lines for a log. */
export function explain(record: DecisionRecord): Line[] {
  const { jobs, warnings } = record;
  const nameWidth = Math.max(...jobs.map(({ job }) => job.length));
  const lines = (texts: readonly string[]) => texts.map((text): Line => ({ text }));
  return [
    { text: `${record.verdict}: ${record.reason}`, tone: VERDICT_TONES[record.verdict] },
    ...lines([`candidate ${record.candidate}`, `criteria ${record.criteria.label}, sha256 ${record.criteria.sha256}`]),
    ...jobs.map(({ job, state, why, since, url }): Line => {
      const facts = [why, ...(since === null ? [] : [`since ${since}`]), ...(url === null ? [] : [url])];
      return { text: `  ${state.padEnd(7)} ${job.padEnd(nameWidth)} ${facts.join(', ')}`, tone: TONES[state] };
    }),
    ...lines(waysOut(record)),
    ...lines(
      record['not-counted'].map(({ job, url, why }) => `not counted: ${job}: ${why}${url === null ? '' : `, ${url}`}`),
    ),
    ...lines(uncounted(record)),
    ...lines(warnings.map((warning) => `warning: ${warning}`)),
  ];
}

/**
 * The evidence of a decision as Markdown for a summary. If the candidate was promoted, the ways to get it promoted are
 * left out.
 */
export function explainMarkdown(record: DecisionRecord, { isPromoted }: { readonly isPromoted: boolean }): string {
  const link = (url: string | null) => (url === null || /[()|]/.test(url) ? '' : `[result](${url})`);
  const list = (items: readonly string[]) => items.map((item) => `- ${markdownText(item)}`);
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    `### Evidence: ${markdownText(record.verdict)}`,
    '',
    `${markdownText(record.reason)}. The criteria are \`${record.criteria.label}\`, sha256 \`${record.criteria.sha256.slice(0, 12)}…\`.`,
    '',
    row(['job', 'state', 'why', 'since', '']),
    row(['---', '---', '---', '---', '---']),
    ...record.jobs.map(({ job, state, why, since, url }) =>
      row([markdownText(job), state, markdownText(why), since ?? '', link(url)]),
    ),
    '',
    ...(isPromoted ? [] : list(waysOut(record))),
    ...list(record['not-counted'].map(({ job, why }) => `not counted: ${job}: ${why}`)),
    ...list(uncounted(record)),
    ...list(record.warnings.map((warning) => `warning: ${warning}`)),
    '',
  ].join('\n');
}

/** The jobs that keep the candidate from being promoted; none if the verdict is to promote. */
export function blockingJobs(record: DecisionRecord): string[] {
  return record['blocked-by'][0]?.jobs.flat() ?? [];
}

/** The ways to get the candidate promoted, and the way out for each job that a new pass does not help. */
function waysOut({ jobs, 'blocked-by': blockedBy }: DecisionRecord): string[] {
  const stuck = jobs.filter((state) => state['way-out'] !== undefined);
  const canPass = (job: string) => stuck.every((state) => state.job !== job);
  const conditions = blockedBy
    .map((blockers) => ({ ...blockers, jobs: blockers.jobs.map((anyOf) => anyOf.filter(canPass)) }))
    .filter((blockers) => blockers.jobs.every((anyOf) => anyOf.length > 0));
  return [
    ...conditions.slice(0, WAYS_SHOWN).map((blockers) => `would promote if ${condition(blockers)}`),
    ...stuck.map(
      ({ job, url, 'way-out': wayOut }) => `${job}: ${wayOut}${url === null ? '' : ` (the failure: ${url})`}`,
    ),
  ];
}

/** Names the number of results that do not count and are not shown. */
function uncounted({ 'not-counted': shown, 'not-counted-total': total = shown.length }: DecisionRecord): string[] {
  return total > shown.length ? [`not counted: ${total - shown.length} more`] : [];
}

function condition({ jobs, 'aggregate-hash': hash }: Blockers): string {
  const passed = jobs.map((anyOf) => (anyOf.length === 1 ? anyOf.join() : `one of ${anyOf.join(', ')}`));
  return `${passed.join(' and ')} passed${hash === null ? '' : ` on aggregate hash ${hash}`}`;
}

/** Escapes text from outside so that Markdown and HTML show it unchanged. */
export function markdownText(text: string): string {
  return text.replace(/[&<>|`*[\]\\]/g, (character) => `&#${character.charCodeAt(0)};`);
}
