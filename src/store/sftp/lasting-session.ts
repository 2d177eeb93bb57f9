import type { SftpSession } from './session.js';

/**
 * A session that survives a server's idle timeout: if the server ended it between two calls, the next call opens a new
 * one with `reopen`. A call in progress fails, since nobody knows how far it got.
 */
export function createLastingSession(first: SftpSession, reopen: () => Promise<SftpSession>): SftpSession {
  /** Undefined while a new session is being opened. */
  let current: SftpSession | undefined = first;
  let opening = Promise.resolve(first);

  /** Calls at the same time share one new session, or its failure. */
  function live(): Promise<SftpSession> {
    if (current?.hasEnded()) {
      current = undefined;
      opening = reopen().then((session) => (current = session));
    }
    return opening;
  }

  return {
    stat: async (path) => (await live()).stat(path),
    isDirectory: async (path) => (await live()).isDirectory(path),
    list: async (path) => (await live()).list(path),
    readLink: async (path) => (await live()).readLink(path),
    readFile: async (path, maxBytes) => (await live()).readFile(path, maxBytes),
    createFile: async (path, bytes) => (await live()).createFile(path, bytes),
    makeDirectory: async (path) => (await live()).makeDirectory(path),
    symlink: async (target, path) => (await live()).symlink(target, path),
    hardLink: async (existing, path) => (await live()).hardLink(existing, path),
    rename: async (from, to) => (await live()).rename(from, to),
    remove: async (path) => (await live()).remove(path),
    setMode: async (path, mode) => (await live()).setMode(path, mode),
    hasEnded: () => current?.hasEnded() ?? true,
    close: () => current?.close(),
  };
}
