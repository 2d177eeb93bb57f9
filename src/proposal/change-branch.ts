import { rm } from 'node:fs/promises';
import { ServiceError, UserError } from '../base/errors.js';
import { failed, type Git } from '../store/git/git.js';
import type { CommittedFile } from '../store/git/import-stream.js';
import {
  ask,
  fetch,
  initRepository,
  listRefs,
  makeCommit,
  openRepository,
  push,
  type RepositoryOptions,
} from '../store/git/repository.js';
import { type GerritAnswer, readGerritAnswer } from './gerrit-answer.js';

export interface ChangeBranchOptions extends RepositoryOptions {
  /** `name <address>`. A commit on the branch by any other committer counts as a person's. */
  readonly committer: string;
  readonly base: string;
  readonly branch: string;
}

/** A commit on the base that is not pushed yet. */
export interface ProposedCommit {
  readonly id: string;
  readonly message: string;
  /** The paths of the files that it may change. */
  readonly files: readonly string[];
  /** What it has at these paths, as `git ls-tree -z` lists it. */
  readonly entries: string;
}

/** A patch set of a change on Gerrit. */
export interface PatchSet {
  readonly commit: string;
  /** True if we are the committer. */
  readonly isOurs: boolean;
  readonly message: string;
  /** True if it has the files of the commit that we would push. */
  readonly isRight: boolean;
}

const MAX_FILE_BYTES = 1024 * 1024;
const BASE = 'refs/promotion/base';
const TIP = 'refs/promotion/tip';
const NEXT = 'refs/promotion/next';
const REVIEW = 'refs/promotion/review';
/** Gerrit's refs of patch sets: the last two digits of the change's number, that number, and the patch set's. */
const PATCH_SET = /^refs\/changes\/\d\d\/(\d+)\/(\d+)$/;

/** Fetches the newest commit of the base, and of the branch if there is one. */
export function openChangeBranch(options: ChangeBranchOptions): Promise<ChangeBranch> {
  const { base, branch, where } = options;
  return openRepository(options, async (git, home) => {
    const [baseRef, branchRef] = [`refs/heads/${base}`, `refs/heads/${branch}`];
    const refs = await listRefs(git, baseRef, branchRef);
    const [baseId, tipId] = [refs.get(baseRef), refs.get(branchRef)];
    if (baseId === undefined) throw new UserError(`${where}: there is no branch ${base}`, { hint: 'change-base' });
    await initRepository(git, baseId);
    const tips = tipId === undefined ? [] : [`+${branchRef}:${TIP}`];
    await fetch(git, ['--depth=1', 'origin', `+${baseRef}:${BASE}`, ...tips]);
    const tip = tipId === undefined ? undefined : { id: tipId, ...(await describe(git, TIP)) };
    return new ChangeBranch(git, home, options, tip);
  });
}

interface Described {
  /** `name <address>` of the committer. */
  readonly by: string;
  readonly message: string;
}

async function describe(git: Git, commit: string): Promise<Described> {
  const [by = '', ...message] = (await show(git, commit, '%cn <%ce>%n%B')).split('\n');
  return { by, message: message.join('\n').trim() };
}

function show(git: Git, commit: string, format: string): Promise<string> {
  return ask(git, 'show', '--no-patch', `--format=${format}`, commit);
}

/** The base branch of somebody else's repository, and the branch in it that carries our change. */
export class ChangeBranch {
  readonly #git: Git;
  /** The directory of the repository. */
  readonly #home: string;
  readonly #options: ChangeBranchOptions;
  /** The branch's newest commit; undefined if there is no branch. */
  readonly #tip: (Described & { readonly id: string }) | undefined;

  constructor(
    git: Git,
    home: string,
    options: ChangeBranchOptions,
    tip: (Described & { readonly id: string }) | undefined,
  ) {
    this.#git = git;
    this.#home = home;
    this.#options = options;
    this.#tip = tip;
  }

  /** The message of the branch's newest commit; undefined if there is no branch. */
  get tipMessage(): string | undefined {
    return this.#tip?.message;
  }

  /** The text of a file of the base branch. */
  async readBase(file: string): Promise<string> {
    const { where } = this.#options;
    const { id } = await this.#baseFile(file);
    const size = Number(await ask(this.#git, 'cat-file', '-s', id));
    if (size > MAX_FILE_BYTES) throw new ServiceError('too-large', `${where}: ${file} has ${size} bytes`);
    const bytes = (await this.#git.local(['cat-file', 'blob', id])).stdout;
    const text = bytes.toString('utf8');
    if (Buffer.from(text).equals(bytes)) return text;
    throw new UserError(`${where}: ${file} is not UTF-8`, { hint: 'change-file' });
  }

  async #baseFile(file: string): Promise<{ readonly mode: CommittedFile['mode']; readonly id: string }> {
    const { where, base } = this.#options;
    const [, mode = '', type, id = '', name] =
      /^(\d+) (\w+) (\w+)\t([^\0]*)\0$/.exec(await this.#entries(BASE, [file])) ?? [];
    if (name !== file) throw new UserError(`${where}: there is no file ${file} in ${base}`, { hint: 'change-file' });
    if (type === 'blob' && (mode === '100644' || mode === '100755')) return { mode, id };
    const kind = mode === '120000' ? 'a symbolic link' : mode === '160000' ? 'a submodule' : 'a directory';
    throw new UserError(`${where}: ${file} is ${kind}, not a file`, { hint: 'change-file' });
  }

  async #entries(commit: string, files: readonly string[]): Promise<string> {
    return (await this.#git.local(['ls-tree', '-z', '--full-tree', commit, '--', ...files])).stdout.toString();
  }

  /** Puts one commit on the base with these files changed, without pushing it. Undefined if nothing changes. */
  async commit(texts: ReadonlyMap<string, string>, message: string): Promise<ProposedCommit | undefined> {
    const changes = new Map<string, CommittedFile>();
    for (const [file, text] of texts) {
      changes.set(file, { mode: (await this.#baseFile(file)).mode, bytes: Buffer.from(text) });
    }
    const id = await makeCommit(this.#git, {
      ref: NEXT,
      parent: BASE,
      committer: this.#options.committer,
      // With the date of the base, the same change is the same commit, no matter when it is made.
      when: Number(await show(this.#git, BASE, '%ct')),
      message,
      files: changes,
    });
    const diff = await this.#git.local(['diff-tree', '-r', '-z', '--name-only', '--no-renames', BASE, id]);
    const changed = diff.stdout.toString().split('\0').slice(0, -1);
    const other = changed.find((name) => !texts.has(name));
    if (other !== undefined) throw new Error(`the change would touch ${other}, which is not named`);
    if (changed.length === 0) return undefined;
    const files = [...texts.keys()];
    return { id, message: await show(this.#git, id, '%B'), files, entries: await this.#entries(id, files) };
  }

  /** Compares the branch with the commit that we would push. The states are those of `Situation`. */
  async compare(commit: ProposedCommit | undefined): Promise<'absent' | 'right' | 'ours' | 'foreign'> {
    if (this.#tip === undefined) return 'absent';
    if (this.#tip.by !== this.#options.committer) return 'foreign';
    if (commit === undefined || this.#tip.message !== commit.message) return 'ours';
    return (await this.#hasFilesOf(commit, TIP)) ? 'right' : 'ours';
  }

  /** Only the named files count: the base may have moved on since. */
  async #hasFilesOf({ files, entries }: ProposedCommit, commit: string): Promise<boolean> {
    return (await this.#entries(commit, files)) === entries;
  }

  /** Replaces the branch with the commit, if the branch has not changed since the first look. */
  async push({ id }: ProposedCommit): Promise<'pushed' | 'moved'> {
    const { branch, where, remote } = this.#options;
    const ref = `refs/heads/${branch}`;
    const lease = `--force-with-lease=${ref}:${this.#tip?.id ?? ''}`;
    const { refused } = await push(this.#git, lease, 'origin', `${id}:${ref}`);
    if (refused === undefined) return 'pushed';
    if (refused === 'moved') return 'moved';
    throw failed(where, refused, remote);
  }

  /** Pushes to `refs/for/<base>` with a topic, and returns Gerrit's answer. */
  async pushForReview({ id }: ProposedCommit, topic: string): Promise<GerritAnswer> {
    const { base, where, remote } = this.#options;
    const { said, refused } = await push(this.#git, 'origin', `${id}:refs/for/${base}%topic=${topic}`);
    if (refused === undefined) return readGerritAnswer(said, true);
    const answer = readGerritAnswer(said, false);
    if (answer !== undefined) return answer;
    if (refused === 'moved') throw new ServiceError('conflict', `${where}: another push to ${base} came first`);
    throw failed(where, refused, remote);
  }

  /** True if a ref of the server has the files of the commit. */
  async isRightAt(ref: string, commit: ProposedCommit): Promise<boolean> {
    await this.#fetchReview(ref);
    return this.#hasFilesOf(commit, REVIEW);
  }

  /** The newest patch set of the change that has this commit; undefined if the server does not show it. */
  async newestPatchSet(commit: ProposedCommit): Promise<PatchSet | undefined> {
    const all = [...(await listRefs(this.#git, 'refs/changes/*'))].flatMap(([ref, id]) => {
      const [, change, n] = PATCH_SET.exec(ref) ?? [];
      return change === undefined ? [] : [{ id, ref, change, n: Number(n) }];
    });
    const change = all.find(({ id }) => id === commit.id)?.change;
    const [newest] = all.filter((one) => one.change === change).sort((a, b) => b.n - a.n);
    if (newest === undefined) return undefined;
    await this.#fetchReview(newest.ref);
    const { by, message } = await describe(this.#git, REVIEW);
    return {
      commit: newest.id,
      isOurs: by === this.#options.committer,
      message,
      isRight: await this.#hasFilesOf(commit, REVIEW),
    };
  }

  async #fetchReview(ref: string): Promise<void> {
    await fetch(this.#git, ['--depth=1', 'origin', `+${ref}:${REVIEW}`]);
  }

  close(): Promise<void> {
    return rm(this.#home, { recursive: true, force: true });
  }
}
