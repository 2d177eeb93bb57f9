import { rfc3339 } from '../base/clock.js';
import { branchSection } from './branch-section.js';
import { type Content, type Markup, markup, render } from './markup.js';
import type { BranchModel, DashboardModel, NightlyJob } from './model.js';
import {
  image,
  kindBadge,
  linkTo,
  nothing,
  nothingPromoted,
  problems,
  stateWords,
  time,
  type View,
  when,
} from './page-parts.js';
import { ageBar, icon, iconShapes } from './pictures.js';
import { STYLE } from './style.js';
import { candidateOf, durationWords, minuteOf, plural, relativeWords, seconds, shortNames } from './words.js';

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

// Line: what is promoted on a branch, and what is in the way of the next.

function branchLine(branch: BranchModel, index: number, view: View): Markup {
  const { state, current } = branch;
  return markup`<li class="line ${state}">
<div class="name"><a href="#branch-${index}">${branch.branch}</a> ${stateWords(branch)}</div>
<div>${current === null ? nothingPromoted(branch) : markup`${image(current)} ${kindBadge(current.kind)}`} ${badges(branch)}</div>
<div class="age soft">${age(branch, view)}${lastRun(branch, view)}</div>
<div class="told soft">${blockedInShort(branch, view)}${problems(branch, view)}</div>
</li>
`;
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
  return markup`${ageBar(now - seconds(success), target)}${isBack ? 'Rolled back' : 'Promoted'} ${time(current.when)} UTC<br>${isBack ? 'Last success ' : undefined}${relativeWords(seconds(success), now)}, target ${durationWords(target)}<br>`;
}

/** Short, as the branch's section has the time. */
function lastRun({ heartbeat: ran, state }: BranchModel, { now }: View): Content {
  if (ran === null) return undefined;
  return markup`<span${state === 'silent' ? markup` class="state silent"` : undefined}>Last run ${relativeWords(seconds(ran), now)}</span>`;
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
  if (candidate === null) return nothing(branch, 'No candidate is under test.', 'candidate label');
  return 'Nothing is blocked.';
}

const VERDICTS: Readonly<Record<NonNullable<BranchModel['decision']>['decision'], string>> = {
  promote: 'Promoted',
  wait: 'Waiting',
  reject: 'Rejected',
  force: 'Forced',
  rollback: 'Rolled back to',
  adopt: 'Adopted',
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
      ? notBuilt(problem, now)
      : markup`<span class="state ${BUILD_STATES[newest.outcome]}">${resultWords(newest)}</span>${newest.when === null ? undefined : markup` <span class="soft">${when(newest.when, now)}</span>`}`;
  return markup`<li><code><bdi>${job}</bdi></code> <span>${told}</span> ${builds.length === 0 ? undefined : markup`<ol class="pulse">${builds.map(nightlyBuild)}</ol>`}</li>
`;
}

function notBuilt(problem: NightlyJob['problem'], now: number): Markup {
  if (problem === null) return markup`<span class="soft">no build</span>`;
  return markup`<span class="state unmet">not readable</span> since ${when(problem.since, now)}: <bdi>${problem.why}</bdi>`;
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
