import { createHash } from 'node:crypto';
import { oneLine } from '../base/errors.js';
import { type Candidate, formatCandidate } from '../candidate/reference.js';
import { markdownText } from '../criteria/explain.js';
import { recordPath } from '../ledger/paths.js';
import type { LedgerEnd } from '../ledger/proofs.js';
import { decisionOf, type LedgerRecord } from '../ledger/record.js';
import { type ChangeText, marker } from './decide.js';
import { formatTrailer, withRecord } from './position.js';

/** A promotion to propose, with the record that it comes from, if it is known. */
export interface Proposed {
  readonly candidate: Candidate;
  readonly label: string;
  /** The newest record of the label's ledger; undefined if only a reference was given. */
  readonly record: LedgerRecord | undefined;
  /** The ledger of that record, and the record's place in it. */
  readonly position: LedgerEnd | undefined;
  /** The address at which anybody can read the store. */
  readonly store: URL | undefined;
}

/** The values of a file before and after the change. */
export interface Replaced {
  readonly file: string;
  readonly before: readonly string[];
  readonly after: string;
}

const MAX_TITLE = 120;
const MAX_JOBS = 50;

/** The title and the text of a change: old and new values, and the reason with links to the record and the evidence. */
export function describeChange(proposed: Proposed, replaced: readonly Replaced[]): ChangeText {
  const { candidate } = proposed;
  const rows = replaced.flatMap(({ file, before, after }) =>
    [...new Set(before)].map((old) => `| ${code(file)} | ${code(old)} | ${code(after)} |`),
  );
  return {
    title: titleOf(proposed),
    body: withRecord(
      [
        `${code(formatCandidate(candidate))} is promoted as ${code(proposed.label)}.`,
        '',
        '| file | from | to |',
        '| --- | --- | --- |',
        ...rows,
        '',
        ...why(proposed),
        marker(candidate.digest),
      ].join('\n'),
      proposed.position,
    ),
  };
}

function titleOf({ candidate, label }: Pick<Proposed, 'candidate' | 'label'>): string {
  const name = candidate.repository.path.split('/').at(-1);
  return oneLine(`Update ${name} to ${candidate.tag} (${label})`, MAX_TITLE);
}

function why({ record, store }: Proposed): string[] {
  if (record === undefined) return [];
  const path = recordPath(record.label, record.n);
  const link =
    store === undefined ? `${record.n} (${code(path)})` : `[${record.n}](${store.href.replace(/\/*$/, '')}/${path})`;
  const run = record.runUrl === undefined ? '' : ` by [this run](${linkTarget(record.runUrl)})`;
  const jobs = decisionOf(record)?.jobs ?? [];
  return [
    `Why: ${markdownText(oneLine(record.reason, 500))}`,
    '',
    `Ledger record ${link}, ${record.kind}, of ${record.when}${run}.`,
    '',
    ...jobs.slice(0, MAX_JOBS).map(({ job, state, why: because, url }) => {
      const result = url === null ? '' : ` ([result](${linkTarget(url)}))`;
      return `- ${markdownText(job)}: ${state}, ${markdownText(because)}${result}`;
    }),
    ...(jobs.length > MAX_JOBS ? [`- and ${jobs.length - MAX_JOBS} more`] : []),
    '',
  ];
}

/** The commit's message, always the same for the same change. The trailers come last, as Gerrit requires. */
export function commitMessage({ position, ...proposed }: Proposed, more: readonly string[]): string {
  const { candidate, record } = proposed;
  const source =
    record === undefined ? [] : [`Ledger record ${record.n} (${record.kind}): ${oneLine(record.reason, 300)}`];
  const trailers = [...(position === undefined ? [] : [formatTrailer(position)]), ...more];
  const paragraphs = [titleOf(proposed), formatCandidate(candidate), ...source, trailers.join('\n')];
  return `${paragraphs.filter((text) => text !== '').join('\n\n')}\n`;
}

/**
 * Gerrit's Change-Id ("Change-Id Lines" in Gerrit's documentation). It depends on the values that a merge would
 * replace, so that all promotions until the merge are patch sets of one change, and the next one after it is a new
 * change. If the same values were proposed before, `n` makes a new Id.
 */
export function changeIdOf(
  repository: string,
  base: string,
  label: string,
  replaced: readonly Replaced[],
  n: number,
): string {
  const values = replaced.map(({ file, before }) => [file, ...before]);
  const text = JSON.stringify([repository, base, label, values, n]);
  return `I${createHash('sha1').update(text).digest('hex')}`;
}

/** Comments are how a later run reads what a change proposes: none may come from a file. */
function code(text: string): string {
  return `\`${oneLine(text, 300).replaceAll('`', "'").replaceAll('|', '\\|').replaceAll('<!--', '<! --')}\``;
}

function linkTarget(url: string): string {
  return url.replaceAll(/[()<>\s|]/g, (character) =>
    encodeURIComponent(character).replace('(', '%28').replace(')', '%29'),
  );
}
