import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { startCephDaemonRegistry } from './ceph-daemon.js';
import { type Dlrn, startDlrn } from './dlrn.js';
import { install, type Say, type Tools } from './install.js';
import { runDirectory, type Stoppable } from './process.js';
import { type Login, type Registry, startRegistry } from './registry.js';
import { type Sshd, sftpUrl, startSshd } from './sshd.js';
import { startWeb, type Web } from './web.js';

export type BranchName = 'master' | 'wallaby';

/** How to talk to a running sandbox: plain data. */
export interface SandboxInfo {
  readonly tools: Tools;
  /** The run's directory, with a log of each server; gone when the sandbox stops. */
  readonly directory: string;
  /** Plays quay.io: distribution v3, open to all, pages its listings, has `ceph/daemon` with the tags of 2022-05-06. */
  readonly source: Info<Registry>;
  /** Plays quay.rdoproject.org: Debian's docker-registry 2.8, empty, one user by basic authentication. */
  readonly target: Info<Registry> & { readonly login: Login };
  readonly imageServer: ImageServerInfo;
  /** Plays trunk.rdoproject.org. */
  readonly dlrn: Info<Dlrn<BranchName>>;
}

type Info<Server extends Stoppable> = Omit<Server, 'stop'>;

/** Plays images.rdoproject.org: sshd (SFTP only) and nginx over one directory. */
export interface ImageServerInfo {
  readonly sshd: Info<Sshd>;
  readonly web: Info<Web>;
  /** What both serve. */
  readonly root: string;
  readonly branches: Record<BranchName, ImageDirectory>;
}

/** One directory of the image server, seen from its three sides. */
export interface ImageDirectory {
  /** On this machine's disk. */
  readonly path: string;
  /** As the actions' input `server`. */
  readonly server: string;
  /** As the actions' input `url`. */
  readonly url: string;
}

export interface Sandbox extends Stoppable {
  readonly info: SandboxInfo;
}

const DLRN_BRANCHES = {
  master: { prefix: '/api-centos9-master-uc', repository: '/centos9-master', hashes: 3 },
  wallaby: { prefix: '/api-centos9-wallaby', repository: '/centos9-wallaby', hashes: 3 },
} as const;

/**
 * Starts every server of the pipeline on loopback, after installing what is missing. With a `home`, what the registries
 * and the image server hold stays there, and is there again the next time, under the same addresses.
 */
export async function startSandbox(say: Say, home?: string): Promise<Sandbox> {
  const tools = await install(say);
  const run = home === undefined ? await runDirectory() : await homeDirectory(home);
  const directory = run.path;
  const root = join(directory, 'images');
  await mkdir(root, { recursive: true });
  const ports = await readPorts(directory);
  const targetLogin = newLogin('promoter');
  const starting = [
    startCephDaemonRegistry(tools, join(directory, 'source'), ports?.source),
    startRegistry({
      tools,
      directory: join(directory, 'target'),
      port: ports?.target,
      kind: 'debian',
      login: targetLogin,
    }),
    startSshd({ tools, directory: join(directory, 'sshd') }),
    startWeb({ tools, directory: join(directory, 'web'), root }),
    startDlrn({ tools, directory: join(directory, 'dlrn'), login: newLogin('ciuser'), branches: DLRN_BRANCHES }),
  ] as const;
  const stop = async () => {
    for (const server of await Promise.allSettled(starting)) {
      if (server.status === 'fulfilled') await server.value.stop();
    }
    await run.stop();
  };
  try {
    const [source, target, sshd, web, dlrn] = await Promise.all(starting);
    await writeFile(portsFile(directory), JSON.stringify({ source: source.port, target: target.port }));
    const imageServer = { sshd: withoutStop(sshd), web: withoutStop(web), root };
    // Of the workflow's other branch, and of its dashboard.
    for (const name of ['zed', 'dashboard']) await makeImageDirectory(imageServer, `ceph/daemon/${name}`);
    const branches = {
      master: await makeImageDirectory(imageServer, 'ceph/daemon/master'),
      wallaby: await makeImageDirectory(imageServer, 'ceph/daemon/wallaby'),
    };
    const info = {
      tools,
      directory,
      source: withoutStop(source),
      target: { ...withoutStop(target), login: targetLogin },
      imageServer: { ...imageServer, branches },
      dlrn: withoutStop(dlrn),
    };
    return { info, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The data of the run before, without what is made again: keys, configurations, DLRN's votes. */
async function homeDirectory(path: string): Promise<Stoppable & { readonly path: string }> {
  for (const name of ['sshd', 'web', 'dlrn']) await rm(join(path, name), { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  return { path, stop: async () => undefined };
}

const portsSchema = v.object({ source: v.number(), target: v.number() });

function portsFile(directory: string): string {
  return join(directory, 'ports.json');
}

async function readPorts(directory: string) {
  if (!existsSync(portsFile(directory))) return undefined;
  return v.parse(portsSchema, JSON.parse(await readFile(portsFile(directory), 'utf8')));
}

/** Makes a directory on the image server. */
export async function makeImageDirectory(
  { sshd, web, root }: Pick<ImageServerInfo, 'sshd' | 'web' | 'root'>,
  name: string,
): Promise<ImageDirectory> {
  const path = join(root, name);
  await mkdir(path, { recursive: true });
  return { path, server: sftpUrl(sshd, path), url: `${web.url}/${encodeURI(name)}` };
}

/** A password that a search through logs cannot meet by chance. */
function newLogin(username: string): Login {
  return { username, password: randomBytes(15).toString('base64url') };
}

function withoutStop<T extends Stoppable>({ stop: _, ...data }: T): Info<T> {
  return data;
}
