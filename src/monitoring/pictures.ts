import { type Markup, markup } from './markup.js';
import type { Promotion } from './model.js';
import { DAY, durationWords, seconds, WEEK } from './words.js';

/**
 * The pages' pictures. They stretch to the available width: strokes keep their size (vector-effect), and words are HTML
 * on top of them, so that letters have one size everywhere. Text nearby says the same as each picture.
 */

const SHAPES = {
  met: 'M3 8.5l3.5 3.5L13 4.5',
  unmet: 'M4 4l8 8M12 4l-8 8',
  unknown: 'M4 8h8',
  waived: 'M3 9.5c1.5-3 3-3 5-1.5s3.5 1.5 5-1.5',
  late: 'M8 3.5V8l3 2M8 1.5a6.5 6.5 0 1 0 .01 0',
  broken: 'M8 2L1.5 13.5h13zM8 6.5v3.5M8 12v.1',
} as const;
export type Icon = keyof typeof SHAPES;

/** The shapes of all icons. A page must have them once, before any icon. */
export function iconShapes(): Markup {
  const symbols = Object.entries(SHAPES).map(
    ([name, d]) => markup`<symbol id="i-${name}" viewBox="0 0 16 16"><path d="${d}"/></symbol>`,
  );
  return markup`<svg class="shapes" aria-hidden="true">${symbols}</svg>`;
}

export function icon(name: Icon): Markup {
  return markup`<svg class="i" aria-hidden="true"><use href="#i-${name}"/></svg>`;
}

/** The times between found, first result and promoted; `longest` (seconds) is the full width. */
export function leadStrip(promotion: Promotion, longest: number): Markup | undefined {
  const { found, when, 'first-result': first, 'lead-time': lead } = promotion;
  if (found === null || lead === null) return undefined;
  const scale = 100 / Math.max(longest, 1);
  const tested = first === null || seconds(first) < seconds(found) ? found : first;
  const waited = scale * (seconds(tested) - seconds(found));
  const testing = Math.max(1, scale * (seconds(when) - seconds(tested)));
  return markup`<i class="strip" style="--from:${round(waited)}%;--to:${round(waited + testing)}%"></i>`;
}

const CHART_WEEKS = 26;

const LEAST_WEEKS = 4;

/** The time at which the chart begins, in unix seconds: before the oldest promotion, or at it if the list is cut. */
export function chartStart(promotions: readonly Promotion[], isCut: boolean, now: number): number {
  const oldest = Math.min(now, ...promotions.slice(-1).map(({ when }) => seconds(when)));
  const start = isCut ? oldest : Math.min(oldest - 3 * DAY, now - LEAST_WEEKS * WEEK);
  return Math.max(start, now - CHART_WEEKS * WEEK);
}

/** Promotions over time: the higher a dot, the longer its lead time; rollbacks are lines. */
export function promotionChart(
  promotions: readonly Promotion[],
  start: number,
  now: number,
  median: number | null,
): Markup {
  const shown = promotions.filter(({ when }) => seconds(when) >= start);
  const longest = Math.max(DAY, ...shown.map((promotion) => promotion['lead-time'] ?? 0));
  const x = (time: number) => round((1000 * (time - start)) / Math.max(1, now - start));
  const y = (lead: number) => round(92 - (84 * Math.min(lead, longest)) / longest);
  const dots = (kind: Promotion['kind']) =>
    shown
      .filter((promotion) => promotion.kind === kind)
      .map((promotion) => `M${x(seconds(promotion.when))} ${y(promotion['lead-time'] ?? 0)}h0`)
      .join('');
  const rollbacks = shown.filter(({ kind }) => kind === 'rollback').map(({ when }) => `M${x(seconds(when))} 4V96`);
  const months = monthsBetween(start, now);
  const labels = months
    .map((time) => ({ time, at: x(time) / 10 }))
    .filter(({ at }) => at > 16 && at < 78)
    .map(({ time, at }) => markup`<span style="left:${at}%">${MONTHS[new Date(time * 1000).getUTCMonth()]}</span>`);
  return markup`<div class="chart"><div class="plot">
<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true"><path class="grid" d="${months.map((time) => `M${x(time)} 0V100`).join('')}"/><path class="base" d="M0 100H1000"/>${median === null ? undefined : markup`<path class="median" d="M0 ${y(median)}H1000"/>`}<path class="rollback" d="${rollbacks.join('')}"/><path class="adopted" d="${dots('adopted')}"/><path class="earned" d="${dots('earned')}"/><path class="forced" d="${dots('forced')}"/></svg>
<span class="top">${durationWords(longest)}</span>${median === null ? undefined : markup`<span class="mid" style="top:${y(median)}%">p50</span>`}</div>
<div class="axis"><span class="from">${dayOf(start)}</span>${labels}<span class="to">${dayOf(now)}</span></div></div>`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The first of every month between, in unix seconds. */
function monthsBetween(start: number, end: number): number[] {
  const first = new Date(start * 1000);
  const months: number[] = [];
  for (let month = first.getUTCMonth() + 1; ; month += 1) {
    const time = Date.UTC(first.getUTCFullYear(), month, 1) / 1000;
    if (time >= end) return months;
    months.push(time);
  }
}

function dayOf(time: number): string {
  const date = new Date(time * 1000);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
