import type { Blockers, DecisionRecord } from './decision-record.js';

const WAYS_SHOWN = 3;

/** A decision as lines for a log. */
export function explain(record: DecisionRecord): string[] {
  const { jobs, warnings } = record;
  const nameWidth = Math.max(...jobs.map(({ job }) => job.length));
  return [
    `${record.verdict}: ${record.reason}`,
    `candidate ${record.candidate}`,
    `criteria ${record.criteria.label}, sha256 ${record.criteria.sha256}`,
    ...jobs.map(({ job, state, why, since, url }) => {
      const facts = [why, ...(since === null ? [] : [`since ${since}`]), ...(url === null ? [] : [url])];
      return `  ${state.padEnd(7)} ${job.padEnd(nameWidth)} ${facts.join(', ')}`;
    }),
    ...waysOut(record),
    ...record['not-counted'].map(({ job, url, why }) => `not counted: ${job}: ${why}${url === null ? '' : `, ${url}`}`),
    ...uncounted(record),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}

/** A decision as Markdown for a summary. */
export function explainMarkdown(record: DecisionRecord): string {
  const link = (url: string | null) => (url === null || /[()|]/.test(url) ? '' : `[result](${url})`);
  const list = (items: readonly string[]) => items.map((item) => `- ${plain(item)}`);
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    `### ${plain(record.verdict)}: ${plain(record.reason)}`,
    '',
    `Candidate \`${record.candidate}\`, criteria \`${record.criteria.label}\` (sha256 \`${record.criteria.sha256}\`)`,
    '',
    row(['job', 'state', 'why', 'since', '']),
    row(['---', '---', '---', '---', '---']),
    ...record.jobs.map(({ job, state, why, since, url }) =>
      row([plain(job), state, plain(why), since ?? '', link(url)]),
    ),
    '',
    ...list(waysOut(record)),
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

/** Says what would get the candidate promoted, and what helps a job that a pass does not help. */
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

/** Says how many results that do not count are left out. */
function uncounted({ 'not-counted': shown, 'not-counted-total': total = shown.length }: DecisionRecord): string[] {
  return total > shown.length ? [`not counted: ${total - shown.length} more`] : [];
}

function condition({ jobs, 'aggregate-hash': hash }: Blockers): string {
  const passed = jobs.map((anyOf) => (anyOf.length === 1 ? anyOf.join() : `one of ${anyOf.join(', ')}`));
  return `${passed.join(' and ')} passed${hash === null ? '' : ` on aggregate hash ${hash}`}`;
}

/** Escapes text from outside so that Markdown and HTML show it unchanged. */
function plain(text: string): string {
  return text.replace(/[&<>|`*[\]\\]/g, (character) => `&#${character.charCodeAt(0)};`);
}
