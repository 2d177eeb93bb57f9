import { rfc3339 } from '../base/clock.js';
import { oneLine } from '../base/errors.js';
import { distroName, type StableTag } from './policy.js';
import { formatVersion } from './scheme.js';
import { type Chosen, formatCounts, formatGroups, type NearMiss, type Selection } from './selection.js';

/** At most this many entries of a list are named. The rest is only counted. */
const NAMED = 10;

/** Formats a name that comes from outside. */
type Show = (name: string) => string;

/**
 * Lines for the log: the chosen tag or what there is instead, the tags that look stable but do not parse, and why the
 * others were not chosen.
 */
export function explain(selection: Selection): readonly string[] {
  return lines(selection, (name) => (/^[\w.-]+$/.test(name) ? shorten(name) : JSON.stringify(shorten(name))));
}

/** The same as a Markdown list. `aliases` are other tags of the chosen image. */
export function explainMarkdown(selection: Selection, aliases: readonly string[] = []): string {
  const show: Show = (name) => `\`${shorten(name).replaceAll('`', "'")}\``;
  const [first = '', ...more] = lines(selection, show);
  return [first, ...some(aliases, (name) => `the same image: ${show(name)}`, 'tags of this image'), ...more]
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
    `${total} tags read${total > 0 ? `: ${formatCounts(counts)}` : ''}`,
    ...some(nearMisses, (miss) => nearMiss(miss, show), 'that look stable'),
    // If nothing was chosen, the message already names the tags that were passed over.
    ...(selection.kind === 'chosen' ? chosenFrom(selection.runnersUp, passedOver, show) : []),
  ];
}

function verdict(selection: Selection, show: Show): readonly string[] {
  if (selection.kind === 'nothing') return [selection.message];
  if (selection.kind === 'unread') return [`${show(selection.tag)} is the best if its image fits`];
  return [`chose ${show(selection.chosen.tag)}: ${describe(selection.chosen)}`];
}

function chosenFrom(runnersUp: Chosen['runnersUp'], passedOver: Chosen['passedOver'], show: Show): readonly string[] {
  return [
    ...some(runnersUp, ({ tag, why }) => `runner-up ${show(tag)}: ${why}`, 'runners-up'),
    ...(passedOver.length > 0 ? [`passed over: ${formatGroups(passedOver)}`] : []),
  ];
}

function describe({ version, flavor, distro, arch, build, startedAt }: StableTag): string {
  return [
    `version ${formatVersion(version)}`,
    ...(flavor === undefined ? [] : [flavor]),
    ...(distro === undefined ? [] : [distroName(distro)]),
    ...(arch === undefined ? [] : [arch]),
    ...(build === undefined ? [] : [`build ${build}`]),
    ...(startedAt === undefined ? [] : [`set ${rfc3339(startedAt)}`]),
  ].join(', ');
}

function nearMiss({ name, why, looksNewer }: NearMiss, show: Show): string {
  return `${show(name)} looks ${looksNewer ? 'newer' : 'stable'}, but ${why}`;
}

function some<T>(all: readonly T[], line: (one: T) => string, what: string): readonly string[] {
  const named = all.slice(0, NAMED).map(line);
  return all.length > NAMED ? [...named, `and ${all.length - NAMED} more ${what}`] : named;
}
