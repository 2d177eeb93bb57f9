import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { sandbox } from '../../sandbox/current.js';
import { type ServerProcess, startServer } from '../../sandbox/process.js';

export const isRoot = process.getuid?.() === 0;

export interface OwnSshd extends ServerProcess {
  /** Of its host keys, in the order of their types. */
  readonly publicKeys: readonly string[];
  /** All of them, as known_hosts lines. */
  readonly knownHosts: string;
}

/** Where an sshd of another system is, and who may log in to it. */
export interface Elsewhere {
  /** The directory to chroot into. */
  readonly root: string;
  /** As lines of authorized_keys. */
  readonly authorizedKeys: string;
}

/** An sshd with host keys and lines of configuration of its own; whoever may log in to the sandbox's may log in. */
export async function startOwnSshd(
  lines: readonly string[],
  hostKeyTypes = ['ed25519'],
  elsewhere?: Elsewhere,
): Promise<OwnSshd> {
  const directory = mkdtempSync(join(elsewhere === undefined ? tmpdir() : elsewhere.root, 'own-sshd-'));
  const inside = (file: string) => (elsewhere === undefined ? file : `/${relative(elsewhere.root, file)}`);
  const authorizedKeys =
    elsewhere === undefined ? sandbox().imageServer.sshd.authorizedKeys : join(directory, 'authorized_keys');
  if (elsewhere !== undefined) writeFileSync(authorizedKeys, elsewhere.authorizedKeys);
  const publicKeys = hostKeyTypes.map((type) => {
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', join(directory, type)]);
    return readFileSync(join(directory, `${type}.pub`), 'utf8').trim();
  });
  const server = await startServer({
    name: 'sshd',
    directory,
    command: async (port) => {
      const config = [
        `ListenAddress 127.0.0.1:${port}`,
        ...hostKeyTypes.map((type) => `HostKey ${inside(join(directory, type))}`),
        `AuthorizedKeysFile ${inside(authorizedKeys)}`,
        'StrictModes no',
        'PidFile none',
        `UsePAM ${isRoot && elsewhere === undefined ? 'yes' : 'no'}`,
        ...lines,
      ];
      writeFileSync(join(directory, 'config'), `${config.join('\n')}\n`);
      const program = elsewhere === undefined ? [sandbox().tools.sshd] : ['chroot', elsewhere.root, '/usr/sbin/sshd'];
      return [...program, '-D', '-e', '-f', inside(join(directory, 'config'))];
    },
    // Without a connection, which the server would count.
    ready: async (port) =>
      new Promise((resolve) => {
        const probe = createServer().listen(port, '127.0.0.1');
        probe.once('error', () => resolve(true)).once('listening', () => probe.close(() => resolve(false)));
      }),
  });
  const knownHosts = publicKeys.map((key) => `[127.0.0.1]:${server.port} ${key}`).join('\n');
  return { ...server, publicKeys, knownHosts };
}
