import type { Client, ConnectConfig, FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import * as v from 'valibot';
import { errorLine, ServiceError } from '../../base/errors.js';
import { formatServer, type ServerAddress } from '../server-url.js';
import { hostKeyProblem, type KnownHost, keyType } from './host-keys.js';

/** What has a name on the server. Links are not followed. */
export interface Entry {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special file';
  readonly size: number;
  /** Permission bits, with the sticky bit. */
  readonly mode: number;
  /** The user id of its owner. */
  readonly owner: number;
  /** When it last changed, in unix seconds by the server's clock. */
  readonly modified: number;
}

/**
 * One SFTP session. Paths are absolute. Each call ends within a limit, and fails once the connection broke. Where
 * something is in the way of what a call creates, it is a `conflict`.
 */
export interface SftpSession {
  stat(path: string): Promise<Entry | undefined>;
  /** Whether a directory is there, also by way of links. */
  isDirectory(path: string): Promise<boolean>;
  list(path: string): Promise<(Entry & { readonly name: string })[]>;
  /** What a link names; undefined where there is no such link. */
  readLink(path: string): Promise<string | undefined>;
  /** A whole file; undefined where there is none; an error where it has more than `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Buffer | undefined>;
  /** Creates a file that was not there, and is on disk when this returns. */
  createFile(path: string, bytes: Uint8Array): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  hardLink(existing: string, path: string): Promise<void>;
  /** Renames over what is there, so that the name is never without one of the two. */
  rename(from: string, to: string): Promise<void>;
  /** Removes what is no directory; nothing where it is gone already. */
  remove(path: string): Promise<void>;
  close(): void;
}

/** Who we are to the server. */
export type Identity = { readonly privateKey: string } | { readonly agentSocket: string };

export interface SftpOptions {
  readonly server: ServerAddress;
  readonly knownHost: KnownHost;
  readonly identity: Identity;
  /** Milliseconds until the session is there. */
  readonly connectMs: number;
  /** Milliseconds for each answer. */
  readonly answerMs: number;
}

const REQUIRED_EXTENSIONS = [
  'posix-rename@openssh.com',
  'hardlink@openssh.com',
  'fsync@openssh.com',
  'statvfs@openssh.com',
];

/** Signature algorithms by the type of key that they go with; SHA-1 is left out. */
const HOST_KEY_ALGORITHMS = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
} as const;

/** Status codes of draft-ietf-secsh-filexfer-02, section 7. */
const STATUS = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

/** `f_flag` of statvfs@openssh.com (OpenSSH's PROTOCOL, section 4.8). */
const READ_ONLY = 1;

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const READ_CHUNK = 32_768;

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** Opens a session on a host that is known, as someone it lets in, with all that we need of it. */
export async function connectSftp(options: SftpOptions): Promise<SftpSession> {
  const { default: ssh2 } = await import('ssh2');
  const connection = await logIn(new ssh2.Client(), options);
  try {
    const sftp = await startSubsystem(connection, options.server);
    requireExtensions(sftp, options.server);
    return createSession(sftp, connection, options.server);
  } catch (error) {
    connection.client.destroy();
    throw error;
  }
}

/** A connection on which every call ends: by its answer, by a limit, or because the connection broke. */
interface Connection {
  readonly client: Client;
  call<T>(what: string, start: (done: Done<T>) => void): Promise<T>;
}

async function logIn(client: Client, options: SftpOptions): Promise<Connection> {
  const { server, answerMs } = options;
  const where = formatServer(server);
  const waiting = new Set<(error: Error) => void>();
  let broken: ServiceError | undefined;
  let refusedKey: ServiceError | undefined;

  const breakOff = (error: ServiceError) => {
    broken ??= error;
    for (const reject of waiting) reject(broken);
    client.destroy();
  };
  client.on('error', (error) => breakOff(refusedKey ?? connectionError(error, options)));
  // Each request waits for its answer: without this, Nagle's algorithm makes that 40 ms each.
  client.on('connect', () => client.setNoDelay(true));
  client.on('close', () => breakOff(new ServiceError('unreachable', `${where}: the connection was closed`)));

  const call = <T>(what: string, start: (done: Done<T>) => void, limitMs = answerMs): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (broken !== undefined) throw broken;
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        waiting.delete(fail);
        settle();
      };
      const fail = (error: Error) => finish(() => reject(error));
      const timer = setTimeout(() => {
        breakOff(new ServiceError('timeout', `${where}: ${what}: no answer within ${limitMs / 1000} s`));
      }, limitMs);
      waiting.add(fail);
      try {
        start((error, value) => (error ? fail(error) : finish(() => resolve(value))));
      } catch (error) {
        fail(new ServiceError('unreachable', `${where}: ${what}: ${errorLine(error)}`));
      }
    });

  await call<void>(
    'log in',
    (done) => {
      client.once('ready', () => done(undefined, undefined));
      client.connect(connectConfig(options, (problem) => (refusedKey = problem)));
    },
    options.connectMs,
  );
  return { client, call };
}

function connectConfig(options: SftpOptions, refuse: (problem: ServiceError) => void): ConnectConfig {
  const { server, knownHost, identity } = options;
  const knownTypes = knownHost.keys.map(keyType);
  // A server that has several keys is to offer the one that we know.
  const types = Object.entries(HOST_KEY_ALGORITHMS).sort(
    ([a], [b]) => Number(knownTypes.includes(b)) - Number(knownTypes.includes(a)),
  );
  return {
    host: server.host,
    port: server.port,
    username: server.user,
    ...('privateKey' in identity ? { privateKey: identity.privateKey } : { agent: identity.agentSocket }),
    algorithms: { serverHostKey: types.flatMap(([, algorithms]) => [...algorithms]) },
    hostVerifier: (offered: Buffer) => {
      const problem = hostKeyProblem(knownHost, offered);
      if (problem !== undefined) refuse(problem);
      return problem === undefined;
    },
    readyTimeout: 0,
    keepaliveInterval: 10_000,
    keepaliveCountMax: 3,
  };
}

/** Names what ended a connection; `level` is where ssh2 says it happened. */
function connectionError(error: Error & { level?: string }, { server, identity }: SftpOptions): ServiceError {
  const where = formatServer(server);
  const message = errorLine(error);
  if (error.level === 'client-authentication' || error.level === 'agent') {
    const key = 'privateKey' in identity ? 'input ssh-private-key' : `the agent at ${identity.agentSocket}`;
    return new ServiceError('unauthorized', `${where}: refuses user ${server.user} with ${key} (${message})`);
  }
  if (error.level === 'client-timeout') return new ServiceError('timeout', `${where}: ${message}`);
  if (error.level === 'handshake') return new ServiceError('unsupported', `${where}: ${message}`);
  return new ServiceError('unreachable', `${where}: ${message}`);
}

async function startSubsystem({ client, call }: Connection, server: ServerAddress): Promise<SFTPWrapper> {
  try {
    return await call('start SFTP', (done: Done<SFTPWrapper>) => client.sftp(done));
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('unsupported', `${formatServer(server)}: offers no SFTP (${errorLine(error)})`);
  }
}

function requireExtensions(sftp: SFTPWrapper, server: ServerAddress): void {
  // ssh2 keeps what the server offered to itself.
  const offered = v.safeParse(v.record(v.string(), v.string()), Reflect.get(sftp, '_extensions'));
  const missing = REQUIRED_EXTENSIONS.filter((name) => !offered.success || offered.output[name] === undefined);
  if (missing.length === 0) return;
  throw new ServiceError('unsupported', `${formatServer(server)}: the SFTP server lacks ${missing.join(', ')}`);
}

function createSession(sftp: SFTPWrapper, { client, call }: Connection, server: ServerAddress): SftpSession {
  const where = formatServer(server);

  /** One request; `creates` is the path that must not be there yet. */
  async function request<T>(what: string, start: (done: Done<T>) => void, creates?: string): Promise<T> {
    try {
      return await call(what, start);
    } catch (error) {
      throw error instanceof ServiceError ? error : await named(error, what, creates);
    }
  }

  /** The server's status as our error. Its 4, "Failure", says nothing: look before naming it. */
  async function named(error: unknown, what: string, creates: string | undefined): Promise<ServiceError> {
    const code = statusOf(error);
    const says = (kind: ServiceError['kind'], why: string) => new ServiceError(kind, `${where}: ${what}: ${why}`);
    if (code === STATUS.noSuchFile) return says('not-found', 'no such file or directory');
    if (code === STATUS.permissionDenied) return says('forbidden', `user ${server.user} may not`);
    if (code === STATUS.unsupported) return says('unsupported', 'the server cannot');
    if (code === undefined) return says('unreachable', errorLine(error));
    if (code !== STATUS.failure) return says('server-error', errorLine(error));
    if (creates !== undefined && (await session.stat(creates)) !== undefined) {
      return says('conflict', 'something is there already');
    }
    const disk = await call('statvfs', (done: Done<Disk>) => sftp.ext_openssh_statvfs(server.directory, done));
    if ((disk.f_flag & READ_ONLY) !== 0) return says('forbidden', 'the file system is read-only');
    if (disk.f_bavail === 0) return says('full', 'no space left on the server');
    if (disk.f_favail === 0) return says('full', 'no inodes left on the server');
    return says('server-error', 'it failed, and the server does not say why (a quota?)');
  }

  const closeHandle = (handle: Buffer, path: string) =>
    request(`close ${path}`, (done) => sftp.close(handle, nothing(done)));

  const session: SftpSession = {
    stat: (path) =>
      absentAsUndefined(
        request(`look at ${path}`, (done: Done<Stats>) => sftp.lstat(path, done)),
        toEntry,
      ),

    isDirectory: async (path) =>
      (await absentAsUndefined(
        request(`look at ${path}`, (done: Done<Stats>) => sftp.stat(path, done)),
        (stats) => stats.isDirectory(),
      )) ?? false,

    list: async (path) => {
      const entries = await request(`list ${path}`, (done: Done<FileEntryWithStats[]>) => sftp.readdir(path, done));
      return entries.map(({ filename, attrs }) => ({ name: filename, ...toEntry(attrs) }));
    },

    readLink: (path) =>
      absentAsUndefined(
        request(`read the link ${path}`, (done: Done<string>) => sftp.readlink(path, done)),
        (target) => target,
      ),

    readFile: async (path, maxBytes) => {
      const handle = await absentAsUndefined(
        request(`open ${path}`, (done: Done<Buffer>) => sftp.open(path, 'r', done)),
        (opened) => opened,
      );
      if (handle === undefined) return undefined;
      const chunks: Buffer[] = [];
      let size = 0;
      for (;;) {
        const chunk = await request(`read ${path}`, (done: Done<Buffer>) =>
          sftp.read(handle, Buffer.alloc(READ_CHUNK), 0, READ_CHUNK, size, (error, count, buffer) =>
            done(error, error ? buffer : buffer.subarray(0, count)),
          ),
        );
        size += chunk.length;
        if (size > maxBytes) throw new ServiceError('too-large', `${where}: ${path} has more than ${maxBytes} bytes`);
        chunks.push(chunk);
        // Less than was asked for is the end of a plain file (draft-ietf-secsh-filexfer-02, section 6.4).
        if (chunk.length < READ_CHUNK) break;
      }
      await closeHandle(handle, path);
      return Buffer.concat(chunks);
    },

    createFile: async (path, bytes) => {
      const what = `write ${path}`;
      const attributes = { mode: FILE_MODE };
      const handle = await request(what, (done: Done<Buffer>) => sftp.open(path, 'wx', attributes, done), path);
      const buffer = Buffer.from(bytes);
      try {
        await request(what, (done) => sftp.write(handle, buffer, 0, buffer.length, 0, nothing(done)));
        await request(what, (done) => sftp.ext_openssh_fsync(handle, nothing(done)));
      } finally {
        await closeHandle(handle, path);
      }
    },

    makeDirectory: (path) =>
      request(`make directory ${path}`, (done) => sftp.mkdir(path, { mode: DIRECTORY_MODE }, nothing(done)), path),

    symlink: (target, path) => request(`link ${path}`, (done) => sftp.symlink(target, path, nothing(done)), path),

    hardLink: (existing, path) =>
      request(`create ${path}`, (done) => sftp.ext_openssh_hardlink(existing, path, nothing(done)), path),

    rename: (from, to) => request(`replace ${to}`, (done) => sftp.ext_openssh_rename(from, to, nothing(done))),

    remove: (path) =>
      absentAsUndefined(
        request(`remove ${path}`, (done) => sftp.unlink(path, nothing(done))),
        () => undefined,
      ),

    close: () => {
      client.end();
    },
  };
  return session;
}

interface Disk {
  readonly f_bavail: number;
  readonly f_favail: number;
  readonly f_flag: number;
}

function nothing(done: Done<void>): (error?: Error | null) => void {
  return (error) => done(error, undefined);
}

function statusOf(error: unknown): number | undefined {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'number' ? code : undefined;
}

async function absentAsUndefined<T, U>(work: Promise<T>, found: (value: T) => U): Promise<U | undefined> {
  try {
    return found(await work);
  } catch (error) {
    if (error instanceof ServiceError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

function toEntry(stats: Stats): Entry {
  const kind = stats.isSymbolicLink()
    ? 'symlink'
    : stats.isDirectory()
      ? 'directory'
      : stats.isFile()
        ? 'file'
        : 'special file';
  return { kind, size: stats.size, mode: stats.mode & 0o7777, owner: stats.uid, modified: stats.mtime };
}
