import { oneLine } from '../base/errors.js';
import { formatCandidate, formatRepository } from '../candidate/reference.js';
import type { JobState } from '../criteria/decision-record.js';
import { recordPath } from '../ledger/paths.js';
import { decisionOf, type LedgerRecord, overriddenBy } from '../ledger/record.js';
import { RECORD_TYPE } from '../proof/record-proof.js';
import { HOW_TO } from './advice.js';
import { renderDocument } from './document.js';
import { filterStyle, recordKindFilter } from './history.js';
import { type Content, type Markup, markup } from './markup.js';
import type { DashboardModel } from './model.js';
import {
  branchAddress,
  command,
  image,
  kindBadge,
  link,
  linkTo,
  names,
  RECORDS_A_PAGE,
  recordAddress,
  recordPageAddress,
  recordPages,
  runLink,
  type View,
  viewOf,
  when,
} from './page-parts.js';
import { icon } from './pictures.js';
import { MAX_RECORDS } from './read-branch.js';

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
 * `#n` and its number; with it, the page shows this record alone.
 */
export function renderRecordPages(branch: Recorded, model: DashboardModel): [string, string][] {
  const view = viewOf(model);
  const { records } = branch;
  const pages = recordPages(records[0]?.n ?? 0, records.length, records.length >= MAX_RECORDS);
  return pages.map((page) => {
    const own = records.filter(({ n }) => Math.ceil(n / RECORDS_A_PAGE) === page);
    return [recordPageAddress(branch.branch, page), recordPage(branch, own, view)];
  });
}

function recordPage(branch: Recorded, records: readonly LedgerRecord[], view: View): string {
  const newest = records[0]?.n ?? 0;
  const oldest = records.at(-1)?.n ?? 0;
  const lead = markup`<p class="soft"><a href="index.html">All branches</a> · <a href="${branchAddress(branch.branch)}">${branch.branch}</a></p>
`;
  const neighbour = (n: number, words: string) =>
    n < 1 || n > (branch.records[0]?.n ?? 0)
      ? undefined
      : markup`<a href="${recordPageAddress(branch.branch, Math.ceil(n / RECORDS_A_PAGE))}">${words}</a> `;
  const main = markup`<div class="panel records"><div class="list-only">${recordKindFilter()}</div>
${records.map((record) => article(record, branch, view))}<p class="list-only pages">${neighbour(newest + 1, 'Newer records')}${neighbour(oldest - 1, 'Older records')}</p></div>
`;
  const title = `${branch.branch}: records ${oldest}–${newest}`;
  return renderDocument({ title, lead, main, style: filterStyle([]) }, view);
}

function article(record: LedgerRecord, branch: Recorded, view: View): Markup {
  const { n, kind, candidate } = record;
  const overridden = overriddenBy(record);
  const skipped = record.kind === 'forced' ? record.skippedJobs : [];
  const row = (term: string, content: Content) =>
    content === undefined
      ? undefined
      : markup`<dt>${term}</dt><dd>${content}</dd>
`;
  const index = branch.records.indexOf(record);
  const before = branch.records[index + 1];
  const newer = branch.records[index - 1];
  const raw = `${branch.url.replace(/\/$/, '')}/${recordPath(view.model.label, n)}`;
  return markup`<article class="record k-${kind}" id="n${n}">
<h2><a href="#n${n}">Record ${n}</a> ${kindBadge(kind)} <span class="what">${image(candidate)}</span> <span class="soft at">${when(record.when)}</span></h2>
<dl class="body">
${row('Who', markup`<bdi>${record.who}</bdi>${record.event === '' ? undefined : markup`, by <code><bdi>${record.event}</bdi></code>`}${runLink(record.runUrl ?? null)}`)}${row('Why', record.reason === '' ? undefined : markup`<bdi>${oneLine(record.reason, 1000)}</bdi>`)}${row('Before', n === 1 ? 'nothing' : before === undefined ? markup`<a href="${recordAddress(branch.branch, n - 1)}">record ${n - 1}</a>` : markup`${image(before.candidate)}, <a href="${recordAddress(branch.branch, n - 1)}">record ${n - 1}</a>`)}${row('After', markup`<code class="full">${formatCandidate(candidate)}</code>`)}${row('Pull from', targets(record))}${row('Overrode', overridden.length === 0 ? undefined : overridden.join(', '))}${row('Skipped', skipped.length === 0 ? undefined : names(skipped))}${row('Evidence', evidence(record))}${row('On hold', bans(record.holds))}${row('Quarantined', bans(record.quarantine))}${row('Rollback goes to', record.previous === undefined ? 'nothing: it has no previous image' : image(record.previous))}${row('Proof', proof(record, newer === undefined ? branch.headSha256 : newer.prevSha256))}${row('Links', markup`${link(raw, 'the record as JSON')}${newer === undefined ? undefined : markup`, <a href="${recordAddress(branch.branch, newer.n)}">the next record</a>`}, <a href="#top">all records of this page</a>`)}</dl>
</article>
`;
}

function targets({ targets }: LedgerRecord): Content {
  return targets.map(
    ({ repository, tag, digest }) =>
      markup`<div><code class="full">${formatRepository(repository)}:${tag}@${digest}</code></div>`,
  );
}

/**
 * What is attached to the images, and the commands that show it. Only the targets know whether they keep it, and the
 * dashboard does not ask them.
 */
function proof({ targets }: LedgerRecord, hash: string | undefined): Content {
  const attached =
    hash === undefined
      ? 'This record is attached to its image in each target that keeps referrers.'
      : markup`This record, <code class="full">sha256:${hash}</code>, is attached to its image in each target that keeps referrers.`;
  const look = targets.map(({ repository, digest }) =>
    command(`oras discover --format json --artifact-type ${RECORD_TYPE} ${formatRepository(repository)}@${digest}`),
  );
  return markup`${attached} To see which do:${look}${linkTo(`${HOW_TO}/verify-and-prune.md`, markup`Verify the ledger`)}, ${linkTo(`${HOW_TO}/verify-signatures.md`, markup`verify the signature`)}`;
}

function bans(all: LedgerRecord['holds']): Content {
  if (all.length === 0) return undefined;
  return all.map(
    (ban) =>
      markup`<div>${image(ban)} since ${when(ban.since)}, <bdi>${ban.who}</bdi>: <bdi>${oneLine(ban.reason, 300)}</bdi></div>`,
  );
}

function evidence(record: LedgerRecord): Content {
  const decision = decisionOf(record);
  if (decision === undefined) return 'none: nothing was evaluated';
  const line = ({ job, state, why, since, url }: JobState) =>
    markup`<li class="${state}">${icon(state)}<code><bdi>${job}</bdi></code> <span class="said"><span class="state">${state}</span>: <bdi>${oneLine(why, 300)}</bdi>${since === null ? undefined : markup`, since ${when(since)}`}${url === null ? undefined : markup`, ${link(url, 'result')}`}</span></li>`;
  return markup`<span class="badge ${decision.verdict}">${decision.verdict}</span> evaluated ${when(decision['evaluated-at'])}<ul class="jobs">${decision.jobs.map(line)}</ul>`;
}
