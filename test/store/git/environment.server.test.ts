import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openGitStore } from '../../../src/store/git/git-store.js';
import type { Store } from '../../../src/store/store.js';
import { startTlsFront } from '../../registry/tls-front.js';
import { sandbox } from '../../sandbox/current.js';
import { candidateFile, failure, label } from '../fixture.js';
import {
  type Changes,
  type Forge,
  freshRepository,
  optionsFor,
  type Repository,
  startForge,
  withGitStore,
} from './support.js';

/** Git's environment on a runner: configuration, helper programs, authorities, servers that never end. */

const CURRENT = label('current-ceph');
const V1 = candidateFile('v1');
const RECORD = Buffer.from('{"id":"1/1/1"}\n');

let forge: Forge;
let repository: Repository;
let home: string;
beforeAll(async () => {
  forge = await startForge();
  home = mkdtempSync(join(tmpdir(), 'hostile-'));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await forge.stop();
});
afterEach(() => {
  forge.fault = () => false;
  expect(readdirSync(forge.temporary)).toEqual([]);
});

async function append(store: Store): Promise<'won' | 'lost'> {
  await store.writeArtifact(V1);
  return store.appendRecord(CURRENT, 1, RECORD, '1/1/1');
}

const appendWith = (changes: Changes) => withGitStore(forge, repository, append, changes);

/** A program of that name that only says that it ran. */
function witness(name: string): string {
  const file = join(home, name);
  writeFileSync(file, `#!/bin/sh\necho ran > '${join(home, 'ran', name)}'\n`);
  chmodSync(file, 0o755);
  return file;
}

describe("nothing of the runner's configuration is used", () => {
  test('hooks, prompts, helpers, signing, proxies and rewritten addresses are off', async () => {
    repository = await freshRepository(forge);
    mkdirSync(join(home, 'ran'));
    mkdirSync(join(home, 'hooks'));
    for (const hook of ['pre-push', 'reference-transaction', 'post-checkout']) {
      writeFileSync(join(home, 'hooks', hook), readFileSync(witness(hook)));
      chmodSync(join(home, 'hooks', hook), 0o755);
    }
    const settings = {
      'core.hooksPath': join(home, 'hooks'),
      'core.askPass': witness('askpass'),
      'core.fsmonitor': witness('fsmonitor'),
      'credential.helper': witness('credential'),
      'commit.gpgSign': 'true',
      'push.gpgSign': 'true',
      'gpg.program': witness('gpg'),
      'core.sshCommand': witness('ssh'),
      'transfer.fsckObjects': 'true',
      'push.followTags': 'true',
      'http.extraHeader': 'X-Hostile: yes',
    };
    const file = join(home, '.gitconfig');
    for (const [key, value] of Object.entries(settings)) execFileSync('git', ['config', '--file', file, key, value]);
    const entries = Object.entries(settings);
    const byCount = Object.fromEntries([
      ['GIT_CONFIG_COUNT', String(entries.length)],
      ...entries.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ]);
    const environment = {
      PATH: process.env.PATH,
      HOME: home,
      XDG_CONFIG_HOME: home,
      ...byCount,
      GIT_CONFIG_GLOBAL: file,
      GIT_CONFIG_SYSTEM: file,
      GIT_ASKPASS: witness('git-askpass'),
      SSH_ASKPASS: witness('ssh-askpass'),
      GIT_SSH_COMMAND: witness('git-ssh'),
      GIT_PROXY_COMMAND: witness('proxy'),
      GIT_EXTERNAL_DIFF: witness('diff'),
      GIT_EDITOR: witness('editor'),
      GIT_DIR: '/nonexistent',
      GIT_WORK_TREE: '/nonexistent',
      GIT_OBJECT_DIRECTORY: '/nonexistent',
      GIT_NAMESPACE: 'other',
      GIT_TRACE: join(home, 'ran', 'trace'),
      GIT_TRACE_CURL: join(home, 'ran', 'trace-curl'),
    };
    // These settings do something: a plain git asks the helper.
    const plain = {
      ...environment,
      GIT_DIR: repository.path,
      GIT_OBJECT_DIRECTORY: undefined,
      GIT_TERMINAL_PROMPT: '0',
    };
    await promisify(execFile)('git', ['ls-remote', repository.url.href], { env: plain }).catch(() => undefined);
    expect(readdirSync(join(home, 'ran'))).toEqual(expect.arrayContaining(['credential', 'trace', 'trace-curl']));
    rmSync(join(home, 'ran'), { recursive: true });
    mkdirSync(join(home, 'ran'));

    const headers: (string | string[] | undefined)[] = [];
    forge.fault = (_kind, request) => {
      headers.push(request.headers['x-hostile']);
      return false;
    };
    expect(await appendWith({ environment })).toBe('won');
    // If a token is refused, no helper is asked for another.
    expect(await failure(appendWith({ environment, token: 'wrong' }))).toMatchObject({ kind: 'unauthorized' });
    expect(readdirSync(join(home, 'ran'))).toEqual([]);
    expect(new Set(headers)).toEqual(new Set([undefined]));
    expect(repository.show('ledger/current-ceph/1.json')).toBe(RECORD.toString().trimEnd());
  });

  test('not even a home directory is needed', async () => {
    repository = await freshRepository(forge);
    expect(await appendWith({ environment: { PATH: process.env.PATH } })).toBe('won');
  });
});

test('over https only an authority in `ca-file` is trusted', async () => {
  repository = await freshRepository(forge);
  const directory = mkdtempSync(join(tmpdir(), 'tls-'));
  const front = await startTlsFront({ nginx: sandbox().tools.nginx, directory, upstream: forge.url, http2: false });
  try {
    const caFile = join(directory, 'given.pem');
    writeFileSync(caFile, front.ca);
    const options = optionsFor(forge, repository, { url: new URL(`https://${front.host}${repository.url.pathname}`) });
    const refused = await failure(openGitStore(options));
    expect(refused).toEqual({ kind: 'unreachable', message: expect.stringMatching(/certificate/) });
    const store = await openGitStore({ ...options, remote: { ...options.remote, caFile } });
    expect(await append(store)).toBe('won');
    store.close();
    expect(repository.show('v1')).toBe('v1');
  } finally {
    await front.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('if a server never ends its answer, git and everything that it started end at the time limit', async () => {
  repository = await freshRepository(forge);
  const ended = new Set<boolean>();
  forge.fault = (_kind, request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
    const drip = setInterval(() => response.write('0'.repeat(64)), 50);
    request.socket.on('close', () => {
      clearInterval(drip);
      ended.add(true);
    });
    return true;
  };
  const options = optionsFor(forge, repository);
  const slow = openGitStore({ ...options, remote: { ...options.remote, limitMs: 700 } });
  expect(await failure(slow)).toEqual({
    kind: 'timeout',
    message: expect.stringMatching(/time limit after 0\.7 seconds$/),
  });
  while (!ended.has(true)) await new Promise((later) => setTimeout(later, 20));
  forge.fault = () => false;
  expect(await appendWith({})).toBe('won');
});
