import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Tools } from './install.js';
import { type ServerProcess, startServer } from './process.js';

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

export interface Sshd extends ServerProcess {
  /** Who may log in: the user that runs this process, by key alone. */
  readonly username: string;
  /** The host key as a known_hosts line. */
  readonly knownHosts: string;
  /** An ed25519 key that may log in, in OpenSSH's format. */
  readonly privateKey: string;
  /** The file that says which keys may log in; see `addUserKey`. */
  readonly authorizedKeys: string;
}

export interface SshdOptions {
  readonly tools: Tools;
  readonly directory: string;
  /** Lets users run commands too, as git does. */
  readonly commands?: boolean;
}

/** A real sshd on loopback that offers SFTP and, unless told otherwise, nothing else, with a host key and a user key made on the spot. */
export async function startSshd({ tools, directory, commands = false }: SshdOptions): Promise<Sshd> {
  await mkdir(directory, { recursive: true });
  const authorizedKeys = join(directory, 'authorized_keys');
  const [hostKey, privateKey] = await Promise.all([
    makeKey(tools, join(directory, 'host-key'), 'ed25519'),
    addUserKey(tools, authorizedKeys, 'ed25519'),
  ]);

  const isRoot = process.getuid?.() === 0;
  // sshd as root wants this empty directory, which Debian's service makes when it starts.
  if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });

  const server = await startServer({
    name: 'sshd',
    directory,
    command: async (port) => {
      const config = join(directory, 'sshd_config');
      const lines = [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${hostKey.path}`,
        `AuthorizedKeysFile ${authorizedKeys}`,
        // The directory may lie below one that others can write to.
        'StrictModes no',
        'PidFile none',
        'AuthenticationMethods publickey',
        'PermitRootLogin prohibit-password',
        // Root's password may be locked, which only PAM lets pass; a user who is not root cannot use PAM.
        `UsePAM ${isRoot ? 'yes' : 'no'}`,
        'MaxStartups 100',
        'MaxSessions 100',
        'PrintMotd no',
        'DisableForwarding yes',
        'PermitTTY no',
        'Subsystem sftp internal-sftp',
        ...(commands ? [] : ['ForceCommand internal-sftp']),
        'LogLevel VERBOSE',
      ];
      await writeFile(config, `${lines.join('\n')}\n`);
      return [tools.sshd, '-D', '-e', '-f', config];
    },
  });

  const { username } = userInfo();
  const [type, key] = hostKey.publicKey.split(' ');
  return {
    ...server,
    username,
    knownHosts: `[127.0.0.1]:${server.port} ${type} ${key}`,
    privateKey,
    authorizedKeys,
  };
}

/** `sftp://user@127.0.0.1:port/absolute/directory` */
export function sftpUrl({ username, port }: Pick<Sshd, 'username' | 'port'>, directory: string): string {
  return `sftp://${encodeURIComponent(username)}@127.0.0.1:${port}${encodeURI(directory)}`;
}

/** Makes one more key that may log in, at once, and returns its private half. */
export async function addUserKey(tools: Tools, authorizedKeys: string, type: KeyType): Promise<string> {
  const { privateKey, publicKey } = await makeKey(tools, `${authorizedKeys}.${type}-${randomUUID()}`, type);
  await appendFile(authorizedKeys, publicKey);
  return privateKey;
}

async function makeKey(tools: Tools, path: string, type: KeyType) {
  await promisify(execFile)(tools.sshKeygen, ['-q', '-t', type, '-N', '', '-C', 'sandbox', '-f', path]);
  return { path, privateKey: await readFile(path, 'utf8'), publicKey: await readFile(`${path}.pub`, 'utf8') };
}
