import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runBundle } from '../e2e/bundle.js';
import { digestOf } from '../ledger/fixture.js';
import { sandbox } from '../sandbox/current.js';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { type OwnSshd, startOwnSshd } from '../store/sftp/own-sshd.js';

/**
 * Gerrit's side of a push to refs/for/<branch> (its documentation, "Uploading Changes"), as a proc-receive hook
 * (githooks(5)): one change for each Change-Id, a patch set for each commit, and its words where it refuses.
 */
const HOOK = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readSync, writeSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
const bytes = (size) => { const buffer = Buffer.alloc(size); let at = 0; while (at < size) at += readSync(0, buffer, at, size - at); return buffer; };
const read = () => { const size = parseInt(bytes(4).toString(), 16); return size === 0 ? undefined : bytes(size - 4).toString().replace(/\\n$/, ''); };
const lines = () => { const all = []; for (let line = read(); line !== undefined; line = read()) all.push(line); return all; };
const say = (line) => writeSync(1, line === undefined ? '0000' : (line.length + 5).toString(16).padStart(4, '0') + line + '\\n');
const [, capabilities = ''] = lines()[0].split('\\0');
say('version=1\\0'); say();
const commands = lines();
if (capabilities.includes('push-options')) lines();
const file = 'changes.json';
const changes = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
for (const command of commands) {
  const [, commit, ref] = command.split(' ');
  const message = execFileSync('git', ['log', '-1', '--format=%B', commit], { encoding: 'utf8' });
  const id = /^Change-Id: (I[0-9a-f]{40})$/m.exec(message)?.[1];
  const change = changes[id] ??= { number: Object.keys(changes).length + 1, patchSets: [], closed: false };
  if (id === undefined) say('ng ' + ref + ' missing Change-Id in message footer');
  else if (change.closed) say('ng ' + ref + ' change https://gerrit.example/c/ceph/+/' + change.number + ' closed');
  else if (change.patchSets.includes(commit)) say('ng ' + ref + ' no new changes');
  else {
    change.patchSets.push(commit);
    execFileSync('git', ['update-ref', 'refs/changes/0' + change.number + '/' + change.number + '/' + change.patchSets.length, commit]);
    process.stderr.write('\\n  https://gerrit.example/c/ceph/+/' + change.number + ' Update [NEW]\\n');
    say('ok ' + ref);
  }
}
say();
writeFileSync(file, JSON.stringify(changes));
`;

const scratch = mkdtempSync(join(tmpdir(), 'gerrit-'));
const path = join(scratch, 'ceph');
const FILE = 'image.env';
let server: GitServer;
let ssh: OwnSshd;

beforeAll(async () => {
  server = await startGitServer(scratch);
  ssh = await startOwnSshd([]);
  await makeBareRepository(scratch, 'ceph');
  git('config', 'receive.procReceiveRefs', 'refs/for');
  writeFileSync(join(path, 'hooks/proc-receive'), HOOK);
  chmodSync(join(path, 'hooks/proc-receive'), 0o755);
  const stream = `commit refs/heads/main\ncommitter a <a@example.org> 2 +0000\ndata 4\nFile\nfrom refs/heads/main^0\nM 644 inline ${FILE}\ndata 14\nIMAGE=ceph:v1\n\n`;
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], { input: stream });
});
afterAll(async () => {
  await server.stop();
  await ssh.stop();
  rmSync(scratch, { recursive: true });
});

const git = (...args: string[]) => execFileSync('git', ['-C', path, ...args], { encoding: 'utf8' });
const patchSets = () => git('for-each-ref', '--format=%(refname)', 'refs/changes').trim().split('\n');

function propose(tag: string, inputs: Readonly<Record<string, string>> = {}) {
  return runBundle('propose-change', {
    reference: `quay.io/ceph/ceph:${tag}@${digestOf(tag)}`,
    repository: `${server.url}/ceph`,
    file: FILE,
    pattern: '^IMAGE=ceph:(.*)$',
    value: '{tag}',
    provider: 'gerrit',
    token: server.token,
    ...inputs,
  });
}

test('each promotion is a patch set of one change, until it is merged', async () => {
  const url = 'https://gerrit.example/c/ceph/+/1';
  for (const tag of ['v2', 'v3']) expect((await propose(tag)).outputs).toEqual({ url, state: 'open', changed: 'true' });
  expect((await propose('v3')).outputs.changed).toBe('false');
  expect(patchSets()).toEqual(['refs/changes/01/1/1', 'refs/changes/01/1/2']);
  git('update-ref', 'refs/heads/main', 'refs/changes/01/1/2');
  expect((await propose('v3')).outputs.changed).toBe('false');
  expect((await propose('v4')).outputs.url).toBe('https://gerrit.example/c/ceph/+/2');
  expect(git('show', `refs/changes/02/2/1:${FILE}`)).toBe('IMAGE=ceph:v4\n');
});

const newest = (change: number) =>
  patchSets()
    .filter((ref) => ref.startsWith(`refs/changes/0${change}/`))
    .at(-1) ?? '';
const proposedIn = (ref: string) => git('show', `${ref}:${FILE}`).trim();

/** A person's commit on top of the base, as the newest patch set of a change. */
function pushPatchSet(change: number, text: string): void {
  const id = /^Change-Id: .*$/m.exec(git('log', '-1', '--format=%B', newest(change)))?.[0];
  const n = Number(newest(change).split('/').at(-1)) + 1;
  const message = `By hand\n\n${id}\n`;
  const stream = `commit refs/changes/0${change}/${change}/${n}\ncommitter alice <alice@example.org> 3 +0000\ndata ${message.length}\n${message}\nfrom refs/heads/main^0\nM 644 inline ${FILE}\ndata ${text.length}\n${text}\n`;
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], { input: stream });
}

test('what an older patch set proposed becomes the newest one again, once', async () => {
  for (const tag of ['v10', 'v11', 'v10']) expect((await propose(tag)).outputs.changed).toBe('true');
  expect(proposedIn(newest(2))).toBe('IMAGE=ceph:v10');
  const count = patchSets().length;
  const again = await propose('v10');
  expect(again).toMatchObject({ status: 0, outputs: { changed: 'false' } });
  expect(again.summary).toContain('Gerrit has this commit already, and its newest patch set is right');
  expect(patchSets()).toHaveLength(count);
  expect((await propose('v11')).outputs.changed).toBe('true');
  expect(proposedIn(newest(2))).toBe('IMAGE=ceph:v11');
});

test('a patch set that a person rebased is right, and one with something else is left, with a warning', async () => {
  pushPatchSet(2, 'IMAGE=ceph:v11\n');
  expect((await propose('v11')).summary).toContain('its newest patch set is right');
  pushPatchSet(2, 'IMAGE=ceph:mine\n');
  const left = await propose('v11');
  expect(left).toMatchObject({
    status: 0,
    outputs: { changed: 'false' },
    log: expect.stringContaining('::warning::somebody has pushed the newest patch set'),
  });
  expect(proposedIn(newest(2))).toBe('IMAGE=ceph:mine');
});

test('a Gerrit that hides its patch sets: it is said that the newest one is not known', async () => {
  git('config', 'uploadpack.hideRefs', 'refs/changes');
  const run = await propose('v11');
  git('config', '--unset', 'uploadpack.hideRefs');
  expect(run).toMatchObject({ status: 0, errors: [], outputs: { changed: 'false' } });
  expect(run.summary).toContain('Gerrit has this commit already, and does not show whether it is the newest patch set');
});

test('the base has it already: the change that a person abandons is named', async () => {
  const id = /^Change-Id: (.*)$/m.exec(git('log', '-1', '--format=%B', 'refs/changes/02/2/1'))?.[1];
  const run = await propose('v3');
  expect(run.outputs.changed).toBe('false');
  expect(run.summary).toContain(`the base branch has it already; if change ${id} is open, a person abandons it`);
});

test('over SSH, by the key', async () => {
  const { sshd } = sandbox().imageServer;
  const done = await propose('v5', {
    repository: `ssh://${sshd.username}@127.0.0.1:${ssh.port}${path}`,
    token: '',
    'ssh-private-key': sshd.privateKey,
    'ssh-known-hosts': ssh.knownHosts,
  });
  expect(done).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
});

test('a change that was abandoned is left, with a warning', async () => {
  const changes = JSON.parse(execFileSync('cat', [join(path, 'changes.json')], { encoding: 'utf8' }));
  for (const change of Object.values<{ closed: boolean }>(changes)) change.closed = true;
  writeFileSync(join(path, 'changes.json'), JSON.stringify(changes));
  const done = await propose('v6');
  expect(done).toMatchObject({
    status: 0,
    outputs: { changed: 'false' },
    log: expect.stringContaining('was abandoned'),
  });
});
