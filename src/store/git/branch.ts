import { rmSync } from 'node:fs';
import { type Clock, unixSeconds } from '../../base/clock.js';
import { oneLine, ServiceError, UserError } from '../../base/errors.js';
import { AMENDED, COMMITTER, findReplaced, type Replaced, sendOnlyNew } from './amend.js';
import { failed, type Git } from './git.js';
import type { CommittedFile } from './import-stream.js';
import { Objects } from './objects.js';
import {
  ask,
  fetch,
  initRepository,
  isShallow,
  listRefs,
  makeCommit,
  openRepository,
  push,
  type RepositoryOptions,
  readRefs,
} from './repository.js';
import { blobId, likelyPaths, parseTree, siblings, type Tree, type Written } from './tree.js';

export interface BranchOptions extends RepositoryOptions {
  readonly branch: string;
  /** Below the repository's root; empty for the root. */
  readonly directory: string;
  readonly clock: Clock;
  /**
   * `keep` adds a commit with each push, for a store, whose history is never rewritten. `amend` replaces the commit of
   * the push before, for a dashboard, so that its branch does not grow. Only our own newest commit is ever amended.
   */
  readonly history?: 'keep' | 'amend' | undefined;
}

const BASE = 'refs/promotion/base';
const NEXT = 'refs/promotion/next';

/** Looks at the branch for the first time. */
export async function openBranch(options: BranchOptions): Promise<Branch> {
  return openRepository(options, async (git, home) => {
    const { sample, head } = await survey(git, options);
    await initRepository(git, sample);
    const branch = new Branch(git, home, options);
    await branch.settle(head);
    return branch;
  });
}

/**
 * Finds the branch, and any one id of the repository, whose length tells the hash. Refuses the default branch, which is
 * for merged changes, and an empty repository, whose first branch would become the default.
 */
async function survey(
  git: Git,
  { branch, where }: BranchOptions,
): Promise<{ sample: string; head: string | undefined }> {
  const ref = `refs/heads/${branch}`;
  const listing = (await git.remote(['ls-remote', '--symref', 'origin', 'HEAD', ref])).stdout.toString();
  if (listing.split('\n').includes(`ref: ${ref}\tHEAD`)) {
    throw new UserError(`${where}: is the default branch of its repository; name another branch`, { hint: 'server' });
  }
  const refs = readRefs(listing);
  // If HEAD names a branch that does not exist, the listing has no HEAD even if there are other branches.
  const [sample] = refs.size > 0 ? refs.values() : (await listRefs(git, 'refs/heads/*')).values();
  if (sample === undefined) {
    throw new UserError(`${where}: the repository is empty; push something to its default branch first`);
  }
  return { sample, head: refs.get(ref) };
}

/** A directory in a branch, as of the last look, and the means to put a commit on top of it. */
export class Branch {
  readonly where: string;
  readonly #git: Git;
  /** The directory of the repository. */
  readonly #home: string;
  readonly #options: BranchOptions;
  readonly #ref: string;
  readonly #amends: boolean;
  readonly #objects: Objects;
  /** The files at the last look. */
  tree: Tree = new Map();
  /** The commit at the last look; undefined if the branch does not exist yet. */
  commit: string | undefined;
  /** Set if commits are amended, and the newest one is ours. */
  #replaced: Replaced | undefined;
  #readsLikely = true;
  /** Ends with the newest task: they share one repository, so one waits for the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(git: Git, home: string, options: BranchOptions) {
    this.where = options.where;
    this.#git = git;
    this.#home = home;
    this.#options = options;
    this.#ref = `refs/heads/${options.branch}`;
    this.#amends = options.history === 'amend';
    this.#objects = new Objects(git);
  }

  /**
   * Finds the branch's commit, and fetches it if it changed. Throws if the branch no longer contains the previous
   * commit.
   */
  look(): Promise<void> {
    return this.#alone(async () => this.settle((await listRefs(this.#git, this.#ref)).get(this.#ref)));
  }

  /** The content of a file of `tree`; undefined if there is none. */
  read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    return this.#alone(() => this.#read(path, maxBytes));
  }

  /**
   * Pushes one commit on top of the last look, or in place of our newest commit if that is amended. `moved` means that
   * the branch has changed, or that another push is under way, so look again.
   *
   * @throws ServiceError if the push was refused, or if it is not known whether it arrived.
   */
  push(writes: ReadonlyMap<string, Written>, message: string): Promise<'pushed' | 'moved'> {
    return this.#alone(() => this.#push(writes, message));
  }

  /**
   * The newest commit that changed or removed a file below a path, as `<path> in <commit>`; undefined if no commit of
   * the branch did. Reads the whole history, without the contents.
   */
  findChange(path: string): Promise<string | undefined> {
    return this.#alone(() => this.#findChange(path));
  }

  close(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Fetches the commit that was found at the remote, unless it is the one that we have. */
  async settle(found: string | undefined): Promise<void> {
    const { commit } = this;
    if (found === commit) return;
    if (found === undefined) throw this.#rewritten('the branch was deleted during this run');
    // To amend a commit, its parent is needed too.
    const depth = this.#amends ? ['--depth=2'] : commit === undefined ? ['--depth=1'] : [];
    await fetch(this.#git, [...depth, '--filter=blob:none', 'origin', `+${this.#ref}:${NEXT}`]);
    const next = await ask(this.#git, 'rev-parse', '--verify', NEXT);
    if (commit !== undefined && !this.#amends) {
      const { code } = await this.#git.local(['merge-base', '--is-ancestor', commit, next], { codes: [1] });
      if (code === 1) throw this.#rewritten(`its history was rewritten during this run: ${commit} is no longer in it`);
    }
    await this.#objects.relist();
    if (this.#amends) this.#replaced = await findReplaced(this.#git, this.where, next);
    const { directory } = this.#options;
    const path = directory === '' ? [] : ['--', `${directory}/`];
    const listing = await this.#git.local(['ls-tree', '-r', '-z', '--full-tree', next, ...path]);
    await this.#keep(next, parseTree(listing.stdout, directory));
    this.#readsLikely = true;
  }

  #rewritten(problem: string): ServiceError {
    return new ServiceError('conflict', `${this.where}: ${problem}; nothing was written`);
  }

  async #keep(commit: string, tree: Tree): Promise<void> {
    await this.#git.local(['update-ref', BASE, commit]);
    this.commit = commit;
    this.tree = tree;
  }

  async #read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const { tree, where } = this;
    const entry = tree.get(path);
    if (entry === undefined || entry.kind === 'submodule') return undefined;
    if (this.#objects.get(entry.id) === undefined) await this.#bring(path, entry.id);
    const bytes = this.#objects.get(entry.id);
    if (bytes === undefined) throw new ServiceError('bad-answer', `${where}: git did not fetch ${path}`);
    if (bytes.length <= maxBytes) return bytes;
    throw new ServiceError('too-large', `${where}: ${path} has ${bytes.length} bytes, over ${maxBytes}`);
  }

  /** Fetches a file with those that are likely to be read too. The second time, fetches all files beside it. */
  async #bring(path: string, id: string): Promise<void> {
    const others = this.#readsLikely ? likelyPaths(this.tree) : siblings(this.tree, path);
    const ids = new Set([id, ...others.flatMap((other) => this.tree.get(other)?.id ?? [])]);
    if (await this.#objects.bring(ids)) this.#readsLikely = false;
  }

  async #push(writes: ReadonlyMap<string, Written>, message: string): Promise<'pushed' | 'moved'> {
    const { where, commit } = this;
    const replaced = this.#replaced;
    const next = await makeCommit(this.#git, {
      ref: NEXT,
      ...(replaced ?? { parent: commit }),
      committer: COMMITTER,
      when: unixSeconds(this.#options.clock),
      message: `${this.#amends ? AMENDED : oneLine(message, 200)}\n`,
      files: this.#committed(writes),
    });
    if (replaced !== undefined) await sendOnlyNew(this.#git, this.#home, replaced.parent ?? commit);
    // Replaces exactly the commit that was seen, or nothing.
    const lease = replaced === undefined ? [] : [`--force-with-lease=${this.#ref}:${commit}`];
    const { refused } = await push(this.#git, ...lease, 'origin', `${next}:${this.#ref}`);
    if (refused === 'moved') return 'moved';
    if (refused !== undefined) throw failed(where, refused, this.#options.remote);
    if (this.#amends) this.#replaced = await findReplaced(this.#git, where, next);
    await this.#keep(next, this.#withWrites(writes, next));
    return 'pushed';
  }

  #committed(writes: ReadonlyMap<string, Written>): Map<string, CommittedFile | 'removed'> {
    const { directory } = this.#options;
    const files = new Map<string, CommittedFile | 'removed'>();
    for (const [name, written] of writes) {
      const path = directory === '' ? name : `${directory}/${name}`;
      const mode = written !== 'removed' && written.kind === 'symlink' ? '120000' : '100644';
      files.set(path, written === 'removed' ? 'removed' : { mode, bytes: written.bytes });
    }
    return files;
  }

  #withWrites(writes: ReadonlyMap<string, Written>, sample: string): Tree {
    const files = new Map(this.tree);
    for (const [path, written] of writes) {
      if (written === 'removed') files.delete(path);
      else {
        const id = blobId(written.bytes, sample);
        files.set(path, { kind: written.kind, id });
        this.#objects.add(id, written.bytes);
      }
    }
    return files;
  }

  async #findChange(path: string): Promise<string | undefined> {
    if (this.commit === undefined) return undefined;
    if (await isShallow(this.#git)) {
      await fetch(this.#git, ['--unshallow', '--filter=blob:none', 'origin', `+${this.#ref}:${NEXT}`]);
    }
    const below = [this.#options.directory, path].filter((part) => part !== '').join('/');
    // Without renames no content is needed: the ids of the objects say what changed.
    const log = ['log', '-m', '--no-renames', '--diff-filter=MDT', '--format=%H', '--name-only', this.commit];
    const { stdout } = await this.#git.local([...log, '--', `${below}/`]);
    const [found, , name] = stdout.toString().split('\n');
    return found === undefined || name === undefined ? undefined : `${name} in ${found}`;
  }
}
