import {
  type BigIntStats,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A folder as it was once. */
export interface Tree {
  /** Makes the folder that again; what has not changed since is not touched. */
  restore(): void;
}

type Entry =
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly mode: number; stamp: string };

/** Keeps links, plain files and their modes, in memory. */
export function keepTree(folder: string): Tree {
  const kept = new Map<string, Entry>();
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  for (const path of paths) kept.set(path, read(join(folder, path)));
  return {
    restore: () => {
      const same = new Set<string>();
      const look = (directory: string) => {
        for (const name of readdirSync(directory)) {
          const path = join(directory, name);
          const key = relative(folder, path);
          const isKept = isUnchanged(path, kept.get(key));
          if (!isKept) rmSync(path, { recursive: true });
          else same.add(key);
          if (isKept && kept.get(key)?.kind === 'directory') look(path);
        }
      };
      look(folder);
      // Sorted, so that a directory comes before what is in it.
      for (const [path, entry] of kept) if (!same.has(path)) write(join(folder, path), entry);
    },
  };
}

function read(path: string): Entry {
  const stats = lstatSync(path, { bigint: true });
  if (stats.isDirectory()) return { kind: 'directory' };
  if (stats.isSymbolicLink()) return { kind: 'link', to: readlinkSync(path) };
  if (!stats.isFile()) throw new Error(`${path} is neither a file, a directory nor a link`);
  return { kind: 'file', bytes: readFileSync(path), mode: Number(stats.mode), stamp: stampOf(stats) };
}

/** Changes with the file. */
function stampOf({ ino, size, ctimeNs }: BigIntStats): string {
  return [ino, size, ctimeNs].join();
}

function isUnchanged(path: string, entry: Entry | undefined): boolean {
  const stats = lstatSync(path, { bigint: true });
  switch (entry?.kind) {
    case undefined:
      return false;
    case 'directory':
      return stats.isDirectory();
    case 'link':
      return stats.isSymbolicLink() && readlinkSync(path) === entry.to;
    case 'file':
      return stats.isFile() && stampOf(stats) === entry.stamp;
  }
}

function write(path: string, entry: Entry): void {
  switch (entry.kind) {
    case 'directory':
      mkdirSync(path);
      return;
    case 'link':
      symlinkSync(entry.to, path);
      return;
    case 'file':
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, entry.bytes);
      chmodSync(path, entry.mode);
      entry.stamp = stampOf(lstatSync(path, { bigint: true }));
  }
}
