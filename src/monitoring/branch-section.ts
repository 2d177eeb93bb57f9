import type { JobState } from '../criteria/decision-record.js';
import { lastDecisionPath } from '../store/last-decision.js';
import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, Cell, Evaluation, Promotion } from './model.js';
import {
  image,
  imageOf,
  KINDS,
  kindBadge,
  link,
  linkTo,
  names,
  nothing,
  nothingPromoted,
  problems,
  runLink,
  stateWords,
  time,
  type View,
  when,
} from './page-parts.js';
import { chartStart, icon, leadStrip, promotionChart } from './pictures.js';
import { candidateOf, durationWords, minuteOf, percent, plural, relativeWords, seconds, shortNames } from './words.js';

/** All that the page says of a branch. */
export function branchSection(branch: BranchModel, index: number, view: View): Markup {
  return markup`<section class="panel" id="branch-${index}" aria-labelledby="branch-${index}-name">
<div class="title"><h2 id="branch-${index}-name">${branch.branch}</h2> ${stateWords(branch)} ${heartbeat(branch, view)}</div>
${problems(branch, view)}<div class="columns"><div>
<div><h3>Promoted</h3>${promoted(branch, view)}</div>
<div><h3>Blocked by</h3>${blockedBy(branch, view)}</div>
<div><h3>Candidates and jobs</h3>${matrix(branch, view)}</div>
</div><div>
<div><h3>Promotions</h3>${history(branch, view)}</div>
<div><h3>Jobs</h3>${jobTable(branch)}</div>
<div><h3>Waivers, holds and quarantine</h3>${exceptions(branch, view)}</div>
</div></div>
</section>
`;
}

function heartbeat({ heartbeat: ran, state }: BranchModel, { now }: View): Content {
  if (ran === null) {
    return state === 'broken'
      ? undefined
      : markup`<span class="soft">When the pipeline last ran is not recorded.</span>`;
  }
  const words = markup`The pipeline last ran ${when(ran, now)}.`;
  return state === 'silent' ? markup`<span class="state">${words}</span>` : markup`<span class="soft">${words}</span>`;
}

function promoted(branch: BranchModel, view: View): Markup {
  const { current, previous, url } = branch;
  if (current === null) return markup`<p>${nothingPromoted(branch)}</p>`;
  const row = (term: string, content: Content) => markup`<dt>${term}</dt><dd>${content}</dd>`;
  return markup`<dl>
${row('Image', markup`<code class="full">${current.reference}</code>`)}
${row('When', markup`${when(current.when, view.now)}, ${KINDS[current.kind]} by <bdi>${current.who}</bdi>${runLink(current['run-url'])}`)}
${current.reason === '' ? undefined : row('Reason', markup`<bdi>${current.reason}</bdi>`)}
${current['skipped-jobs'].length === 0 ? undefined : row('Skipped', names(current['skipped-jobs']))}
${current.overridden.length === 0 ? undefined : row('Overridden', current.overridden.join(', '))}
${row('Previous', previous === null ? 'none: there is no way back' : imageOf(previous))}
${row('Record', link(`${url.replace(/\/$/, '')}/ledger/${view.model.label}/${current.n}.json`, `${current.n}`))}
</dl>`;
}

function blockedBy(branch: BranchModel, view: View): Content {
  const { decision, candidate } = branch;
  const isNew = candidate !== null && !candidate.promoted && !candidate.evaluated;
  const underTest = isNew ? newCandidate(candidate, decision === null, view) : undefined;
  if (!decision?.blocked) return underTest ?? markup`<p>${nothingBlocked(branch)}</p>`;
  const inOrder = [...decision.jobs].sort((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state));
  return markup`${underTest}<p><span class="badge ${decision.decision}">${decision.decision}</span> ${imageOf(decision.reference)}, decided ${when(decision['decided-at'], view.now)}${runLink(decision['run-url'])}</p>
${decision['blocked-by'].length > 0 ? undefined : markup`<p><bdi>${decision.reason}</bdi></p>`}
<ul class="jobs">${inOrder.map((job) => jobLine(job, view))}</ul>
${decision['blocked-by'].slice(0, 3).map(counterfactual)}
${votedSince(branch, decision, view)}${decision.warnings.map((warning) => markup`<p class="warning">${icon('late')} <bdi>${warning}</bdi></p>`)}`;
}

/** Where the grid below knows more than the last decision did. */
function votedSince(
  { evaluations }: BranchModel,
  decision: NonNullable<BranchModel['decision']>,
  { now }: View,
): Content {
  const { digest } = candidateOf(decision.reference);
  const voted = evaluations.find((evaluation) => evaluation.digest === digest)?.['evaluated-at'];
  if (voted === undefined || seconds(voted) <= seconds(decision['decided-at'])) return undefined;
  return markup`<p>Votes have come since, the newest ${when(voted, now)}: they are among the candidates below, and the next run weighs them.</p>
`;
}

function newCandidate(
  candidate: NonNullable<BranchModel['candidate']>,
  isFirst: boolean,
  { model, now }: View,
): Markup {
  const { found, banned } = candidate;
  const hint = isFirst ? markup` (there is no <code>${lastDecisionPath(model.label)}</code>)` : undefined;
  const state = banned
    ? 'It is on hold or quarantined, and is not promoted'
    : markup`No run has come to a decision about it yet${hint}`;
  return markup`<p>Under test is ${image(candidate)}${found === null ? undefined : markup`, found ${when(found, now)}`}. ${state}.</p>`;
}

function nothingBlocked(branch: BranchModel): Content {
  const { candidate, decision } = branch;
  if (candidate === null) return nothing(branch, 'Nothing: no candidate is under test.', 'candidate label');
  if (candidate.promoted) return 'Nothing: the candidate under test is what is promoted.';
  return markup`Nothing, by the last decision: ${decision?.decision}, <bdi>${decision?.reason}</bdi>.`;
}

const STATE_ORDER: readonly JobState['state'][] = ['unmet', 'unknown', 'waived', 'met'];

function jobLine({ job, state, why, since, url }: JobState, { now }: View): Markup {
  return markup`<li class="${state}">${icon(state)}<code><bdi>${job}</bdi></code> <span class="said"><span class="state">${state}</span>: <bdi>${why}</bdi>${since === null ? undefined : markup`, since ${when(since, now)}`}${url === null ? undefined : markup`, ${link(url, 'result')}`}</span></li>
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

/** Where results of jobs are read. */
const RESULTS = ['ledger', 'last decision', 'DLRN'] as const;

function matrix(branch: BranchModel, view: View): Markup {
  const { jobs, evaluations } = branch;
  if (evaluations.length === 0) return nothing(branch, 'No evaluation is recorded yet.', ...RESULTS);
  const short = shortNames(jobs);
  const columns = jobs.map((job) => markup`<th scope="col" title="${job}"><bdi>${short.get(job)}</bdi></th>`);
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="Candidates and jobs of ${branch.branch}"><table class="matrix">
<thead><tr><th scope="col">Candidate</th>${columns}</tr></thead>
<tbody>${evaluations.map((evaluation) => matrixRow(evaluation, view))}</tbody></table></div>
<ul class="key soft">${STATE_ORDER.map((state) => markup`<li class="${state}">${icon(state)} ${state}</li>`)}</ul>`;
}

function matrixRow(evaluation: Evaluation, { now }: View): Markup {
  const { outcome, current, cells } = evaluation;
  const badge = current ? markup`<span class="badge current">promoted now</span>` : undefined;
  const tone = outcome === 'earned' || outcome === 'promote' ? 'met' : outcome;
  return markup`<tr${current ? markup` class="current"` : undefined}><th scope="row">${image(evaluation)}<br>${badge} <span class="badge ${tone}">${outcome === 'undecided' ? 'no decision' : outcome}</span> <span class="rel nowrap">${relativeWords(seconds(evaluation['evaluated-at']), now)}</span></th>${cells.map(matrixCell)}</tr>
`;
}

function matrixCell(cell: Cell | null): Markup {
  if (cell === null) return markup`<td><span class="vh">not among the criteria</span></td>`;
  const { state, why, since, url, attempts } = cell;
  const told = `${state}: ${why}${since === null ? '' : `, since ${minuteOf(since)} UTC`}`;
  const content = markup`${icon(state)}<span class="vh">${told}</span>`;
  return markup`<td class="${state}" title="${told}">${url === null ? content : linkTo(url, content)}${attempts > 1 ? markup`<sup>${attempts}<span class="vh"> results</span></sup>` : undefined}</td>`;
}

const NEWEST = 6;
const OLDER = 44;

function history(branch: BranchModel, view: View): Markup {
  const { promotions, figures } = branch;
  if (promotions.length === 0) {
    const first = markup`None yet. The first one writes <code>ledger/${view.model.label}/1.json</code>.`;
    return nothing(branch, first, 'ledger');
  }
  const total = COUNTED.reduce((sum, kind) => sum + (figures['by-kind'][kind] ?? 0), 0);
  const start = chartStart(promotions, total > promotions.length, view.now);
  const older = promotions.slice(NEWEST, NEWEST + OLDER);
  return markup`${figureList(branch)}
${promotionChart(promotions, start, view.now, figures['lead-time'].p50)}
<ul class="legend"><li class="earned">earned</li><li class="forced">forced</li><li class="rollback">rolled back</li><li class="adopted">adopted</li><li class="note">height: lead time</li></ul>
${promotionTable(promotions.slice(0, NEWEST), 'Newest promotions', view)}
<ul class="legend"><li class="waited">found, until the first result</li><li class="tested">from there until promoted</li></ul>
${older.length === 0 ? undefined : markup`<details><summary>${plural(older.length, 'older promotion')}${total > NEWEST + OLDER ? ` of ${total - NEWEST}` : ''}</summary>${promotionTable(older, 'Older promotions', view)}</details>`}`;
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

function promotionTable(promotions: readonly Promotion[], caption: string, view: View): Markup {
  const longest = Math.max(...promotions.map((promotion) => promotion['lead-time'] ?? 0));
  return markup`<table><caption class="vh">${caption}</caption>
<thead><tr><th scope="col" class="when">When (UTC)</th><th scope="col">What</th><th scope="col" class="lead num">Lead time</th></tr></thead>
<tbody>${promotions.map((promotion) => promotionRow(promotion, longest, view))}</tbody></table>`;
}

function promotionRow(promotion: Promotion, longest: number, { now }: View): Markup {
  const { kind, reason, who } = promotion;
  const lead = promotion['lead-time'];
  const why =
    kind === 'earned'
      ? undefined
      : markup`<br><span class="soft"><bdi>${who}</bdi>${reason === '' ? undefined : markup`: <bdi>${reason}</bdi>`}</span>`;
  return markup`<tr><td>${time(promotion.when)}<br><span class="rel">${relativeWords(seconds(promotion.when), now)}</span></td><td>${image(promotion)} ${kindBadge(kind)}${runLink(promotion['run-url'])}${why}</td><td class="num">${lead === null ? '–' : durationWords(lead)}${leadStrip(promotion, longest)}</td></tr>
`;
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
      ? '; other candidates that were never promoted are not in it'
      : markup`, and of the votes on the newest aggregate hashes of ${link(branch.dlrn, 'DLRN')}`;
  return markup`<table><caption class="vh">How often jobs pass</caption>
<thead><tr><th scope="col">Job</th><th scope="col" class="num">Passed</th><th scope="col" class="num">Flaky</th></tr></thead>
<tbody>${rows}</tbody></table>
<p class="soft">Of the results in the ledger and in the last decision${others}. Flaky: failed, and passed later, on the same image and aggregate hash.</p>`;
}

function exceptions(branch: BranchModel, { now }: View): Markup {
  const { waivers, holds, quarantine } = branch;
  if (waivers.length + holds.length + quarantine.length === 0)
    return nothing(branch, 'None.', 'ledger', 'last decision', 'criteria');
  const waiver = ({ job, until, reason, issue, ...rest }: BranchModel['waivers'][number]) => {
    const left = rest['days-left'];
    const words = left < 0 ? 'ended' : left === 0 ? 'last day' : `${plural(left, 'day')} left`;
    return markup`<li class="${left <= 7 ? 'unmet' : 'waived'}">${icon('waived')}<span><code><bdi>${job}</bdi></code> waived until <span class="nowrap">${until}</span>, <span class="state">${words}</span></span> <span class="said soft"><bdi>${reason}</bdi>${issue === null ? undefined : markup`, ${link(issue, issue)}`}</span></li>
`;
  };
  const ban = (words: string, state: JobState['state']) => (one: BranchModel['holds'][number]) =>
    markup`<li class="${state}">${icon(state)}<span>${image(one)} <span class="state">${words}</span> since ${when(one.since, now)}</span> <span class="said soft"><bdi>${one.who}</bdi>: <bdi>${one.reason}</bdi></span></li>
`;
  return markup`<ul class="jobs">${waivers.map(waiver)}${holds.map(ban('on hold, until it is lifted or a newer version is promoted,', 'waived'))}${quarantine.map(ban('quarantined for good', 'unmet'))}</ul>`;
}
