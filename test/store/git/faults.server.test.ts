import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import ssh2 from 'ssh2';
import { openGitStore } from '../../../src/store/git/git-store.js';
import type { Store } from '../../../src/store/store.js';
import { sandbox } from '../../sandbox/current.js';
import { runDirectory } from '../../sandbox/process.js';
import { startSshd } from '../../sandbox/sshd.js';
import { candidateFile, failure, label } from '../fixture.js';
import { mountTmpfs, testWithMounts, unmount } from '../mounts.js';
import {
  type Changes,
  type Forge,
  freshRepository,
  optionsFor,
  type Repository,
  startForge,
  withGitStore,
} from './support.js';

const CURRENT = label('current-ceph');
const V1 = candidateFile('v1');
const record = (n: number) => Buffer.from(`{"id":"1/1/${n}"}\n`);

let forge: Forge;
let repository: Repository;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());
afterEach(() => {
  forge.fault = () => false;
  expect(readdirSync(forge.temporary)).toEqual([]);
});

async function append(store: Store, n = 1): Promise<'won' | 'lost'> {
  await store.writeArtifact(V1);
  return store.appendRecord(CURRENT, n, record(n), `1/1/${n}`);
}

async function failureOf(changes: Changes = {}, use: (store: Store) => Promise<unknown> = append) {
  const { kind, message } = await failure(withGitStore(forge, repository, use, changes));
  expect(message).not.toContain('\n');
  for (const secret of [forge.token, Buffer.from(forge.token).toString('base64')])
    expect(message).not.toContain(secret);
  return { kind, message };
}

/** After the fault, the next run promotes. */
async function goesOn(): Promise<void> {
  forge.fault = () => false;
  expect(await withGitStore(forge, repository, (store) => append(store))).toBe('won');
  expect(repository.show('ledger/current-ceph/1.json')).toBe(record(1).toString().trimEnd());
}

function writeHook(name: 'pre-receive' | 'update', script: string): string {
  const hook = join(repository.path, 'hooks', name);
  mkdirSync(join(repository.path, 'hooks'), { recursive: true });
  writeFileSync(hook, `#!/bin/sh\n${script}\n`);
  chmodSync(hook, 0o755);
  return hook;
}

/** Fills a file system except for this many bytes, with a file that it returns. */
function leaveFree(path: string, bytes: number): string {
  const { bavail, bsize } = statfsSync(path);
  const file = join(path, 'filler');
  writeFileSync(file, Buffer.alloc(bavail * bsize - bytes));
  return file;
}

describe('one clear line, and nothing lost, where', () => {
  test('the remote is down', async () => {
    repository = await freshRepository(forge);
    const gone = new URL('http://127.0.0.1:9/owner/store');
    expect(await failureOf({ url: gone })).toMatchObject({ kind: 'unreachable' });
  });

  test('the remote goes down before the push', async () => {
    repository = await freshRepository(forge);
    forge.fault = (kind, request) => kind.startsWith('push') && request.socket.destroy() !== undefined;
    expect(await failureOf()).toMatchObject({ kind: 'unreachable' });
    await goesOn();
  });

  test('the answer to a push is lost: the record was written, and is not written again', async () => {
    repository = await freshRepository(forge);
    forge.loseNextAnswer = true;
    await withGitStore(forge, repository, async (store) => {
      expect(await append(store)).toBe('won');
      await store.moveLabel(CURRENT, V1.tag);
      forge.loseNextAnswer = true;
    });
    expect(repository.show('current-ceph')).toBe('v1');
    expect(repository.git('rev-list', '--count', 'promotions')).toBe('2');
  });

  test('the answer is lost and the remote stays down: the next run finds the record', async () => {
    repository = await freshRepository(forge);
    forge.loseNextAnswer = true;
    let pushed = false;
    forge.fault = (kind, request) => {
      if (kind === 'push') pushed = true;
      return pushed && kind !== 'push' && request.socket.destroy() !== undefined;
    };
    expect(await failureOf()).toEqual({
      kind: 'unreachable',
      message: expect.stringContaining('this may have been written'),
    });
    forge.fault = () => false;
    expect(await withGitStore(forge, repository, (store) => store.readRecord(CURRENT, 1))).toEqual(record(1));
  });

  test.each([
    ['a hook says no', 'echo "policy: no pushes on Friday" >&2', 'forbidden', 'policy: no pushes on Friday'],
    ['the branch is protected', 'echo "error: GH006: Protected branch update failed" >&2', 'forbidden', 'GH006'],
    [
      'GitHub has rules for the branch',
      'echo "error: GH013: Repository rule violations found for refs/heads/promotions." >&2',
      'forbidden',
      'GH013',
    ],
    [
      'GitLab protects the branch',
      'echo "GitLab: You are not allowed to push code to protected branches on this project." >&2',
      'forbidden',
      'protected branches on this project',
    ],
    [
      'Gitea protects the branch',
      'echo "Gitea: Not allowed to push to protected branch promotions" >&2',
      'forbidden',
      'Not allowed to push to protected branch',
    ],
  ])('%s', async (_, says, kind, message) => {
    repository = await freshRepository(forge);
    const hook = writeHook('pre-receive', `${says}\nexit 1`);
    expect(await failureOf()).toEqual({ kind, message: expect.stringContaining(message) });
    rmSync(hook);
    await goesOn();
  });

  test('the branch is protected, and no other', async () => {
    repository = await freshRepository(forge);
    const says = 'GH006: Protected branch update failed for $1.';
    const hook = writeHook('update', `[ "$1" != refs/heads/promotions ] || { echo "error: ${says}" >&2; exit 1; }`);
    expect(await failureOf()).toEqual({
      kind: 'forbidden',
      message: expect.stringMatching(/: the push was refused: hook declined: GH006: .* for refs\/heads\/promotions\./),
    });
    await withGitStore(forge, repository, (store) => append(store), { branch: 'other' });
    rmSync(hook);
    await goesOn();
  });

  test('the branch forbids force-pushes: a store works, and a dashboard, which is amended, is refused', async () => {
    repository = await freshRepository(forge);
    for (const rule of ['denyNonFastForwards', 'denyDeletes']) repository.git('config', `receive.${rule}`, 'true');
    await goesOn();
    await withGitStore(forge, repository, (store) => append(store, 2));
    expect(repository.git('rev-list', '--count', 'promotions')).toBe('2');

    const pages = { branch: 'gh-pages', history: 'amend' } as const;
    const publish = (text: string) =>
      withGitStore(forge, repository, (store) => store.writePage('index.html', text), pages);
    await publish('1');
    expect(await failure(publish('2'))).toEqual({
      kind: 'forbidden',
      message: expect.stringContaining('the push was refused: non-fast-forward: denying non-fast-forward'),
    });
    expect(repository.git('show', 'gh-pages:index.html')).toBe('1');
  });

  testWithMounts("the server's disk is full", async () => {
    repository = await freshRepository(forge);
    const { path } = repository;
    const copy = mkdtempSync(join(tmpdir(), 'copy-'));
    cpSync(path, copy, { recursive: true });
    mountTmpfs(path, '512k');
    try {
      cpSync(copy, path, { recursive: true });
      for (const blocks of [0, 3]) {
        const fill = leaveFree(path, blocks * 4096);
        expect(await failureOf()).toEqual({ kind: 'full', message: expect.stringMatching(/refused: .*No space left/) });
        expect(repository.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main');
        rmSync(fill);
      }
      await goesOn();
    } finally {
      unmount(path);
      rmSync(copy, { recursive: true });
    }
  });

  testWithMounts("the runner's disk is full", async () => {
    repository = await freshRepository(forge);
    mountTmpfs(forge.temporary, '512k');
    try {
      for (const [free, message] of [
        [0, /: no space left on the runner$/],
        [4096, /: git cannot write on the runner: is its disk full\?$/],
        [16_384, /: no space left on the runner$/],
      ] as const) {
        const fill = leaveFree(forge.temporary, free);
        expect(await failureOf()).toEqual({ kind: 'full', message: expect.stringMatching(message) });
        rmSync(fill);
      }
      expect(repository.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main');
      await goesOn();
      expect(readdirSync(forge.temporary)).toEqual([]);
    } finally {
      unmount(forge.temporary);
    }
  });

  test('the server refuses a pack of that size', async () => {
    repository = await freshRepository(forge);
    repository.git('config', 'receive.maxInputSize', '20');
    expect((await failureOf()).kind).toMatch(/^(?:too-large|forbidden|server-error)$/);
    repository.git('config', '--unset', 'receive.maxInputSize');
    await goesOn();
  });

  test('the token may only read', async () => {
    repository = await freshRepository(forge);
    expect(await failureOf({ token: forge.readingToken })).toMatchObject({ kind: 'forbidden' });
    await goesOn();
  });

  test('the token is wrong', async () => {
    repository = await freshRepository(forge);
    expect(await failureOf({ token: 'wrong' })).toMatchObject({ kind: 'unauthorized' });
  });

  test('the repository does not exist', async () => {
    expect(await failureOf({ url: new URL(`${forge.url}/owner/no-such`) })).toMatchObject({ kind: 'not-found' });
  });

  test('the branch is the default branch', async () => {
    repository = await freshRepository(forge);
    expect(await failureOf({ branch: 'main' })).toEqual({
      kind: 'UserError',
      message: expect.stringContaining('is the default branch'),
    });
  });

  test('its HEAD names a branch that is not there, but others are', async () => {
    repository = await freshRepository(forge);
    repository.git('symbolic-ref', 'HEAD', 'refs/heads/nowhere');
    expect(await withGitStore(forge, repository, (store) => append(store))).toBe('won');
    expect(repository.show('v1')).toBe('v1');
  });

  test('there is no directory for temporary files', async () => {
    repository = await freshRepository(forge);
    const options = optionsFor(forge, repository, { temporary: join(forge.temporary, 'missing') });
    expect(await failure(openGitStore(options))).toEqual({
      kind: 'UserError',
      message: expect.stringMatching(/^no temporary file can be written \(RUNNER_TEMP, TMPDIR\): ENOENT/),
    });
  });

  test('a branch is there whose name begins like its own', async () => {
    repository = await freshRepository(forge);
    repository.git('update-ref', 'refs/heads/promotions/old', 'HEAD');
    expect(await failure(withGitStore(forge, repository, (store) => append(store)))).toEqual({
      kind: 'conflict',
      message: expect.stringContaining('the branch promotions/old exists'),
    });
  });

  test('the repository is empty', async () => {
    repository = await freshRepository(forge);
    repository.git('update-ref', '-d', 'refs/heads/main');
    expect(await failureOf()).toEqual({
      kind: 'UserError',
      message: expect.stringContaining('the repository is empty'),
    });
  });

  test.each([
    ['was rewritten', ['update-ref', 'refs/heads/promotions', 'refs/heads/main'], 'its history was rewritten'],
    ['was deleted', ['update-ref', '-d', 'refs/heads/promotions'], 'the branch was deleted'],
  ])('the branch %s during the run', async (_, command, message) => {
    repository = await freshRepository(forge);
    await withGitStore(forge, repository, (store) => append(store));
    const rewrite = async (store: Store) => {
      repository.git(...command);
      return store.listRecords(CURRENT);
    };
    expect(await failureOf({}, rewrite)).toEqual({ kind: 'conflict', message: expect.stringContaining(message) });
  });

  test('the server redirects: the token goes nowhere else', async () => {
    repository = await freshRepository(forge);
    const asked: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      asked.push(request.headers.authorization);
      response.end();
    });
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const address = other.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    forge.fault = (_kind, request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${port}${request.url}` }).end();
      return true;
    };
    expect(await failureOf()).toEqual({ kind: 'bad-answer', message: expect.stringContaining('redirects') });
    expect(asked).toEqual([]);
    other.close();
  });

  test.each([
    [
      'is too old',
      'echo git version 2.30.9',
      /git 2\.31 or newer is needed on the runner, but this is git version 2\.30\.9$/,
    ],
    ['is missing', undefined, /git cannot be run/],
  ])('git %s', async (_, script, message) => {
    const path = process.env.PATH;
    const folder = mkdtempSync(join(tmpdir(), 'path-'));
    if (script !== undefined) {
      writeFileSync(join(folder, 'git'), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, 'git'), 0o755);
    }
    try {
      const options = optionsFor(forge, await freshRepository(forge));
      process.env.PATH = folder;
      const { kind, message: said } = await failure(openGitStore(options));
      expect(kind).toBe('UserError');
      expect(said).toMatch(message);
    } finally {
      process.env.PATH = path;
      rmSync(folder, { recursive: true });
    }
  });
});

test("the token is in no process's arguments and in no file, and no configuration is used", async () => {
  repository = await freshRepository(forge);
  const home = mkdtempSync(join(tmpdir(), 'home-'));
  writeFileSync(
    join(home, '.gitconfig'),
    '[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://\n[core]\n\thooksPath = /nonexistent\n',
  );
  const found: string[] = [];
  let looked = 0;
  forge.fault = () => {
    looked += 1;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (readOrEmpty(`/proc/${pid}/cmdline`).includes(forge.token)) found.push(`arguments of ${pid}`);
    }
    for (const entry of readdirSync(forge.temporary, { recursive: true, encoding: 'utf8' })) {
      const text = readOrEmpty(join(forge.temporary, entry));
      const basic = Buffer.from(`x-access-token:${forge.token}`).toString('base64');
      if (text.includes(forge.token) || text.includes(basic)) found.push(entry);
    }
    return false;
  };
  const environment = {
    ...process.env,
    HOME: home,
    GIT_TRACE_CURL: '1',
    GIT_CONFIG_PARAMETERS: "'http.proxy=http://127.0.0.1:9'",
  };
  expect(await withGitStore(forge, repository, (store) => append(store), { environment })).toBe('won');
  expect(looked).toBeGreaterThan(3);
  expect(found).toEqual([]);
  rmSync(home, { recursive: true });
});

describe('by SSH', () => {
  test('it is the same store, with a key that no file holds, and an unknown host is refused', async () => {
    repository = await freshRepository(forge);
    const run = await runDirectory();
    const sshd = await startSshd({ tools: sandbox().tools, directory: join(run.path, 'sshd'), commands: true });
    try {
      const url = new URL(`ssh://${sshd.username}@127.0.0.1:${sshd.port}${repository.path}`);
      const options = optionsFor(forge, repository, { url });
      const remote = { ...options.remote, token: undefined, privateKey: sshd.privateKey, knownHosts: sshd.knownHosts };
      const store = await openGitStore({ ...options, remote });
      expect(await append(store)).toBe('won');
      await store.moveLabel(CURRENT, V1.tag);
      await store.flush();
      const [, line = ''] = sshd.privateKey.split('\n');
      for (const entry of readdirSync(forge.temporary, { recursive: true, encoding: 'utf8' })) {
        expect(readOrEmpty(join(forge.temporary, entry))).not.toContain(line);
      }
      store.close();
      expect(repository.show('current-ceph')).toBe('v1');

      // Secrets are often stored as one line, with a backslash and an n for each line break.
      const inOneLine = (text: string) => text.trim().replaceAll('\n', '\\n');
      const stored = {
        privateKey: inOneLine(sshd.privateKey),
        knownHosts: inOneLine(`# a comment\n${sshd.knownHosts}`),
      };
      // The shell, ssh and a socket would each have trouble with this path.
      const temporary = join(run.path, `it's 100%h "$HOME" ${'long '.repeat(20)}`);
      mkdirSync(temporary);
      (await openGitStore({ ...options, temporary, remote: { ...remote, ...stored } })).close();
      expect(readdirSync(temporary)).toEqual([]);

      const [host, type] = sshd.knownHosts.split(' ');
      const other = { ...remote, knownHosts: `${host} ${type} ${OTHER_KEY}` };
      expect(await failure(openGitStore({ ...options, remote: other }))).toMatchObject({ kind: 'host-key' });
      const refused = { ...remote, privateKey: ssh2.utils.generateKeyPairSync('ed25519').private };
      expect(await failure(openGitStore({ ...options, remote: refused }))).toMatchObject({ kind: 'unauthorized' });
      expect(await failure(openGitStore({ ...options, remote: { ...remote, privateKey: '***' } }))).toMatchObject({
        kind: 'UserError',
        message: expect.stringContaining('a masked value'),
      });
    } finally {
      await sshd.stop();
      await run.stop();
    }
  });
});

/** A key that nobody has. */
const OTHER_KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
