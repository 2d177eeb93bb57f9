import { createHash } from 'node:crypto';
import { oneLine } from '../../base/errors.js';

/** The files of one directory of a commit, by their paths below it, and the choice of those to fetch together. */

export type FileKind = 'file' | 'symlink' | 'submodule';

export interface Entry {
  readonly kind: FileKind;
  /** The object that holds the content, in hex. */
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

/** The names right in the directory. */
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
  return [...tree.keys()].flatMap((path) => {
    const match = path.startsWith(prefix) ? /^([1-9]\d{0,8})\.json$/.exec(path.slice(prefix.length)) : null;
    return match === null ? [] : [Number(match[1])];
  });
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

/** The committer's address, by which we recognize our own commits. */
export const OUR_EMAIL = 'ceph-promotion-actions@localhost';

/** The input of `git fast-import` for one commit. */
export function importStream(commit: {
  readonly ref: string;
  readonly parent: string | undefined;
  /** The id of the tree to start from; the parent's if undefined. */
  readonly tree?: string | undefined;
  readonly directory: string;
  readonly message: string;
  /** Unix seconds. */
  readonly when: number;
  readonly writes: ReadonlyMap<string, Written>;
}): Buffer {
  const { ref, parent, tree, directory, when, writes } = commit;
  const message = Buffer.from(`${oneLine(commit.message, 200)}\n`);
  const pieces: Buffer[] = [];
  const say = (text: string) => void pieces.push(Buffer.from(text));
  const data = (bytes: Buffer) => void pieces.push(Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n'));
  say(`commit ${ref}\nmark :1\ncommitter ceph-promotion-actions <${OUR_EMAIL}> ${when} +0000\n`);
  data(message);
  if (parent !== undefined) say(`from ${parent}\n`);
  if (tree !== undefined) say(`M 040000 ${tree} \n`);
  for (const [name, written] of writes) {
    const path = directory === '' ? name : `${directory}/${name}`;
    // fast-import gives a quote at the start, and a line end, a meaning of its own.
    if (!/^[A-Za-z0-9._][A-Za-z0-9._+/-]*$/.test(path))
      throw new Error(`not a path to commit: ${JSON.stringify(path)}`);
    if (written === 'removed') {
      say(`D ${path}\n`);
      continue;
    }
    say(`M ${written.kind === 'symlink' ? '120000' : '100644'} inline ${path}\n`);
    data(written.bytes);
  }
  say('get-mark :1\ndone\n');
  return Buffer.concat(pieces);
}
