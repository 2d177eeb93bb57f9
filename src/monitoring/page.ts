import { groupBy } from '../base/group-by.js';
import { answers } from './answers.js';
import { renderStatus } from './document.js';
import { branchFilter, branchFilterStyle, changeList, kindFilter } from './history.js';
import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, DashboardModel, NightlyJob, Problem } from './model.js';
import {
  branchAddress,
  briefChips,
  LISTED_OF_BRANCH,
  namedIcon,
  problems,
  slugOf,
  type View,
  viewOf,
  when,
} from './page-parts.js';
import { minuteOf, seconds } from './words.js';

/** The first page: five answers about each branch, those that need somebody first. */
export function renderPage(model: DashboardModel): string {
  const view = viewOf(model);
  const shared = outages(model.branches);
  const main = markup`${problems(shared.map(({ problem }) => problem))}${contents(model.branches, view)}${[...model.branches].sort(byUrgency).map((branch) => card(branch, view, shared))}
${nightlySection(model)}${historySection(view)}`;
  return renderStatus({ title: model.title, main, style: branchFilterStyle(model.branches) }, view);
}

/** Worst first. */
const URGENCY: readonly BranchModel['state'][] = ['broken', 'regressed', 'silent', 'late', 'empty', 'ok'];

function byUrgency(a: BranchModel, b: BranchModel): number {
  return urgency(a) - urgency(b);
}

/** The state counts most. Of two branches in one state, the one with a rejected candidate comes first. */
function urgency({ state, decision, problems }: BranchModel): number {
  const isRejected = decision?.blocked === true && decision.decision === 'reject';
  return 4 * URGENCY.indexOf(state) - (isRejected ? 2 : 0) - (problems.length > 0 ? 1 : 0);
}

function card(branch: BranchModel, view: View, shared: readonly Outage[]): Markup {
  const slug = slugOf(branch.branch);
  const shown = shared.flatMap(({ problems }) => problems);
  const heading = markup`<h2 id="${slug}-name"><a href="${branchAddress(branch.branch)}">${branch.branch}</a></h2>`;
  return markup`<section class="panel card ${branch.state}" id="branch-${slug}" aria-labelledby="${slug}-name">
${answers(branch, heading, view, shown)}<p class="more"><a href="${branchAddress(branch.branch)}">Jobs, waivers, holds and history of ${branch.branch}</a></p>
</section>
`;
}

function contents(branches: readonly BranchModel[], view: View): Content {
  if (branches.length < 2) return undefined;
  const line = (branch: BranchModel) =>
    markup`<li><a href="#branch-${slugOf(branch.branch)}">${branch.branch}</a> ${briefChips(branch, view)}</li>`;
  return markup`<nav aria-label="Branches"><ul class="contents">${[...branches].sort(byUrgency).map(line)}</ul></nav>
`;
}

interface Outage {
  /** The outage in one problem, which names the branches. */
  readonly problem: Problem;
  /** The branches' own problems that the outage combines. */
  readonly problems: readonly Problem[];
}

/** Combines the problems of several branches with the same source on the same host into one outage. */
function outages(branches: readonly BranchModel[]): Outage[] {
  const all = branches.flatMap(({ branch, problems }) => problems.map((problem) => ({ branch, problem })));
  const byHost = groupBy(all, ({ problem }) => `${problem.source} ${hostOf(problem.why) ?? problem.why}`);
  return [...byHost.values()].flatMap((group): Outage[] => {
    const [first] = group;
    const host = first && hostOf(first.problem.why);
    if (first === undefined || host === undefined || group.length < 2) return [];
    const since = group.map(({ problem }) => problem.since).sort()[0] ?? first.problem.since;
    const why = `on ${group.map(({ branch }) => branch).join(', ')}: ${first.problem.why}`;
    return [{ problem: { source: first.problem.source, since, why }, problems: group.map(({ problem }) => problem) }];
  });
}

function hostOf(why: string): string | undefined {
  return /\b(?:https?|sftp):\/\/(?:[^/\s@]*@)?([^/\s]+)/.exec(why)?.[1];
}

/** The first page lists about this many promotions, the same number of each branch. */
const LISTED = 24;
const LEAST_OF_EACH = 3;

function historySection(view: View): Content {
  const share = Math.floor(LISTED / view.model.branches.length);
  const ofEach = Math.min(LISTED_OF_BRANCH, Math.max(LEAST_OF_EACH, share));
  const changes = view.model.branches
    .flatMap((branch) => branch.promotions.slice(0, ofEach).map((promotion) => ({ branch, promotion })))
    .sort((a, b) => seconds(b.promotion.when) - seconds(a.promotion.when));
  if (changes.length === 0) return undefined;
  return markup`<section class="panel history" aria-labelledby="history"><h2 id="history">History</h2>
<details><summary>The newest promotions and rollbacks of each branch</summary>
${view.model.branches.length < 2 ? undefined : branchFilter(view.model.branches)}${kindFilter()}${changeList(changes, view, true)}
<ul class="legend"><li class="waited">found, until the first result</li><li class="tested">from there until promoted</li></ul></details>
</section>
`;
}

// Section: the jobs that test development builds.

function nightlySection({ nightly }: DashboardModel): Content {
  if (nightly.length === 0) return undefined;
  return markup`<section class="panel" aria-labelledby="nightly">
<h2 id="nightly">Nightly builds</h2>
<p class="soft">Of development builds, newest first. They neither promote nor block anything.</p>
<ul class="nightly">${nightly.map(nightlyLine)}</ul>
</section>
`;
}

function nightlyLine({ job, problem, builds }: NightlyJob): Markup {
  const [newest] = builds;
  const content =
    newest === undefined
      ? notBuilt(problem)
      : markup`<span class="state ${BUILD_STATES[newest.outcome]}">${resultWords(newest)}</span>${newest.when === null ? undefined : markup` <span class="soft">${when(newest.when)}</span>`}`;
  return markup`<li><code><bdi>${job}</bdi></code> <span>${content}</span> ${builds.length === 0 ? undefined : markup`<ol class="pulse">${builds.map(nightlyBuild)}</ol>`}</li>
`;
}

function notBuilt(problem: NightlyJob['problem']): Markup {
  if (problem === null) return markup`<span class="soft">no build</span>`;
  return markup`<span class="state unmet">not readable</span> since ${when(problem.since)}: <bdi>${problem.why}</bdi>`;
}

function nightlyBuild(build: NightlyJob['builds'][number]): Markup {
  const state = BUILD_STATES[build.outcome];
  const words = `${resultWords(build)}${build.when === null ? '' : `, ${minuteOf(build.when)} UTC`}`;
  return markup`<li class="${state}">${namedIcon(state, words, build.url)}</li>`;
}

const BUILD_STATES = { success: 'met', failure: 'unmet', running: 'unknown', unknown: 'unknown' } as const;

function resultWords({ outcome, result }: NightlyJob['builds'][number]): string {
  return outcome === 'unknown' ? `no result (${result})` : BUILD_WORDS[outcome];
}

const BUILD_WORDS = { success: 'passed', failure: 'failed', running: 'running' } as const;
