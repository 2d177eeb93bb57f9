import { createHash } from 'node:crypto';
import { recordNumber } from '../../ledger/paths.js';

/** The files of one directory of a commit, by their paths below it, and the choice of those to fetch together. */

export type FileKind = 'file' | 'symlink' | 'submodule';

export interface Entry {
  readonly kind: FileKind;
  /** The id of the object with the content, in hex. */
  readonly id: string;
}

export type Tree = ReadonlyMap<string, Entry>;

/** The change at a path: a whole file, a symlink with its target as bytes, or `removed`. */
export type Written = { readonly kind: 'file' | 'symlink'; readonly bytes: Buffer } | 'removed';

/** The number of a ledger's newest records that a promotion usually reads, besides the first. */
const NEWEST_RECORDS = 4;

/** Parses `git ls-tree -r -z`; paths outside of `directory` are left out. */
export function parseTree(listing: Buffer, directory: string): Map<string, Entry> {
  const prefix = directory === '' ? '' : `${directory}/`;
  const tree = new Map<string, Entry>();
  for (const line of listing.toString('utf8').split('\0')) {
    const match = /^(\d{6}) \w+ ([0-9a-f]{40,64})\t(.*)$/s.exec(line);
    if (match === null) continue;
    const [, mode = '', id = '', path = ''] = match;
    if (path.startsWith(prefix)) tree.set(path.slice(prefix.length), { kind: kindOf(mode), id });
  }
  return tree;
}

function kindOf(mode: string): FileKind {
  if (mode === '120000') return 'symlink';
  return mode.startsWith('100') ? 'file' : 'submodule';
}

/** The id that git gives to a content. It lets us recognize an expected content without fetching it. */
export function blobId(bytes: Uint8Array, sample: string): string {
  return createHash(sample.length === 64 ? 'sha256' : 'sha1')
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest('hex');
}

/** The names directly in the directory. */
export function topNames(tree: Tree): string[] {
  return [...tree.keys()].filter((path) => !path.includes('/'));
}

/** True if a path is a directory: git keeps no empty ones. */
export function isDirectory(tree: Tree, path: string): boolean {
  return [...tree.keys()].some((other) => other.startsWith(`${path}/`));
}

/** The numbers of the records of a ledger. */
export function recordNumbers(tree: Tree, label: string): number[] {
  const prefix = `ledger/${label}/`;
  return [...tree.keys()].flatMap((path) =>
    path.startsWith(prefix) ? (recordNumber(path.slice(prefix.length)) ?? []) : [],
  );
}

/** The labels that have records. */
export function ledgerNames(tree: Tree): string[] {
  return [...new Set([...tree.keys()].flatMap((path) => /^ledger\/([^/]+)\//.exec(path)?.[1] ?? []))];
}

/** True if two trees have the same records of a ledger, or of all ledgers. */
export function sameLedger(one: Tree, other: Tree, label: string | undefined): boolean {
  const prefix = label === undefined ? 'ledger/' : `ledger/${label}/`;
  const records = (tree: Tree) =>
    [...tree]
      .filter(([path]) => path.startsWith(prefix) && path.slice('ledger/'.length).includes('/'))
      .map(([path, { id }]) => `${path} ${id}`)
      .sort()
      .join('\n');
  return records(one) === records(other);
}

/** The one of `names` that a symlink points at, found by its id. */
export function linkTarget(entry: Entry, names: readonly string[]): string | undefined {
  return names.find((name) => blobId(Buffer.from(name), entry.id) === entry.id);
}

/**
 * The files that a promotion is likely to read, so that one fetch brings them all: the newest records, the first record
 * and the last decision of each ledger, the labels, and the candidate files of the tags that these name.
 */
export function likelyPaths(tree: Tree): string[] {
  const names = topNames(tree);
  const links = names.filter((name) => tree.get(name)?.kind === 'symlink');
  const files = names.filter((name) => tree.get(name)?.kind === 'file');
  const labelled = links.flatMap((name) => {
    const entry = tree.get(name);
    const target = entry && linkTarget(entry, files);
    return target === undefined ? [name] : [name, target, `${target}.json`];
  });
  const ledgers = ledgerNames(tree).flatMap((label) => {
    const newest = recordNumbers(tree, label).sort((a, b) => b - a);
    return [...newest.slice(0, NEWEST_RECORDS), ...newest.slice(-1)].map((n) => `ledger/${label}/${n}.json`);
  });
  const decisions = [...tree.keys()].filter((path) => /^ledger\/[^/]+\.json$/.test(path));
  return [...labelled, ...ledgers, ...decisions];
}

/** The files of a path's directory. A caller that reads beyond the likely files reads all of them. */
export function siblings(tree: Tree, path: string): string[] {
  const directory = path.slice(0, path.lastIndexOf('/') + 1);
  return [...tree.keys()].filter(
    (other) => other.startsWith(directory) && !other.slice(directory.length).includes('/'),
  );
}
