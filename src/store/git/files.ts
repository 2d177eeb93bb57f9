import type { Branch } from './branch.js';
import { blobId, isDirectory, linkTarget, topNames, type Written } from './tree.js';

/** In bytes. A tag has at most 128. */
const MAX_LINK = 1024;

/** The files of a branch, overlaid with those that are to be pushed. */
export class Files {
  readonly writes = new Map<string, Written>();

  constructor(readonly branch: Branch) {}

  kind(path: string): 'file' | 'symlink' | 'submodule' | 'directory' | undefined {
    const written = this.writes.get(path);
    if (written !== undefined) return written === 'removed' ? undefined : written.kind;
    return this.branch.tree.get(path)?.kind ?? (isDirectory(this.branch.tree, path) ? 'directory' : undefined);
  }

  async read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const written = this.writes.get(path);
    if (written === undefined) return this.branch.read(path, maxBytes);
    return written === 'removed' ? undefined : written.bytes;
  }

  /** True if a file or symlink has one of these contents. Fetches nothing. */
  holds(path: string, ...contents: readonly string[]): boolean {
    const written = this.writes.get(path);
    if (written === 'removed') return false;
    if (written !== undefined) return contents.includes(written.bytes.toString());
    const id = this.branch.tree.get(path)?.id;
    return id !== undefined && contents.some((content) => blobId(Buffer.from(content), id) === id);
  }

  /** The names directly in the directory. */
  names(): string[] {
    const names = new Set([...topNames(this.branch.tree), ...this.writes.keys()].filter((name) => !name.includes('/')));
    return [...names].filter((name) => this.writes.get(name) !== 'removed');
  }

  /** The target of a symlink; undefined if there is none. */
  async link(name: string): Promise<string | undefined> {
    if (this.kind(name) !== 'symlink') return undefined;
    const entry = this.writes.has(name) ? undefined : this.branch.tree.get(name);
    const target = entry && linkTarget(entry, this.names());
    return target ?? (await this.read(name, MAX_LINK))?.toString('utf8');
  }

  put(path: string, content: string | Uint8Array, kind: 'file' | 'symlink' = 'file'): void {
    this.writes.set(path, { kind, bytes: Buffer.from(content) });
  }

  remove(path: string): void {
    if (this.kind(path) !== undefined) this.writes.set(path, 'removed');
  }
}
