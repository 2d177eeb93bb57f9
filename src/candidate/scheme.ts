import * as v from 'valibot';
import { type Tag, tagSchema } from './reference.js';

/** What a repository's tags mean. A scheme is one file under schemes/ and its line in schemes.ts. */
export interface Scheme {
  readonly name: string;
  /** What every stable tag contains: a registry that can filter need list no others. */
  readonly filter?: string;
  /** What every stable tag begins with: a registry that lists by name need not list all others. */
  readonly prefix?: string;
  /** False where two tags may be equal in all that orders them: then nothing says which is newer. */
  readonly isTotal?: boolean;
  /** True where the version is the image's own, so that its first number is no release of Ceph. */
  readonly hasOwnVersion?: boolean;
  /** Says what a tag is. It never throws, and looks at the whole text. */
  read(tag: string): Reading;
  /** The same of many tags at once, where that is cheaper. */
  readAll?(tags: readonly string[]): readonly Reading[];
}

export type Reading =
  | { readonly kind: 'stable'; readonly build: Build }
  /** Looks stable at a glance, and is not by the grammar. */
  | { readonly kind: 'near-miss'; readonly why: string; readonly version: Version }
  | { readonly kind: NotStable | 'other' };

/** What a scheme knows not to be stable; `unreleased` says stable and holds unreleased Ceph, `alias` moves. */
export type NotStable = 'prerelease' | 'unreleased' | 'devel' | 'alias';

export type TagKind = Reading['kind'];

/** What a stable tag says of its image; undefined where it does not say. */
export interface Build {
  readonly version: Version;
  /** The release of Ceph, as in `pacific`. */
  readonly flavor: string | undefined;
  readonly distro: Distro | undefined;
  /** Undefined: the tag names no architecture, as a tag of an index does. */
  readonly arch: Arch | undefined;
  /** Which build of the version it is, as in `20230410`, where the tag names one; ordered by its numbers. */
  readonly build: string | undefined;
}

/** `centos` and `stream8`. */
export interface Distro {
  readonly family: string;
  readonly base: string;
}

export const archSchema = v.picklist(
  ['x86_64', 'aarch64'],
  (issue) => `${issue.received} is not an architecture that tags name: x86_64 or aarch64`,
);
export type Arch = v.InferOutput<typeof archSchema>;

/** The numbers of a version, the weightiest first. Tags allow any length, hence bigint. */
export type Version = readonly bigint[];

export function parseVersion(text: string): Version {
  return text.split('.').map(BigInt);
}

/**
 * The numbers of a text that nothing but separators parts, such as `2026-11-01T00-00-00Z`; none for a text without
 * digits. Undefined where letters stand among them: nothing says whether `1.2rc1` is before or after `1.2`.
 */
export function parseNumbers(text: string): Version | undefined {
  if (!/\d/.test(text)) return [];
  if (!/^[vr]?\d+(?:[._+:T-]\d+)*Z?$/.test(text)) return undefined;
  return (text.match(/\d+/g) ?? []).map(BigInt);
}

/** Compares builds of one version; one that the tag does not name counts as less. Negative where a is lower. */
export function compareBuilds(a: string | undefined, b: string | undefined): number {
  return a === b ? 0 : compareVersions(parseNumbers(a ?? '') ?? [], parseNumbers(b ?? '') ?? []);
}

export function formatVersion(version: Version): string {
  return version.join('.');
}

/** Number by number; what is missing counts as less. Negative where a is lower. */
export function compareVersions(a: Version, b: Version): number {
  for (const [index, number] of a.entries()) {
    const other = b[index];
    if (other === undefined || number > other) return 1;
    if (number < other) return -1;
  }
  return a.length - b.length;
}

/** By code units: the same on every machine. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The first two numbers, as in `6.0`: what ceph-container maintains as one branch. */
export function seriesOf(version: Version): string {
  return formatVersion(version.slice(0, 2));
}

/** A scheme's tags as regular expressions. */
export interface Grammar {
  /** With the named groups version, and where tags have them flavor, distro, base, arch and build. */
  readonly stable: RegExp;
  readonly notStable: readonly (readonly [NotStable, RegExp])[];
  /** Why a tag is not stable though it looks it, with the named group version; the first that matches counts. */
  readonly lookalikes: readonly (readonly [string, RegExp])[];
  /** The flavor by a version's first number, where tags do not name it. */
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

/** Reads a name as a registry listed it, which need not be a tag at all: that is a near miss at best. */
export function readTag(scheme: Scheme, name: string): ReadTag {
  return checkTag(name, scheme.read(name));
}

/** The same where the scheme has read it already. */
export function checkTag(name: string, reading: Reading): ReadTag {
  if (reading.kind !== 'stable' && reading.kind !== 'near-miss') return reading;
  if (!isTag(name)) {
    const version = reading.kind === 'stable' ? reading.build.version : reading.version;
    return { kind: 'near-miss', why: 'is no tag: those are 1 to 128 of A-Z a-z 0-9 _ . -', version };
  }
  return reading.kind === 'stable' ? { kind: 'stable', tag: name, build: reading.build } : reading;
}

function isTag(name: string): name is Tag {
  return v.is(tagSchema, name);
}

export type ReadTag =
  | (Extract<Reading, { kind: 'stable' }> & { readonly tag: Tag })
  | Exclude<Reading, { kind: 'stable' }>;
