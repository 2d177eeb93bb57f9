import { randomUUID } from 'node:crypto';
import { type Clock, unixSeconds } from '../../base/clock.js';
import { ServiceError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { DIRECTORY_MODE, FILE_MODE, type SftpSession } from './session.js';

/** The one directory that we work in. A file is always written under a temporary name first, then renamed. */
export interface Directory {
  readonly session: SftpSession;
  /** `sftp://user@host/directory`, for messages. */
  readonly where: string;
  readonly path: string;
}

/** The temporary name of a file that is being written. No tag begins with a dot, so it cannot be mistaken for one. */
const TEMPORARY = /^\.promotion-[0-9a-f-]{36}\.tmp$/;
const STALE_SECONDS = 86_400;

export function pathOf(directory: Directory, name: string): string {
  return `${directory.path}/${name}`;
}

/**
 * Creates something under a temporary name, and lets `place` take it from there. Only a killed run leaves it behind.
 */
async function beside(
  directory: Directory,
  make: (temporary: string) => Promise<void>,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = pathOf(directory, `.promotion-${randomUUID()}.tmp`);
  try {
    await make(temporary);
    await place(temporary);
  } catch (error) {
    await directory.session.remove(temporary).catch(() => undefined);
    throw error;
  }
}

/**
 * Lets everyone read a file, or look into a directory: a server's umask may have kept them out.
 *
 * @throws ServiceError `forbidden` if it belongs to another account and not even its group may read it.
 */
export async function makeReadable(directory: Directory, name: string): Promise<void> {
  const { session, where } = directory;
  const entry = await session.stat(pathOf(directory, name));
  if (entry === undefined || entry.kind === 'symlink') return;
  const mode = entry.kind === 'directory' ? DIRECTORY_MODE : FILE_MODE;
  const needed = mode & 0o555;
  if ((entry.mode & needed) === needed) return;
  try {
    await session.setMode(pathOf(directory, name), entry.mode | needed);
  } catch (error) {
    // The group may be that of the web server.
    if ((entry.mode & 0o040) !== 0) return;
    const octal = entry.mode.toString(8).padStart(4, '0');
    throw new ServiceError('forbidden', `${where}/${name}: its mode ${octal} keeps readers out: run chmod a+r on it`, {
      cause: error,
    });
  }
}

/** Creates a file whole or not at all. Throws a `conflict` if something has the name. */
export async function createFile(directory: Directory, name: string, bytes: Uint8Array): Promise<void> {
  const { session } = directory;
  await beside(
    directory,
    (temporary) => createReadable(session, temporary, bytes),
    async (temporary) => {
      await session.hardLink(temporary, pathOf(directory, name));
      await session.remove(temporary);
    },
  );
}

/**
 * Creates a file that everyone may read, whatever the server's umask is. The mode is set only if it is not right
 * already, since some servers let nobody set one.
 */
async function createReadable(session: SftpSession, path: string, bytes: Uint8Array): Promise<void> {
  await session.createFile(path, bytes);
  if ((await session.stat(path))?.mode !== FILE_MODE) await session.setMode(path, FILE_MODE);
}

/** Puts a whole file in the place of another. */
export async function replaceFile(directory: Directory, name: string, bytes: Uint8Array): Promise<void> {
  const { session } = directory;
  await beside(
    directory,
    (temporary) => createReadable(session, temporary, bytes),
    (temporary) => session.rename(temporary, pathOf(directory, name)),
  );
}

/**
 * Creates or replaces a symlink. Readers see the old one or the new one. `lastLook` runs right before that one request,
 * and if it throws, nothing changes.
 */
export async function replaceLink(
  directory: Directory,
  name: string,
  target: string,
  lastLook?: () => Promise<void>,
): Promise<void> {
  const { session } = directory;
  await beside(
    directory,
    (temporary) => session.symlink(target, temporary),
    async (temporary) => {
      await lastLook?.();
      await session.rename(temporary, pathOf(directory, name));
    },
  );
}

/**
 * Removes temporary files that killed runs left at least a day ago. Files of other accounts, and entries that are not
 * files, may stay, since they do no harm.
 */
export async function sweep({ session, path, where }: Directory, clock: Clock, log: Log): Promise<void> {
  for (const { name, kind, modified } of await session.list(path)) {
    if (!TEMPORARY.test(name) || modified > unixSeconds(clock) - STALE_SECONDS) continue;
    if (kind !== 'file' && kind !== 'symlink') {
      log.warning(`${where}/${name}: is a ${kind} with the name of a temporary file; it is left alone`);
      continue;
    }
    try {
      await session.remove(`${path}/${name}`);
    } catch (error) {
      if (!(error instanceof ServiceError && ['forbidden', 'read-only'].includes(error.kind))) throw error;
    }
  }
}
