import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, DashboardModel, Health, Problem, Promotion, Source } from './model.js';
import { type Icon, icon } from './pictures.js';
import { candidateOf, minuteOf, seconds, shortDigest } from './words.js';

/** The parts that all pages are made of. */

export interface View {
  readonly model: DashboardModel;
  /** The time at which the page is written, in unix seconds. */
  readonly now: number;
}

export function viewOf(model: DashboardModel): View {
  return { model, now: seconds(model['generated-at']) };
}

export const KINDS: Readonly<Record<Promotion['kind'], string>> = {
  earned: 'earned',
  forced: 'forced',
  rollback: 'rolled back',
  adopted: 'adopted',
  hold: 'held',
  lift: 'hold lifted',
  quarantine: 'quarantined',
};

const HEALTH: Readonly<Record<Health['state'], Chip>> = {
  passing: { tone: 'ok', icon: 'met', words: 'passing' },
  regressed: { tone: 'unmet', icon: 'unmet', words: 'regressed' },
  unproven: { tone: 'late', icon: 'unknown', words: 'unproven' },
  unknown: { tone: 'unmet', icon: 'broken', words: 'health unknown' },
  nothing: { tone: 'empty', icon: 'unknown', words: 'nothing promoted' },
};

interface Chip {
  readonly tone: string;
  readonly icon: Icon;
  readonly words: string;
}

/** The chips of a branch. Health, age and pipeline each have their own, since they do not depend on each other. */
export function chips(branch: BranchModel, view: View): Markup {
  return chipList([...urgentChips(branch, view), isOnTime(branch, view) ? ON_TIME : undefined]);
}

/** The chips of a branch without `on time`. */
export function briefChips(branch: BranchModel, view: View): Markup {
  return chipList(urgentChips(branch, view));
}

const ON_TIME: Chip = { tone: 'ok', icon: 'late', words: 'on time' };

function isOnTime({ due }: BranchModel, { now }: View): boolean {
  return due !== null && !isPast(due, now);
}

function urgentChips(branch: BranchModel, view: View): (Chip | undefined)[] {
  const { decision, due, health, state } = branch;
  const runDue = branch['heartbeat-due'];
  return [
    state === 'broken' ? { tone: 'broken', icon: 'broken', words: 'broken' } : undefined,
    state === 'broken' && health.state === 'unknown' ? undefined : HEALTH[health.state],
    due !== null && !isOnTime(branch, view) ? { tone: 'late', icon: 'late', words: 'late' } : undefined,
    runDue !== null && isPast(runDue, view.now)
      ? { tone: 'silent', icon: 'broken', words: 'pipeline silent' }
      : undefined,
    decision?.decision === 'frozen' ? { tone: 'frozen', icon: 'waived', words: 'frozen' } : undefined,
  ];
}

function chipList(chips: readonly (Chip | undefined)[]): Markup {
  return markup`<span class="chips">${chips.map(
    (chip) => chip && markup`<span class="state chip ${chip.tone}">${icon(chip.icon)} ${chip.words}</span> `,
  )}</span>`;
}

export function isPast(time: string, now: number): boolean {
  return seconds(time) < now;
}

/** A branch's name in the names of its pages. */
export function slugOf(branch: string): string {
  return branch.replaceAll('/', '-');
}

export function branchAddress(branch: string): string {
  return `branch-${slugOf(branch)}.html`;
}

/** The number of records on a page. It never changes, so that addresses stay valid. */
export const RECORDS_A_PAGE = 50;

/** A branch's own page lists this many promotions. The first page lists at most as many of each branch. */
export const LISTED_OF_BRANCH = 12;

export function recordPageAddress(branch: string, page: number): string {
  return `records-${slugOf(branch)}-${page}.html`;
}

/**
 * The pages of records, newest first, given that the newest `read` of `head` records were read. If not all were read,
 * a page needs all its records and the one before them. Otherwise it is left out, so that it does not replace the page
 * that was published when they were read.
 */
export function recordPages(head: number, read: number, isCut: boolean): number[] {
  const oldest = head - read + 1;
  const first = Math.ceil((isCut && oldest > 1 ? oldest + RECORDS_A_PAGE : oldest) / RECORDS_A_PAGE);
  const last = Math.ceil(head / RECORDS_A_PAGE);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => last - index);
}

/** The permanent address of record n. */
export function recordAddress(branch: string, n: number): string {
  return `${recordPageAddress(branch, Math.ceil(n / RECORDS_A_PAGE))}#n${n}`;
}

/** The words for an empty list, or `Not known.` if one of these sources cannot be read. */
export function nothing({ problems }: BranchModel, words: Content, ...sources: Source[]): Markup {
  const isKnown = !problems.some(({ source }) => source === 'image server' || sources.includes(source));
  return markup`<span class="soft">${isKnown ? words : 'Not known.'}</span>`;
}

export function problems(all: readonly Problem[]): Content {
  if (all.length === 0) return undefined;
  const line = ({ source, since, why }: Problem) =>
    markup`<li>${icon('broken')}<span><b>${source}</b> could not be read or trusted since ${when(since)}: <bdi>${why}</bdi></span></li>`;
  return markup`<ul class="problems">${all.map(line)}</ul>
`;
}

export function image({ tag, digest }: { readonly tag: string; readonly digest: string | null }): Markup {
  if (digest === null) return markup`<code>${tag}</code>`;
  return markup`<code title="${digest}">${tag}<wbr>@${shortDigest(digest)}</code>`;
}

/** An image in a list. The page of its record has the digest in full. */
export function shortImage({ tag, digest }: { readonly tag: string; readonly digest: string }): Markup {
  return markup`<code>${tag}<wbr>@${shortDigest(digest)}</code>`;
}

export function imageOf(reference: string): Markup {
  return image(candidateOf(reference));
}

export function kindBadge(kind: Promotion['kind']): Markup {
  return markup`<span class="badge ${kind}">${KINDS[kind]}</span>`;
}

export function names(jobs: readonly string[]): Content {
  return jobs.map((job, index) => markup`${index > 0 ? ', ' : ''}<code><bdi>${job}</bdi></code>`);
}

/** Text to copy: one click selects all of it. */
export function command(text: string): Markup {
  return markup`<code class="command">${text}</code>`;
}

export function time(iso: string): Markup {
  return markup`<time>${minuteOf(iso)}</time>`;
}

/** A time in UTC. A static page is read later, so no time is relative. */
export function when(iso: string): Markup {
  return markup`${time(iso)} UTC`;
}

export function runLink(url: string | null): Content {
  return url === null ? undefined : markup`, ${linkTo(url, markup`run`)}`;
}

/** A link if the text is a web address, otherwise only the words: text from outside must not become a script. */
export function link(url: string, words: string): Markup {
  return linkTo(url, markup`<bdi>${words}</bdi>`);
}

export function linkTo(url: string, content: Markup): Markup {
  return isWebAddress(url) ? markup`<a href="${url}">${content}</a>` : content;
}

export function isWebAddress(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** An icon, with its words for those who point at it or cannot see it. */
export function namedIcon(name: Icon, words: string, url: string | null): Markup {
  if (url !== null && isWebAddress(url)) return markup`<a href="${url}" title="${words}">${icon(name)}</a>`;
  return markup`<span title="${words}">${icon(name)}<span class="vh">${words}</span></span>`;
}
