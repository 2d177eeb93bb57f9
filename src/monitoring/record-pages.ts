import { oneLine } from '../base/errors.js';
import { groupBy } from '../base/group-by.js';
import { formatCandidate, formatRepository } from '../candidate/reference.js';
import type { JobState } from '../criteria/decision-record.js';
import { recordPath } from '../ledger/paths.js';
import { type Ban, decisionOf, type LedgerRecord, overriddenBy } from '../ledger/record.js';
import { RECORD_TYPE } from '../proof/record-proof.js';
import { HOW_TO } from './advice.js';
import { renderArchive } from './document.js';
import { recordKindFilter } from './history.js';
import { type Content, type Markup, markup, render } from './markup.js';
import type { DashboardModel } from './model.js';
import {
  branchAddress,
  command,
  isWebAddress,
  KINDS,
  LISTED_OF_BRANCH,
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
 * `#n` and its number; with it, the page shows this record alone. There are many records, so a page says only once
 * what they share: where the images are from, what the short names of jobs stand for, and how to see a proof. Of an
 * older record it says only what differs from most, and leaves the rest to the record's file. End tags that HTML does
 * not need are left out.
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
  readonly records: readonly LedgerRecord[];
  /** Those of its records that are shown in brief. */
  readonly older: readonly LedgerRecord[];
  /** The repository that the newest of its records promotes from. */
  readonly source: string;
  /** The names of its records' jobs, each with its short form on this page. */
  readonly jobs: ReadonlyMap<string, string>;
  /** What most of its older records have in common. */
  readonly usual: Markup;
}

function recordPage(branch: Recorded, records: readonly LedgerRecord[], view: View): string {
  const newest = records[0]?.n ?? 0;
  const oldest = records.at(-1)?.n ?? 0;
  const source = records[0] === undefined ? '' : formatRepository(records[0].candidate.repository);
  const jobs = shortJobs(records);
  const older = records.filter((record) => !isDetailed(record, branch));
  const page: Page = { branch, view, records, older, source, jobs, usual: usualOf(older, jobs) };
  const lead = markup`<p class="soft"><a href="index.html">All branches</a> · <a href="${branchAddress(branch.branch)}">${branch.branch}</a> · <a href="#top">All records of this page</a></p>
`;
  const neighbour = (n: number, words: string) =>
    n < 1 || n > (branch.records[0]?.n ?? 0)
      ? undefined
      : markup`<a href="${recordPageAddress(branch.branch, pageOf(n))}">${words}</a> `;
  const main = markup`<div class="panel"><div class="list-only">${recordKindFilter(records)}</div>
${records.map((record) => article(record, page))}<p class="list-only pages">${neighbour(newest + 1, 'Newer records')}${neighbour(oldest - 1, 'Older records')}</p></div>
${shared(page)}`;
  const title = `${branch.branch}: records ${oldest}–${newest}`;
  return renderArchive({ title, lead, main }, view);
}

/** Shorter names are hard to recognize. */
const LEAST_NAME = 3;

function shortJobs(records: readonly LedgerRecord[]): ReadonlyMap<string, string> {
  const jobs = new Set(records.flatMap((record) => decisionOf(record)?.jobs.map(({ job }) => job) ?? []));
  const short = shortNames([...jobs].sort());
  return [...short.values()].every(({ length }) => length >= LEAST_NAME) ? short : new Map();
}

/** What all records of the page have in common. */
function shared(page: Page): Markup {
  const { jobs, source } = page;
  const names = [...jobs].filter(([job, short]) => job !== short);
  const key =
    names.length === 0
      ? undefined
      : markup`<ul>${names.map(([job, short]) => markup`<li><bdi>${short}</bdi> is <code><bdi>${job}</bdi></code>`)}</ul>`;
  const verify = markup`${linkTo(`${HOW_TO}/verify-and-prune.md`, markup`the ledger`)}, ${linkTo(`${HOW_TO}/verify-signatures.md`, markup`the signature`)}`;
  return markup`<div class="panel"><dl class="shared">${row('Images', markup`from <code>${source}</code>, unless a record names another repository`)}${row('Jobs', key)}${row('In brief', inBrief(page))}${row('Proof', attached(page))}${row('Verify', verify)}</dl></div>
`;
}

/** What is left out of the page's older records, and where it is. */
function inBrief(page: Page): Content {
  const {
    branch,
    older: [newest],
    usual,
    view,
  } = page;
  if (newest === undefined) return undefined;
  const file = jsonAddress(newest, branch, view);
  const [linked, hash] = isWebAddress(file)
    ? [', which its image links to', command(`curl -fsS ${file} | sha256sum`)]
    : [];
  return markup`Record ${newest.n} and those before it. Unless a record says otherwise, it is by ${usual} The record below it has the image that was promoted before. The rest (digests, results, the run, where to pull from) is in the record's file, such as <code>${recordPath(view.model.label, newest.n)}</code>${linked}. The file's hash identifies the proof.${hash}`;
}

/** How to see the proofs of the records that say where to pull their images from. */
function attached({ records, older }: Page): Content {
  if (older.length === records.length) return undefined;
  const look = `oras discover --format json --artifact-type ${RECORD_TYPE}`;
  return markup`A record is attached to its image in each target that keeps referrers. To see whether a target has it, add its address from the record's <em>Pull from</em> to this command:${command(look)}`;
}

/** All records of a short ledger are shown with all details, and the newest of a longer one. */
function isDetailed({ n }: LedgerRecord, { records: [head] }: Recorded): boolean {
  const newest = head?.n ?? 0;
  return newest <= RECORDS_A_PAGE || n > newest - LISTED_OF_BRANCH;
}

function article(record: LedgerRecord, page: Page): Markup {
  const { n, kind, candidate } = record;
  const repository = formatRepository(candidate.repository);
  const image = `${repository === page.source ? '' : `${repository}:`}${tagAndDigest(candidate)}`;
  const [name, content] = page.older.includes(record)
    ? [linkTo(jsonAddress(record, page.branch, page.view), markup`${image}`), brief(record, page)]
    : [markup`<code>${image}</code>`, details(record, page)];
  return markup`<article class="k-${kind}" id="n${n}"><h2><a href="#n${n}">Record ${n}</a> <b>${KINDS[kind]}</b> ${name} ${minute(record.when)}</h2>${content}</article>
`;
}

function details(record: LedgerRecord, page: Page): Markup {
  const { branch } = page;
  const { n, who, event, reason, runUrl, previous } = record;
  const index = branch.records.indexOf(record);
  const [newer, before] = [branch.records[index - 1], branch.records[index + 1]];
  const goesBack = previous === undefined ? undefined : formatCandidate(previous);
  const isBefore = before !== undefined && goesBack === formatCandidate(before.candidate);
  return markup`<dl>
${row('Who', markup`<bdi>${who}${event === '' ? undefined : `, by ${event}`}</bdi>${runLink(runUrl ?? null)}`)}${row('Why', reason === '' ? undefined : why(reason))}${row('Before', markup`${whatWas(n, before, page)}${isBefore ? ' (a rollback goes back to it)' : undefined}`)}${row('Pull from', targets(record))}${row('Overrode', overrode(record))}${row('Skipped', skipped(record, page))}${row('Evidence', evidence(record, page))}${row('On hold', bans('holds', record, index, page))}${row('Quarantined', bans('quarantine', record, index, page))}${row('A rollback goes to', isBefore ? undefined : previous === undefined ? 'nothing: it has no previous image' : tagAndDigest(previous))}${row('Proof', proof(record, newer === undefined ? branch.headSha256 : newer.prevSha256, page))}</dl>`;
}

/** What is unusual about an older record, in one paragraph. */
function brief(record: LedgerRecord, page: Page): Content {
  const { branch, records, jobs, usual } = page;
  const { n, reason } = record;
  const before = branch.records[branch.records.indexOf(record) + 1];
  const made = madeBy(record, jobs);
  const isSaid = reason === '' || reason === decisionOf(record)?.reason;
  const parts = [
    render(made) === render(usual) ? undefined : markup`By ${made}`,
    said('why', isSaid ? undefined : why(reason)),
    said('overrode', overrode(record)),
    said('skipped', skipped(record, page)),
    changedBans('holds', record, before),
    changedBans('quarantine', record, before),
    before !== undefined && records.includes(before) ? undefined : said('before', whatWas(n, before, page)),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : markup`<p>${parts}`;
}

/** Who made a record, and the results it is based on. */
function madeBy(record: LedgerRecord, jobs: Page['jobs']): Markup {
  const { who, event } = record;
  const decision = decisionOf(record);
  const byState = [...groupBy(decision?.jobs ?? [], ({ state }) => state)];
  const results = byState.map(([state, group]) =>
    said(state, markup`<bdi>${group.map(({ job }) => jobs.get(job) ?? job).join(', ')}</bdi>`),
  );
  return markup`<bdi>${who}${event === '' ? undefined : ` (${event})`}</bdi>.${decision === undefined ? ' Nothing was evaluated.' : results}`;
}

/** What most of these records have in common: who made them, and the results. */
function usualOf(records: readonly LedgerRecord[], jobs: Page['jobs']): Markup {
  const groups = [
    ...groupBy(
      records.map((record) => madeBy(record, jobs)),
      render,
    ).values(),
  ];
  const [usual] = groups.sort((a, b) => b.length - a.length)[0] ?? [];
  return usual ?? markup``;
}

/** `Why: …`, a sentence of a paragraph. */
function said(word: string, content: Content): Content {
  return content === undefined ? undefined : markup` ${word[0]?.toUpperCase()}${word.slice(1)}: ${content}.`;
}

function why(reason: string): Markup {
  return markup`<bdi>${oneLine(reason, 1000)}</bdi>`;
}

function overrode(record: LedgerRecord): Content {
  const overridden = overriddenBy(record);
  return overridden.length === 0 ? undefined : overridden.join(', ');
}

function skipped(record: LedgerRecord, { jobs }: Page): Content {
  if (record.kind !== 'forced' || record.skippedJobs.length === 0) return undefined;
  return record.skippedJobs.map((job, place) => markup`${place > 0 ? ', ' : ''}<bdi>${jobs.get(job) ?? job}</bdi>`);
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
function proof(record: LedgerRecord, hash: string | undefined, { branch, view }: Page): Content {
  return markup`${hash === undefined ? undefined : markup`<code>sha256:${hash}</code> of `}${linkTo(jsonAddress(record, branch, view), markup`the record as JSON`)}`;
}

function jsonAddress({ n }: LedgerRecord, { url }: Recorded, { model }: View): string {
  return `${url.replace(/\/$/, '')}/${recordPath(model.label, n)}`;
}

type BanKind = 'holds' | 'quarantine';

/** The bans after a record: in full, or the record since which they are the same. */
function bans(kind: BanKind, record: LedgerRecord, index: number, page: Page): Content {
  const all = record[kind];
  if (all.length === 0) return undefined;
  const { records } = page.branch;
  const changed = records.findIndex((one, place) => place > index && !areSame(one[kind], all));
  const since = records[changed - 1];
  if (since !== undefined && since !== record) {
    return markup`unchanged since <a href="${addressFrom(record.n, since.n, page)}">record ${since.n}</a>`;
  }
  return banList(all, record);
}

/** A sentence about the images that are banned after a record, if it changed them. */
function changedBans(kind: BanKind, record: LedgerRecord, before: LedgerRecord | undefined): Content {
  const all = record[kind];
  if (areSame(all, before?.[kind] ?? [])) return undefined;
  const state = kind === 'holds' ? 'on hold' : 'quarantined';
  if (all.length === 0) return ` Nothing is ${state} any more.`;
  return said(state, all.map((ban) => tagAndDigest({ ...record.candidate, ...ban })).join(', '));
}

function banList(all: readonly Ban[], { candidate }: LedgerRecord): Content {
  return all.map(
    (ban, place) =>
      markup`${place > 0 ? markup`<br>` : undefined}${tagAndDigest({ ...candidate, ...ban })} since ${minute(ban.since)}, <bdi>${ban.who}</bdi>: <bdi>${oneLine(ban.reason, 300)}</bdi>`,
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
    const because = state === 'met' && why === 'passed' ? undefined : markup` (<bdi>${oneLine(why, 300)}</bdi>)`;
    return markup`<li class="${state}"><b>${state}</b>: ${group.map((one, place) => markup`${place > 0 ? ', ' : ''}${resultOf(one, jobs.get(one.job) ?? one.job)}`)}${because}`;
  };
  const groups = [...groupBy(decision.jobs, ({ state, why }) => `${state} ${why}`).values()];
  return markup`<b class="${decision.verdict}">${decision.verdict}</b>, evaluated ${minute(decision['evaluated-at'])}<ul>${groups.map(line)}</ul>`;
}

function resultOf({ since, url }: JobState, name: string): Markup {
  const job = url === null ? markup`<bdi>${name}</bdi>` : link(url, name);
  return since === null ? job : markup`${job} since ${minuteOf(since)}`;
}
