import type { LedgerRecord } from '../ledger/record.js';
import { type Content, type Markup, markup } from './markup.js';
import type { BranchModel, Promotion } from './model.js';
import { KINDS, kindBadge, recordAddress, runLink, shortImage, time, type View } from './page-parts.js';
import { leadStrip } from './pictures.js';
import { candidateOf, durationWords } from './words.js';

/** Lists of promotions, with filters that need neither a server nor scripts. */

export interface Change {
  readonly branch: BranchModel;
  readonly promotion: Promotion;
}

/** Promotions, one a line, newest first. */
export function changeList(changes: readonly Change[], { model }: View, namesBranch: boolean): Markup {
  const longest = Math.max(...changes.map(({ promotion }) => promotion['lead-time'] ?? 0));
  return markup`<ol class="changes">${changes.map((change) => changeLine(change, model.branches.indexOf(change.branch), longest, namesBranch))}</ol>
`;
}

function changeLine({ branch, promotion }: Change, place: number, longest: number, namesBranch: boolean): Markup {
  const { kind, n, reason, who } = promotion;
  const lead = promotion['lead-time'];
  const why =
    kind === 'earned'
      ? undefined
      : markup`<span class="soft why"><bdi>${who}</bdi>${reason === '' ? undefined : markup`: <bdi>${reason}</bdi>`}</span>`;
  const name = namesBranch ? markup`<b>${branch.branch}</b> ` : undefined;
  return markup`<li class="b-${place} k-${kind}">${time(promotion.when)}<span>${name}${kindBadge(kind)} ${whatChanged(promotion)}${why}</span><span class="lead">${lead === null ? undefined : markup`<span class="soft">lead time</span> ${durationWords(lead)}${leadStrip(promotion, longest)}`}</span><span class="links"><a href="${recordAddress(branch.branch, n)}">record ${n}</a>${runLink(promotion['run-url'])}</span></li>
`;
}

/** For a rollback, names both the image that it restored and the one that it left. */
export function whatChanged(promotion: Promotion): Content {
  const { kind, left } = promotion;
  if (kind !== 'rollback' || left === null) return shortImage(promotion);
  return markup`to ${shortImage(promotion)} from ${shortImage(candidateOf(left))}`;
}

const FILTERED = ['earned', 'forced', 'rollback', 'adopted', 'hold', 'lift', 'quarantine'] as const;
const PROMOTING = FILTERED.slice(0, 4);

export function kindFilter(kinds: readonly (typeof FILTERED)[number][] = PROMOTING): Markup {
  return radios(
    'Kind',
    'k',
    kinds.map((kind) => ({ value: kind, words: KINDS[kind] })),
  );
}

/** The kinds that these records have. */
export function recordKindFilter(records: readonly LedgerRecord[]): Markup {
  return kindFilter(FILTERED.filter((kind) => records.some((record) => record.kind === kind)));
}

export function branchFilter(branches: readonly BranchModel[]): Markup {
  return radios(
    'Branch',
    'b',
    branches.map(({ branch }, place) => ({ value: String(place), words: branch })),
  );
}

function radios(
  legend: string,
  name: string,
  choices: readonly { readonly value: string; readonly words: string }[],
): Markup {
  const radio = (value: string, words: string, checked: boolean) =>
    markup`<label><input type="radio" name="${name}" id="${name}-${value}"${checked ? markup` checked` : undefined}> ${words}</label> `;
  return markup`<fieldset class="filter"><legend>${legend}</legend>${radio('all', 'all', true)}${choices.map(({ value, words }) => radio(value, words, false))}</fieldset>
`;
}

/** The CSS rules of the filter by branch. */
export function branchFilterStyle(branches: readonly BranchModel[]): Markup {
  return markup`${branches.map((_, place) => hideOthers('b', String(place)))}`;
}

/** The CSS rules of the filter by kind, which are the same on all pages. */
export const KIND_FILTER_STYLE = markup`${FILTERED.map((kind) => hideOthers('k', kind))}`;

/** Hides the entries that do not have the chosen class. */
function hideOthers(name: string, value: string): Markup {
  return markup`main:has(#${name}-${value}:checked) :is(.changes li, article):not(.${name}-${value}) { display: none; }
`;
}
