import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { writePins } from '../../scripts/pin.js';
import { ACT_OPTIONS, copyCallable, dotenv } from '../demo/act.js';
import { localRepository } from '../demo/downstream.js';
import { makeRepository } from '../demo/git.js';
import { runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { projectRoot } from '../sandbox/project.js';
import { type Registry, startRegistry } from '../sandbox/registry.js';
import { startTokenServer } from '../sandbox/token-server.js';

/**
 * examples/minimal in the repository of somebody who has only a forge: the repository, with a token of the job that may
 * push, and a registry with tokens.
 */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
const OTHER = 'v6.0.5-stable-6.0-pacific-centos-8';
const UPSTREAM = 'rdo-infra/ceph-promotion-actions';
const WORKFLOW = '.github/workflows/ceph.yml';
const PASSWORD = 'a-token-of-the-registry-that-no-log-shows';

const RECORD = v.object({ kind: v.string(), who: v.string(), candidate: v.string() });

const started: Stoppable[] = [];
let work: string;
let forge: GitServer;
let registry: Registry;

beforeAll(async () => {
  const run = await runDirectory();
  started.push(run);
  const tokens = await startTokenServer({
    directory: path.join(run.path, 'tokens'),
    login: { username: 'alice', password: PASSWORD },
  });
  started.push(tokens);
  registry = await startRegistry({
    tools: sandbox().tools,
    directory: path.join(run.path, 'registry'),
    tokens: tokens.issuer,
  });
  started.push(registry);
  work = await mkdtemp(path.join(tmpdir(), 'minimal-'));
  await copyCallable(path.join(work, UPSTREAM));
  await makeRepository(path.join(work, UPSTREAM));
  forge = await startGitServer(work, (url) => url.includes(UPSTREAM));
  started.push(forge);
});

afterAll(async () => {
  for (const server of started.reverse()) await server.stop();
  await rm(work, { recursive: true, force: true });
});

type Values = Readonly<Record<string, string>>;
type Engine = (name: string, vars: Values, inputs: Values) => Promise<{ status: number | null; log: string }>;

const secrets = () => ({ GITHUB_TOKEN: forge.token, REGISTRY_TOKEN: PASSWORD });

async function copyExample(name: string, edit = (text: string) => text): Promise<{ folder: string; sha: string }> {
  const folder = path.join(work, 'clones', name);
  await rm(folder, { recursive: true, force: true });
  await cp(path.join(projectRoot, 'examples/minimal'), folder, { recursive: true });
  const file = path.join(folder, WORKFLOW);
  await writeFile(file, edit(await readFile(file, 'utf8')));
  return { folder, sha: await makeRepository(folder) };
}

/** By the engine of Gitea's runner, which fetches the actions from the forge. */
const gitea: Engine = async (name, vars, inputs) => {
  const commit = execFileSync('git', ['-C', path.join(work, UPSTREAM), 'rev-parse', 'HEAD'], { encoding: 'utf8' });
  const { folder, sha } = await copyExample(name, (text) => writePins(text, commit.trim(), 'main'));
  const child = spawn(sandbox().tools.giteaRunner, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: path.join(work, 'home') },
  });
  const settings = { workflow: WORKFLOW, forge: forge.url, repository: name, sha, vars, secrets: secrets(), inputs };
  child.stdin.end(JSON.stringify(settings));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const [status] = await once(child, 'close');
  return { status, log };
};

/** By act, which believes every forge to speak https: steps are told otherwise. */
const act: Engine = async (name, vars, inputs) => {
  const { folder } = await copyExample(name);
  const settings = await mkdtemp(path.join(work, 'settings-'));
  const [varFile, secretFile, steps] = ['vars', 'secrets', 'steps.sh'].map((file) => path.join(settings, file));
  await writeFile(varFile ?? '', dotenv(vars));
  await writeFile(secretFile ?? '', dotenv(secrets()), { mode: 0o600 });
  const read = path.join(projectRoot, 'test/demo/let-act-read.sh');
  const told = `export GITHUB_SERVER_URL=${forge.url} GITHUB_REPOSITORY=${name} GITHUB_REPOSITORY_OWNER=Alice\n`;
  await writeFile(steps ?? '', `. '${read}'\n${told}`);
  const args = [
    ...['workflow_dispatch', '-W', WORKFLOW, ...ACT_OPTIONS, '--env', `BASH_ENV=${steps}`],
    ...['--local-repository', localRepository(path.join(work, UPSTREAM))],
    ...['--var-file', varFile ?? '', '--secret-file', secretFile ?? ''],
    ...Object.entries(inputs).flatMap(([input, value]) => ['--input', `${input}=${value}`]),
  ];
  return promisify(execFile)(sandbox().tools.act, args, { cwd: folder, maxBuffer: 64 << 20 }).then(
    ({ stdout, stderr }) => ({ status: 0, log: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ status: code, log: stdout + stderr }),
  );
};

describe.each([
  ["Gitea's engine", 'Alice/gitea', gitea],
  ['act', 'Alice/act', act],
] as const)('by %s', (_, name, engine) => {
  const target = name.toLowerCase().replace('/', '/ceph-');
  let store: string;

  beforeAll(async () => {
    await mkdir(path.join(work, 'home'), { recursive: true });
    store = await makeBareRepository(work, name);
  });

  const git = (...args: string[]) => execFileSync('git', ['-C', store, ...args], { encoding: 'utf8' });
  const record = (n: number) => v.parse(RECORD, JSON.parse(git('show', `promotions:ledger/current-ceph/${n}.json`)));

  async function run(inputs: Values = {}): Promise<string> {
    const vars = {
      IMAGE: `${sandbox().source.host}/ceph/daemon`,
      FLAVOR: 'pacific',
      TARGET: `${registry.host}/${target}`,
      ACTORS: 'alice',
    };
    const { status, log } = await engine(name, vars, inputs);
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    for (const secret of [forge.token, PASSWORD]) expect(log).not.toContain(secret);
    return log;
  }

  test('it promotes what it has checked, with two pushes, and changes nothing the next time', async () => {
    forge.requests.length = 0;
    const log = await run();
    expect(log).toContain('current-ceph: promoted ');
    expect(forge.requests.filter(({ kind }) => kind === 'push')).toHaveLength(2);
    expect(record(1)).toMatchObject({ kind: 'earned', who: 'alice' });
    expect(record(1).candidate).toContain(`:${TAG}@${cephDaemonImage(TAG).digest}`);
    expect(git('show', 'promotions:current-ceph')).toBe(TAG);
    expect(await tags()).toEqual(expect.arrayContaining(['current-ceph', TAG]));

    const before = git('rev-parse', 'promotions^{tree}');
    expect(await run()).toContain('current-ceph: nothing changed: ');
    expect(git('ls-tree', '-r', 'promotions', '--', 'ledger/current-ceph/', 'current-ceph')).toBe(
      git('ls-tree', '-r', before.trim(), '--', 'ledger/current-ceph/', 'current-ceph'),
    );
  });

  test('a person forces a tag, rolls back, and holds an image', async () => {
    const reason = { 'force-reason': 'try' };
    const force = (tag: string) => run({ 'force-tag': tag, 'force-confirm': tag, ...reason });
    await force(OLDER);
    expect(git('show', 'promotions:current-ceph')).toBe(OLDER);
    await force(TAG);
    expect(git('show', 'promotions:previous-current-ceph')).toBe(OLDER);
    await run({ 'rollback-to': 'previous', ...reason });
    expect(git('show', 'promotions:current-ceph')).toBe(OLDER);
    await run({ hold: OTHER, ...reason });
    expect([2, 3, 4, 5].map((n) => record(n).kind)).toEqual(['forced', 'forced', 'rollback', 'hold']);
  });

  test('whoever may read the branch verifies it, and reads from it what is promoted', async () => {
    const store = { url: `git+${forge.url}/${name}`, 'git-token': forge.readingToken };
    const login = { 'target-username': 'alice', 'target-password': PASSWORD };
    const verified = await runBundle('verify-ledger', { ...store, ...login });
    expect(verified.errors).toEqual([]);
    expect(verified.outputs).toMatchObject({ verified: 'true', records: '5' });
    const consumed = await runBundle('consume-ci-testing', { ...store, label: 'current-ceph' });
    expect(consumed.errors).toEqual([]);
    expect(consumed.outputs).toMatchObject({ tag: OLDER, digest: cephDaemonImage(OLDER).digest });
  });

  test('nothing of it holds a token', () => {
    const everything = git('log', '-p', '--all');
    for (const secret of [forge.token, PASSWORD]) expect(everything).not.toContain(secret);
  });

  async function tags(): Promise<string[]> {
    const login = { authorization: `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}` };
    const challenge = await fetch(`${registry.url}/v2/${target}/tags/list`);
    const [, realm = '', service = ''] =
      /realm="([^"]*)",service="([^"]*)"/.exec(challenge.headers.get('www-authenticate') ?? '') ?? [];
    const url = `${realm}?service=${service}&scope=repository:${target}:pull`;
    const { token } = v.parse(v.object({ token: v.string() }), await (await fetch(url, { headers: login })).json());
    const list = await fetch(`${registry.url}/v2/${target}/tags/list`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return v.parse(v.object({ tags: v.array(v.string()) }), await list.json()).tags;
  }
});
