import * as v from 'valibot';
import { missingPlatforms, PLATFORM_OF } from './platform.js';
import type { Digest, Tag } from './reference.js';
import type { Arch, Build, Distro, Scheme } from './scheme.js';

/** What a candidate must be. */
export interface Policy {
  readonly scheme: Scheme;
  /** Undefined: any, the highest version first. */
  readonly flavor: string | undefined;
  /** Undefined: a tag that names no architecture first. */
  readonly arch: Arch | undefined;
  /** A family such as `centos`, or exactly one such as `centos-stream9`; undefined: centos. */
  readonly distro: string | undefined;
  /** Exact tags. */
  readonly exclude: readonly string[];
  /** In seconds; 0: none. */
  readonly minimumAge: number;
  /** Unix seconds. */
  readonly now: number;
  /** A day's build before the tag that moves with each rebuild. */
  readonly preferDated: boolean;
  /** All of these must be in the image's index. */
  readonly platforms: readonly string[];
}

export const flavorSchema = v.pipe(
  v.string(),
  v.regex(/^[a-z]+$/, (issue) => `${issue.received} is not a flavor: lower-case letters, such as pacific`),
);

export const distroSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z]+(?:-(?:stream)?\d+(?:\.\d+)?)?$/,
    (issue) => `${issue.received} is neither a family of distributions such as centos nor one such as centos-stream9`,
  ),
);

const DEFAULT_DISTRO = 'centos';

/** A stable tag, and what the registry said of it. */
export interface StableTag extends Build {
  readonly tag: Tag;
  readonly digest: Digest | undefined;
  /** Unix seconds. */
  readonly startedAt: number | undefined;
}

/** What is known of the images' platforms, by tag. A tag that is not in it was not read. */
export type KnownPlatforms = ReadonlyMap<string, readonly string[]>;

export type RuleName = 'flavor' | 'distro' | 'arch' | 'exclude' | 'minimum-age' | 'platforms';

/** One demand of a policy. */
export interface Rule {
  readonly name: RuleName;
  /** What it asks for, as in `of flavor pacific`. */
  readonly asks: string;
  readonly admits: (tag: StableTag) => boolean;
  /** What a tag is instead, as in `of flavor quincy`. */
  readonly instead: (tag: StableTag) => string;
}

/** The rules that a policy has for these tags, in the order in which they are asked. */
export function rulesOf(policy: Policy, tags: readonly StableTag[], platforms: KnownPlatforms): readonly Rule[] {
  const { flavor, arch, distro, exclude, minimumAge, now } = policy;
  const rules: Rule[] = [];
  if (flavor !== undefined) {
    rules.push({
      name: 'flavor',
      asks: `of flavor ${flavor}`,
      admits: (tag) => tag.flavor === flavor,
      instead: (tag) => `of ${tag.flavor === undefined ? 'no known flavor' : `flavor ${tag.flavor}`}`,
    });
  }
  if (distro !== undefined || tags.some((tag) => tag.distro !== undefined)) {
    const wanted = distro ?? DEFAULT_DISTRO;
    rules.push({
      name: 'distro',
      asks: `on ${wanted}`,
      admits: (tag) => tag.distro?.family === wanted || distroName(tag.distro) === wanted,
      instead: (tag) => `on ${distroName(tag.distro)}`,
    });
  }
  if (arch !== undefined) {
    rules.push({
      name: 'arch',
      asks: `for ${arch}`,
      admits: (tag) => serves(tag, arch, platforms.get(tag.tag)),
      instead: (tag) => (tag.arch === undefined ? 'without an architecture in its name' : `for ${tag.arch}`),
    });
  }
  if (exclude.length > 0) {
    const excluded = new Set(exclude);
    rules.push({
      name: 'exclude',
      asks: 'that is not excluded',
      admits: (tag) => !excluded.has(tag.tag),
      instead: () => 'excluded',
    });
  }
  if (minimumAge > 0) {
    rules.push({
      name: 'minimum-age',
      asks: `at least ${duration(minimumAge)} old`,
      admits: (tag) => tag.startedAt === undefined || now - tag.startedAt >= minimumAge,
      instead: (tag) => `set ${duration(now - (tag.startedAt ?? now))} ago`,
    });
  }
  if (policy.platforms.length > 0) {
    rules.push({
      name: 'platforms',
      asks: `with ${policy.platforms.join(' and ')}`,
      admits: (tag) => missingPlatforms(policy.platforms, platforms.get(tag.tag) ?? policy.platforms).length === 0,
      instead: (tag) => `with ${platforms.get(tag.tag)?.join(', ') || 'no platform'} only`,
    });
  }
  return rules;
}

/** An index has x86_64 always, and aarch64 only where its manifest was read and says so. */
function serves(tag: StableTag, arch: Arch, platforms: readonly string[] | undefined): boolean {
  if (tag.arch !== undefined && tag.arch !== arch) return false;
  if (platforms !== undefined) return missingPlatforms([PLATFORM_OF[arch]], platforms).length === 0;
  return tag.arch === arch || arch === 'x86_64';
}

/** `centos-stream8`. */
export function distroName(distro: Distro | undefined): string {
  return distro === undefined ? 'no named distribution' : `${distro.family}-${distro.base}`;
}

const UNITS = [
  ['days', 86_400],
  ['hours', 3600],
] as const;

/** As a person would say it, rounded down: `7 days`, `36 hours`, `90 minutes`. */
function duration(seconds: number): string {
  const [unit, length] = UNITS.find(([, length]) => seconds >= 2 * length) ?? (['minutes', 60] as const);
  return `${Math.floor(Math.max(0, seconds) / length)} ${unit}`;
}
