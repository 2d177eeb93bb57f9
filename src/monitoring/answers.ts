import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, Health, Problem, Step } from './model.js';
import {
  chips,
  command,
  image,
  isPast,
  kindBadge,
  link,
  linkTo,
  nothing,
  problems,
  recordAddress,
  runLink,
  type View,
  when,
} from './page-parts.js';
import { icon } from './pictures.js';
import { candidateOf, plural, shortNames } from './words.js';

/**
 * The five answers about a branch: what is promoted and where to pull it, whether it is healthy, what blocks it, what
 * to do next, and whom to ask. `shown` are problems that the page already shows elsewhere.
 */
export function answers(branch: BranchModel, heading: Content, view: View, shown: readonly Problem[] = []): Markup {
  const own = branch.problems.filter((problem) => !shown.includes(problem));
  const row = (name: string, term: string, content: Content) =>
    markup`<div data-answer="${name}"><dt>${term}</dt><dd>${content}</dd></div>
`;
  return markup`<div class="title">${heading} ${chips(branch, view)}</div>
${problems(own)}<dl class="answers">
${row('promoted', 'Promoted', promoted(branch))}${row('healthy', 'Health', healthy(branch, view))}${row('blocked', 'Blocked by', blockedBy(branch))}${row('next', 'Next', next(branch.next))}${row('owner', 'Ask', owner(branch))}</dl>
`;
}

function promoted(branch: BranchModel): Content {
  const { current, targets } = branch;
  if (current === null) return nothingPromoted(branch);
  const by = current.kind === 'earned' ? undefined : markup` by <bdi>${current.who}</bdi>`;
  const own = targets.filter(({ companion }) => !companion);
  const [first] = own;
  const others = targets.filter((target) => target !== first);
  return markup`${image(current)} ${kindBadge(current.kind)}
<div class="soft">${when(current.when)}${by}, <a href="${recordAddress(branch.branch, current.n)}">record ${current.n}</a>${runLink(current['run-url'])}${signed(branch)}</div>
${proposed(branch)}${first === undefined ? undefined : command(pullCommand(first))}
${
  others.length === 0
    ? undefined
    : markup`<details><summary>${plural(others.length, 'more image')} in this promotion</summary>${others.map((target) => command(pullCommand(target)))}</details>`
}`;
}

function signed({ signed: said }: BranchModel): Content {
  if (said === null) return undefined;
  return said.by === null ? ', not signed by the last run' : markup`, signed by <bdi>${said.by}</bdi>`;
}

function proposed({ changes }: BranchModel): Content {
  if (changes.length === 0) return undefined;
  const links = changes.map((url, index) => markup`${index > 0 ? ', ' : ''}${link(url, url)}`);
  return markup`<div class="soft">Proposed in ${links}</div>
`;
}

function pullCommand({ repository, digest }: BranchModel['targets'][number]): string {
  return `podman pull ${repository}@${digest}`;
}

export function nothingPromoted(branch: BranchModel): Content {
  const tag = branch['label-tag'];
  if (tag === null) return nothing(branch, 'Nothing has been promoted yet.', 'ledger', 'label');
  return markup`<code>${tag}</code> <span class="soft">according to its label; without a ledger its digest is not known</span>`;
}

function healthy(branch: BranchModel, view: View): Markup {
  const { state, why } = branch.health;
  const words = HEALTH_WORDS[state];
  return markup`<span class="state ${TONES[state]}">${words}</span>: ${why}.${failedJobs(branch.health)}<div class="soft">${age(branch, view)}${lastRun(branch, view)}</div>`;
}

/** Age says nothing about health: a late image may be healthy, and a new one may have failed. */
function age({ due }: BranchModel, { now }: View): Content {
  if (due === null) return undefined;
  if (isPast(due, now)) return markup`<span class="state late">The next promotion was due by ${when(due)}.</span> `;
  return markup`The next promotion is due by ${when(due)}. `;
}

function lastRun(branch: BranchModel, { now }: View): Content {
  const { heartbeat, state } = branch;
  const due = branch['heartbeat-due'];
  if (heartbeat === null) return state === 'broken' ? undefined : 'No run is recorded.';
  if (due !== null && isPast(due, now)) {
    return markup`<span class="state silent">The last run was ${when(heartbeat)}, and the next was due by ${when(due)}.</span>`;
  }
  return markup`The last run was ${when(heartbeat)}.`;
}

const HEALTH_WORDS: Readonly<Record<Health['state'], string>> = {
  passing: 'Passing',
  regressed: 'Regressed',
  unproven: 'Unproven',
  unknown: 'Unknown',
  nothing: 'None yet',
};

const TONES: Readonly<Record<Health['state'], string>> = {
  passing: 'ok',
  regressed: 'unmet',
  unproven: 'late',
  unknown: 'unmet',
  nothing: 'empty',
};

/** An answer names at most this many jobs; the branch's page has all. */
const NAMED = 3;

function failedJobs({ jobs }: Health): Content {
  if (jobs.length === 0) return undefined;
  const said = ({ why, since }: Health['jobs'][number]) => {
    if (since === null) return markup`<bdi>${why}</bdi>`;
    return why === 'failed' ? markup`has failed since ${when(since)}` : markup`<bdi>${why}</bdi>, since ${when(since)}`;
  };
  const line = (job: Health['jobs'][number]) =>
    markup`<li class="${job.state}">${icon(job.state)}<code><bdi>${job.job}</bdi></code> <span class="said">${said(job)}${job.url === null ? undefined : markup`, ${link(job.url, 'result')}`}</span></li>`;
  return markup`<ul class="jobs">${jobs.slice(0, NAMED).map(line)}</ul>${more(jobs.length - NAMED)}`;
}

function more(amount: number): Content {
  return amount > 0 ? markup`<span class="soft">and ${plural(amount, 'more job')}</span>` : undefined;
}

function blockedBy(branch: BranchModel): Content {
  const { decision, candidate, state } = branch;
  if (state === 'broken') return everyPromotion(branch);
  if (decision?.blocked) {
    const { tag } = candidateOf(decision.reference);
    const short = shortNames(decision.jobs.map(({ job }) => job));
    const unmet = decision.jobs.filter(({ state }) => state === 'unmet' || state === 'unknown');
    const jobs = unmet
      .slice(0, NAMED)
      .map(
        ({ job, state, why, since, url }) =>
          markup`<li class="${state}">${icon(state)}<span><b title="${job}"><bdi>${short.get(job) ?? job}</bdi></b> <bdi>${why}</bdi>${since === null ? undefined : markup` since ${when(since)}`}${url === null ? undefined : markup`, ${link(url, 'result')}`}</span></li>`,
      );
    const reason = markup`<br><bdi>${decision.reason}</bdi>`;
    return markup`<span class="badge ${decision.decision}">${VERDICTS[decision.decision]}</span> <code>${tag}</code> <span class="soft">${when(decision['decided-at'])}${runLink(decision['run-url'])}</span>${unmet.length === 0 || decision.decision === 'frozen' ? reason : undefined}<ul class="jobs">${jobs}</ul>${more(unmet.length - NAMED)}`;
  }
  if (candidate === null) return nothing(branch, 'Nothing: no candidate is under test.', 'candidate label');
  if (candidate.promoted) return 'Nothing: the candidate under test is promoted.';
  if (candidate.banned) return markup`<code>${candidate.tag}</code> is on hold or quarantined, and is not promoted.`;
  if (!candidate.evaluated) {
    return markup`<code>${candidate.tag}</code> is under test${candidate.found === null ? undefined : markup`, found ${when(candidate.found)}`}; no run has decided on it yet.`;
  }
  return markup`Nothing. Last decision: ${decision?.decision}, <bdi>${decision?.reason}</bdi>.`;
}

export function everyPromotion({ problems }: BranchModel): Markup {
  const since = problems.map((problem) => problem.since).sort()[0];
  return markup`<span class="state broken">The problem above</span> blocks every promotion${since === undefined ? undefined : markup` since ${when(since)}`}.`;
}

const VERDICTS: Readonly<Record<NonNullable<BranchModel['decision']>['decision'], string>> = {
  promote: 'promoted',
  wait: 'waiting',
  reject: 'rejected',
  force: 'forced',
  rollback: 'rolled back to',
  adopt: 'adopted',
  unchanged: 'unchanged',
  frozen: 'frozen',
};

function next([first, ...others]: readonly Step[]): Content {
  if (first === undefined) return 'Nothing.';
  const rest =
    others.length === 0
      ? undefined
      : markup`<details><summary>${plural(others.length, 'other action')}</summary>${others.map((one) => markup`<div class="step">${step(one)}</div>`)}</details>`;
  return markup`${step(first)}${rest}`;
}

function step({ what, command: text, link: url, ...rest }: Step): Markup {
  const howTo = rest['how-to'];
  const links = [
    url === null ? undefined : link(url, 'Result'),
    howTo === null ? undefined : linkTo(howTo, markup`How to`),
  ];
  return markup`<bdi>${what}</bdi>${links.map((one) => one && markup` ${one}.`)}${text === null ? undefined : command(text)}`;
}

function owner({ owner }: BranchModel): Content {
  if (owner === null) return markup`<span class="soft">No owner is named.</span>`;
  return link(owner, owner);
}
