import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, unixSeconds } from '../../base/clock.js';
import { ServiceError, UserError } from '../../base/errors.js';
import { readRefusedPush } from './failure.js';
import { createGit, failed, type Git, type Remote, type RunOptions, requireGit } from './git.js';
import {
  blobId,
  type Entry,
  importStream,
  likelyPaths,
  OUR_EMAIL,
  parseTree,
  siblings,
  type Tree,
  type Written,
} from './tree.js';

export interface BranchOptions {
  readonly remote: Remote;
  readonly branch: string;
  /** Below the repository's root; empty for the root. */
  readonly directory: string;
  /** For messages. */
  readonly where: string;
  /** The directory in which the run's bare repository is created. */
  readonly temporary: string;
  /** The process's environment. Little of it is passed to git. */
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /**
   * `keep` adds a commit with each push, for a store, whose history is never rewritten. `amend` replaces the commit of
   * the push before, for a dashboard, so that its branch does not grow. Only our own newest commit is ever amended.
   */
  readonly history?: 'keep' | 'amend' | undefined;
}

/** A directory in a branch, as of the last look, and the means to put a commit on top of it. */
export interface Branch {
  readonly where: string;
  /** The files at the last look. */
  readonly tree: Tree;
  /** Undefined if the branch does not exist yet. */
  readonly commit: string | undefined;
  /**
   * Finds the branch's commit, and fetches it if it changed. Throws if the branch no longer contains the previous
   * commit.
   */
  look(): Promise<void>;
  /** The content of a file of `tree`; undefined if there is none. */
  read(path: string, maxBytes: number): Promise<Buffer | undefined>;
  /**
   * Pushes one commit on top of the last look, or in place of our newest commit if that is amended. `moved` means that
   * the branch has changed, or that another push is under way, so look again.
   *
   * @throws ServiceError if the push was refused, or if it may have arrived or not.
   */
  push(writes: ReadonlyMap<string, Written>, message: string): Promise<'pushed' | 'moved'>;
  /**
   * The newest commit that changed or removed a file below a path, as `<path> in <commit>`; undefined if no commit of
   * the branch did. Reads the whole history, without the contents.
   */
  findChange(path: string): Promise<string | undefined>;
  close(): void;
}

const BASE = 'refs/promotion/base';
const NEXT = 'refs/promotion/next';

/** The message of commits that are amended. */
const AMENDED = 'Update the dashboard';

/** Our newest commit, which the next push replaces. */
interface Replaced {
  readonly parent: string | undefined;
  readonly tree: string;
}

/** Looks at the branch for the first time. */
export async function openBranch(options: BranchOptions): Promise<Branch> {
  await requireGit(options.environment);
  const home = await mkdtemp(join(options.temporary, 'promotion-git-'));
  try {
    const git = await createGit(home, options.remote, options.where, options.environment);
    return await createBranch(git, home, options);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
}

async function createBranch(git: Git, home: string, options: BranchOptions): Promise<Branch> {
  const { branch, directory, where, clock, history = 'keep' } = options;
  const amends = history === 'amend';
  const ref = `refs/heads/${branch}`;
  let commit: string | undefined;
  let tree: Tree = new Map();
  /** Set if commits are amended, and the newest one is ours. */
  let replaced: Replaced | undefined;
  /** The objects in our repository. Asking git for any other would make it fetch them one by one. */
  const present = new Set<string>();
  const contents = new Map<string, Buffer>();
  let readsLikely = true;

  const { format, head } = await survey();
  await git.local(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]);
  await update(head);
  const alone = oneAtATime();
  return {
    where,
    get tree() {
      return tree;
    },
    get commit() {
      return commit;
    },
    look: () => alone(async () => update(await remoteHead())),
    read: (path, maxBytes) => alone(() => read(path, maxBytes)),
    push: (writes, message) => alone(() => push(writes, message)),
    findChange: (path) => alone(() => findChange(path)),
    close: () => rmSync(home, { recursive: true, force: true }),
  };

  /**
   * Refuses the default branch, which is for merged changes, and an empty repository, whose first branch would become
   * the default.
   */
  async function survey(): Promise<{ format: 'sha1' | 'sha256'; head: string | undefined }> {
    const { stdout } = await git.remote(['ls-remote', '--symref', 'origin', 'HEAD', ref]);
    const lines = stdout.toString().split('\n');
    if (lines.includes(`ref: ${ref}\tHEAD`)) {
      throw new UserError(`${where}: is the default branch of its repository; name another branch`, { hint: 'server' });
    }
    const ids = new Map(
      lines.flatMap((line) => {
        const [, id = '', name = ''] = /^([0-9a-f]{40}|[0-9a-f]{64})\t(.*)$/.exec(line) ?? [];
        return id === '' ? [] : [[name, id] as const];
      }),
    );
    const [some] = ids.values();
    if (some === undefined) {
      throw new UserError(`${where}: the repository is empty; push something to its default branch first`);
    }
    return { format: some.length === 64 ? 'sha256' : 'sha1', head: ids.get(ref) };
  }

  async function remoteHead(): Promise<string | undefined> {
    const { stdout } = await git.remote(['ls-remote', 'origin', ref]);
    return /^([0-9a-f]{40,64})\t/.exec(stdout.toString())?.[1];
  }

  async function update(found: string | undefined): Promise<void> {
    if (found === commit) return;
    if (found === undefined) throw rewritten('the branch was deleted during this run');
    // To amend a commit, its parent is needed too.
    const depth = amends ? ['--depth=2'] : commit === undefined ? ['--depth=1'] : [];
    await fetch([...depth, '--filter=blob:none', 'origin', `+${ref}:${NEXT}`]);
    const next = (await git.local(['rev-parse', '--verify', NEXT])).stdout.toString().trim();
    if (commit !== undefined && !amends) {
      const { code } = await git.local(['merge-base', '--is-ancestor', commit, next], { codes: [1] });
      if (code === 1) throw rewritten(`its history was rewritten during this run: ${commit} is no longer in it`);
    }
    await listPresent();
    if (amends) replaced = await ownCommit(next);
    const path = directory === '' ? [] : ['--', `${directory}/`];
    const listing = await git.local(['ls-tree', '-r', '-z', '--full-tree', next, ...path]);
    await settleAt(next, parseTree(listing.stdout, directory));
    readsLikely = true;
  }

  /** Refuses the branch of a store, whose history must stay. Undefined for anybody else's commit, which is kept. */
  async function ownCommit(next: string): Promise<Replaced | undefined> {
    const names = await git.local(['ls-tree', '-r', '-z', '--name-only', '--full-tree', next]);
    if (/(?:^|[/\0])ledger\/[^/\0]+\/\d+\.json\0/.test(names.stdout.toString())) {
      throw new UserError(`${where}: is the branch of a store; name another branch for the dashboard`, {
        hint: 'server',
      });
    }
    const { stdout } = await git.local(['log', '-1', '--format=%P%n%T%n%ce%n%B', next]);
    const [parents = '', tree = '', email = '', ...message] = stdout.toString().split('\n');
    const [parent, another] = parents.split(' ');
    const isOwn = email === OUR_EMAIL && message.join('\n').trim() === AMENDED && another === undefined;
    return isOwn ? { parent: parent === '' ? undefined : parent, tree } : undefined;
  }

  async function findChange(path: string): Promise<string | undefined> {
    if (commit === undefined) return undefined;
    const { stdout: shallow } = await git.local(['rev-parse', '--is-shallow-repository']);
    if (shallow.toString().trim() === 'true') {
      await fetch(['--unshallow', '--filter=blob:none', 'origin', `+${ref}:${NEXT}`]);
    }
    const below = [directory, path].filter((part) => part !== '').join('/');
    // Without renames no content is needed: the ids of the objects say what changed.
    const log = ['log', '-m', '--no-renames', '--diff-filter=MDT', '--format=%H', '--name-only', commit];
    const { stdout } = await git.local([...log, '--', `${below}/`]);
    const [found, , name] = stdout.toString().split('\n');
    return found === undefined || name === undefined ? undefined : `${name} in ${found}`;
  }

  function rewritten(problem: string): ServiceError {
    return new ServiceError('conflict', `${where}: ${problem}; nothing was written`);
  }

  async function settleAt(next: string, files: Tree): Promise<void> {
    await git.local(['update-ref', BASE, next]);
    commit = next;
    tree = files;
  }

  async function fetch(args: readonly string[], options: RunOptions = {}): Promise<void> {
    const quiet = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--recurse-submodules=no'];
    // Objects are requested by name, so the server must not leave out those that our commits seem to have.
    const negotiation = options.input === undefined ? [] : ['-c', 'fetch.negotiationAlgorithm=noop'];
    await git.remote([...negotiation, 'fetch', ...quiet, ...args], options);
  }

  async function listPresent(): Promise<void> {
    const all = ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'];
    for (const id of (await git.local(all)).stdout.toString().split('\n')) if (id !== '') present.add(id);
  }

  async function read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const entry = tree.get(path);
    if (entry === undefined || entry.kind === 'submodule') return undefined;
    if (!contents.has(entry.id)) await bring(path, entry);
    const bytes = contents.get(entry.id);
    if (bytes === undefined) throw new ServiceError('bad-answer', `${where}: git did not bring ${path}`);
    if (bytes.length <= maxBytes) return bytes;
    throw new ServiceError('too-large', `${where}: ${path} has ${bytes.length} bytes, over ${maxBytes}`);
  }

  /** Fetches a file with those that are likely to be read too. The second time, fetches all files beside it. */
  async function bring(path: string, entry: Entry): Promise<void> {
    const others = readsLikely ? likelyPaths(tree) : siblings(tree, path);
    const ids = new Set([entry.id, ...others.flatMap((other) => tree.get(other)?.id ?? [])]);
    const missing = [...ids].filter((id) => !present.has(id));
    if (missing.length > 0) {
      readsLikely = false;
      const args = ['--filter=blob:none', '--stdin', 'origin'];
      await fetch(args, { input: Buffer.from(`${missing.join('\n')}\n`) });
      for (const id of missing) present.add(id);
    }
    const wanted = [...ids].filter((id) => !contents.has(id));
    const batch = await git.local(['cat-file', '--batch'], { input: Buffer.from(`${wanted.join('\n')}\n`) });
    for (const [id, bytes] of parseBatch(batch.stdout)) contents.set(id, bytes);
  }

  async function push(writes: ReadonlyMap<string, Written>, message: string): Promise<'pushed' | 'moved'> {
    const onto = replaced === undefined ? { parent: commit, tree: undefined } : replaced;
    const said = amends ? AMENDED : message;
    const stream = importStream({ ref: NEXT, ...onto, directory, message: said, when: unixSeconds(clock), writes });
    // NEXT may be anywhere: it is ours alone.
    const imported = await git.local(['fast-import', '--quiet', '--force', '--done'], { input: stream });
    const next = imported.stdout.toString().trim();
    if (replaced !== undefined) await sendOnlyNew(replaced.parent ?? commit);
    // Replaces exactly the commit that was seen, or nothing.
    const lease = replaced === undefined ? [] : [`--force-with-lease=${ref}:${commit}`];
    const args = ['push', '--porcelain', '--no-verify', ...lease, 'origin', `${next}:${ref}`];
    const answer = await git.remote(args, { codes: [1] });
    if (answer.code === 0) {
      if (amends) replaced = await ownCommit(next);
      await settleAt(next, withWrites(writes, next));
      return 'pushed';
    }
    const refused = readRefusedPush(answer.stdout.toString(), answer.stderr);
    if (refused === 'moved') return 'moved';
    throw failed(where, refused, options.remote);
  }

  /**
   * A push should leave out objects that the server has in commits which the new one does not follow. Git does so only
   * in a shallow repository (git-pack-objects(1), --thin with --shallow). A root commit as the boundary hides nothing.
   */
  async function sendOnlyNew(root: string | undefined): Promise<void> {
    const shallow = await git.local(['rev-parse', '--is-shallow-repository']);
    if (shallow.stdout.toString().trim() === 'true') return;
    await writeFile(join(home, 'repository.git/shallow'), `${root}\n`);
  }

  function withWrites(writes: ReadonlyMap<string, Written>, sample: string): Tree {
    const files = new Map(tree);
    for (const [path, written] of writes) {
      if (written === 'removed') files.delete(path);
      else {
        const id = blobId(written.bytes, sample);
        files.set(path, { kind: written.kind, id });
        contents.set(id, written.bytes);
        present.add(id);
      }
    }
    return files;
  }
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

/** Runs tasks one after the other, since they share one repository. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}
