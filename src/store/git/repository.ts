import { rm } from 'node:fs/promises';
import { makeTemporary } from '../../base/temporary.js';
import { type GitFailure, readRefusedPush } from './failure.js';
import { createGit, type Git, type Remote, type RunOptions, requireGit } from './git.js';
import { importStream, type NewCommit } from './import-stream.js';

/** A bare repository of our own, in which a run reads a remote one and makes commits for it. */

export interface RepositoryOptions {
  readonly remote: Remote;
  /** For messages, without secrets. */
  readonly where: string;
  /** The directory in which the repository's own directory is created. */
  readonly temporary: string;
  /** The process's environment. Little of it is passed to git. */
  readonly environment: NodeJS.ProcessEnv;
}

/** Calls `use` with a git and the directory that has all its files, which is removed if `use` fails. */
export async function openRepository<T>(
  { remote, where, temporary, environment }: RepositoryOptions,
  use: (git: Git, home: string) => Promise<T>,
): Promise<T> {
  await requireGit(environment);
  const home = await makeTemporary(temporary, 'promotion-git-');
  try {
    return await use(await createGit(home, remote, where, environment), home);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
}

/** Creates the repository, with the kind of hash of one of the remote's objects. */
export async function initRepository(git: Git, sample: string): Promise<void> {
  const format = sample.length === 64 ? 'sha256' : 'sha1';
  await git.local(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]);
}

/** The remote's refs that fit one of the patterns, with their ids. */
export async function listRefs(git: Git, ...patterns: readonly string[]): Promise<Map<string, string>> {
  return readRefs((await git.remote(['ls-remote', 'origin', ...patterns])).stdout.toString());
}

/** Parses the refs in the output of `git ls-remote`. */
export function readRefs(listing: string): Map<string, string> {
  const refs = listing.matchAll(/^([0-9a-f]{40}|[0-9a-f]{64})\t(.*)$/gm);
  return new Map([...refs].map(([, id = '', name = '']) => [name, id]));
}

/** Fetches exactly what is named, and leaves no FETCH_HEAD. `input` lists objects for `--stdin`. */
export async function fetch(git: Git, args: readonly string[], options: RunOptions = {}): Promise<void> {
  const quiet = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--recurse-submodules=no'];
  // Objects are requested by name, so the server must not leave out those that our commits seem to have.
  const negotiation = options.input === undefined ? [] : ['-c', 'fetch.negotiationAlgorithm=noop'];
  await git.remote([...negotiation, 'fetch', ...quiet, ...args], options);
}

/** The output of a command that needs no remote, without the line end. */
export async function ask(git: Git, ...args: readonly string[]): Promise<string> {
  return (await git.local(args)).stdout.toString().trim();
}

export async function isShallow(git: Git): Promise<boolean> {
  return (await ask(git, 'rev-parse', '--is-shallow-repository')) === 'true';
}

/** Makes a commit, and returns its id. Moves its ref from wherever it was, since the ref is ours alone. */
export async function makeCommit(git: Git, commit: NewCommit): Promise<string> {
  const { stdout } = await git.local(['fast-import', '--quiet', '--force', '--done'], { input: importStream(commit) });
  return stdout.toString().trim();
}

/** What the remote answered to a push of one ref. */
export interface PushAnswer {
  /** All that git printed. */
  readonly said: string;
  /** Undefined if the remote took it; `moved` if its ref has changed, or another push is under way. */
  readonly refused: 'moved' | GitFailure | undefined;
}

export async function push(git: Git, ...args: readonly string[]): Promise<PushAnswer> {
  const { code, stdout, stderr } = await git.remote(['push', '--porcelain', '--no-verify', ...args], { codes: [1] });
  const printed = stdout.toString();
  return { said: `${printed}\n${stderr}`, refused: code === 0 ? undefined : readRefusedPush(printed, stderr) };
}
