import { rfc3339 } from '../base/clock.js';
import type { JobState } from '../criteria/decision-record.js';
import { lastDecisionPath } from '../image-server/last-decision.js';
import { type Content, type Markup, markup, render } from './markup.js';
import type { BranchModel, Cell, DashboardModel, Evaluation, NightlyJob, Promotion } from './model.js';
import { ageBar, chartStart, type Icon, icon, iconShapes, leadStrip, promotionChart } from './pictures.js';
import { STYLE } from './style.js';
import {
  candidateOf,
  durationWords,
  minuteOf,
  percent,
  plural,
  relativeWords,
  seconds,
  shortDigest,
  shortNames,
} from './words.js';

/**
 * The page: one file that loads nothing and runs nothing (its policy forbids both), so that names from outside are
 * text whatever they hold. As nothing runs, ages are as of when it was written, and it says until when to trust it.
 */
export function renderPage(model: DashboardModel): string {
  const view = { model, now: seconds(model['generated-at']) };
  return render(markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>${model.title}</title>
<link rel="icon" href="data:,">
<link rel="alternate" type="application/atom+xml" title="Promotions" href="feed.atom">
<style>${STYLE}</style>
</head>
<body>
${iconShapes()}
<header><h1><bdi>${model.title}</bdi></h1>
<p class="soft">Label <code>${model.label}</code>, written ${time(model['generated-at'])} UTC. Ages are as of then. Do not trust this page after ${time(rfc3339(view.now + model['heartbeat-age']))} UTC: whatever writes it has stopped.</p>
</header>
<main>
<ul class="lines panel" aria-label="Branches">
${model.branches.map((branch, index) => branchLine(branch, index, view))}
</ul>
${nightlySection(view)}${model.branches.map((branch, index) => branchSection(branch, index, view))}
</main>
<footer>The same as data: <a href="data.json">data.json</a>, <a href="metrics.prom">metrics.prom</a>, <a href="badge.json">badge.json</a>, <a href="feed.atom">feed.atom</a>.</footer>
</body>
</html>
`);
}

interface View {
  readonly model: DashboardModel;
  /** Unix seconds: when the page is written. */
  readonly now: number;
}

const STATES: Readonly<Record<BranchModel['state'], { readonly icon: Icon; readonly words: string }>> = {
  ok: { icon: 'met', words: 'on time' },
  late: { icon: 'late', words: 'late' },
  silent: { icon: 'broken', words: 'silent' },
  empty: { icon: 'unknown', words: 'nothing yet' },
  broken: { icon: 'broken', words: 'broken' },
};

const KINDS: Readonly<Record<Promotion['kind'], string>> = {
  earned: 'earned',
  forced: 'forced',
  rollback: 'rolled back',
  adopted: 'adopted',
  hold: 'hold',
  lift: 'hold lifted',
  quarantine: 'quarantined',
};

// Line: what is promoted on a branch, and what is in the way of the next.

function branchLine(branch: BranchModel, index: number, view: View): Markup {
  const { state, current } = branch;
  return markup`<li class="line ${state}">
<div class="name"><a href="#branch-${index}">${branch.branch}</a> ${stateWords(branch)}</div>
<div>${current === null ? nothingPromoted(branch) : markup`${image(current)} ${kindBadge(current.kind)}`} ${badges(branch)}</div>
<div class="age soft">${age(branch, view)}</div>
<div class="told soft">${blockedInShort(branch, view)}</div>
</li>
`;
}

function stateWords({ state }: BranchModel): Markup {
  return markup`<span class="state ${state}">${icon(STATES[state].icon)} ${STATES[state].words}</span>`;
}

function nothingPromoted(branch: BranchModel): Content {
  if (branch.state === 'broken') return markup`<span class="soft">${branch.problems[0]}</span>`;
  const tag = branch['label-tag'];
  if (tag === null) return markup`<span class="soft">Nothing has been promoted yet.</span>`;
  return markup`<code>${tag}</code> <span class="soft">by its label; without a ledger nobody knows its digest</span>`;
}

function badges({ holds, quarantine, decision, waivers }: BranchModel): Content {
  const badge = (tone: string, words: string) => markup`<span class="badge ${tone}">${words}</span> `;
  return [
    holds.length > 0 ? badge('late', `${holds.length} on hold`) : undefined,
    quarantine.length > 0 ? badge('unmet', `${quarantine.length} quarantined`) : undefined,
    decision?.decision === 'frozen' ? badge('frozen', 'frozen') : undefined,
    waivers.length > 0 ? badge('waived', plural(waivers.length, 'waiver')) : undefined,
  ];
}

function age({ current, ...branch }: BranchModel, { model, now }: View): Content {
  const success = branch['last-success'];
  if (current === null || success === null) return undefined;
  const target = model['target-age'];
  const isBack = current.kind === 'rollback';
  return markup`${ageBar(now - seconds(success), target)}${isBack ? 'Rolled back' : 'Promoted'} ${time(current.when)} UTC<br>${isBack ? 'Last success ' : undefined}${relativeWords(seconds(success), now)}, target ${durationWords(target)}`;
}

function blockedInShort(branch: BranchModel, view: View): Content {
  const { decision, candidate } = branch;
  if (decision?.blocked) {
    const names = shortNames(decision.jobs.map(({ job }) => job));
    const inTheWay = decision.jobs.filter(({ state }) => state === 'unmet' || state === 'unknown');
    const [{ jobs: needed } = { jobs: [] }] = decision['blocked-by'];
    const told = inTheWay.filter(({ job }) => needed.flat().includes(job)).slice(0, 4);
    const { tag } = candidateOf(decision.reference);
    const jobs = told.map(
      ({ job, state, why, since }, index) =>
        markup`${index > 0 ? '; ' : ''}<span class="state ${state}"><bdi>${names.get(job) ?? job}</bdi></span> <bdi>${why}</bdi>${since === null ? undefined : ` (${relativeWords(seconds(since), view.now)})`}`,
    );
    return markup`${VERDICTS[decision.decision]} <code>${tag}</code>: ${told.length > 0 ? jobs : markup`<bdi>${decision.reason}</bdi>`}`;
  }
  if (candidate !== null && !candidate.promoted && !candidate.evaluated) {
    const found = candidate.found === null ? '' : `, found ${relativeWords(seconds(candidate.found), view.now)}`;
    return markup`Under test: <code>${candidate.tag}</code>${found}${candidate.banned ? ', and not to be promoted' : ''}`;
  }
  if (branch.state === 'broken') return undefined;
  return candidate === null ? 'No candidate is under test.' : 'Nothing is blocked.';
}

const VERDICTS: Readonly<Record<NonNullable<BranchModel['decision']>['decision'], string>> = {
  promote: 'Promoted',
  wait: 'Waiting',
  reject: 'Rejected',
  force: 'Forced',
  rollback: 'Rolled back to',
  unchanged: 'Unchanged',
  frozen: 'Frozen',
};

// Section: how jobs do that test development builds.

function nightlySection({ model, now }: View): Content {
  if (model.nightly.length === 0) return undefined;
  return markup`<section class="panel" aria-labelledby="nightly">
<h2 id="nightly">Nightly builds</h2>
<p class="soft">Of development builds, newest first. They promote nothing, and keep nothing from promotion.</p>
<ul class="nightly">${model.nightly.map((job) => nightlyLine(job, now))}</ul>
</section>
`;
}

function nightlyLine({ job, problem, builds }: NightlyJob, now: number): Markup {
  const [newest] = builds;
  const told =
    newest === undefined
      ? markup`<span class="soft"><bdi>${problem ?? 'no build'}</bdi></span>`
      : markup`<span class="state ${BUILD_STATES[newest.outcome]}">${resultWords(newest)}</span>${newest.when === null ? undefined : markup` <span class="soft">${when(newest.when, now)}</span>`}`;
  return markup`<li><code><bdi>${job}</bdi></code> <span>${told}</span> ${builds.length === 0 ? undefined : markup`<ol class="pulse">${builds.map(nightlyBuild)}</ol>`}</li>
`;
}

function nightlyBuild(build: NightlyJob['builds'][number]): Markup {
  const state = BUILD_STATES[build.outcome];
  const told = `${resultWords(build)}${build.when === null ? '' : `, ${minuteOf(build.when)} UTC`}`;
  const content = markup`${icon(state)}<span class="vh">${told}</span>`;
  return markup`<li class="${state}" title="${told}">${build.url === null ? content : linkTo(build.url, content)}</li>`;
}

const BUILD_STATES = { success: 'met', failure: 'unmet', running: 'unknown', unknown: 'unknown' } as const;

function resultWords({ outcome, result }: NightlyJob['builds'][number]): string {
  return outcome === 'unknown' ? `nothing known (${result})` : BUILD_WORDS[outcome];
}

const BUILD_WORDS = { success: 'passed', failure: 'failed', running: 'running' } as const;

// Section: all of a branch.

function branchSection(branch: BranchModel, index: number, view: View): Markup {
  return markup`<section class="panel" id="branch-${index}" aria-labelledby="branch-${index}-name">
<div class="title"><h2 id="branch-${index}-name">${branch.branch}</h2> ${stateWords(branch)} ${heartbeat(branch, view)}</div>
${problems(branch)}<div class="columns"><div>
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

function heartbeat({ heartbeat: time, state }: BranchModel, { now }: View): Markup {
  if (time === null) return markup`<span class="soft">When the pipeline last ran is not recorded.</span>`;
  const words = markup`The pipeline last ran ${when(time, now)}.`;
  return state === 'silent' ? markup`<span class="state">${words}</span>` : markup`<span class="soft">${words}</span>`;
}

function problems({ problems: lines }: BranchModel): Content {
  if (lines.length === 0) return undefined;
  return markup`<ul class="problems">${lines.map((line) => markup`<li>${icon('broken')} <bdi>${line}</bdi></li>`)}</ul>
`;
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
${decision.warnings.map((warning) => markup`<p class="warning">${icon('late')} <bdi>${warning}</bdi></p>`)}`;
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

function nothingBlocked({ candidate, decision }: BranchModel): Content {
  if (candidate === null) return 'Nothing: no candidate is under test.';
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

function matrix({ branch, jobs, evaluations }: BranchModel, view: View): Markup {
  if (evaluations.length === 0) return markup`<p class="soft">No evaluation is recorded yet.</p>`;
  const short = shortNames(jobs);
  const columns = jobs.map((job) => markup`<th scope="col" title="${job}"><bdi>${short.get(job)}</bdi></th>`);
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="Candidates and jobs of ${branch}"><table class="matrix">
<thead><tr><th scope="col">Candidate</th>${columns}</tr></thead>
<tbody>${evaluations.map((evaluation) => matrixRow(evaluation, view))}</tbody></table></div>`;
}

function matrixRow(evaluation: Evaluation, { now }: View): Markup {
  const { outcome, current, cells } = evaluation;
  const badge = current ? markup`<span class="badge current">promoted now</span>` : undefined;
  const tone = outcome === 'earned' || outcome === 'promote' ? 'met' : outcome;
  return markup`<tr${current ? markup` class="current"` : undefined}><th scope="row">${image(evaluation)}<br>${badge} <span class="badge ${tone}">${outcome}</span> <span class="rel nowrap">${relativeWords(seconds(evaluation['evaluated-at']), now)}</span></th>${cells.map(matrixCell)}</tr>
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
    return markup`<p class="soft">None yet. The first one writes <code>ledger/${view.model.label}/1.json</code>.</p>`;
  }
  const total = COUNTED.reduce((sum, kind) => sum + (figures['by-kind'][kind] ?? 0), 0);
  const start = chartStart(promotions, total > promotions.length, view.now);
  const older = promotions.slice(NEWEST, NEWEST + OLDER);
  return markup`${figureList(branch)}
${promotionChart(promotions, start, view.now, figures['lead-time'].p50)}
<ul class="legend"><li class="earned">earned</li><li class="forced">forced</li><li class="rollback">rolled back</li><li class="adopted">adopted</li><li class="note">height: lead time</li><li class="note">bars below: until the first result, then until promoted</li></ul>
${promotionTable(promotions.slice(0, NEWEST), 'Newest promotions', view)}
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
  if (figures.length === 0) return markup`<p class="soft">No results are recorded yet.</p>`;
  const rows = figures.map(
    ({ job, results, passed, tries, flaky }) =>
      markup`<tr><th scope="row"><code><bdi>${job}</bdi></code></th><td class="num">${percent(passed, results)} <span class="soft">of ${results}</span></td><td class="num">${percent(flaky, tries)} <span class="soft">of ${tries}</span></td></tr>
`,
  );
  return markup`<table><caption class="vh">How often jobs pass</caption>
<thead><tr><th scope="col">Job</th><th scope="col" class="num">Passed</th><th scope="col" class="num">Flaky</th></tr></thead>
<tbody>${rows}</tbody></table>
<p class="soft">Of the results in the evaluations above and in the ledger; candidates that were never promoted are not in it. Flaky: failed, and passed later, on the same image and aggregate hash.</p>`;
}

function exceptions({ waivers, holds, quarantine }: BranchModel, { now }: View): Markup {
  if (waivers.length + holds.length + quarantine.length === 0) return markup`<p class="soft">None.</p>`;
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

// Words and links.

function image({ tag, digest }: { readonly tag: string; readonly digest: string | null }): Markup {
  if (digest === null) return markup`<code>${tag}</code>`;
  return markup`<code title="${digest}">${tag}<span class="nowrap">@${shortDigest(digest)}</span></code>`;
}

function imageOf(reference: string): Markup {
  return image(candidateOf(reference));
}

function kindBadge(kind: Promotion['kind']): Markup {
  return markup`<span class="badge ${kind}">${KINDS[kind]}</span>`;
}

function names(jobs: readonly string[]): Content {
  return jobs.map((job, index) => markup`${index > 0 ? ', ' : ''}<code><bdi>${job}</bdi></code>`);
}

function time(iso: string): Markup {
  const [day, clock] = minuteOf(iso).split(' ');
  return markup`<time datetime="${iso}"><span class="nowrap">${day}</span> ${clock}</time>`;
}

/** A time in UTC, with where it is from now. */
function when(iso: string, now: number): Markup {
  return markup`${time(iso)} UTC <span class="rel">(${relativeWords(seconds(iso), now)})</span>`;
}

function runLink(url: string | null): Content {
  return url === null ? undefined : markup`, ${link(url, 'run')}`;
}

/** A link where the text is a web address, else only the words: what others wrote must not become a script. */
function link(url: string, words: string): Markup {
  return linkTo(url, markup`<bdi>${words}</bdi>`);
}

function linkTo(url: string, content: Markup): Markup {
  return /^https?:\/\//i.test(url) ? markup`<a href="${url}">${content}</a>` : content;
}
