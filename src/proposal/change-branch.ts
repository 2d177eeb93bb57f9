import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError, UserError } from '../base/errors.js';
import { readRefusedPush } from '../store/git/failure.js';
import { createGit, failed, type Git, type Remote, requireGit } from '../store/git/git.js';

/** Somebody else's repository, and the branch in it that carries our change. */
export interface ChangeBranch {
  /** The text of a file of the base branch. */
  readBase(file: string): Promise<string>;
  /** Puts one commit on the base with these files changed, without pushing it. Undefined if nothing changes. */
  commit(files: ReadonlyMap<string, string>, message: string): Promise<string | undefined>;
  /** The message of the branch's newest commit; undefined if there is no branch. */
  readonly tipMessage: string | undefined;
  /** Compares the branch with the commit that we would push. The states are those of `Situation`. */
  compare(commit: string | undefined): Promise<'absent' | 'right' | 'ours' | 'foreign'>;
  /** Replaces the branch with the commit, if the branch has not changed since the first look. */
  push(commit: string): Promise<'pushed' | 'moved'>;
  /** Pushes to `refs/for/<base>` with a topic, and returns Gerrit's answer. */
  pushForReview(commit: string, topic: string): Promise<GerritAnswer>;
  /** True if the named files, at a ref of the server, are as in the newest commit that we made. */
  isRightAt(ref: string): Promise<boolean>;
  /** The newest patch set of the change that has this commit; undefined if the server does not show it. */
  newestPatchSet(commit: string): Promise<PatchSet | undefined>;
  close(): Promise<void>;
}

export interface GerritAnswer {
  /** `unchanged`: a patch set is already this commit. `closed`: the change was abandoned or merged. */
  readonly result: 'pushed' | 'unchanged' | 'closed';
  readonly url: string | undefined;
}

export interface PatchSet {
  readonly commit: string;
  /** True if we are the committer. */
  readonly isOurs: boolean;
  readonly message: string;
  /** True if the named files are as in the newest commit that we made. */
  readonly isRight: boolean;
}

export interface ChangeBranchOptions {
  readonly remote: Remote;
  /** `name <address>`. A commit on the branch by any other committer counts as a person's. */
  readonly committer: string;
  readonly base: string;
  readonly branch: string;
  /** For messages, without secrets. */
  readonly where: string;
  readonly temporary: string;
  readonly environment: NodeJS.ProcessEnv;
}

const MAX_FILE_BYTES = 1024 * 1024;
const BASE = 'refs/promotion/base';
const TIP = 'refs/promotion/tip';
const NEXT = 'refs/promotion/next';
const REVIEW = 'refs/promotion/review';
/** Gerrit's refs of patch sets: the change's last two digits, its number, and the patch set's. */
const PATCH_SET = /^([0-9a-f]+)\t(refs\/changes\/\d\d\/(\d+)\/(\d+))$/gm;
const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const FETCH = [
  'fetch',
  '--quiet',
  '--no-tags',
  '--no-write-fetch-head',
  '--no-auto-maintenance',
  '--recurse-submodules=no',
];

/** Fetches the newest commit of the base, and of the branch if there is one. */
export async function openChangeBranch(options: ChangeBranchOptions): Promise<ChangeBranch> {
  await requireGit(options.environment);
  const home = await mkdtemp(join(options.temporary, 'propose-change-'));
  try {
    const git = await createGit(home, options.remote, options.where, options.environment);
    return await fetchBranches(git, home, options);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
}

async function fetchBranches(
  git: Git,
  home: string,
  { base, branch, where, remote, committer: own }: ChangeBranchOptions,
): Promise<ChangeBranch> {
  const [baseRef, branchRef] = [`refs/heads/${base}`, `refs/heads/${branch}`];
  const listed = (await git.remote(['ls-remote', 'origin', baseRef, branchRef])).stdout.toString().split('\n');
  const idOf = (ref: string) => listed.find((line) => line.endsWith(`\t${ref}`))?.split('\t')[0];
  const [baseId, tipId] = [idOf(baseRef), idOf(branchRef)];
  if (baseId === undefined || !HASH.test(baseId)) {
    throw new UserError(`${where}: there is no branch ${base}`, { hint: 'change-base' });
  }
  const format = baseId.length === 64 ? 'sha256' : 'sha1';
  await git.local(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]);
  const tips = tipId === undefined ? [] : [`+${branchRef}:${TIP}`];
  await git.remote([...FETCH, '--depth=1', 'origin', `+${baseRef}:${BASE}`, ...tips]);
  const show = async (commit: string, what: string) =>
    (await git.local(['show', '--no-patch', `--format=${what}`, commit])).stdout.toString().trim();
  const idsOf = async (commit: string, files: Iterable<string>) =>
    (await git.local(['ls-tree', '-z', '--full-tree', commit, '--', ...files])).stdout.toString();
  const when = Number(await show(BASE, '%ct'));
  const tip = tipId === undefined ? undefined : { by: await show(TIP, '%cn <%ce>'), message: await show(TIP, '%B') };

  async function entry(file: string): Promise<{ readonly mode: string; readonly id: string }> {
    const { stdout } = await git.local(['ls-tree', '-z', '--full-tree', BASE, '--', file]);
    const [, mode = '', type, id = '', name] = /^(\d+) (\w+) (\w+)\t([^\0]*)\0$/.exec(stdout.toString()) ?? [];
    if (name !== file) throw new UserError(`${where}: there is no file ${file} in ${base}`, { hint: 'change-file' });
    if (type === 'blob' && (mode === '100644' || mode === '100755')) return { mode, id };
    const kind = mode === '120000' ? 'a symbolic link' : mode === '160000' ? 'a submodule' : 'a directory';
    throw new UserError(`${where}: ${file} is ${kind}, which is not followed`, { hint: 'change-file' });
  }

  let wanted: { readonly files: string; readonly names: readonly string[]; readonly message: string } | undefined;
  /** Only the named files count: the base may have moved on since. */
  const hasWanted = async (commit: string) =>
    wanted !== undefined && (await idsOf(commit, wanted.names)) === wanted.files;
  const fetchReview = (ref: string) => git.remote([...FETCH, '--depth=1', 'origin', `+${ref}:${REVIEW}`]);
  return {
    tipMessage: tip?.message,
    async readBase(file) {
      const { id } = await entry(file);
      const size = Number((await git.local(['cat-file', '-s', id])).stdout.toString());
      if (size > MAX_FILE_BYTES) throw new ServiceError('too-large', `${where}: ${file} has ${size} bytes`);
      const bytes = (await git.local(['cat-file', 'blob', id])).stdout;
      const text = bytes.toString('utf8');
      if (Buffer.from(text).equals(bytes)) return text;
      throw new UserError(`${where}: ${file} is not UTF-8`, { hint: 'change-file' });
    },
    async commit(files, message) {
      const pieces: Buffer[] = [];
      const say = (text: string | Buffer) => void pieces.push(Buffer.from(text));
      const data = (text: string) => {
        const bytes = Buffer.from(text);
        say(`data ${bytes.length}\n`);
        say(bytes);
        say('\n');
      };
      // With the date of the base, the same change is the same commit, no matter when it is made.
      say(`commit ${NEXT}\nmark :1\ncommitter ${own} ${when} +0000\n`);
      data(message);
      say(`from ${BASE}\n`);
      for (const [file, text] of files) {
        say(`M ${(await entry(file)).mode} inline ${JSON.stringify(file)}\n`);
        data(text);
      }
      say('get-mark :1\ndone\n');
      const imported = await git.local(['fast-import', '--quiet', '--force', '--done'], {
        input: Buffer.concat(pieces),
      });
      const commit = imported.stdout.toString().trim();
      const diff = await git.local(['diff-tree', '-r', '-z', '--name-only', '--no-renames', BASE, commit]);
      const changed = diff.stdout
        .toString()
        .split('\0')
        .filter((name) => name !== '');
      const other = changed.find((name) => !files.has(name));
      if (other !== undefined) throw new Error(`the change would touch ${other}, which is not named`);
      if (changed.length === 0) return undefined;
      const names = [...files.keys()];
      wanted = { names, files: await idsOf(commit, names), message: await show(commit, '%B') };
      return commit;
    },
    async compare(commit) {
      if (tip === undefined) return 'absent';
      if (tip.by !== own) return 'foreign';
      if (commit === undefined || wanted === undefined) return 'ours';
      return tip.message === wanted.message && (await hasWanted(TIP)) ? 'right' : 'ours';
    },
    async push(commit) {
      const lease = `--force-with-lease=${branchRef}:${tipId ?? ''}`;
      const args = ['push', '--porcelain', '--no-verify', lease, 'origin', `${commit}:${branchRef}`];
      const answer = await git.remote(args, { codes: [1] });
      if (answer.code === 0) return 'pushed';
      const refused = readRefusedPush(answer.stdout.toString(), answer.stderr);
      if (refused === 'moved') return 'moved';
      throw failed(where, refused, remote);
    },
    async pushForReview(commit, topic) {
      const target = `${commit}:refs/for/${base}%topic=${topic}`;
      const answer = await git.remote(['push', '--porcelain', '--no-verify', 'origin', target], { codes: [1] });
      const said = readGerritAnswer(answer.code, `${answer.stdout.toString()}\n${answer.stderr}`);
      if (said !== undefined) return said;
      const refused = readRefusedPush(answer.stdout.toString(), answer.stderr);
      if (refused === 'moved') throw new ServiceError('conflict', `${where}: another push to ${base} came first`);
      throw failed(where, refused, remote);
    },
    async isRightAt(ref) {
      await fetchReview(ref);
      return hasWanted(REVIEW);
    },
    async newestPatchSet(commit) {
      const listed = (await git.remote(['ls-remote', 'origin', 'refs/changes/*'])).stdout.toString();
      const all = [...listed.matchAll(PATCH_SET)].map(([, id = '', ref = '', change, n]) => ({ id, ref, change, n }));
      const change = all.find(({ id }) => id === commit)?.change;
      const [newest] = all.filter((one) => one.change === change).sort((a, b) => Number(b.n) - Number(a.n));
      if (change === undefined || newest === undefined) return undefined;
      await fetchReview(newest.ref);
      return {
        commit: newest.id,
        isOurs: (await show(REVIEW, '%cn <%ce>')) === own,
        message: await show(REVIEW, '%B'),
        isRight: await hasWanted(REVIEW),
      };
    },
    close: () => rm(home, { recursive: true, force: true }),
  };
}

/**
 * Reads what a push to `refs/for` said: undefined if it failed for another reason. Gerrit has four ways to say that it
 * has the commit ("no new changes" and "commit already exists" in its documentation's list of error messages).
 */
export function readGerritAnswer(code: number, said: string): GerritAnswer | undefined {
  const url =
    /^remote:\s+(https?:\/\/\S+)/m.exec(said)?.[1] ?? /\bchange (https?:\/\/\S+) (?:is )?closed/i.exec(said)?.[1];
  if (code === 0) return { result: 'pushed', url };
  if (/no new changes|commit(?:\(s\))? already exists/i.test(said)) return { result: 'unchanged', url };
  if (/change \S+ (?:is )?closed|\(closed\)/i.test(said)) return { result: 'closed', url };
  return undefined;
}
