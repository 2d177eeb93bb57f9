import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { tagSchema } from '../../../src/candidate/reference.js';
import { openSftpStore } from '../../../src/store/sftp/sftp-store.js';
import { freshImageDirectory, sandbox } from '../../sandbox/current.js';
import type { ServerProcess } from '../../sandbox/process.js';
import { candidateFile, failure, label, optionsFor, TESTING, withServer } from '../fixture.js';
import { mountTmpfs, remountReadOnly, testWithMounts, unmount } from '../mounts.js';
import { startOtherSsh } from './other-ssh.js';
import { isRoot, startOwnSshd } from './own-sshd.js';
import { startProxy } from './proxy.js';

const CURRENT = label('current-ceph');

const scratch = mkdtempSync(join(tmpdir(), 'sftp-test-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const sshd = () => sandbox().imageServer.sshd;

function generate(...args: string[]): { privateKey: string; publicKey: string } {
  const file = join(mkdtempSync(join(scratch, 'key-')), 'key');
  execFileSync('ssh-keygen', ['-q', '-C', '', '-f', file, ...args]);
  return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8') };
}

const open = async (url: string, changes: Parameters<typeof optionsFor>[1] = {}) =>
  withServer(url, async (server) => server.where, changes);

describe('private keys', () => {
  test.each([
    ['ed25519', ['-t', 'ed25519']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
    ['rsa, PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    ['rsa, PKCS 8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
    ['ecdsa 256', ['-t', 'ecdsa', '-b', '256']],
    ['ecdsa 384', ['-t', 'ecdsa', '-b', '384']],
    ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
    ['ecdsa, PEM', ['-t', 'ecdsa', '-m', 'PEM']],
    ['ecdsa, PKCS 8', ['-t', 'ecdsa', '-m', 'PKCS8']],
  ])('%s logs in', async (_, args) => {
    const { privateKey, publicKey } = generate('-N', '', ...args);
    appendFileSync(sshd().authorizedKeys, publicKey);
    const { server } = await freshImageDirectory();
    // As a form field or a secret brings it.
    expect(await open(server, { privateKey: `\r\n${privateKey.replaceAll('\n', '\r\n').trimEnd()}` })).toBe(server);
  });

  test('ed25519, PKCS 8, which newer ssh-keygen writes, logs in', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const pair = generateKeyPairSync('ed25519');
    const { x = '' } = pair.publicKey.export({ format: 'jwk' });
    const blob = Buffer.concat([
      Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\x20', 'latin1'),
      Buffer.from(x, 'base64url'),
    ]).toString('base64');
    appendFileSync(sshd().authorizedKeys, `ssh-ed25519 ${blob}\n`);
    const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const { server } = await freshImageDirectory();
    expect(await open(server, { privateKey })).toBe(server);
  });

  test.each([
    ['no key', () => 'secret-text', /has no line -----BEGIN/],
    ['half a key', () => sshd().privateKey.slice(0, 150), /is cut off/],
    ['a public key', () => generate('-N', '', '-t', 'ed25519').publicKey, /is a public key/],
    ['an encrypted key', () => generate('-N', 'a-passphrase', '-t', 'ed25519').privateKey, /is encrypted/],
    ['an encrypted PEM', () => generate('-N', 'a-passphrase', '-t', 'rsa', '-m', 'PEM').privateKey, /is encrypted/],
    [
      'an encrypted PKCS 8',
      () => generate('-N', 'a-passphrase', '-t', 'rsa', '-m', 'PKCS8').privateKey,
      /is encrypted/,
    ],
  ])('%s is refused', async (_, key, why) => {
    const { server } = await freshImageDirectory();
    const { kind, message } = await failure(open(server, { privateKey: key() }));
    expect({ kind, message }).toEqual({ kind: 'UserError', message: expect.stringMatching(why) });
    expect(message).not.toContain('secret-text');
  });

  test('one that the server does not know is unauthorized', async () => {
    const { server } = await freshImageDirectory();
    const { privateKey, publicKey } = generate('-N', '', '-t', 'ed25519');
    const { kind, message } = await failure(open(server, { privateKey }));
    expect(kind).toBe('unauthorized');
    expect(message).toContain(`authorized_keys must have the line: ${publicKey.trim()}`);
  });
});

describe('an agent', () => {
  const socket = join(scratch, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  afterAll(() => {
    agent.kill();
  });

  test('logs in with the key that it holds, and is named if that fails', async () => {
    const { server } = await freshImageDirectory();
    while (!readdirSync(scratch).includes('agent')) await new Promise((resolve) => setTimeout(resolve, 10));
    const byAgent = { privateKey: undefined, agentSocket: socket };
    expect(await failure(open(server, byAgent))).toEqual({
      kind: 'unauthorized',
      message: expect.stringContaining(`the agent at ${socket}`),
    });
    const add = spawn('ssh-add', ['-q', '-'], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    add.stdin.end(sshd().privateKey);
    await once(add, 'exit');
    expect(await open(server, byAgent)).toBe(server);
  });

  test.each([
    ['that is not there', join(scratch, 'no-agent'), 'unauthorized'],
    ['that is not set', undefined, 'UserError'],
  ])('%s is an error', async (_, agentSocket, kind) => {
    const { server } = await freshImageDirectory();
    expect(await failure(open(server, { privateKey: undefined, agentSocket }))).toMatchObject({ kind });
  });
});

describe('the host key', () => {
  test.each([
    ['another', () => `[127.0.0.1]:${sshd().port} ${generate('-N', '', '-t', 'ed25519').publicKey}`],
    ['another type', () => `[127.0.0.1]:${sshd().port} ${generate('-N', '', '-t', 'ecdsa').publicKey}`],
    ['unknown', () => sshd().knownHosts.replace('127.0.0.1', 'other.example')],
    ['revoked', () => `${sshd().knownHosts}\n@revoked ${sshd().knownHosts}`],
  ])('%s: refused, nothing is sent, and its fingerprint is named', async (_, knownHosts) => {
    const { server } = await freshImageDirectory();
    const { kind, message } = await failure(open(server, { knownHosts: knownHosts() }));
    expect(kind).toBe('host-key');
    expect(message).toMatch(/ offered the key ssh-ed25519 SHA256:/);
    expect(message).toMatch(/known keys|known hosts/);
  });
});

describe('a server of another make', () => {
  const servers: ServerProcess[] = [];
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  async function ownSshd(...options: Parameters<typeof startOwnSshd>) {
    const server = await startOwnSshd(...options);
    servers.push(server);
    return server;
  }

  const at = async (port: number) => (await freshImageDirectory()).server.replace(/:\d+\//, `:${port}/`);

  test('offers several keys, of which we know one', async () => {
    const { port, publicKeys } = await ownSshd(['Subsystem sftp internal-sftp'], ['ed25519', 'ecdsa', 'rsa']);
    for (const publicKey of publicKeys) {
      const server = await at(port);
      expect(await open(server, { knownHosts: `[127.0.0.1]:${port} ${publicKey}` })).toBe(server);
    }
  });

  test.each(['posix-rename', 'hardlink', 'fsync'])('lacks %s', async (extension) => {
    const { port, publicKeys } = await ownSshd([`Subsystem sftp internal-sftp -P ${extension}`]);
    expect(await failure(open(await at(port), { knownHosts: `[127.0.0.1]:${port} ${publicKeys[0]}` }))).toEqual({
      kind: 'unsupported',
      message: expect.stringMatching(`lacks ${extension}@openssh.com$`),
    });
  });

  /** Publishes and promotes a label twice, and reads what there is. */
  async function moveTwice(url: string, knownHosts: string) {
    const changes = { knownHosts };
    return withServer(
      url,
      async (store) => {
        for (const tag of ['v1', 'v2']) {
          await store.writeArtifact(candidateFile(tag));
          await store.moveLabel(TESTING, v.parse(tagSchema, tag));
        }
        expect(await store.appendRecord(CURRENT, 1, Buffer.from('{"id":"a"}'), 'a')).toBe('won');
        return [
          await store.readLabel(TESTING),
          await store.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true }),
        ] as const;
      },
      changes,
    );
  }

  test.each([
    ['does not tell its free space', 'statvfs', false],
    ['lets nobody set a mode', 'setstat,fsetstat', true],
  ])('%s', async (_, requests, isUnknown) => {
    const { port, knownHosts } = await ownSshd([`Subsystem sftp internal-sftp -P ${requests}`]);
    const [label, problems] = await moveTwice(await at(port), knownHosts);
    expect(label).toBe('v2');
    const said = problems.filter(({ message }) => message.includes("lets nobody set a file's mode"));
    expect(said.map(({ severity }) => severity)).toEqual(isUnknown ? ['warning'] : []);
    expect(problems.filter(({ severity }) => severity === 'unsafe')).toEqual([]);
  });

  // OpenSSH's sftp-server behind an SSH server of another name, as with tinyssh. ProFTPD reads links like that too.
  test.each([
    ['is not called OpenSSH, and reads the paths of a link in the same order', {}],
    ['returns less at once than is asked for', { mostRead: 100 }],
  ])('%s', async (_, oddity) => {
    const other = await startOtherSsh(oddity);
    try {
      expect((await moveTwice(await at(other.port), other.knownHosts))[0]).toBe('v2');
    } finally {
      await other.stop();
    }
  });

  test('has no SFTP', async () => {
    const { port, publicKeys } = await ownSshd(['AllowTcpForwarding no']);
    const { kind } = await failure(open(await at(port), { knownHosts: `[127.0.0.1]:${port} ${publicKeys[0]}` }));
    expect(kind).toBe('unsupported');
  });
});

describe('what a server cannot give', () => {
  test('a directory that does not exist', async () => {
    const { server } = await freshImageDirectory();
    expect(await failure(open(`${server}/missing`))).toEqual({
      kind: 'not-found',
      message: `${server}/missing: no such directory`,
    });
  });

  test('a directory that is a file', async () => {
    const { server, path } = await freshImageDirectory();
    writeFileSync(join(path, 'file'), '');
    expect(await failure(open(`${server}/file`))).toMatchObject({ kind: 'not-found' });
  });

  test('a directory that we may not write to', async () => {
    const { server, path } = await freshImageDirectory();
    chmodSync(path, 0o555);
    // Permissions do not stop root, so the user nobody logs in instead.
    const url = isRoot ? server.replace(/\/\/[^@]*@/, '//nobody@') : server;
    if (isRoot) letOthersRead(sshd().authorizedKeys, path);
    const { kind, message } = await failure(withServer(url, (opened) => opened.writeArtifact(candidateFile('v1'))));
    expect(kind).toBe('forbidden');
    expect(message).toMatch(/may not do this$/);
    expect(readdirSync(path)).toEqual([]);
  });

  /** Makes the directories above each path passable: a run's directory may be ours alone. */
  function letOthersRead(...paths: string[]): void {
    for (const path of paths) {
      for (let above = dirname(path); above !== '/' && above !== tmpdir(); above = dirname(above)) {
        if (above.includes('run-')) chmodSync(above, 0o755);
      }
    }
  }

  testWithMounts('space', async () => {
    const { server, path } = await freshImageDirectory();
    mountTmpfs(path, '16k');
    try {
      const result = await withServer(server, async (opened) => {
        await opened.writeArtifact(candidateFile('v1'));
        writeFileSync(join(path, 'filler'), 'x'.repeat(4096));
        const full = await failure(opened.writeArtifact(candidateFile('v2')));
        execFileSync('rm', [join(path, 'filler')]);
        await opened.writeArtifact(candidateFile('v2'));
        return full;
      });
      expect(result).toEqual({ kind: 'full', message: expect.stringContaining('no space left') });
      expect(readdirSync(path).sort()).toEqual(['v1', 'v1.json', 'v2', 'v2.json']);
    } finally {
      unmount(path);
    }
  });

  testWithMounts('a file system that may be written: then it is not known whose the ledger is', async () => {
    const { server, path } = await freshImageDirectory();
    mountTmpfs(path, '64k');
    try {
      await withServer(server, async (opened) => {
        await opened.appendRecord(CURRENT, 1, Buffer.from('{"id":"a"}'), 'a');
        chmodSync(path, 0o755);
        remountReadOnly(path);
        expect(await failure(opened.writeArtifact(candidateFile('v1')))).toEqual({
          kind: 'read-only',
          message: expect.stringMatching(/the file system is read-only$/),
        });
        const rights = opened.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true });
        expect(await rights).toEqual([
          { severity: 'warning', message: expect.stringContaining("lets nobody set a file's mode") },
        ]);
      });
    } finally {
      unmount(path);
    }
  });
});

describe('a connection', () => {
  const silent = createServer();
  beforeAll(async () => {
    await once(silent.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(() => {
    silent.close();
  });

  /** A clock on which sleeping takes no time. */
  function clockThatSkips() {
    let now = 0;
    const clock = {
      now: () => now,
      async sleep(ms: number) {
        now += ms;
      },
      random: () => 0.5,
    };
    return { clock, waited: () => now };
  }

  const knownAt = (port: number) => sshd().knownHosts.replace(`]:${sshd().port}`, `]:${port}`);
  const at = (server: string, port: number) => server.replace(/:\d+\//, `:${port}/`);

  test('that is refused is tried again for a minute, and then is unreachable', async () => {
    const { server } = await freshImageDirectory();
    const { clock, waited } = clockThatSkips();
    await expect(open(at(server, 1), { knownHosts: knownAt(1), clock })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
      // With its port, by which the input is found that names it.
      host: '127.0.0.1:1',
    });
    expect(waited()).toBeGreaterThan(45_000);
    expect(waited()).toBeLessThanOrEqual(60_000);
  });

  test('that nobody answers on times out', async () => {
    const address = silent.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const { server } = await freshImageDirectory();
    const limits = { connectMs: 200, answerMs: 200 };
    const work = open(at(server, address.port), { knownHosts: knownAt(address.port), limits });
    expect(await failure(work)).toEqual({
      kind: 'timeout',
      message: expect.stringContaining('log in: no answer within 0.2 s'),
    });
  });

  test('that stalls times out, and every later call fails at once', async () => {
    const { server } = await freshImageDirectory();
    const proxy = await startProxy(sshd().port);
    try {
      const limits = { connectMs: 600_000, answerMs: 3000 };
      const options = optionsFor(at(server, proxy.port), { knownHosts: knownAt(proxy.port), limits });
      const opened = await openSftpStore(options);
      proxy.stall();
      expect(await failure(opened.listArtifacts())).toMatchObject({ kind: 'timeout' });
      const waited = new Promise<'waited'>((resolve) => setImmediate(resolve, 'waited'));
      expect(await Promise.race([failure(opened.listArtifacts()), waited])).toMatchObject({ kind: 'timeout' });
    } finally {
      proxy.close();
    }
  });

  test('that breaks is tried again while it is being opened, and is unreachable afterwards', async () => {
    const { server } = await freshImageDirectory();
    const proxy = await startProxy(sshd().port);
    try {
      proxy.cutAfter(2);
      const options = optionsFor(at(server, proxy.port), { knownHosts: knownAt(proxy.port) });
      const opening = openSftpStore({
        ...options,
        clock: { ...options.clock, sleep: async () => proxy.cutAfter(Infinity) },
      });
      const opened = await opening;
      proxy.cutAfter(1);
      expect(await failure(opened.listArtifacts())).toMatchObject({ kind: 'unreachable' });
    } finally {
      proxy.close();
    }
  });
});
