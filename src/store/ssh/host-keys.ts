import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError, UserError } from '../../base/errors.js';
import { makeTemporary } from '../../base/temporary.js';

/** An SSH server. */
interface SshServer {
  /** A name or address in lower case; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The known_hosts lines of one host. Keys are in SSH's wire format (RFC 4253, section 6.6). */
export interface KnownHost {
  /** In the form of known_hosts: `host`, or `[host]:port` for a port other than 22. */
  readonly name: string;
  readonly keys: readonly Buffer[];
  readonly revoked: readonly Buffer[];
  /** A `@cert-authority` line matches; certificates are not checked. */
  readonly hasAuthority: boolean;
}

const FILE = 'known_hosts';

/**
 * Asks `ssh-keygen -F` for the lines about the server, since OpenSSH knows patterns, hashed names and markers best.
 * Like ssh, it takes the host's keys for port 22 if there are none for the port itself.
 */
export async function findKnownHost(knownHosts: string, server: SshServer): Promise<KnownHost> {
  const name = server.port === 22 ? server.host : `[${server.host}]:${server.port}`;
  if (knownHosts.trim() === '') {
    throw new UserError(`no host keys are known: ${name} needs a line such as: ${name} ssh-ed25519 AAAA…`, {
      hint: 'known-hosts',
    });
  }
  const directory = await makeTemporary(tmpdir(), 'known-hosts-', { [FILE]: repairKnownHosts(knownHosts) });
  const file = join(directory, FILE);
  const find = async (host: string) => parseFound(await sshKeygen(['-F', host, '-f', file]));
  try {
    const found = await find(name);
    if (name === server.host || found.keys.length > 0) return { name, ...found };
    const plain = await find(server.host);
    return {
      name,
      keys: plain.keys,
      revoked: [...found.revoked, ...plain.revoked],
      hasAuthority: found.hasAuthority || plain.hasAuthority,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The lines as a file that OpenSSH reads. Repairs what web forms and shells do to them: wrong line ends, `\n` as two
 * characters, quotes around the whole.
 */
export function repairKnownHosts(text: string): string {
  const lines = text
    .replace(/^\ufeff/, '')
    .replaceAll(/\\r|\\n|\r\n?/g, '\n')
    .trim()
    .replace(/^(["'])([\s\S]*)\1$/, '$2');
  return `${lines.trim()}\n`;
}

async function sshKeygen(args: string[]): Promise<string> {
  const { getExecOutput } = await import('@actions/exec');
  const env = { PATH: process.env.PATH ?? '' };
  let result: { exitCode: number; stdout: string };
  try {
    result = await getExecOutput('ssh-keygen', args, { silent: true, ignoreReturnCode: true, env });
  } catch (error) {
    throw new UserError('ssh-keygen, which reads the known hosts, cannot be run: install openssh-client', {
      cause: error,
    });
  }
  // 1 means that no line matches.
  if (result.exitCode > 1) throw new UserError('ssh-keygen cannot read the known hosts', { hint: 'known-hosts' });
  return result.stdout;
}

/** Reads the answer: `# Host <name> found: line <n> [REVOKED|CA]`, then that line, for each that matches. */
function parseFound(stdout: string): Omit<KnownHost, 'name'> {
  const keys: Buffer[] = [];
  const revoked: Buffer[] = [];
  let hasAuthority = false;
  for (const line of stdout.split('\n')) {
    if (line.startsWith('#')) continue;
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [, type = '', base64 = ''] = words;
    const key = Buffer.from(base64, 'base64');
    if (type === '' || keyType(key) !== type) continue;
    if (marker === '@cert-authority') hasAuthority = true;
    else if (marker === '@revoked') revoked.push(key);
    else if (marker === undefined) keys.push(key);
  }
  return { keys, revoked, hasAuthority };
}

/** The algorithm that a key in wire format names first. */
export function keyType(key: Buffer): string {
  return key.length < 4 ? '' : key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
}

/** Returns an error that says why the key that the server offered is refused; undefined if it is a known one. */
export function hostKeyProblem(known: KnownHost, offered: Buffer): ServiceError | undefined {
  const same = (key: Buffer) => key.equals(offered);
  const fingerprint = createHash('sha256').update(offered).digest('base64').replace(/=+$/, '');
  const refuse = (why: string) =>
    new ServiceError('host-key', `${known.name} offered the key ${keyType(offered)} SHA256:${fingerprint}, ${why}`, {
      hint: 'known-hosts',
    });
  if (known.revoked.some(same)) return refuse('which the known hosts mark as @revoked');
  if (known.keys.some(same)) return undefined;
  const line = `${known.name} ${keyType(offered)} ${offered.toString('base64')}`;
  const way = `if its administrator confirms that fingerprint, add the line: ${line}`;
  if (known.keys.length > 0) return refuse(`which is not one of its known keys; ${way}`);
  const authority = known.hasAuthority ? ' (@cert-authority is not supported)' : '';
  return refuse(`for which the known hosts have no line${authority}; ${way}`);
}
