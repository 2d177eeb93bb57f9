import * as v from 'valibot';
import { type Tag, tagSchema } from './reference.js';

/** Says what the tags of a repository mean. A scheme is one file under schemes/ and its line in schemes.ts. */
export interface Scheme {
  readonly name: string;
  /** A text that every stable tag contains, so that a registry that can filter lists no others. */
  readonly filter?: string;
  /** A text that every stable tag begins with, so that a registry that lists in lexical order can skip the others. */
  readonly prefix?: string;
  /** False if two different tags may compare as equal, so that nothing says which is newer. */
  readonly isTotal?: boolean;
  /** True if the version is the image's own, so that its first number is not a release of Ceph. */
  readonly hasOwnVersion?: boolean;
  /** Classifies a tag by its whole text. Throws only a UserError, if a pattern takes too long. */
  read(tag: string): Reading;
  /** Classifies many tags at once, if that is cheaper. */
  readAll?(tags: readonly string[]): readonly Reading[];
}

export type Reading =
  | { readonly kind: 'stable'; readonly build: Build }
  /** Resembles a stable tag, but does not fit the grammar. */
  | { readonly kind: 'near-miss'; readonly why: string; readonly version: Version }
  | { readonly kind: NotStable | 'other' };

/**
 * Tags that a scheme recognizes as not stable. `unreleased`: the tag says stable but holds unreleased Ceph. `alias`:
 * the tag moves.
 */
export type NotStable = 'prerelease' | 'unreleased' | 'devel' | 'alias';

export type TagKind = Reading['kind'];

/** The parts of a stable tag. Those that the tag does not name are undefined. */
export interface Build {
  readonly version: Version;
  /** The release of Ceph, such as `pacific`. */
  readonly flavor: string | undefined;
  readonly distro: Distro | undefined;
  /** Undefined if the tag names no architecture, like the tag of an index. */
  readonly arch: Arch | undefined;
  /** The build of the version, such as `20230410`, if the tag names one. Builds are ordered by their numbers. */
  readonly build: string | undefined;
}

/** For example `centos` and `stream8`. */
export interface Distro {
  readonly family: string;
  readonly base: string;
}

export const archSchema = v.picklist(
  ['x86_64', 'aarch64'],
  (issue) => `${issue.received} is not an architecture that tags name: x86_64 or aarch64`,
);
export type Arch = v.InferOutput<typeof archSchema>;

/** The numbers of a version, most significant first. Tags allow any length, hence bigint. */
export type Version = readonly bigint[];

export function parseVersion(text: string): Version {
  return text.split('.').map(BigInt);
}

/**
 * The numbers of a text that has only separators between them, such as `2026-11-01T00-00-00Z`; empty for a text without
 * digits. Undefined if there are letters between them, since `1.2rc1` may be before or after `1.2`.
 */
export function parseNumbers(text: string): Version | undefined {
  if (!/\d/.test(text)) return [];
  if (!/^[vr]?\d+(?:[._+:T-]\d+)*Z?$/.test(text)) return undefined;
  return (text.match(/\d+/g) ?? []).map(BigInt);
}

/** Compares builds of one version. A missing build is lower. Negative if a is lower. */
export function compareBuilds(a: string | undefined, b: string | undefined): number {
  return a === b ? 0 : compareVersions(parseNumbers(a ?? '') ?? [], parseNumbers(b ?? '') ?? []);
}

export function formatVersion(version: Version): string {
  return version.join('.');
}

/** Compares number by number. A missing number is lower. Negative if a is lower. */
export function compareVersions(a: Version, b: Version): number {
  for (const [index, number] of a.entries()) {
    const other = b[index];
    if (other === undefined || number > other) return 1;
    if (number < other) return -1;
  }
  return a.length - b.length;
}

/** Compares code units, so that the result is the same on every machine. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The first two numbers, such as `6.0`. ceph-container maintains them as one branch. */
export function seriesOf(version: Version): string {
  return formatVersion(version.slice(0, 2));
}

/** A scheme's tags as regular expressions. */
export interface Grammar {
  /** With the named group version and, if tags have them, flavor, distro, base, arch and build. */
  readonly stable: RegExp;
  readonly notStable: readonly (readonly [NotStable, RegExp])[];
  /**
   * Patterns of tags that look stable but are not, each with the reason and the named group version. The first match
   * counts.
   */
  readonly lookalikes: readonly (readonly [string, RegExp])[];
  /** The flavor by a version's first number, for tags that do not name it. */
  readonly flavors?: Readonly<Record<string, string>>;
}

export function readByGrammar(grammar: Grammar, tag: string): Reading {
  const groups = grammar.stable.exec(tag)?.groups;
  if (groups?.version !== undefined) {
    return { kind: 'stable', build: buildOf(parseVersion(groups.version), groups, grammar.flavors) };
  }
  const known = grammar.notStable.find(([, pattern]) => pattern.test(tag));
  return known === undefined ? readLookalike(grammar.lookalikes, tag) : { kind: known[0] };
}

export function readLookalike(lookalikes: Grammar['lookalikes'], tag: string): Reading {
  for (const [why, pattern] of lookalikes) {
    const version = pattern.exec(tag)?.groups?.version;
    if (version !== undefined) return { kind: 'near-miss', why, version: parseVersion(version) };
  }
  return { kind: 'other' };
}

type Groups = Readonly<Record<string, string | undefined>>;

function buildOf(version: Version, { flavor, distro, base, arch, build }: Groups, flavors: Grammar['flavors']): Build {
  return {
    version,
    flavor: flavor ?? (flavors && (flavors[String(version[0])] ?? String(version[0]))),
    distro: distro === undefined || base === undefined ? undefined : { family: distro, base },
    arch: v.is(archSchema, arch) ? arch : undefined,
    build,
  };
}

/** Reads a name as a registry listed it. If it is not a valid tag, it is a near miss at best. */
export function readTag(scheme: Scheme, name: string): ReadTag {
  return checkTag(name, scheme.read(name));
}

/** Does the same for a name that the scheme has already read. */
export function checkTag(name: string, reading: Reading): ReadTag {
  if (reading.kind !== 'stable' && reading.kind !== 'near-miss') return reading;
  if (!isTag(name)) {
    const version = reading.kind === 'stable' ? reading.build.version : reading.version;
    return { kind: 'near-miss', why: 'is not a tag: tags are 1 to 128 of A-Z a-z 0-9 _ . -', version };
  }
  return reading.kind === 'stable' ? { kind: 'stable', tag: name, build: reading.build } : reading;
}

function isTag(name: string): name is Tag {
  return v.is(tagSchema, name);
}

export type ReadTag =
  | (Extract<Reading, { kind: 'stable' }> & { readonly tag: Tag })
  | Exclude<Reading, { kind: 'stable' }>;
