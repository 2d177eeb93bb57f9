import type { KnownImages } from './known-images.js';
import { distroName, isForeign, type Policy, type StableTag } from './policy.js';
import { compareBuilds, compareText, compareVersions, type Distro, seriesOf, type Version } from './scheme.js';

/** One reason to prefer one tag to another. */
interface Preference {
  /** Negative if a comes first. */
  readonly compare: (a: StableTag, b: StableTag) => number;
  /** The reason why the second tag is not preferred. */
  readonly why: (second: StableTag, first: StableTag) => string;
}

/** Orders candidates under a policy. The order is total, so the order of the listing does not matter. */
export interface Ranking {
  readonly compare: (a: StableTag, b: StableTag) => number;
  /** The reason why `second` ranks below `first`. */
  readonly why: (second: StableTag, first: StableTag) => string;
}

/** `home`: the series whose newest patch still carries the flavor, see `homeSeries`. */
export function rankingOf(policy: Policy, home: ReadonlySet<string>, known: KnownImages): Ranking {
  const preferences = preferencesOf(policy, home, known);
  return {
    compare(a, b) {
      for (const { compare } of preferences) {
        const order = compare(a, b);
        if (order !== 0) return order;
      }
      return 0;
    },
    why: (second, first) =>
      preferences.find(({ compare }) => compare(first, second) !== 0)?.why(second, first) ?? 'the same tag',
  };
}

function preferencesOf(
  { flavor, arch, platforms, preferDated }: Policy,
  home: ReadonlySet<string>,
  known: KnownImages,
): readonly Preference[] {
  const dated: Preference[] = [
    {
      compare: by((tag) => (tag.build === undefined) === preferDated),
      why: () => (preferDated ? 'moves with each rebuild' : "one day's build of the same version"),
    },
    { compare: (a, b) => compareBuilds(b.build, a.build), why: () => 'an earlier build of the same version' },
  ];
  const native: Preference[] =
    arch === undefined && platforms.length === 0
      ? [
          {
            compare: by((tag) => isForeign(tag, known)),
            why: (second) => `for ${second.arch ?? 'another architecture'} alone`,
          },
        ]
      : [];
  const named: Preference[] = [
    {
      compare: by((tag) => tag.arch !== arch),
      why: ({ arch: other }) => (other === undefined ? `${arch} has a tag of its own` : `for ${other} alone`),
    },
    { compare: by((tag) => tag.arch !== 'x86_64'), why: (second) => `for ${second.arch} alone` },
  ];
  return [
    ...native,
    {
      compare: by((tag) => flavor !== undefined && !home.has(seriesOf(tag.version))),
      why: (second) => `the newest patch of series ${seriesOf(second.version)} no longer carries ${flavor}`,
    },
    { compare: (a, b) => compareVersions(b.version, a.version), why: () => 'an older version' },
    // The names of Ceph's releases follow the alphabet.
    {
      compare: (a, b) => compareText(b.flavor ?? '', a.flavor ?? ''),
      why: (second) => `the same version of an older release of Ceph, ${second.flavor}`,
    },
    {
      compare: (a, b) => compareBases(b.distro, a.distro),
      why: (second) => `the same version on an older base, ${distroName(second.distro)}`,
    },
    ...dated,
    ...named,
    { compare: (a, b) => compareText(a.tag, b.tag), why: () => 'the same build under another name' },
  ];
}

/** Tags for which this is false come first. */
function by(isSecond: (tag: StableTag) => boolean): Preference['compare'] {
  return (a, b) => Number(isSecond(a)) - Number(isSecond(b));
}

/** stream9 > stream8 > 8 > 7, and 16.04 > 14.04. By now all tags are of one family, or of none. */
function compareBases(a: Distro | undefined, b: Distro | undefined): number {
  return a?.base === b?.base ? 0 : compareVersions(baseNumbers(a), baseNumbers(b));
}

function baseNumbers(distro: Distro | undefined): Version {
  if (distro === undefined) return [];
  const stream = distro.base.startsWith('stream');
  const numbers = distro.base.replace(/^stream/, '').split('.');
  return [stream ? 1n : 0n, ...numbers.map(BigInt)];
}

/**
 * The series whose newest patch carries the flavor. The first patch of a new series may still be built for an older
 * flavor that later patches drop, so that series is not the flavor's home. Counts all stable tags of the listing, even
 * those that the policy excludes, since they were built all the same.
 */
export function homeSeries(tags: readonly StableTag[], isOfFlavor: (tag: StableTag) => boolean): ReadonlySet<string> {
  const newest = new Map<string, { version: Version; carries: boolean }>();
  for (const tag of tags) {
    const series = seriesOf(tag.version);
    const known = newest.get(series);
    const order = known === undefined ? 1 : compareVersions(tag.version, known.version);
    const carries = isOfFlavor(tag);
    if (order > 0) newest.set(series, { version: tag.version, carries });
    else if (order === 0 && known !== undefined) known.carries ||= carries;
  }
  return new Set([...newest].flatMap(([series, { carries }]) => (carries ? [series] : [])));
}
