import type { Blockers, DecisionRecord } from './decision-record.js';

/** How many ways out are shown; the record has all of them. */
const WAYS_SHOWN = 3;

/** A decision in lines for a log. */
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
    ...record['blocked-by'].slice(0, WAYS_SHOWN).map((blockers) => `would promote if ${condition(blockers)}`),
    ...record['not-counted'].map(({ job, url, why }) => `not counted: ${job}: ${why}${url === null ? '' : `, ${url}`}`),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}

/** A decision in Markdown for a summary. */
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
    ...list(record['blocked-by'].slice(0, WAYS_SHOWN).map((blockers) => `would promote if ${condition(blockers)}`)),
    ...list(record['not-counted'].map(({ job, why }) => `not counted: ${job}: ${why}`)),
    ...list(record.warnings.map((warning) => `warning: ${warning}`)),
    '',
  ].join('\n');
}

/** The jobs that stand between the candidate and its promotion; none where the verdict is to promote. */
export function blockingJobs(record: DecisionRecord): string[] {
  return record['blocked-by'][0]?.jobs.flat() ?? [];
}

function condition({ jobs, 'aggregate-hash': hash }: Blockers): string {
  const passed = jobs.map((anyOf) => (anyOf.length === 1 ? anyOf.join() : `one of ${anyOf.join(', ')}`));
  return `${passed.join(' and ')} passed${hash === null ? '' : ` on aggregate hash ${hash}`}`;
}

/** Text from outside that Markdown and HTML leave as it is. */
function plain(text: string): string {
  return text.replace(/[&<>|`*[\]\\]/g, (character) => `&#${character.charCodeAt(0)};`);
}
