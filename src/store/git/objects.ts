import type { Git } from './git.js';
import { fetch } from './repository.js';

/**
 * The contents of files in a repository that has only the objects that were fetched. Asking git for any other would
 * make it fetch them one by one.
 */
export class Objects {
  readonly #git: Git;
  /** The ids of all objects in our repository. */
  readonly #present = new Set<string>();
  readonly #contents = new Map<string, Buffer>();

  constructor(git: Git) {
    this.#git = git;
  }

  get(id: string): Buffer | undefined {
    return this.#contents.get(id);
  }

  add(id: string, bytes: Buffer): void {
    this.#present.add(id);
    this.#contents.set(id, bytes);
  }

  /** Lists the objects again, after a fetch of commits. */
  async relist(): Promise<void> {
    const all = ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'];
    for (const id of (await this.#git.local(all)).stdout.toString().split('\n')) if (id !== '') this.#present.add(id);
  }

  /** Reads contents, after one fetch of all that are missing. True if that fetch was needed. */
  async bring(ids: ReadonlySet<string>): Promise<boolean> {
    const missing = [...ids].filter((id) => !this.#present.has(id));
    if (missing.length > 0) {
      await fetch(this.#git, ['--filter=blob:none', '--stdin', 'origin'], { input: listOf(missing) });
      for (const id of missing) this.#present.add(id);
    }
    const wanted = [...ids].filter((id) => !this.#contents.has(id));
    const batch = await this.#git.local(['cat-file', '--batch'], { input: listOf(wanted) });
    for (const [id, bytes] of parseBatch(batch.stdout)) this.#contents.set(id, bytes);
    return missing.length > 0;
  }
}

function listOf(ids: readonly string[]): Buffer {
  return Buffer.from(`${ids.join('\n')}\n`);
}

/** Parses `git cat-file --batch`: `<id> <type> <size>`, the content and a line end, for each object that is there. */
function* parseBatch(output: Buffer): Generator<[string, Buffer]> {
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(0x0a, at);
    if (end < 0) return;
    const [id = '', , size] = output.toString('latin1', at, end).split(' ');
    at = end + 1;
    if (size === undefined) continue;
    yield [id, Buffer.from(output.subarray(at, at + Number(size)))];
    at += Number(size) + 1;
  }
}
