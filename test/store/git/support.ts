import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/base/clock.js';
import type { BranchOptions } from '../../../src/store/git/branch.js';
import { openGitStore } from '../../../src/store/git/git-store.js';
import type { Store } from '../../../src/store/store.js';
import { type GitServer, makeBareRepository, startGitServer } from '../../sandbox/git-server.js';
import { silent } from '../fixture.js';

/** A git server and a directory for what the stores leave, both of one test file. */
export interface Forge extends GitServer {
  readonly temporary: string;
}

export async function startForge(): Promise<Forge> {
  const root = mkdtempSync(join(tmpdir(), 'forge-'));
  const temporary = mkdtempSync(join(tmpdir(), 'runner-temp-'));
  const server = await startGitServer(root);
  const { stop } = server;
  return Object.assign(server, {
    temporary,
    stop: async () => {
      await stop();
      rmSync(root, { recursive: true, force: true });
      rmSync(temporary, { recursive: true, force: true });
    },
  });
}

/** A repository of its own on the forge, seen from the disk and from outside. */
export interface Repository {
  readonly path: string;
  readonly url: URL;
  /** What git says of it, with the last line end cut off. */
  git(...args: readonly string[]): string;
  /** What a commit, by default the branch's, has at a path. */
  show(path: string): string;
  /** Its files, with their modes. */
  files(): string[];
}

let repositories = 0;

export async function freshRepository(forge: Forge): Promise<Repository> {
  repositories += 1;
  const name = `owner/store-${repositories}`;
  const path = await makeBareRepository(forge.root, name);
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-C', path, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).replace(
      /\n$/,
      '',
    );
  return {
    path,
    url: new URL(`${forge.url}/${name}`),
    git,
    show: (file) => git('show', `promotions:${file}`),
    files: () => git('ls-tree', '-r', '--format=%(objectmode) %(path)', 'promotions').split('\n').filter(Boolean),
  };
}

export type Changes = Partial<Omit<BranchOptions, 'remote'>> & { readonly token?: string; readonly url?: URL };

export function optionsFor(forge: Forge, { url }: Repository, { token, url: other, ...changes }: Changes = {}) {
  return {
    remote: {
      url: other ?? url,
      token: token ?? forge.token,
      privateKey: undefined,
      knownHosts: undefined,
      agentSocket: undefined,
      caFile: undefined,
    },
    branch: 'promotions',
    directory: '',
    where: `git+${(other ?? url).href}@promotions`,
    temporary: forge.temporary,
    environment: process.env,
    clock: systemClock,
    log: silent,
    ...changes,
  };
}

/** Opens the store for the length of `use`, and flushes it. */
export async function withGitStore<T>(
  forge: Forge,
  repository: Repository,
  use: (store: Store) => Promise<T>,
  changes: Changes = {},
): Promise<T> {
  const store = await openGitStore(optionsFor(forge, repository, changes));
  try {
    const result = await use(store);
    await store.flush();
    return result;
  } finally {
    store.close();
  }
}
