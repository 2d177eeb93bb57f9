import { rfc3339 } from '../base/clock.js';
import { oneLine } from '../base/errors.js';
import { distroName, type StableTag } from './policy.js';
import { formatVersion } from './scheme.js';
import { formatCounts, formatGroups, type NearMiss, type Selection } from './selection.js';

/** So many of a list are named; the rest is counted. */
const NAMED = 10;

/** How a name from outside is shown. */
type Show = (name: string) => string;

/** For the log: what was chosen or was there instead, what lost and why, and what was not understood. */
export function explain(selection: Selection): readonly string[] {
  return lines(selection, (name) => (/^[\w.-]+$/.test(name) ? shorten(name) : JSON.stringify(shorten(name))));
}

/** The same as a Markdown list. */
export function explainMarkdown(selection: Selection): string {
  return lines(selection, (name) => `\`${shorten(name).replaceAll('`', "'")}\``)
    .map((line) => `- ${line}\n`)
    .join('');
}

function shorten(name: string): string {
  return oneLine(name, 150);
}

function lines(selection: Selection, show: Show): readonly string[] {
  const { counts, passedOver, nearMisses } = selection;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return [
    ...verdict(selection, show),
    `${total} tags${total > 0 ? `: ${formatCounts(counts)}` : ''}`,
    ...(selection.kind === 'chosen'
      ? some(selection.runnersUp, ({ tag, why }) => `runner-up ${show(tag)}: ${why}`, 'runners-up')
      : []),
    ...(passedOver.length > 0 ? [`passed over: ${formatGroups(passedOver)}`] : []),
    ...some(nearMisses, (miss) => nearMiss(miss, show), 'that look stable'),
  ];
}

function verdict(selection: Selection, show: Show): readonly string[] {
  if (selection.kind === 'nothing') return [selection.message];
  if (selection.kind === 'unread') return [`${show(selection.tag)} is the best if it has the platforms`];
  return [`chose ${show(selection.chosen.tag)}: ${describe(selection.chosen)}`];
}

function describe({ version, flavor, distro, arch, date, startedAt }: StableTag): string {
  return [
    `version ${formatVersion(version)}`,
    ...(flavor === undefined ? [] : [flavor]),
    ...(distro === undefined ? [] : [distroName(distro)]),
    ...(arch === undefined ? [] : [arch]),
    ...(date === undefined ? [] : [`built ${date}`]),
    ...(startedAt === undefined ? [] : [`set ${rfc3339(startedAt)}`]),
  ].join(', ');
}

function nearMiss({ name, why, looksNewer }: NearMiss, show: Show): string {
  return `${show(name)} looks ${looksNewer ? 'newer' : 'stable'}, and ${why}`;
}

function some<T>(all: readonly T[], line: (one: T) => string, what: string): readonly string[] {
  const named = all.slice(0, NAMED).map(line);
  return all.length > NAMED ? [...named, `and ${all.length - NAMED} more ${what}`] : named;
}
