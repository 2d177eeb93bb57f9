import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { tagSchema } from '../../../src/candidate/reference.js';
import type { Store } from '../../../src/store/store.js';
import { freshImageDirectory, sandbox } from '../../sandbox/current.js';
import { installNewerOpenssh } from '../../sandbox/install.js';
import { candidateFile, failure, label, TESTING, withServer } from '../fixture.js';
import { isRoot, type OwnSshd, startOwnSshd } from './own-sshd.js';

const scratch = mkdtempSync(join(tmpdir(), 'sshd-field-'));
const servers: OwnSshd[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
  rmSync(scratch, { recursive: true });
});

const CURRENT = label('current-ceph');
const TAG = v.parse(tagSchema, 'v1');
const INTERNAL = 'Subsystem sftp internal-sftp';
const EXTERNAL = 'Subsystem sftp /usr/lib/openssh/sftp-server';

async function start(lines: readonly string[], hostKeyTypes?: string[]): Promise<OwnSshd> {
  const server = await startOwnSshd(lines, hostKeyTypes);
  servers.push(server);
  return server;
}

/** Publishes by this server as the first run does; also into a directory that another path leads to. */
async function publishOn(sshd: OwnSshd, privateKey?: string, visible?: (path: string) => string) {
  const { server, path } = await freshImageDirectory();
  const url = new URL(server.replace(/:\d+\//, `:${sshd.port}/`));
  if (visible !== undefined) url.pathname = visible(path);
  const changes = { knownHosts: sshd.knownHosts, ...(privateKey !== undefined && { privateKey }) };
  await withServer(url.href, publish, changes);
  return path;
}

async function publish(store: Store): Promise<void> {
  await store.writeArtifact(candidateFile('v1'));
  await store.moveLabel(TESTING, TAG);
  expect(await store.appendRecord(CURRENT, 1, Buffer.from('{"id":"a"}'), 'a')).toBe('won');
  expect(await store.readLabel(TESTING)).toBe(TAG);
}

function expectReadable(path: string): void {
  for (const name of ['v1', 'v1.json', 'ledger/current-ceph/1.json']) {
    expect(statSync(join(path, name)).mode & 0o444).toBe(0o444);
  }
  for (const name of ['ledger', 'ledger/current-ceph']) expect(statSync(join(path, name)).mode & 0o555).toBe(0o555);
}

function generate(...args: string[]): { privateKey: string; publicKey: string } {
  const file = join(mkdtempSync(join(scratch, 'key-')), 'key');
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', '', '-f', file, ...args]);
  return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8') };
}

describe('servers that a candidate is published on', () => {
  const rows: readonly (readonly [string, string[], string[]?])[] = [
    ['internal-sftp', [INTERNAL]],
    ['sftp-server', [EXTERNAL]],
    ['internal-sftp alone', [INTERNAL, 'ForceCommand internal-sftp', 'DisableForwarding yes', 'PermitTTY no']],
    ['umask 077', ['Subsystem sftp internal-sftp -u 0077']],
    ['umask 027', ['Subsystem sftp internal-sftp -u 0027']],
    ['umask 077 of sftp-server', ['Subsystem sftp /usr/lib/openssh/sftp-server -u 0077']],
    ['ciphers: chacha20 alone', [INTERNAL, 'Ciphers chacha20-poly1305@openssh.com']],
    ['ciphers: aes256-gcm alone', [INTERNAL, 'Ciphers aes256-gcm@openssh.com']],
    ['ciphers: aes256-ctr alone', [INTERNAL, 'Ciphers aes256-ctr']],
    ['MACs: hmac-sha2-512-etm alone', [INTERNAL, 'Ciphers aes256-ctr', 'MACs hmac-sha2-512-etm@openssh.com']],
    ['MACs: hmac-sha2-256-etm alone', [INTERNAL, 'Ciphers aes256-ctr', 'MACs hmac-sha2-256-etm@openssh.com']],
    ['key exchange: curve25519 alone', [INTERNAL, 'KexAlgorithms curve25519-sha256']],
    ['key exchange: group16 alone', [INTERNAL, 'KexAlgorithms diffie-hellman-group16-sha512']],
    ['key exchange: nistp521 alone', [INTERNAL, 'KexAlgorithms ecdh-sha2-nistp521']],
    ['host key: rsa by SHA-512 alone', [INTERNAL, 'HostKeyAlgorithms rsa-sha2-512'], ['rsa']],
    ['host key: ecdsa', [INTERNAL], ['ecdsa']],
    ['one session', [INTERNAL, 'MaxSessions 1']],
    ['one try at login', [INTERNAL, 'MaxAuthTries 1']],
  ];
  // As objects: jest takes a parameter without an argument for a callback.
  test.each(rows.map(([name, lines, hostKeyTypes]) => ({ name, lines, hostKeyTypes })))(
    '$name',
    async ({ lines, hostKeyTypes }) => expectReadable(await publishOn(await start(lines, hostKeyTypes))),
  );

  test.each(['rsa-sha2-512', 'rsa-sha2-256'])("users' rsa keys with %s only", async (algorithm) => {
    const { privateKey, publicKey } = generate('-t', 'rsa', '-b', '2048');
    appendFileSync(sandbox().imageServer.sshd.authorizedKeys, publicKey);
    const sshd = await start([INTERNAL, `PubkeyAcceptedAlgorithms ${algorithm}`]);
    expectReadable(await publishOn(sshd, privateKey));
  });

  (isRoot ? test : test.skip)('a chroot', async () => {
    const root = mkdtempSync('/var/empty-chroot-');
    try {
      chmodSync(root, 0o755);
      mkdirSync(join(root, 'images'));
      const sshd = await start(['Subsystem sftp internal-sftp', `ChrootDirectory ${root}`]);
      await publishOn(sshd, undefined, () => '/images');
      expectReadable(join(root, 'images'));
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('servers that are refused, with the reason', () => {
  const shell = (text: string) => {
    const script = join(mkdtempSync(join(scratch, 'shell-')), 'shell');
    writeFileSync(script, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return script;
  };

  test.each<[string, () => string[], string, RegExp]>([
    ['read-only', () => ['Subsystem sftp internal-sftp -R'], 'unsupported', /is it read-only\?/],
    ['a cipher that is not known', () => [INTERNAL, 'Ciphers aes128-cbc'], 'unsupported', /no matching .*cipher/],
    [
      'a key exchange that is not known',
      () => [INTERNAL, 'KexAlgorithms sntrup761x25519-sha512@openssh.com'],
      'unsupported',
      /no matching key exchange/,
    ],
    [
      'MACs that are not known',
      () => [INTERNAL, 'Ciphers aes256-ctr', 'MACs umac-128@openssh.com'],
      'unsupported',
      /MAC/,
    ],
    ['no SFTP', () => [], 'unsupported', /offers no SFTP/],
    [
      'a shell that greets',
      () => [EXTERNAL, `ForceCommand ${shell('echo Welcome to images.example\nexec /usr/lib/openssh/sftp-server')}`],
      'unsupported',
      /it said: "Welcome to images\.example/,
    ],
    [
      'no shell',
      () => [EXTERNAL, `ForceCommand ${shell('echo This account is currently not available.; exit 1')}`],
      'unsupported',
      /it said: "This account is currently not available\."/,
    ],
    [
      // sftp-server answers a write beyond this limit as it answers one beyond a disk quota: it failed, without a
      // reason.
      'a quota',
      () => [EXTERNAL, `ForceCommand ${shell("trap '' XFSZ\nulimit -f 0\nexec /usr/lib/openssh/sftp-server")}`],
      'server-error',
      /the server does not say why \(a quota\?\)/,
    ],
  ])('%s', async (_, lines, kind, why) => {
    const { kind: found, message } = await failure(publishOn(await start(lines())));
    expect(message).toMatch(why);
    expect(found).toBe(kind);
  });
});

test('an agent with more keys than the server lets it try is named, and is asked once', async () => {
  const socket = join(scratch, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  try {
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 10));
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    for (let n = 0; n < 7; n += 1) {
      execFileSync('ssh-add', ['-q', '-'], { env, input: generate('-t', 'ed25519').privateKey });
    }
    const sshd = await start([INTERNAL, 'LogLevel VERBOSE']);
    const { server } = await freshImageDirectory();
    const url = server.replace(/:\d+\//, `:${sshd.port}/`);
    const changes = { knownHosts: sshd.knownHosts, privateKey: undefined, agentSocket: socket };
    expect(await failure(withServer(url, publish, changes))).toEqual({
      kind: 'unauthorized',
      message: expect.stringMatching(/the server ended the login before .*: ssh-add -D, then ssh-add <key>$/),
    });
    // The server may write its log after it has hung up.
    const refusals = () => readFileSync(sshd.log, 'utf8').match(/Too many authentication failures/g) ?? [];
    for (let n = 0; n < 200 && refusals().length === 0; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(refusals()).toHaveLength(1);
  } finally {
    agent.kill();
  }
});

test('a server that ends idle sessions is logged in to again', async () => {
  const sshd = await start([INTERNAL, 'ChannelTimeout session:*=1s']);
  const { server } = await freshImageDirectory();
  await withServer(
    server.replace(/:\d+\//, `:${sshd.port}/`),
    async (store) => {
      await store.writeArtifact(candidateFile('v1'));
      // Longer than the server's patience: nothing tells from outside that it has ended.
      await new Promise((resolve) => setTimeout(resolve, 4000));
      await store.moveLabel(TESTING, TAG);
      expect(await store.readLabel(TESTING)).toBe(TAG);
    },
    { knownHosts: sshd.knownHosts },
  );
});

(isRoot ? test : test.skip)('of two accounts, the publishing one can change nothing of what is promoted', async () => {
  const { server, path } = await freshImageDirectory();
  for (let above = dirname(sandbox().imageServer.sshd.authorizedKeys); above !== '/'; above = dirname(above)) {
    if (above.includes('run-')) chmodSync(above, 0o755);
  }
  for (let above = dirname(path); above.includes('run-'); above = dirname(above)) chmodSync(above, 0o755);
  chmodSync(path, 0o1777);
  const publisher = server.replace(/\/\/[^@]*@/, '//nobody@');
  await withServer(server, async (promoter) => {
    await promoter.appendRecord(CURRENT, 1, Buffer.from('{"id":"a"}'), 'a');
    await withServer(publisher, async (other) => {
      await other.writeArtifact(candidateFile('v1'));
      await other.moveLabel(TESTING, TAG);
    });
    await promoter.moveLabel(CURRENT, TAG);
    await withServer(publisher, async (other) => {
      await other.writeArtifact(candidateFile('v2'));
      for (const work of [
        () => other.moveLabel(CURRENT, v.parse(tagSchema, 'v2')),
        () => other.removeLabel(CURRENT),
        () => other.appendRecord(CURRENT, 2, Buffer.from('{"id":"b"}'), 'b'),
      ]) {
        expect((await failure(work())).kind).not.toBe('none');
      }
    });
    expect(await promoter.readLabel(CURRENT)).toBe(TAG);
    expect(await promoter.readRecord(CURRENT, 2)).toBeUndefined();
    expect(await promoter.checkRights({ promotedLabel: CURRENT, candidateLabel: TESTING }, { isWriter: true })).toEqual(
      [],
    );
  });
});

const isDebian = existsSync('/usr/share/keyrings/debian-archive-keyring.gpg');

(isRoot && isDebian ? test : test.skip)('a server that penalises refused keys is waited for', async () => {
  const root = await installNewerOpenssh((line) => process.stderr.write(`${line}\n`));
  const good = generate('-t', 'ed25519');
  const bad = generate('-t', 'ed25519');
  const sshd = await startOwnSshd(
    [INTERNAL, 'LogLevel VERBOSE', 'PerSourcePenalties authfail:3s min:1s max:10s'],
    ['ed25519'],
    { root, authorizedKeys: good.publicKey },
  );
  servers.push(sshd);
  const directory = mkdtempSync(join(root, 'images-'));
  try {
    const url = `sftp://root@127.0.0.1:${sshd.port}/${relative(root, directory)}`;
    const by = (privateKey: string) => withServer(url, publish, { knownHosts: sshd.knownHosts, privateKey });
    expect((await failure(by(bad.privateKey))).kind).toBe('unauthorized');
    await by(good.privateKey);
    expectReadable(directory);
    expect(readFileSync(sshd.log, 'utf8')).toMatch(/drop connection .* penalty: failed authentication/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
