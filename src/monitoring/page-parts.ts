import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, DashboardModel, Problem, Promotion, Source } from './model.js';
import { type Icon, icon } from './pictures.js';
import { candidateOf, minuteOf, relativeWords, seconds, shortDigest } from './words.js';

/** What the lines and the sections of the page are both made of. */

export interface View {
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

export const KINDS: Readonly<Record<Promotion['kind'], string>> = {
  earned: 'earned',
  forced: 'forced',
  rollback: 'rolled back',
  adopted: 'adopted',
  hold: 'hold',
  lift: 'hold lifted',
  quarantine: 'quarantined',
};

export function stateWords({ state }: BranchModel): Markup {
  return markup`<span class="state ${state}">${icon(STATES[state].icon)} ${STATES[state].words}</span>`;
}

/** What to say where there is nothing to tell of; where one of the sources could not be read, nobody knows that. */
export function nothing({ problems }: BranchModel, words: Content, ...sources: Source[]): Markup {
  const isKnown = !problems.some(({ source }) => source === 'image server' || sources.includes(source));
  return markup`<span class="soft">${isKnown ? words : 'Not known.'}</span>`;
}

export function nothingPromoted(branch: BranchModel): Content {
  const tag = branch['label-tag'];
  if (tag === null) return nothing(branch, 'Nothing has been promoted yet.', 'ledger', 'label');
  return markup`<code>${tag}</code> <span class="soft">by its label; without a ledger nobody knows its digest</span>`;
}

export function problems({ problems: all }: BranchModel, { now }: View): Content {
  if (all.length === 0) return undefined;
  const line = ({ source, since, why }: Problem) =>
    markup`<li>${icon('broken')}<span><b>${source}</b> could not be read or trusted since ${when(since, now)}: <bdi>${why}</bdi></span></li>`;
  return markup`<ul class="problems">${all.map(line)}</ul>
`;
}

export function image({ tag, digest }: { readonly tag: string; readonly digest: string | null }): Markup {
  if (digest === null) return markup`<code>${tag}</code>`;
  return markup`<code title="${digest}">${tag}<span class="nowrap">@${shortDigest(digest)}</span></code>`;
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

export function time(iso: string): Markup {
  const [day, clock] = minuteOf(iso).split(' ');
  return markup`<time datetime="${iso}"><span class="nowrap">${day}</span> ${clock}</time>`;
}

/** A time in UTC, with where it is from now. */
export function when(iso: string, now: number): Markup {
  return markup`${time(iso)} UTC <span class="rel">(${relativeWords(seconds(iso), now)})</span>`;
}

export function runLink(url: string | null): Content {
  return url === null ? undefined : markup`, ${link(url, 'run')}`;
}

/** A link where the text is a web address, else only the words: what others wrote must not become a script. */
export function link(url: string, words: string): Markup {
  return linkTo(url, markup`<bdi>${words}</bdi>`);
}

export function linkTo(url: string, content: Markup): Markup {
  return /^https?:\/\//i.test(url) ? markup`<a href="${url}">${content}</a>` : content;
}
