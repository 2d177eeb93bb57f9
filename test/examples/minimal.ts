import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { writePins } from '../../scripts/pin.js';
import { ACT_OPTIONS, copyCallable, dotenv } from '../demo/act.js';
import { localRepository } from '../demo/downstream.js';
import { makeRepository } from '../demo/git.js';
import { sandbox } from '../sandbox/current.js';
import { type GitServer, startGitServer } from '../sandbox/git-server.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { projectRoot } from '../sandbox/project.js';
import { basicAuthorization, type Registry, startRegistry } from '../sandbox/registry.js';
import { type Sshd, startSshd } from '../sandbox/sshd.js';
import { startTokenServer } from '../sandbox/token-server.js';

/**
 * examples/minimal in the repository of somebody who has only a forge: the repository, with a token of the job that may
 * push, and a registry with tokens.
 */

const WORKFLOW = '.github/workflows/ceph.yml';
export const PASSWORD = 'a-token-of-the-registry-that-no-log-shows';
export const UPSTREAM = 'rdo-infra/ceph-promotion-actions';

export interface Place extends Stoppable {
  /** Where the forge's repositories are, and the clones. */
  readonly work: string;
  readonly forge: GitServer;
  readonly registry: Registry;
}

export async function startPlace(): Promise<Place> {
  const home = await runDirectory();
  const login = { username: 'alice', password: PASSWORD };
  const tokens = await startTokenServer({ directory: path.join(home.path, 'tokens'), login });
  const registry = await startRegistry({
    tools: sandbox().tools,
    directory: path.join(home.path, 'registry'),
    tokens: tokens.issuer,
  });
  const work = await mkdtemp(path.join(tmpdir(), 'minimal-'));
  await mkdir(path.join(work, 'home'));
  const forge = await startGitServer(work, (url) => url.includes(UPSTREAM));
  const stop = async () => {
    for (const server of [forge, registry, tokens, home]) await server.stop();
    await rm(work, { recursive: true, force: true });
  };
  return { work, forge, registry, stop };
}

/** A place with these actions on its forge, and an sshd over which its repositories are reached too. */
export async function startPlaceWithSsh(): Promise<Place & { readonly sshd: Sshd }> {
  const place = await startPlace();
  await publishActions(place);
  const home = await runDirectory();
  const sshd = await startSshd({ tools: sandbox().tools, directory: path.join(home.path, 'sshd'), commands: true });
  const stop = async () => {
    for (const server of [sshd, home, place]) await server.stop();
  };
  return { ...place, sshd, stop };
}

/** Puts these actions, as they are built, onto the forge. */
export async function publishActions({ work }: Place): Promise<void> {
  await copyCallable(path.join(work, UPSTREAM));
  await makeRepository(path.join(work, UPSTREAM));
}

/** Asks the registry as its user, who gets a token for `scope` first. */
export async function askRegistry({ registry }: Place, wanted: string, scope: string): Promise<Response> {
  const url = `${registry.url}/v2/${wanted}`;
  const { headers } = await fetch(url);
  const [, realm = '', service = ''] =
    /realm="([^"]*)",service="([^"]*)"/.exec(headers.get('www-authenticate') ?? '') ?? [];
  const login = { authorization: basicAuthorization({ username: 'alice', password: PASSWORD }) };
  const answer = await fetch(`${realm}?service=${service}&scope=${scope}`, { headers: login });
  const { token } = v.parse(v.object({ token: v.string() }), await answer.json());
  const accept = 'application/vnd.oci.image.index.v1+json, application/json';
  return fetch(url, { headers: { authorization: `Bearer ${token}`, accept } });
}

/** Has the repository keep the arguments of all processes at each push. Returns what they were so far. */
export function watchProcesses(repository: string): () => string {
  const [hooks, list] = [path.join(repository, 'hooks'), path.join(repository, 'processes')];
  mkdirSync(hooks, { recursive: true });
  const script = `#!/bin/sh\ncat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >> '${list}'\n`;
  writeFileSync(path.join(hooks, 'update'), script, { mode: 0o755 });
  return () => readFileSync(list, 'utf8');
}

export type Values = Readonly<Record<string, string>>;

export interface Start {
  /** `owner/name` on the forge. */
  readonly repository: string;
  readonly vars: Values;
  readonly secrets: Values;
  readonly inputs: Values;
  /** Undefined: that of the example. */
  readonly workflow?: string | undefined;
  /** The owner's changes to the example. */
  readonly edit?: ((text: string) => string) | undefined;
}

export interface Ended {
  readonly status: number | null;
  readonly log: string;
}

type Engine = (place: Place, start: Start) => Promise<Ended>;

/** By the engine of Gitea's runner, which fetches the actions from the forge. */
const byGitea: Engine = async (place, start) => {
  const upstream = path.join(place.work, UPSTREAM);
  const commit = execFileSync('git', ['-C', upstream, 'rev-parse', 'HEAD'], { encoding: 'utf8' });
  const { edit = (text) => text } = start;
  const { folder, sha } = await copyExample(place, start, (text) => edit(writePins(text, commit.trim(), 'main')));
  return startGitea(place, folder, sha, start);
};

/** Runs the workflow of a clone at a commit. */
export async function startGitea(
  place: Place,
  folder: string,
  sha: string,
  start: Omit<Start, 'edit'>,
): Promise<Ended> {
  const child = spawn(sandbox().tools.giteaRunner, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: path.join(place.work, 'home') },
  });
  const { repository, vars, secrets, inputs, workflow = WORKFLOW } = start;
  const settings = { workflow, forge: place.forge.url, repository, sha, vars, secrets, inputs };
  child.stdin.end(JSON.stringify(settings));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const [status] = await once(child, 'close');
  return { status, log };
}

/** With act, which assumes https for every forge: the steps are given http. */
const byAct: Engine = async (place, start) => {
  const { repository, vars, secrets, inputs } = start;
  const { folder } = await copyExample(place, start, start.edit);
  const settings = await mkdtemp(path.join(place.work, 'settings-'));
  const [varFile, secretFile, steps] = ['vars', 'secrets', 'steps.sh'].map((file) => path.join(settings, file));
  await writeFile(varFile ?? '', dotenv(vars));
  await writeFile(secretFile ?? '', dotenv(secrets), { mode: 0o600 });
  const read = path.join(projectRoot, 'test/demo/let-act-read.sh');
  const told = `export GITHUB_SERVER_URL=${place.forge.url} GITHUB_REPOSITORY=${repository} GITHUB_REPOSITORY_OWNER=Alice\n`;
  await writeFile(steps ?? '', `. '${read}'\n${told}`);
  const args = [
    ...['workflow_dispatch', '-W', WORKFLOW, ...ACT_OPTIONS, '--env', `BASH_ENV=${steps}`],
    ...['--local-repository', localRepository(path.join(place.work, UPSTREAM))],
    ...['--var-file', varFile ?? '', '--secret-file', secretFile ?? ''],
    ...Object.entries(inputs).flatMap(([input, value]) => ['--input', `${input}=${value}`]),
  ];
  return promisify(execFile)(sandbox().tools.act, args, { cwd: folder, maxBuffer: 64 << 20 }).then(
    ({ stdout, stderr }) => ({ status: 0, log: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ status: code, log: stdout + stderr }),
  );
};

/** The name of each in a test, and in a repository's name. */
export const ENGINES = [
  ["Gitea's engine", 'gitea', byGitea],
  ['act', 'act', byAct],
] as const;

async function copyExample(place: Place, { repository }: Start, edit = (text: string) => text) {
  const folder = path.join(place.work, 'clones', repository);
  await rm(folder, { recursive: true, force: true });
  await cp(path.join(projectRoot, 'examples/minimal'), folder, { recursive: true });
  const file = path.join(folder, WORKFLOW);
  await writeFile(file, edit(await readFile(file, 'utf8')));
  return { folder, sha: await makeRepository(folder) };
}
