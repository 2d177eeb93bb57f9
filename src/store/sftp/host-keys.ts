import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError, UserError } from '../../base/errors.js';
import type { ServerAddress } from '../server-url.js';

/** What known_hosts lines say of one host. Keys are in SSH's wire format (RFC 4253, section 6.6). */
export interface KnownHost {
  /** As known_hosts writes it: `host`, or `[host]:port` off port 22. */
  readonly name: string;
  readonly keys: readonly Buffer[];
  readonly revoked: readonly Buffer[];
  /** A `@cert-authority` line matches: we cannot check certificates. */
  readonly hasAuthority: boolean;
}

/** Asks `ssh-keygen -F` which of the lines are about the server: patterns, hashed names and markers are OpenSSH's. */
export async function findKnownHost(knownHosts: string, server: ServerAddress): Promise<KnownHost> {
  const name = server.port === 22 ? server.host : `[${server.host}]:${server.port}`;
  if (knownHosts.trim() === '') {
    throw new UserError(`input ssh-known-hosts: required: a line for ${name}, as in ${name} ssh-ed25519 AAAA…`);
  }
  const directory = await mkdtemp(join(tmpdir(), 'known-hosts-'));
  try {
    const file = join(directory, 'known_hosts');
    await writeFile(file, `${knownHosts.replaceAll('\r\n', '\n').trim()}\n`, { mode: 0o600 });
    return { name, ...parseFound(await sshKeygen(['-F', name, '-f', file])) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function sshKeygen(args: string[]): Promise<string> {
  const { getExecOutput } = await import('@actions/exec');
  const env = { PATH: process.env.PATH ?? '' };
  let result: { exitCode: number; stdout: string };
  try {
    result = await getExecOutput('ssh-keygen', args, { silent: true, ignoreReturnCode: true, env });
  } catch (error) {
    throw new UserError('ssh-keygen cannot be run, which reads ssh-known-hosts: install openssh-client', {
      cause: error,
    });
  }
  // 1 means that no line matches.
  if (result.exitCode > 1) throw new UserError('input ssh-known-hosts: ssh-keygen cannot read it');
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

/** Why the key that the server offered is refused; undefined where it is a known one. */
export function hostKeyProblem(known: KnownHost, offered: Buffer): ServiceError | undefined {
  const same = (key: Buffer) => key.equals(offered);
  const fingerprint = createHash('sha256').update(offered).digest('base64').replace(/=+$/, '');
  const refuse = (why: string) =>
    new ServiceError('host-key', `${known.name} offered the key ${keyType(offered)} SHA256:${fingerprint}, ${why}`);
  if (known.revoked.some(same)) return refuse('which input ssh-known-hosts marks as @revoked');
  if (known.keys.some(same)) return undefined;
  const line = `${known.name} ${keyType(offered)} ${offered.toString('base64')}`;
  const way = `if its administrator confirms that fingerprint, add to input ssh-known-hosts: ${line}`;
  if (known.keys.length > 0) return refuse(`which is none that input ssh-known-hosts has for it; ${way}`);
  const authority = known.hasAuthority ? ' (@cert-authority is not supported)' : '';
  return refuse(`for which input ssh-known-hosts has no line${authority}; ${way}`);
}
