import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Tools } from './install.js';
import { type ServerProcess, startServer } from './process.js';
import { projectRoot } from './project.js';
import type { Login } from './registry.js';

export interface DlrnBranch {
  /** The API's root: `http://127.0.0.1:port/api-centos9-wallaby` */
  readonly url: string;
  /** Where labels are: `<repositoryUrl>/current-tripleo/delorean.repo.md5` is an aggregate hash. */
  readonly repositoryUrl: string;
  /** The aggregate hashes that were promoted, newest first. */
  readonly hashes: readonly string[];
}

export interface Dlrn<Name extends string = string> extends ServerProcess {
  readonly login: Login;
  readonly branches: Readonly<Record<Name, DlrnBranch>>;
}

export interface DlrnOptions<Name extends string> {
  readonly tools: Tools;
  readonly directory: string;
  readonly login: Login;
  /** The branches by name: they share the process and nothing else. */
  readonly branches: Readonly<Record<Name, DlrnBranchOptions>>;
}

export interface DlrnBranchOptions {
  /** `/api-centos9-wallaby` */
  readonly prefix: string;
  /** `/centos9-wallaby` */
  readonly repository: string;
  readonly hashes: number;
}

/** Every hash is promoted to both: RDO's candidates, and what passed. */
const LABELS = ['tripleo-ci-testing', 'current-tripleo'];

const readySchema = v.record(v.string(), v.array(v.string()));

/** The real DLRN API server over fresh databases; its log names every request. */
export async function startDlrn<Name extends string>(options: DlrnOptions<Name>): Promise<Dlrn<Name>> {
  const { tools, directory, login, branches } = options;
  await mkdir(directory, { recursive: true });
  const readyFile = join(directory, 'ready.json');
  const server = await startServer({
    name: 'dlrn',
    directory,
    command: async (port) => {
      await Promise.all(
        Object.values<DlrnBranchOptions>(branches).map(({ prefix }) =>
          rm(join(directory, prefix), { recursive: true, force: true }),
        ),
      );
      const config = join(directory, 'config.json');
      const content = { port, directory, ...login, labels: LABELS, branches: Object.values(branches) };
      await writeFile(config, JSON.stringify(content), { mode: 0o600 });
      return [tools.python, join(projectRoot, 'test/sandbox/dlrn-server.py'), config];
    },
    ready: async () => (await readText(readyFile)) !== undefined,
  });
  const hashes = v.parse(readySchema, JSON.parse((await readText(readyFile)) ?? ''));
  const url = `http://127.0.0.1:${server.port}`;
  const started = Object.entries<DlrnBranchOptions>(branches).map(([name, { prefix, repository }]) => {
    const branch: DlrnBranch = { url: url + prefix, repositoryUrl: url + repository, hashes: hashes[prefix] ?? [] };
    return [name, branch] as const;
  });
  return { ...server, login, branches: Object.fromEntries(started) as Record<Name, DlrnBranch> };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}
