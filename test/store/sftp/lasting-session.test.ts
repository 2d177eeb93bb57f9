import { expect, test } from '@jest/globals';
import { createLastingSession } from '../../../src/store/sftp/lasting-session.js';
import type { SftpSession } from '../../../src/store/sftp/session.js';

/** A session that gives its name, and ends on request. */
function sessionNamed(name: string) {
  let ended = false;
  const no = async (): Promise<never> => {
    throw new Error('not asked here');
  };
  const session: SftpSession = {
    stat: no,
    isDirectory: no,
    list: no,
    readFile: no,
    createFile: no,
    makeDirectory: no,
    symlink: no,
    hardLink: no,
    rename: no,
    remove: no,
    setMode: no,
    readLink: async () => name,
    hasEnded: () => ended,
    close: () => undefined,
  };
  const end = () => {
    ended = true;
  };
  return { session, end };
}

test('a session that the server ended is opened again, once for all callers that wait', async () => {
  const first = sessionNamed('first');
  let opened = 0;
  const lasting = createLastingSession(first.session, async () => {
    opened += 1;
    return sessionNamed(`session ${opened}`).session;
  });
  expect(await lasting.readLink('x')).toBe('first');
  first.end();
  expect(await Promise.all([lasting.readLink('x'), lasting.readLink('y')])).toEqual(['session 1', 'session 1']);
  expect(await lasting.readLink('z')).toBe('session 1');
  expect(opened).toBe(1);
});

test('if no new session can be opened, every later call fails with that error', async () => {
  const first = sessionNamed('first');
  let tries = 0;
  const lasting = createLastingSession(first.session, async () => {
    tries += 1;
    throw new Error('refused');
  });
  first.end();
  for (const name of ['x', 'y']) await expect(lasting.readLink(name)).rejects.toThrow('refused');
  expect(tries).toBe(1);
  lasting.close();
});
