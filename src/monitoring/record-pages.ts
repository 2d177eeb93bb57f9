import { oneLine } from '../base/errors.js';
import { groupBy } from '../base/group-by.js';
import { formatCandidate, formatRepository } from '../candidate/reference.js';
import type { JobState } from '../criteria/decision-record.js';
import { recordPath } from '../ledger/paths.js';
import { type Ban, decisionOf, type LedgerRecord, overriddenBy } from '../ledger/record.js';
import { RECORD_TYPE } from '../proof/record-proof.js';
import { HOW_TO } from './advice.js';
import { renderArchive } from './document.js';
import { filterStyle, recordKindFilter } from './history.js';
import { type Content, type Markup, markup } from './markup.js';
import type { DashboardModel } from './model.js';
import {
  branchAddress,
  command,
  KINDS,
  link,
  linkTo,
  RECORDS_A_PAGE,
  recordAddress,
  recordPageAddress,
  recordPages,
  runLink,
  type View,
  viewOf,
} from './page-parts.js';
import { MAX_RECORDS } from './read-branch.js';
import { minuteOf, shortDigest, shortNames } from './words.js';

/** A branch whose records get pages. */
export interface Recorded {
  readonly branch: string;
  readonly url: string;
  /** Newest first. */
  readonly records: readonly LedgerRecord[];
  /** The hash of the newest record's bytes, if it is known. */
  readonly headSha256: string | undefined;
}

/**
 * The pages of a branch's records by their names, each with a fixed range of numbers. A record's address ends in
 * `#n` and its number; with it, the page shows this record alone. There are many records, so a page says what they
 * share once: what the short names of jobs stand for, and how to see a proof. End tags that HTML does not need are left
 * out.
 */
export function renderRecordPages(branch: Recorded, model: DashboardModel): [string, string][] {
  const view = viewOf(model);
  const { records } = branch;
  const pages = recordPages(records[0]?.n ?? 0, records.length, records.length >= MAX_RECORDS);
  return pages.map((page) => {
    const own = records.filter(({ n }) => pageOf(n) === page);
    return [recordPageAddress(branch.branch, page), recordPage(branch, own, view)];
  });
}

function pageOf(n: number): number {
  return Math.ceil(n / RECORDS_A_PAGE);
}

interface Page {
  readonly branch: Recorded;
  readonly view: View;
  /** The names of its records' jobs, each with its short form on this page. */
  readonly jobs: ReadonlyMap<string, string>;
}

function recordPage(branch: Recorded, records: readonly LedgerRecord[], view: View): string {
  const newest = records[0]?.n ?? 0;
  const oldest = records.at(-1)?.n ?? 0;
  const page = { branch, view, jobs: shortJobs(records) };
  const lead = markup`<p class="soft"><a href="index.html">All branches</a> · <a href="${branchAddress(branch.branch)}">${branch.branch}</a> · <a href="#top">All records of this page</a></p>
`;
  const neighbour = (n: number, words: string) =>
    n < 1 || n > (branch.records[0]?.n ?? 0)
      ? undefined
      : markup`<a href="${recordPageAddress(branch.branch, pageOf(n))}">${words}</a> `;
  const main = markup`<div class="panel"><div class="list-only">${recordKindFilter()}</div>
${records.map((record) => article(record, page))}<p class="list-only pages">${neighbour(newest + 1, 'Newer records')}${neighbour(oldest - 1, 'Older records')}</p></div>
${shared(page)}`;
  const title = `${branch.branch}: records ${oldest}–${newest}`;
  return renderArchive({ title, lead, main, style: filterStyle([]) }, view);
}

/** Shorter names are hard to recognize. */
const LEAST_NAME = 3;

function shortJobs(records: readonly LedgerRecord[]): ReadonlyMap<string, string> {
  const jobs = new Set(records.flatMap((record) => decisionOf(record)?.jobs.map(({ job }) => job) ?? []));
  const short = shortNames([...jobs].sort());
  return [...short.values()].every(({ length }) => length >= LEAST_NAME) ? short : new Map();
}

/** The facts that all records of the page share. */
function shared({ jobs }: Page): Markup {
  const names = [...jobs].filter(([job, short]) => job !== short);
  const key =
    names.length === 0
      ? undefined
      : markup`<dt>Jobs<dd><ul>${names.map(([job, short]) => markup`<li><bdi>${short}</bdi> is <code><bdi>${job}</bdi></code>`)}</ul>
`;
  const look = `oras discover --format json --artifact-type ${RECORD_TYPE}`;
  return markup`<div class="panel"><dl class="shared">${key}<dt>Proof<dd>A record is attached to its image in each target that keeps referrers. To see whether a target has it, append the record's <em>Pull from</em>:${command(look)}${linkTo(`${HOW_TO}/verify-and-prune.md`, markup`Verify the ledger`)}, ${linkTo(`${HOW_TO}/verify-signatures.md`, markup`verify the signature`)}</dl></div>
`;
}

function article(record: LedgerRecord, page: Page): Markup {
  const { branch } = page;
  const { n, kind, candidate, who, event, reason, runUrl, previous } = record;
  const index = branch.records.indexOf(record);
  const [newer, before] = [branch.records[index - 1], branch.records[index + 1]];
  const overridden = overriddenBy(record);
  const skipped = record.kind === 'forced' ? record.skippedJobs : [];
  const goesBack = previous === undefined ? undefined : formatCandidate(previous);
  const isBefore = before !== undefined && goesBack === formatCandidate(before.candidate);
  return markup`<article class="k-${kind}" id="n${n}"><h2><a href="#n${n}">Record ${n}</a> <b>${KINDS[kind]}</b> <code><i>${formatRepository(candidate.repository)}:</i>${tagAndDigest(candidate)}</code> ${minute(record.when)}</h2><dl>
${row('Who', markup`<bdi>${who}${event === '' ? undefined : `, by ${event}`}</bdi>${runLink(runUrl ?? null)}`)}${row('Why', reason === '' ? undefined : markup`<bdi>${oneLine(reason, 1000)}</bdi>`)}${row('Before', markup`${whatWas(n, before, page)}${isBefore ? ' (a rollback goes back to it)' : undefined}`)}${row('Pull from', targets(record))}${row('Overrode', overridden.length === 0 ? undefined : overridden.join(', '))}${row('Skipped', skipped.length === 0 ? undefined : skipped.map((job, place) => markup`${place > 0 ? ', ' : ''}<bdi>${page.jobs.get(job) ?? job}</bdi>`))}${row('Evidence', evidence(record, page))}${row('On hold', bans('holds', record, index, page))}${row('Quarantined', bans('quarantine', record, index, page))}${row('A rollback goes to', isBefore ? undefined : previous === undefined ? 'nothing: it has no previous image' : tagAndDigest(previous))}${row('Proof', proof(record, newer === undefined ? branch.headSha256 : newer.prevSha256, page))}</dl></article>
`;
}

function row(term: string, content: Content): Content {
  return content === undefined
    ? undefined
    : markup`<dt>${term}<dd>${content}
`;
}

function tagAndDigest({ tag, digest }: LedgerRecord['candidate']): string {
  return `${tag}@${shortDigest(digest)}`;
}

function minute(iso: string): Markup {
  return markup`<time>${minuteOf(iso)}</time>`;
}

/** The address of record n, from the page that has record `from`. */
function addressFrom(from: number, n: number, { branch }: Page): string {
  return pageOf(from) === pageOf(n) ? `#n${n}` : recordAddress(branch.branch, n);
}

function whatWas(n: number, before: LedgerRecord | undefined, page: Page): Content {
  if (n === 1) return 'nothing';
  const address = markup`<a href="${addressFrom(n, n - 1, page)}">record ${n - 1}</a>`;
  return before === undefined ? address : markup`${address}, ${tagAndDigest(before.candidate)}`;
}

/** Each image by its digest, which is all that a pull needs. */
function targets({ targets, candidate }: LedgerRecord): Content {
  const where = targets.map(({ repository, tag, digest }) => {
    const named = tag === candidate.tag ? '' : `:${tag}`;
    return markup`<code>${formatRepository(repository)}${named}@${digest}</code> `;
  });
  const hasDigest = targets.some(({ digest }) => digest === candidate.digest);
  return hasDigest ? where : markup`${where}; the candidate was <code>${candidate.digest}</code>`;
}

/** The proof's hash, and a link to the record. The page explains once how to find the attached proof. */
function proof({ n }: LedgerRecord, hash: string | undefined, { branch, view }: Page): Content {
  const json = `${branch.url.replace(/\/$/, '')}/${recordPath(view.model.label, n)}`;
  return markup`${hash === undefined ? undefined : markup`<code>sha256:${hash}</code> of `}${linkTo(json, markup`the record as JSON`)}`;
}

/** The bans after a record: in full, or the record since which they are the same. */
function bans(kind: 'holds' | 'quarantine', record: LedgerRecord, index: number, page: Page): Content {
  const all = record[kind];
  if (all.length === 0) return undefined;
  const { records } = page.branch;
  const changed = records.findIndex((one, place) => place > index && !areSame(one[kind], all));
  const since = records[changed - 1];
  if (since !== undefined && since !== record) {
    return markup`as since <a href="${addressFrom(record.n, since.n, page)}">record ${since.n}</a>`;
  }
  return all.map(
    (ban, place) =>
      markup`${place > 0 ? markup`<br>` : undefined}${tagAndDigest({ ...record.candidate, ...ban })} since ${minute(ban.since)}, <bdi>${ban.who}</bdi>: <bdi>${oneLine(ban.reason, 300)}</bdi>`,
  );
}

function areSame(some: readonly Ban[], others: readonly Ban[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ digest, since }, place) => digest === others[place]?.digest && since === others[place].since)
  );
}

/** Each job's result, those with the same state and reason in one line. */
function evidence(record: LedgerRecord, { jobs }: Page): Content {
  const decision = decisionOf(record);
  if (decision === undefined) return 'none: nothing was evaluated';
  const line = (group: readonly JobState[]) => {
    const [{ state, why } = { state: 'unknown', why: '' }] = group;
    return markup`<li class="${state}"><b>${state}</b>: ${group.map((one, place) => markup`${place > 0 ? ', ' : ''}${resultOf(one, jobs.get(one.job) ?? one.job)}`)} (<bdi>${oneLine(why, 300)}</bdi>)`;
  };
  const groups = [...groupBy(decision.jobs, ({ state, why }) => `${state} ${why}`).values()];
  return markup`<b class="${decision.verdict}">${decision.verdict}</b>, evaluated ${minute(decision['evaluated-at'])}<ul>${groups.map(line)}</ul>`;
}

function resultOf({ since, url }: JobState, name: string): Markup {
  const job = url === null ? markup`<bdi>${name}</bdi>` : link(url, name);
  return since === null ? job : markup`${job} since ${minuteOf(since)}`;
}
