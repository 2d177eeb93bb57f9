import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import * as v from 'valibot';
import { errorLine, oneLine, ServiceError } from '../../base/errors.js';
import { formatServer, type ServerAddress } from './address.js';
import { type Connection, type Done, logIn, quoted, type SftpOptions } from './connection.js';

/** An entry on the server. Links are not followed. */
export interface Entry {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special file';
  readonly size: number;
  /** Permission bits, with the sticky bit. */
  readonly mode: number;
  /** The user id of its owner. */
  readonly owner: number;
  /** The time of its last change, in unix seconds by the server's clock. */
  readonly modified: number;
}

/**
 * One SFTP session. Paths are absolute. Each call ends within a limit, and fails once the connection is broken. A call
 * that creates something throws a `conflict` if something is already there.
 */
export interface SftpSession {
  stat(path: string): Promise<Entry | undefined>;
  /** True if the path is a directory, or a link to one. */
  isDirectory(path: string): Promise<boolean>;
  list(path: string): Promise<(Entry & { readonly name: string })[]>;
  /** The target of a link; undefined if there is no such link. */
  readLink(path: string): Promise<string | undefined>;
  /** A whole file; undefined if there is none. Throws if it has more than `maxBytes`, or is not a plain file. */
  readFile(path: string, maxBytes: number): Promise<Buffer | undefined>;
  /** Creates a file that was not there, and is on disk when this returns. */
  createFile(path: string, bytes: Uint8Array): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  hardLink(existing: string, path: string): Promise<void>;
  /** Renames over what is there, so that the name is never without one of the two. */
  rename(from: string, to: string): Promise<void>;
  /** Removes anything but a directory. Does nothing if it is already gone. */
  remove(path: string): Promise<void>;
  /** Gives a file or directory these permission bits, whatever the server's umask is. */
  setMode(path: string, mode: number): Promise<void>;
  /** True if the server has ended the session, so that no further call reaches it. */
  hasEnded(): boolean;
  close(): void;
}

/** A server that offers only to read has none of these. */
const REQUIRED_EXTENSIONS = ['posix-rename@openssh.com', 'hardlink@openssh.com', 'fsync@openssh.com'];

/** Status codes of draft-ietf-secsh-filexfer-02, section 7. */
const STATUS = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

/** `f_flag` of statvfs@openssh.com (OpenSSH's PROTOCOL, section 4.8). */
const READ_ONLY = 1;

export const FILE_MODE = 0o644;
export const DIRECTORY_MODE = 0o755;
const READ_CHUNK = 32_768;

/** Time to listen to a server that does not speak SFTP, to find out what it says instead. */
const WORDS_MS = 2000;
const MAX_WORDS = 200;

/** Opens a session on a host that is known, as a user whom it lets in, with all extensions that are needed. */
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

async function startSubsystem(connection: Connection, server: ServerAddress): Promise<SFTPWrapper> {
  const { client, call, breakOff } = connection;
  const where = formatServer(server);
  try {
    const sftp = await call('start SFTP', (done: Done<SFTPWrapper>) => client.sftp(done));
    sftp.on('close', () => breakOff(new ServiceError('unreachable', `${where}: the server ended the SFTP session`)));
    return sftp;
  } catch (error) {
    if (error instanceof ServiceError && error.kind !== 'timeout') throw error;
    const words = error instanceof ServiceError ? '' : await readWords(connection);
    const way =
      words === '' ? '' : ': the account has no shell, or its shell prints something; use internal-sftp in sshd_config';
    throw new ServiceError('unsupported', `${where}: offers no SFTP (${errorLine(error)})${quoted(words)}${way}`);
  }
}

/** The first words of whatever runs instead of SFTP: a shell's greeting, or a message that there is no shell. */
function readWords({ client }: Connection): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const end = () => {
      clearTimeout(timer);
      resolve(oneLine(text.replaceAll(/[^\x20-\x7e\s]/g, ''), MAX_WORDS));
    };
    const timer = setTimeout(end, WORDS_MS);
    try {
      client.subsys('sftp', (error, channel) => {
        if (error) return end();
        const listen = (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.length > MAX_WORDS) end();
        };
        channel.on('data', listen).on('close', end).stderr.on('data', listen);
      });
    } catch {
      end();
    }
  });
}

function requireExtensions(sftp: SFTPWrapper, server: ServerAddress): void {
  // ssh2 keeps what the server offered to itself.
  const offered = v.safeParse(v.record(v.string(), v.string()), Reflect.get(sftp, '_extensions'));
  const names = offered.success ? Object.keys(offered.output) : [];
  const missing = REQUIRED_EXTENSIONS.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  const why = missing.length === REQUIRED_EXTENSIONS.length && names.length > 0 ? ': is it read-only?' : '';
  throw new ServiceError('unsupported', `${formatServer(server)}: the SFTP server lacks ${missing.join(', ')}${why}`);
}

function createSession(sftp: SFTPWrapper, connection: Connection, server: ServerAddress): SftpSession {
  const requests = createRequests(sftp, connection, server);
  return {
    ...lookUp(sftp, requests),
    ...change(sftp, requests),
    readFile: (path, maxBytes) => readFile(sftp, requests, path, maxBytes),
    createFile: (path, bytes) => createFile(sftp, requests, path, bytes),
    hasEnded: () => connection.broken()?.kind === 'unreachable',
    close: () => {
      connection.client.end();
    },
  };
}

/** Sends requests to the server. `creates` is the path that must not be there yet. */
interface Requests {
  urlOf(path: string): string;
  send<T>(what: string, start: (done: Done<T>) => void, creates?: string): Promise<T>;
}

function createRequests(sftp: SFTPWrapper, { call }: Connection, server: ServerAddress): Requests {
  const where = formatServer(server);

  /** Turns the server's status into a ServiceError. Status 4, "Failure", says nothing, so look at the path first. */
  async function nameFailure(error: unknown, what: string, creates: string | undefined): Promise<ServiceError> {
    const code = statusOf(error);
    const says = (kind: ServiceError['kind'], why: string) => new ServiceError(kind, `${where}: ${what}: ${why}`);
    if (code === STATUS.noSuchFile) return says('not-found', 'no such file or directory');
    if (code === STATUS.permissionDenied) return says('forbidden', `user ${server.user} may not do this`);
    if (code === STATUS.unsupported) return says('unsupported', 'the server does not support this');
    if (code === undefined) return says('unreachable', errorLine(error));
    if (code !== STATUS.failure) return says('server-error', errorLine(error));
    if (creates !== undefined && (await isThere(creates))) return says('conflict', 'something is there already');
    const disk = await readDisk();
    if (disk !== undefined && (disk.f_flag & READ_ONLY) !== 0) return says('read-only', 'the file system is read-only');
    if (disk?.f_bavail === 0) return says('full', 'no space left on the server');
    if (disk?.f_favail === 0) return says('full', 'no inodes left on the server');
    return says('server-error', 'it failed, and the server does not say why (a quota?)');
  }

  /** The state of the disk; undefined if the server does not say. */
  async function readDisk(): Promise<Disk | undefined> {
    try {
      return await call('statvfs', (done: Done<Disk>) => sftp.ext_openssh_statvfs(server.directory, done));
    } catch {
      return undefined;
    }
  }

  async function isThere(path: string): Promise<boolean> {
    try {
      await call(`look at ${path}`, (done: Done<Stats>) => sftp.lstat(path, done));
      return true;
    } catch (error) {
      if (statusOf(error) === STATUS.noSuchFile) return false;
      throw error;
    }
  }

  return {
    urlOf: (path) => formatServer({ ...server, directory: path }),
    async send(what, start, creates) {
      try {
        return await call(what, start);
      } catch (error) {
        throw error instanceof ServiceError ? error : await nameFailure(error, what, creates);
      }
    },
  };
}

function lookUp(
  sftp: SFTPWrapper,
  { send }: Requests,
): Pick<SftpSession, 'stat' | 'isDirectory' | 'list' | 'readLink'> {
  return {
    stat: (path) =>
      absentAsUndefined(
        send(`look at ${path}`, (done: Done<Stats>) => sftp.lstat(path, done)),
        toEntry,
      ),
    isDirectory: async (path) =>
      (await absentAsUndefined(
        send(`look at ${path}`, (done: Done<Stats>) => sftp.stat(path, done)),
        (stats) => stats.isDirectory(),
      )) ?? false,
    list: async (path) => {
      const entries = await send(`list ${path}`, (done: Done<FileEntryWithStats[]>) => sftp.readdir(path, done));
      return entries.map(({ filename, attrs }) => ({ name: filename, ...toEntry(attrs) }));
    },
    readLink: (path) =>
      absentAsUndefined(
        send(`read the link ${path}`, (done: Done<string>) => sftp.readlink(path, done)),
        (target) => target,
      ),
  };
}

function change(
  sftp: SFTPWrapper,
  { send }: Requests,
): Pick<SftpSession, 'makeDirectory' | 'symlink' | 'hardLink' | 'rename' | 'remove' | 'setMode'> {
  // Servers with OpenSSH's extensions also read a symlink's two paths in OpenSSH's order (its PROTOCOL, section 4.1).
  // ssh2 does so only for a server that is called OpenSSH.
  const inOrder = Reflect.get(sftp, '_isOpenSSH') === true;
  return {
    makeDirectory: (path) =>
      send(`make directory ${path}`, (done) => sftp.mkdir(path, { mode: DIRECTORY_MODE }, nothing(done)), path),
    symlink: (target, path) => {
      const [first, second] = inOrder ? [target, path] : [path, target];
      return send(`link ${path}`, (done) => sftp.symlink(first, second, nothing(done)), path);
    },
    hardLink: (existing, path) =>
      send(`create ${path}`, (done) => sftp.ext_openssh_hardlink(existing, path, nothing(done)), path),
    rename: (from, to) => send(`replace ${to}`, (done) => sftp.ext_openssh_rename(from, to, nothing(done))),
    remove: (path) =>
      absentAsUndefined(
        send(`remove ${path}`, (done) => sftp.unlink(path, nothing(done))),
        () => undefined,
      ),
    setMode: (path, mode) => send(`set the mode of ${path}`, (done) => sftp.chmod(path, mode, nothing(done))),
  };
}

async function readFile(
  sftp: SFTPWrapper,
  { urlOf, send }: Requests,
  path: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const stats = await absentAsUndefined(
    send(`look at ${path}`, (done: Done<Stats>) => sftp.lstat(path, done)),
    toEntry,
  );
  if (stats === undefined) return undefined;
  // Opening a FIFO would keep the server waiting for a writer.
  if (stats.kind !== 'file') throw new ServiceError('conflict', `${urlOf(path)}: is a ${stats.kind}, not a file`);
  const handle = await absentAsUndefined(
    send(`open ${path}`, (done: Done<Buffer>) => sftp.open(path, 'r', done)),
    (opened) => opened,
  );
  if (handle === undefined) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for (;;) {
    const chunk = await send(`read ${path}`, (done: Done<Buffer>) =>
      sftp.read(handle, Buffer.alloc(READ_CHUNK), 0, READ_CHUNK, size, (error, count, buffer) =>
        done(error, error ? buffer : buffer.subarray(0, count)),
      ),
    );
    size += chunk.length;
    if (size > maxBytes) throw new ServiceError('too-large', `${urlOf(path)}: has more than ${maxBytes} bytes`);
    chunks.push(chunk);
    // A short read should be the end of a plain file (draft-ietf-secsh-filexfer-02, section 6.4), but some servers
    // return less at once.
    if (chunk.length === 0 || (chunk.length < READ_CHUNK && size >= stats.size)) break;
  }
  await send(`close ${path}`, (done) => sftp.close(handle, nothing(done)));
  return Buffer.concat(chunks);
}

async function createFile(sftp: SFTPWrapper, { send }: Requests, path: string, bytes: Uint8Array): Promise<void> {
  const what = `write ${path}`;
  const attributes = { mode: FILE_MODE };
  const handle = await send(what, (done: Done<Buffer>) => sftp.open(path, 'wx', attributes, done), path);
  const buffer = Buffer.from(bytes);
  try {
    await send(what, (done) => sftp.write(handle, buffer, 0, buffer.length, 0, nothing(done)));
    await send(what, (done) => sftp.ext_openssh_fsync(handle, nothing(done)));
  } finally {
    await send(`close ${path}`, (done) => sftp.close(handle, nothing(done)));
  }
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
