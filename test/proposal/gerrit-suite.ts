import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runBundle } from '../e2e/bundle.js';
import { digestOf } from '../ledger/fixture.js';
import { sandbox } from '../sandbox/current.js';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { type OwnSshd, startOwnSshd } from '../store/sftp/own-sshd.js';
import { type GerritStandIn, startGerrit } from './gerrit-stand-in.js';
import { keep, killAtStep } from './kill.js';

/** The whole action against a real git server, whose hook and REST API do what Gerrit does (gerrit-stand-in.ts). */

const scratch = mkdtempSync(join(tmpdir(), 'gerrit-'));
const FILE = 'image.env';
let name: string;
let path: string;
let server: GitServer;
let ssh: OwnSshd;
let gerrit: GerritStandIn;
let count = 0;

beforeAll(async () => {
  server = await startGitServer(scratch);
  ssh = await startOwnSshd([]);
});
afterAll(async () => {
  await server.stop();
  await ssh.stop();
  rmSync(scratch, { recursive: true });
});
beforeEach(async () => {
  count += 1;
  name = `ceph${count}`;
  path = join(scratch, name);
  await makeBareRepository(scratch, name);
  commit('IMAGE=ceph:v1\n');
  await gerrit?.stop();
  gerrit = await startGerrit(path, [name, path.slice(1)]);
  Object.assign(gerrit.login, { password: server.token });
});

const git = (...args: string[]) => execFileSync('git', ['-C', path, ...args], { encoding: 'utf8' });
const patchSets = () =>
  git('for-each-ref', '--sort=version:refname', '--format=%(refname)', 'refs/changes').trim().split('\n');
const newest = (change: number) =>
  patchSets()
    .filter((ref) => ref.startsWith(`refs/changes/0${change}/`))
    .at(-1) ?? '';
const proposedIn = (ref: string) => git('show', `${ref}:${FILE}`).trim();
const linkTo = (change: number) => `${gerrit.url}/c/${name}/+/${change}`;
/** What Gerrit says when something is pushed, in its own name. */
const pushed = (change: number) => `https://gerrit.example/c/ceph/+/${change}`;

/** A person's commit in the base. */
function commit(text: string): void {
  const stream = `commit refs/heads/main\ncommitter somebody <s@example.org> 2 +0000\ndata 4\nFile\nfrom refs/heads/main^0\nM 644 inline ${FILE}\ndata ${text.length}\n${text}\n`;
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], { input: stream });
}

/** A person's commit on top of the base, as the newest patch set of a change. */
function pushPatchSet(change: number, text: string): void {
  const id = /^Change-Id: .*$/m.exec(git('log', '-1', '--format=%B', newest(change)))?.[0];
  const n = Number(newest(change).split('/').at(-1)) + 1;
  const message = `By hand\n\n${id}\n`;
  const stream = `commit refs/changes/0${change}/${change}/${n}\ncommitter alice <alice@example.org> 3 +0000\ndata ${message.length}\n${message}\nfrom refs/heads/main^0\nM 644 inline ${FILE}\ndata ${text.length}\n${text}\n`;
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], { input: stream });
}

function merge(change: number): void {
  git('update-ref', 'refs/heads/main', newest(change));
  gerrit.set(change, { status: 'MERGED' });
}

function propose(tag: string, inputs: Readonly<Record<string, string>> = {}, started?: (kill: () => void) => void) {
  const settings = {
    reference: `quay.io/ceph/ceph:${tag}@${digestOf(tag)}`,
    repository: `${server.url}/${name}`,
    file: FILE,
    pattern: '^IMAGE=ceph:(.*)$',
    value: '{tag}',
    provider: 'gerrit',
    username: gerrit.login.user,
    token: server.token,
    'api-url': gerrit.url,
    ...inputs,
  };
  return runBundle('propose-change', settings, {}, started);
}

/** The inputs for a push by the key, without a login for the REST API. */
function overSsh() {
  const { sshd } = sandbox().imageServer;
  return {
    repository: `ssh://${sshd.username}@127.0.0.1:${ssh.port}${path}`,
    username: '',
    token: '',
    'ssh-private-key': sshd.privateKey,
    'ssh-known-hosts': ssh.knownHosts,
  };
}

/** Gerrit's changes, as `number status: what the newest patch set proposes`. */
const changes = () =>
  Object.values(gerrit.changes()).map(({ number, status }) => `${number} ${status}: ${proposedIn(newest(number))}`);

/** What a change looks like after runs that end, and people who work on it. */
export function testReviews(): void {
  test('each promotion is a patch set of one change, until it is merged', async () => {
    for (const tag of ['v2', 'v3']) {
      expect((await propose(tag)).outputs).toEqual({ url: pushed(1), state: 'open', changed: 'true' });
    }
    const again = await propose('v3');
    expect(again.outputs).toEqual({ url: linkTo(1), state: 'open', changed: 'false' });
    expect(again.summary).toContain('the open change proposes it already');
    expect(patchSets()).toEqual(['refs/changes/01/1/1', 'refs/changes/01/1/2']);
    merge(1);
    expect((await propose('v3')).outputs).toEqual({ url: '', state: '', changed: 'false' });
    expect((await propose('v4')).outputs.url).toBe(pushed(2));
    expect(changes()).toEqual(['1 MERGED: IMAGE=ceph:v3', '2 NEW: IMAGE=ceph:v4']);
    expect(gerrit.violations).toEqual([]);
  });

  test('an edit of the base by somebody else leaves it one change', async () => {
    await propose('v2');
    commit('# A comment\nIMAGE=ceph:v1\n');
    await propose('v3');
    commit('IMAGE=ceph:v0\n');
    await propose('v4');
    expect(changes()).toEqual(['1 NEW: IMAGE=ceph:v4']);
  });

  test('what an older patch set proposed becomes the newest one again, once', async () => {
    for (const tag of ['v10', 'v11', 'v10']) expect((await propose(tag)).outputs.changed).toBe('true');
    expect(proposedIn(newest(1))).toBe('IMAGE=ceph:v10');
    expect((await propose('v10')).outputs.changed).toBe('false');
    expect(patchSets()).toHaveLength(3);
  });

  test('a patch set that a person rebased is right, and one with something else is left, with a warning', async () => {
    await propose('v2');
    pushPatchSet(1, 'IMAGE=ceph:v2\n');
    expect((await propose('v2')).summary).toContain('the open change proposes it already');
    pushPatchSet(1, 'IMAGE=ceph:mine\n');
    const left = await propose('v2');
    expect(left).toMatchObject({
      status: 0,
      outputs: { url: linkTo(1), changed: 'false' },
      log: expect.stringContaining(`::warning::${linkTo(1)}: somebody has pushed the newest patch set`),
    });
    expect(proposedIn(newest(1))).toBe('IMAGE=ceph:mine');
  });

  describe('the base has what is promoted, and a change is open', () => {
    test.each([
      ['after a rollback', 'v1', () => undefined],
      ['since a person merged it by hand', 'v3', () => commit('IMAGE=ceph:v3\n')],
    ])('%s: it is abandoned, and what comes next is proposed', async (_, tag, before) => {
      await propose('v2');
      before();
      expect((await propose(tag, { 'dry-run': 'true' })).summary).toContain(`would abandon ${linkTo(1)}`);
      expect((await propose(tag)).outputs).toEqual({ url: linkTo(1), state: 'closed', changed: 'true' });
      expect((await propose(tag)).outputs).toEqual({ url: '', state: '', changed: 'false' });
      // The same image once more is no contradiction to a person.
      expect((await propose('v2')).outputs).toEqual({ url: pushed(2), state: 'open', changed: 'true' });
      expect(changes()).toEqual(['1 ABANDONED: IMAGE=ceph:v2', '2 NEW: IMAGE=ceph:v2']);
      expect(gerrit.violations).toEqual([]);
    });

    test('without a login a person abandons it: its link, and one line in the log and the summary', async () => {
      await propose('v2');
      const run = await propose('v1', overSsh());
      const url = `${gerrit.url}/c${path}/+/1`;
      expect(run).toMatchObject({ status: 0, errors: [], outputs: { url, state: 'open', changed: 'false' } });
      const line = 'the base branch has it already; a person must abandon the open change, since a push cannot';
      expect(run.log).toContain(`::warning::${url}: ${line}`);
      expect(run.summary).toContain(line);
      expect(run.summary).toContain(url);
    });
  });

  test('a change that a person abandoned is not opened again for the same image, and the next image has a new one', async () => {
    await propose('v2');
    gerrit.set(1, { status: 'ABANDONED', messages: [{ message: 'Abandoned\n\nNot now' }] });
    expect(await propose('v2')).toMatchObject({
      status: 0,
      outputs: { url: linkTo(1), state: 'closed', changed: 'false' },
      log: expect.stringContaining('a person has abandoned the change for this image'),
    });
    expect((await propose('v3')).outputs).toEqual({ url: pushed(2), state: 'open', changed: 'true' });
  });

  describe('a Gerrit that does not show its changes', () => {
    const hidden = { 'api-url': 'http://127.0.0.1:9' };

    test('a warning says so, and the Change-Id keeps it one change', async () => {
      for (const tag of ['v2', 'v3']) {
        const run = await propose(tag, hidden);
        expect(run).toMatchObject({ status: 0, outputs: { url: pushed(1), state: 'open', changed: 'true' } });
        expect(run.log).toContain('::warning::the open change is unknown, since Gerrit does not show its changes');
      }
      const again = await propose('v3', hidden);
      expect(again.outputs).toEqual({ url: '', state: '', changed: 'false' });
      expect(again.summary).toContain('Gerrit has this commit already, and its newest patch set is right');
      git('config', 'uploadpack.hideRefs', 'refs/changes');
      expect((await propose('v3', hidden)).summary).toContain('does not show whether it is the newest patch set');
      git('config', '--unset', 'uploadpack.hideRefs');
      expect((await propose('v1', hidden)).summary).toContain('if a change is open, a person must abandon it');
    });

    test('an older patch set, and a change that is closed', async () => {
      for (const tag of ['v2', 'v3', 'v2']) expect((await propose(tag, hidden)).outputs.changed).toBe('true');
      expect(proposedIn(newest(1))).toBe('IMAGE=ceph:v2');
      gerrit.set(1, { status: 'ABANDONED' });
      expect(await propose('v4', hidden)).toMatchObject({
        status: 0,
        outputs: { url: pushed(1), state: 'closed', changed: 'false' },
        log: expect.stringContaining('was abandoned or merged'),
      });
    });
  });

  test('over SSH, by the key', async () => {
    expect(await propose('v5', overSsh())).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
  });

  test('the account of the token is the one that git logs in with, too', async () => {
    const logins = new Set<string>();
    server.fault = (_, { headers }) => {
      logins.add(Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString());
      return false;
    };
    await propose('v2').finally(() => {
      server.fault = () => false;
    });
    expect([...logins]).toEqual([`promoter:${server.token}`]);
    expect((await propose('v2', { username: '' })).errors).toEqual([
      expect.stringMatching(/inputs username and token/),
    ]);
  });
}

/** Many runs in a row. */
export function testManyReviews(): void {
  test('promotions and a rollback, each merged, and again: each is proposed', async () => {
    for (const tag of ['v2', 'v1', 'v2', 'v1']) {
      expect(await propose(tag)).toMatchObject({ status: 0, errors: [], outputs: { state: 'open', changed: 'true' } });
      merge(Object.keys(gerrit.changes()).length);
    }
    expect(changes()).toHaveLength(4);
  });

  test('ten promotions and two rollbacks in a row leave one change, with the right content', async () => {
    const tags = ['v2', 'v3', 'v4', 'v5', 'v6', 'v5', 'v7', 'v8', 'v9', 'v8', 'v10', 'v11'];
    for (const tag of tags) {
      expect(await propose(tag)).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
    }
    expect(changes()).toEqual(['1 NEW: IMAGE=ceph:v11']);
    expect(patchSets()).toHaveLength(tags.length);
    expect(gerrit.violations).toEqual([]);
  });
}

/** Runs that are killed, with all that they started, before or after each request that they send. */
export function testReviewKills(): void {
  afterEach(() => {
    server.fault = () => false;
    server.carriedOut = () => undefined;
  });

  test.each<[string, readonly string[], string, readonly string[], string]>([
    ['that opens a change', [], 'v2', ['push'], '1 NEW: IMAGE=ceph:v2'],
    ['that updates a change', ['v2'], 'v3', ['push'], '1 NEW: IMAGE=ceph:v3'],
    ['that goes back to an older patch set', ['v2', 'v3'], 'v2', ['push'], '1 NEW: IMAGE=ceph:v2'],
    ['that abandons a change', ['v2'], 'v1', ['POST'], '1 ABANDONED: IMAGE=ceph:v2'],
  ])('a run %s: the next run leaves one change, right', async (_, earlier, tag, writes, left) => {
    const killed: string[] = [];
    for (const before of earlier) await propose(before);
    const restore = keep(path);
    for (let n = 0; ; n += 1) {
      restore();
      const { status, steps } = await killAt(tag, n);
      if (status !== null) {
        expect({ status, steps }).toEqual({ status: 0, steps: killed });
        break;
      }
      killed.push(steps.at(-1) ?? '');
      expect(await propose(tag)).toMatchObject({ status: 0, errors: [] });
      expect(changes()).toEqual([left]);
      expect(gerrit.violations).toEqual([]);
    }
    for (const write of writes) expect(killed).toEqual(expect.arrayContaining([`before ${write}`, `after ${write}`]));
  });

  const killAt = (tag: string, n: number) =>
    killAtStep(n, { git: server, rest: gerrit }, (started) => propose(tag, {}, started));
}
