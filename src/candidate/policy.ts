import * as v from 'valibot';
import { CEPH_RELEASES } from './ceph-releases.js';
import { createdOf, digestOf, type KnownImages, platformsOf } from './known-images.js';
import { missingPlatforms, PLATFORM_OF } from './platform.js';
import { type Digest, digestSchema, type Tag } from './reference.js';
import { type Arch, type Build, compareVersions, type Distro, parseVersion, type Scheme } from './scheme.js';

/** The requirements on a candidate. */
export interface Policy {
  readonly scheme: Scheme;
  /** A release of Ceph, by name or major version. If undefined, any fits, and the highest version is preferred. */
  readonly flavor: string | undefined;
  /** If undefined, any fits, and a tag that names no architecture is preferred. */
  readonly arch: Arch | undefined;
  /** A family such as `centos`, or exactly one release such as `centos-stream9`; centos if undefined. */
  readonly distro: string | undefined;
  /** Tags, digests, or versions, which exclude all their builds. */
  readonly exclude: readonly string[];
  /** In seconds; 0 for none. */
  readonly minimumAge: number;
  /** True if a tag of unknown age passes. */
  readonly unknownAgePasses: boolean;
  /** Unix seconds. */
  readonly now: number;
  /** True if a day's build is preferred to the tag that moves with each rebuild. */
  readonly preferDated: boolean;
  /** The image's index must include all of these. */
  readonly platforms: readonly string[];
}

export const flavorSchema = v.pipe(
  v.string(),
  v.regex(
    /^(?:[a-z]+|\d{1,9})$/,
    (issue) => `${issue.received} is not a flavor: a name such as pacific, or a major version such as 16`,
  ),
);

export const distroSchema = v.pipe(
  v.string(),
  v.regex(
    /^[a-z]+(?:-(?:stream)?\d+(?:\.\d+)?)?$/,
    (issue) => `${issue.received} is neither a family of distributions such as centos nor one such as centos-stream9`,
  ),
);

const DEFAULT_DISTRO = 'centos';

/** A stable tag, with the registry's data on it. */
export interface StableTag extends Build {
  readonly tag: Tag;
  readonly digest: Digest | undefined;
  /** Unix seconds. */
  readonly startedAt: number | undefined;
}

export type RuleName = 'flavor' | 'distro' | 'arch' | 'exclude' | 'minimum-age' | 'platforms' | 'image';

/** One requirement of a policy. */
export interface Rule {
  readonly name: RuleName;
  /** The requirement in words, as in `of flavor pacific`. */
  readonly asks: string;
  readonly admits: (tag: StableTag) => boolean;
  /** The property that a failing tag has instead, as in `of flavor quincy`. */
  readonly instead: (tag: StableTag) => string;
}

/** The rules of a policy for these tags, in the order in which they are applied. */
export function rulesOf(policy: Policy, tags: readonly StableTag[], known: KnownImages): readonly Rule[] {
  return [
    flavorRule(policy),
    distroRule(policy, tags),
    archRule(policy, tags, known),
    excludeRule(policy, known),
    imageRule(known),
    ageRule(policy, known),
    platformsRule(policy, known),
  ].filter((rule) => rule !== undefined);
}

function flavorRule({ flavor, scheme }: Policy): Rule | undefined {
  if (flavor === undefined) return undefined;
  return {
    name: 'flavor',
    asks: `of flavor ${flavor}`,
    admits: (tag) => isOfFlavor(tag, flavor, scheme),
    instead: (tag) => `of ${tag.flavor === undefined ? 'no known flavor' : `flavor ${tag.flavor}`}`,
  };
}

function distroRule({ distro }: Policy, tags: readonly StableTag[]): Rule | undefined {
  if (distro === undefined && tags.every((tag) => tag.distro === undefined)) return undefined;
  const wanted = distro ?? DEFAULT_DISTRO;
  return {
    name: 'distro',
    asks: `on ${wanted}`,
    admits: (tag) => tag.distro?.family === wanted || distroName(tag.distro) === wanted,
    instead: (tag) => `on ${distroName(tag.distro)}`,
  };
}

function archRule({ arch }: Policy, tags: readonly StableTag[], known: KnownImages): Rule | undefined {
  if (arch === undefined) return undefined;
  const isNamed = tags.some((tag) => tag.arch === arch);
  return {
    name: 'arch',
    asks: `for ${arch}`,
    admits: (tag) => serves(tag, arch, platformsOf(known, tag.tag), isNamed),
    instead: (tag) => describeArch(tag, platformsOf(known, tag.tag)),
  };
}

function excludeRule({ exclude }: Policy, known: KnownImages): Rule | undefined {
  if (exclude.length === 0) return undefined;
  return {
    name: 'exclude',
    asks: 'that is not excluded',
    admits: (tag) => !exclude.some((entry) => isExcluded(entry, tag, known)),
    instead: () => 'excluded',
  };
}

function imageRule(known: KnownImages): Rule | undefined {
  if (known.size === 0) return undefined;
  return {
    name: 'image',
    asks: '',
    admits: (tag) => problemOf(tag, known) === undefined,
    instead: (tag) => `unusable: the tag ${problemOf(tag, known)}`,
  };
}

function ageRule({ minimumAge, unknownAgePasses, now }: Policy, known: KnownImages): Rule | undefined {
  if (minimumAge <= 0) return undefined;
  return {
    name: 'minimum-age',
    asks: `at least ${duration(minimumAge)} old`,
    admits: (tag) => {
      const since = sinceOf(tag, known);
      if (since !== undefined) return now - since >= minimumAge;
      return unknownAgePasses || !known.has(tag.tag);
    },
    instead: (tag) => {
      const since = sinceOf(tag, known);
      if (since === undefined) return 'of unknown age';
      return `${tag.startedAt === undefined ? 'built' : 'set'} ${duration(now - since)} ago`;
    },
  };
}

function platformsRule({ platforms }: Policy, known: KnownImages): Rule | undefined {
  if (platforms.length === 0) return undefined;
  return {
    name: 'platforms',
    asks: `with ${platforms.join(' and ')}`,
    admits: (tag) => missingPlatforms(platforms, platformsOf(known, tag.tag) ?? platforms).length === 0,
    instead: (tag) => `with ${platformsOf(known, tag.tag)?.join(', ') || 'no platform'} only`,
  };
}

/** True if the policy asks for something that only the image shows, not the tag. */
export function needsReading(tag: StableTag, policy: Policy): boolean {
  const { arch, exclude, minimumAge, unknownAgePasses, platforms } = policy;
  return (
    platforms.length > 0 ||
    (arch === 'aarch64' && tag.arch === undefined) ||
    (tag.digest === undefined && exclude.some((entry) => v.is(digestSchema, entry))) ||
    (minimumAge > 0 && tag.startedAt === undefined && !unknownAgePasses)
  );
}

/** Matches a release by name, or by the first number of Ceph's version. */
export function isOfFlavor({ flavor, version }: StableTag, asked: string, { hasOwnVersion }: Scheme): boolean {
  if (flavor === asked || (flavor !== undefined && flavor === CEPH_RELEASES[asked])) return true;
  return hasOwnVersion !== true && String(version[0]) === asked;
}

const VERSION = /^v?\d+(?:\.\d+)*$/;

/** A version excludes all its builds; a tag or a digest excludes only itself. */
export function isExcluded(entry: string, tag: StableTag, known: KnownImages): boolean {
  if (entry === tag.tag || entry === (tag.digest ?? digestOf(known, tag.tag))) return true;
  return VERSION.test(entry) && compareVersions(parseVersion(entry.replace(/^v/, '')), tag.version) === 0;
}

function problemOf({ tag }: StableTag, known: KnownImages): string | undefined {
  const image = known.get(tag);
  return image !== undefined && 'problem' in image ? image.problem : undefined;
}

/** The time at which a tag was set or, if the listing has no times, its image's build time. Unix seconds. */
export function sinceOf(tag: StableTag, known: KnownImages): number | undefined {
  return tag.startedAt ?? createdOf(known, tag.tag);
}

/** True for an image of one architecture that hardly anybody wants by default. */
export function isForeign(tag: StableTag, known: KnownImages): boolean {
  if (tag.arch !== undefined) return tag.arch !== 'x86_64';
  const platforms = platformsOf(known, tag.tag);
  return platforms?.length === 1 && missingPlatforms([PLATFORM_OF.x86_64], platforms).length > 0;
}

/**
 * An index always includes x86_64. Only its manifest says whether it includes aarch64, and that is read only if no tag
 * names aarch64.
 */
function serves(tag: StableTag, arch: Arch, platforms: readonly string[] | undefined, isNamed: boolean): boolean {
  if (tag.arch !== undefined && tag.arch !== arch) return false;
  if (platforms !== undefined) return missingPlatforms([PLATFORM_OF[arch]], platforms).length === 0;
  return tag.arch === arch || arch === 'x86_64' || !isNamed;
}

function describeArch({ arch }: StableTag, platforms: readonly string[] | undefined): string {
  if (platforms !== undefined) return `for ${platforms.join(', ') || 'no platform'} only`;
  return arch === undefined ? 'without an architecture in its name' : `for ${arch}`;
}

/** For example `centos-stream8`. */
export function distroName(distro: Distro | undefined): string {
  return distro === undefined ? 'no named distribution' : `${distro.family}-${distro.base}`;
}

const UNITS = [
  ['days', 86_400],
  ['hours', 3600],
] as const;

/** Rounds down to a readable unit: `7 days`, `36 hours`, `90 minutes`. */
function duration(seconds: number): string {
  const [unit, length] = UNITS.find(([, length]) => seconds >= 2 * length) ?? (['minutes', 60] as const);
  return `${Math.floor(Math.max(0, seconds) / length)} ${unit}`;
}
