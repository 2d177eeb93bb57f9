import { oneLine } from '../base/errors.js';
import type { KnownImages } from './known-images.js';
import { distinctTags, type ListedTag } from './listing.js';
import {
  distroName,
  isExcluded,
  isOfFlavor,
  needsReading,
  type Policy,
  type Rule,
  type RuleName,
  rulesOf,
  type StableTag,
  sinceOf,
} from './policy.js';
import { homeSeries, rankingOf } from './ranking.js';
import type { Tag } from './reference.js';
import {
  checkTag,
  compareBuilds,
  compareText,
  compareVersions,
  type Scheme,
  seriesOf,
  type TagKind,
  type Version,
} from './scheme.js';

/** The tag to take and why, or why there is none. Each case includes a survey of the listing. */
export type Selection = Chosen | Unread | Nothing;

interface Survey {
  /** The number of listed tags of each kind. Each name counts once, and an expired tag only as expired. */
  readonly counts: Readonly<Record<TagKind | 'expired', number>>;
  /** Newest first. */
  readonly nearMisses: readonly NearMiss[];
  /** Stable tags that the policy does not admit, each with the first rule that it failed. */
  readonly passedOver: readonly PassedOver[];
}

export interface Chosen extends Survey {
  readonly kind: 'chosen';
  readonly chosen: StableTag;
  /** The other tags that fit, best first. */
  readonly runnersUp: readonly RunnerUp[];
  readonly warnings: readonly string[];
}

/** The best tag so far. Its image must be read to know whether it fits the policy. */
export interface Unread extends Survey {
  readonly kind: 'unread';
  readonly tag: Tag;
}

/** No tag fits, and nothing may be taken instead. */
export interface Nothing extends Survey {
  readonly kind: 'nothing';
  /** The listing has no tags, or no stable ones; nothing says which is newest; or a rule admitted none of the rest. */
  readonly reason: 'no-tags' | 'nothing-stable' | 'no-order' | RuleName;
  /** The request, and what was found instead; one line. */
  readonly message: string;
}

export interface NearMiss {
  /** As listed: it can be any text. */
  readonly name: string;
  readonly why: string;
  /** True if its version is above the chosen tag's, or if nothing was chosen. */
  readonly looksNewer: boolean;
}

export interface PassedOver {
  readonly tag: Tag;
  readonly rule: RuleName;
  readonly why: string;
}

export interface RunnerUp {
  readonly tag: Tag;
  readonly why: string;
}

/**
 * Chooses the tag that the policy wants from a listing. If the policy asks for something that tags do not say, the
 * answer may be `unread`: read that tag's image, add it to `known`, and call this again. An image that does not fit
 * gives way to the next.
 */
export function selectCandidate(
  listing: Iterable<ListedTag>,
  policy: Policy,
  known: KnownImages = new Map(),
): Selection {
  const { flavor, scheme } = policy;
  const { counts, stable, misses } = survey(listing, scheme);
  const rules = rulesOf(policy, stable, known);
  const { admitted, passedOver, stop } = applyRules(rules, stable);
  const home = flavor === undefined ? new Set<string>() : homeSeries(stable, (tag) => isOfFlavor(tag, flavor, scheme));
  const ranking = rankingOf(policy, home, known);
  const [chosen, ...others] = [...admitted].sort(ranking.compare);
  const found = { counts, nearMisses: nearMisses(misses, chosen?.version), passedOver };

  if (chosen === undefined) return { kind: 'nothing', ...(stop ?? nothingStable(counts, misses, scheme)), ...found };
  const rival = scheme.isTotal === false ? others.find((other) => isRival(other, chosen)) : undefined;
  if (rival !== undefined) {
    const message = `nothing says which of ${chosen.tag} and ${rival.tag} is newer: their version and build are equal`;
    return { kind: 'nothing', reason: 'no-order', message, ...found };
  }
  if (needsReading(chosen, policy) && !known.has(chosen.tag)) return { kind: 'unread', tag: chosen.tag, ...found };
  return {
    kind: 'chosen',
    chosen,
    runnersUp: others.map((other) => ({ tag: other.tag, why: ranking.why(other, chosen) })),
    warnings: warningsOn(chosen, policy, { stable, home, known }),
    ...found,
  };
}

/** True if either tag could be the newer one, and they may be different images. */
function isRival(a: StableTag, b: StableTag): boolean {
  const isEqual =
    compareVersions(a.version, b.version) === 0 && compareBuilds(a.build, b.build) === 0 && a.arch === b.arch;
  return isEqual && a.flavor === b.flavor && (a.digest === undefined || a.digest !== b.digest);
}

type Miss = Omit<NearMiss, 'looksNewer'> & { readonly version: Version };

/** Sorts the listing into kinds, and reads each tag once. */
function survey(listing: Iterable<ListedTag>, scheme: Scheme) {
  const counts = { stable: 0, 'near-miss': 0, prerelease: 0, unreleased: 0, devel: 0, alias: 0, other: 0, expired: 0 };
  const stable: StableTag[] = [];
  const misses: Miss[] = [];
  const rows = distinctTags(listing);
  const readings = scheme.readAll?.(rows.map(({ name }) => name));
  for (const [index, { name, expired, digest, startedAt }] of rows.entries()) {
    const reading = checkTag(name, readings?.[index] ?? scheme.read(name));
    counts[expired ? 'expired' : reading.kind] += 1;
    if (expired) continue;
    if (reading.kind === 'stable') {
      // Spreading last is twice as fast in V8, and this is most of the work on a long listing.
      stable.push({ tag: reading.tag, digest, startedAt, ...reading.build });
    } else if (reading.kind === 'near-miss') {
      misses.push({ name, why: reading.why, version: reading.version });
    }
  }
  // Newest first, so that messages name the newest.
  stable.sort((a, b) => compareVersions(b.version, a.version) || compareText(a.tag, b.tag));
  return { counts, stable, misses };
}

/** Applies one rule after another. `stop` is the rule that no remaining tag passed. */
function applyRules(rules: readonly Rule[], stable: readonly StableTag[]) {
  let passedOver: readonly PassedOver[] = [];
  let admitted = stable;
  let stop: Pick<Nothing, 'reason' | 'message'> | undefined;
  for (const [index, rule] of rules.entries()) {
    const refused = admitted
      .filter((tag) => !rule.admits(tag))
      .map((tag) => ({ tag: tag.tag, rule: rule.name, why: rule.instead(tag) }));
    if (refused.length > 0 && refused.length === admitted.length) {
      const asked = rules.slice(0, index + 1).flatMap(({ asks }) => (asks === '' ? [] : [asks]));
      stop = {
        reason: rule.name,
        message: `${['no stable tag', ...asked].join(' ')}; there is: ${formatGroups(refused)}`,
      };
    }
    passedOver = passedOver.concat(refused);
    admitted = admitted.filter(rule.admits);
  }
  return { admitted, passedOver, stop };
}

/** For example `2 of flavor quincy (v7.0.1-…, …), 1 of flavor reef (v8.0.0-…)`, largest group first. */
export function formatGroups(tags: readonly PassedOver[]): string {
  const byWhy = new Map<string, Tag[]>();
  for (const { tag, why } of tags) {
    const group = byWhy.get(why);
    if (group === undefined) byWhy.set(why, [tag]);
    else group.push(tag);
  }
  const groups = [...byWhy].sort(([a, some], [b, others]) => others.length - some.length || compareText(a, b));
  const named = groups
    .slice(0, GROUPS_NAMED)
    .map(([why, [tag, ...more]]) => `${more.length + 1} ${why} (${tag}${more.length > 0 ? ', …' : ''})`);
  return [...named, ...(groups.length > GROUPS_NAMED ? ['…'] : [])].join(', ');
}

const GROUPS_NAMED = 12;

function nothingStable(
  counts: Survey['counts'],
  [miss]: readonly Miss[],
  scheme: Scheme,
): Pick<Nothing, 'reason' | 'message'> {
  const there = formatCounts(counts);
  if (there === '') return { reason: 'no-tags', message: 'the listing has no tags' };
  const example = miss === undefined ? '' : `, such as ${JSON.stringify(oneLine(miss.name, 150))}: ${miss.why}`;
  return {
    reason: 'nothing-stable',
    message: `no tag is stable under scheme ${scheme.name}; there is: ${there}${scheme.isTotal === false ? example : ''}`,
  };
}

/** For example `420 stable, 28 prerelease`; empty if there are no tags. */
export function formatCounts(counts: Survey['counts']): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
}

function nearMisses(misses: readonly Miss[], chosen: Version | undefined): readonly NearMiss[] {
  return [...misses]
    .sort((a, b) => compareVersions(b.version, a.version) || compareText(a.name, b.name))
    .map(({ name, why, version }) => ({
      name,
      why,
      looksNewer: chosen === undefined || compareVersions(version, chosen) > 0,
    }));
}

function warningsOn(
  chosen: StableTag,
  policy: Policy,
  {
    stable,
    home,
    known,
  }: {
    readonly stable: readonly StableTag[];
    readonly home: ReadonlySet<string>;
    readonly known: KnownImages;
  },
): readonly string[] {
  const { flavor, arch, exclude, minimumAge, preferDated } = policy;
  const warnings: string[] = [];
  if (minimumAge > 0 && chosen.startedAt === undefined) {
    warnings.push(
      sinceOf(chosen, known) === undefined
        ? `minimum-age: nothing says how old ${chosen.tag} is; it passes unchecked`
        : `minimum-age: the registry does not say when ${chosen.tag} was set, so its age counts from the build time in its image, which a builder can set`,
    );
  }
  if (flavor === undefined && new Set(stable.map((tag) => tag.flavor)).size > 1) {
    warnings.push('flavor: none is given, so the next release of Ceph will be taken as soon as it has a tag');
  }
  if (flavor !== undefined && !home.has(seriesOf(chosen.version))) {
    warnings.push(`flavor: the newest patch of series ${seriesOf(chosen.version)} no longer carries ${flavor}`);
  }
  if (arch === undefined && chosen.arch !== undefined) {
    warnings.push(`arch: none is given, and ${chosen.tag} is for ${chosen.arch} alone`);
  }
  if (preferDated && chosen.build === undefined && stable.some(({ build }) => build !== undefined)) {
    warnings.push(
      `prefer-dated: ${chosen.version.join('.')} has no build with a date, and ${chosen.tag} moves with each rebuild`,
    );
  }
  for (const [tag, image] of known) {
    if ('problem' in image) warnings.push(`${tag} is listed, and passed over: it ${image.problem}`);
  }
  for (const entry of new Set(exclude)) {
    const excluded = stable.filter((tag) => isExcluded(entry, tag, known));
    const alike = excluded.find(
      (tag) => compareVersions(tag.version, chosen.version) === 0 && isSameRelease(tag, chosen),
    );
    if (excluded.length === 0) warnings.push(`exclude: no stable tag is ${JSON.stringify(entry)}`);
    else if (alike !== undefined) {
      warnings.push(`exclude: ${alike.tag} is excluded, and ${chosen.tag} is of the same version`);
    }
  }
  return warnings;
}

function isSameRelease(a: StableTag, b: StableTag): boolean {
  return a.flavor === b.flavor && distroName(a.distro) === distroName(b.distro);
}
