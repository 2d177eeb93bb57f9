import type { JobState } from '../criteria/decision-record.js';
import { lastDecisionPath } from '../store/last-decision.js';
import { answers, everyPromotion } from './answers.js';
import { renderStatus } from './document.js';
import { changeList, kindFilter } from './history.js';
import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, Cell, Evaluation } from './model.js';
import {
  image,
  imageOf,
  LISTED_OF_BRANCH,
  link,
  namedIcon,
  names,
  nothing,
  RECORDS_A_PAGE,
  recordPageAddress,
  recordPages,
  runLink,
  shortImage,
  type View,
  viewOf,
  when,
} from './page-parts.js';
import { chartStart, icon, promotionChart } from './pictures.js';
import { MAX_RECORDS } from './read-branch.js';
import { candidateOf, DAY, durationWords, minuteOf, percent, seconds, shortNames } from './words.js';

/** A branch's own page: its five answers, then all details. */
export function renderBranchPage(branch: BranchModel, model: View['model']): string {
  const view = viewOf(model);
  const lead = markup`<p class="soft"><a href="index.html">All branches</a></p>
`;
  const main = markup`<section class="panel card ${branch.state}" aria-labelledby="answers">
${answers(branch, markup`<h2 id="answers">At a glance</h2>`, view)}</section>
<section class="panel details-of"><div class="columns"><div>
<div><h2>What blocks a promotion</h2>${blockedBy(branch, view)}</div>
<div><h2>Candidates and jobs</h2>${matrix(branch)}</div>
<div><h2>Waivers, holds and quarantine</h2>${exceptions(branch, view)}</div>
</div><div>
<div><h2>Promotions</h2>${figures(branch, view)}</div>
<div><h2>Jobs</h2>${jobTable(branch)}</div>
</div></div></section>
<section class="panel history" aria-labelledby="history"><h2 id="history">History</h2>
${history(branch, view)}</section>
`;
  return renderStatus({ title: `${branch.branch}: ${model.title}`, lead, main }, view);
}

function blockedBy(branch: BranchModel, view: View): Content {
  const { decision, candidate } = branch;
  const isNew = candidate !== null && !candidate.promoted && !candidate.evaluated;
  const underTest = isNew ? newCandidate(candidate, decision === null, view) : undefined;
  if (!decision?.blocked) return underTest ?? markup`<p>${nothingBlocked(branch)}</p>`;
  const inOrder = [...decision.jobs].sort((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state));
  return markup`${underTest}<p><span class="badge ${decision.decision}">${decision.decision}</span> ${imageOf(decision.reference)}, decided ${when(decision['decided-at'])}${runLink(decision['run-url'])}</p>
${decision['blocked-by'].length > 0 ? undefined : markup`<p><bdi>${decision.reason}</bdi></p>`}
<ul class="jobs">${inOrder.map(jobLine)}</ul>
${decision['blocked-by'].slice(0, 3).map(counterfactual)}
${votedSince(branch, decision)}${decision.warnings.map((warning) => markup`<p class="warning">${icon('late')} <bdi>${warning}</bdi></p>`)}`;
}

/** Votes that are newer than the last decision. */
function votedSince({ evaluations }: BranchModel, decision: NonNullable<BranchModel['decision']>): Content {
  const { digest } = candidateOf(decision.reference);
  const voted = evaluations.find((evaluation) => evaluation.digest === digest)?.['evaluated-at'];
  if (voted === undefined || seconds(voted) <= seconds(decision['decided-at'])) return undefined;
  return markup`<p>Votes arrived after this decision, the newest ${when(voted)}. The table below includes them, and the next run decides with them.</p>
`;
}

function newCandidate(candidate: NonNullable<BranchModel['candidate']>, isFirst: boolean, { model }: View): Markup {
  const { found, banned } = candidate;
  const hint = isFirst ? markup` (there is no <code>${lastDecisionPath(model.label)}</code>)` : undefined;
  const state = banned
    ? 'It is on hold or quarantined, and is not promoted'
    : markup`No run has decided on it yet${hint}`;
  return markup`<p>Under test is ${image(candidate)}${found === null ? undefined : markup`, found ${when(found)}`}. ${state}.</p>`;
}

function nothingBlocked(branch: BranchModel): Content {
  const { candidate, decision, state } = branch;
  if (state === 'broken') return everyPromotion(branch);
  if (candidate === null) return nothing(branch, 'Nothing: no candidate is under test.', 'candidate label');
  if (candidate.promoted) return 'Nothing: the candidate under test is promoted.';
  return markup`Nothing. Last decision: ${decision?.decision}, <bdi>${decision?.reason}</bdi>.`;
}

const STATE_ORDER: readonly JobState['state'][] = ['unmet', 'unknown', 'waived', 'met'];

function jobLine({ job, state, why, since, url }: JobState): Markup {
  return markup`<li class="${state}">${icon(state)}<code><bdi>${job}</bdi></code> <span class="said"><span class="state">${state}</span>: <bdi>${why}</bdi>${since === null ? undefined : markup`, since ${when(since)}`}${url === null ? undefined : markup`, ${link(url, 'result')}`}</span></li>
`;
}

function counterfactual(blockers: NonNullable<BranchModel['decision']>['blocked-by'][number], index: number): Markup {
  const hash = blockers['aggregate-hash'];
  const groups = blockers.jobs.map(
    (group, place) => markup`${place > 0 ? ', and ' : ''}${group.length > 1 ? 'one of ' : ''}${names(group)}`,
  );
  return markup`<p class="then">${index === 0 ? 'It would promote if' : 'Or if'} ${groups} passed${hash === null ? undefined : markup` <span class="soft">(with aggregate hash <code>${hash.slice(0, 12)}</code>)</span>`}.</p>
`;
}

/** The sources of jobs' results. */
const RESULTS = ['ledger', 'last decision', 'DLRN'] as const;

function matrix(branch: BranchModel): Markup {
  const { jobs, evaluations } = branch;
  if (evaluations.length === 0) return nothing(branch, 'No evaluation is recorded yet.', ...RESULTS);
  const short = shortNames(jobs);
  const columns = jobs.map((job) => markup`<th scope="col" title="${job}"><bdi>${short.get(job)}</bdi></th>`);
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="Candidates and jobs of ${branch.branch}"><table class="matrix">
<thead><tr><th scope="col">Candidate</th>${columns}</tr></thead>
<tbody>${evaluations.map(matrixRow)}</tbody></table></div>
<ul class="key soft">${STATE_ORDER.map((state) => markup`<li class="${state}">${icon(state)} ${state}</li>`)}</ul>`;
}

function matrixRow(evaluation: Evaluation): Markup {
  const { outcome, current, cells } = evaluation;
  const badge = current ? markup`<span class="badge current">promoted now</span>` : undefined;
  const tone = outcome === 'earned' || outcome === 'promote' ? 'met' : outcome;
  return markup`<tr${current ? markup` class="current"` : undefined}><th scope="row">${shortImage(evaluation)}<br>${badge} <span class="badge ${tone}">${outcome === 'undecided' ? 'no decision' : outcome}</span> <span class="soft nowrap">${minuteOf(evaluation['evaluated-at'])}</span></th>${cells.map(matrixCell)}</tr>
`;
}

function matrixCell(cell: Cell | null): Markup {
  if (cell === null) return markup`<td><span class="vh">not among the criteria</span></td>`;
  const { state, why, since, url, attempts } = cell;
  const words = `${state}: ${why}${since === null ? '' : `, since ${minuteOf(since)} UTC`}`;
  return markup`<td class="${state}">${namedIcon(state, words, url)}${attempts > 1 ? markup`<sup>${attempts}<span class="vh"> results</span></sup>` : undefined}</td>`;
}

function figures(branch: BranchModel, view: View): Markup {
  const { promotions } = branch;
  if (promotions.length === 0) {
    const first = markup`None yet. The first one writes <code>ledger/${view.model.label}/1.json</code>.`;
    return nothing(branch, first, 'ledger');
  }
  const total = COUNTED.reduce((sum, kind) => sum + (branch.figures['by-kind'][kind] ?? 0), 0);
  const start = chartStart(promotions, total > promotions.length, view.now);
  return markup`${figureList(branch)}
${promotionChart(promotions, start, view.now, branch.figures['lead-time'].p50)}
<ul class="legend"><li class="earned">earned</li><li class="forced">forced</li><li class="rollback">rolled back</li><li class="adopted">adopted</li><li class="note">height: lead time</li></ul>`;
}

function history(branch: BranchModel, view: View): Markup {
  const { head, promotions } = branch;
  if (head === null) return nothing(branch, 'No record yet.', 'ledger');
  const { records } = branch.figures;
  const pages = recordPages(head, records, records >= MAX_RECORDS);
  const range = (page: number) => `${(page - 1) * RECORDS_A_PAGE + 1}–${Math.min(head, page * RECORDS_A_PAGE)}`;
  return markup`${kindFilter()}${changeList(
    promotions.slice(0, LISTED_OF_BRANCH).map((promotion) => ({ branch, promotion })),
    view,
    false,
  )}
<p>All records: ${pages.map((page) => markup`<a href="${recordPageAddress(branch.branch, page)}">${range(page)}</a> `)}</p>
`;
}

/** The kinds of records that change the image. */
const COUNTED = ['earned', 'forced', 'rollback', 'adopted'] as const;

function figureList({ figures }: BranchModel): Markup {
  const { 'by-kind': kinds, 'lead-time': lead, 'promotions-a-week': rate, 'time-to-restore': restore } = figures;
  const { earned = 0, forced = 0, rollback = 0 } = kinds;
  const promotions = earned + forced;
  const share = (part: number) =>
    promotions === 0 ? `${part}` : `${part} of ${promotions} (${percent(part, promotions)})`;
  const figure = (term: string, value: string | null) => markup`<div><dt>${term}</dt><dd>${value ?? '–'}</dd></div>`;
  const words = (duration: number | null) => (duration === null ? null : durationWords(duration));
  return markup`<dl class="figures">${figure('Lead time, p50', words(lead.p50))}${figure('Lead time, p90', words(lead.p90))}${figure('Promotions a week', rate === null ? null : String(rate))}${figure('Forced', share(forced))}${figure('Rolled back', share(rollback))}${figure('Time to restore, p50', words(restore))}</dl>`;
}

function jobTable(branch: BranchModel): Markup {
  const figures = branch['job-figures'];
  if (figures.length === 0) return nothing(branch, 'No results are recorded yet.', ...RESULTS);
  const rows = figures.map(
    ({ job, results, passed, tries, flaky }) =>
      markup`<tr><th scope="row"><code><bdi>${job}</bdi></code></th><td class="num">${percent(passed, results)} <span class="soft">of ${results}</span></td><td class="num">${percent(flaky, tries)} <span class="soft">of ${tries}</span></td></tr>
`,
  );
  const others =
    branch.dlrn === null
      ? '. Other candidates that were never promoted are not included'
      : markup`, and the votes on the newest aggregate hashes of ${link(branch.dlrn, 'DLRN')}`;
  return markup`<table><caption class="vh">How often jobs pass</caption>
<thead><tr><th scope="col">Job</th><th scope="col" class="num">Passed</th><th scope="col" class="num">Flaky</th></tr></thead>
<tbody>${rows}</tbody></table>
<p class="soft">Counts the results in the ledger and in the last decision${others}. Flaky: failed first and passed later on the same image and aggregate hash.</p>`;
}

function exceptions(branch: BranchModel, { now }: View): Markup {
  const { waivers, holds, quarantine } = branch;
  if (waivers.length + holds.length + quarantine.length === 0) {
    return nothing(branch, 'None.', 'ledger', 'last decision', 'criteria');
  }
  const waiver = ({ job, until, reason, issue }: BranchModel['waivers'][number]) => {
    // The last day counts in full.
    const left = seconds(until) + DAY - now;
    const ended = left < 0 ? markup`, <span class="state">ended</span>` : undefined;
    return markup`<li class="${left < 8 * DAY ? 'unmet' : 'waived'}">${icon('waived')}<span><code><bdi>${job}</bdi></code> waived until the end of <span class="nowrap">${until}</span>${ended}</span> <span class="said soft"><bdi>${reason}</bdi>${issue === null ? undefined : markup`, ${link(issue, issue)}`}</span></li>
`;
  };
  const ban = (words: string, state: JobState['state']) => (one: BranchModel['holds'][number]) =>
    markup`<li class="${state}">${icon(state)}<span>${image(one)} <span class="state">${words}</span> since ${when(one.since)}</span> <span class="said soft"><bdi>${one.who}</bdi>: <bdi>${one.reason}</bdi></span></li>
`;
  return markup`<ul class="jobs">${waivers.map(waiver)}${holds.map(ban('on hold until the hold is lifted or a newer version is promoted,', 'waived'))}${quarantine.map(ban('quarantined forever', 'unmet'))}</ul>`;
}
