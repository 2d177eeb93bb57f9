import { expect, test } from '@jest/globals';
import { ServiceError, type ServiceErrorKind } from '../../../src/base/errors.js';
import { checkRights } from '../../../src/store/sftp/rights.js';
import type { Entry, SftpSession } from '../../../src/store/sftp/session.js';
import { label, TESTING } from '../fixture.js';

const LABELS = { promotedLabel: label('current-ceph'), candidateLabel: TESTING };
const LEDGER = '/d/ledger/current-ceph';

/** A store with an empty ledger. Setting a mode fails as `refusals` says by path, or else as `others` says. */
function sessionThat(refusals: Readonly<Record<string, ServiceErrorKind | undefined>>, others?: ServiceErrorKind) {
  const directory: Entry = { kind: 'directory', size: 0, mode: 0o755, owner: 1001, modified: 0 };
  return {
    stat: async (path: string) => (/^\/(?:\.|d\/(?:\.|ledger(?:\/current-ceph)?))$/.test(path) ? directory : undefined),
    list: async () => [],
    async setMode(path: string) {
      const kind = path in refusals ? refusals[path] : others;
      if (kind !== undefined) throw new ServiceError(kind, `${path}: ${kind}`);
    },
  } as unknown as SftpSession;
}

const check = async (session: SftpSession) =>
  (await checkRights({ session, where: 'sftp://u@h/d', path: '/d' }, LABELS, { isWriter: true })).map(
    ({ severity, message }) => `${severity}: ${message.replace(/^(sftp:\S+:.*?)[,:].*$/, '$1')}`,
  );

const STRANGER = [`unsafe: sftp://u@h${LEDGER}: belongs to another account`];
const UNKNOWN = ["warning: sftp://u@h/d: the server lets nobody set a file's mode"];

test.each<[string, SftpSession, string[]]>([
  ['the owner', sessionThat({ [LEDGER]: undefined }), []],
  ['a stranger', sessionThat({ [LEDGER]: 'forbidden' }, 'not-found'), STRANGER],
  ['a server that refuses it for any path', sessionThat({}, 'forbidden'), UNKNOWN],
  ['a server without the request', sessionThat({}, 'unsupported'), UNKNOWN],
  // Whether a path is there is looked at first.
  ['a read-only file system', sessionThat({ [LEDGER]: 'read-only' }, 'not-found'), UNKNOWN],
])('whether the ledger is ours: %s', async (_, session, expected) => {
  expect(await check(session)).toEqual(expected);
});

test('an owner that cannot be asked for is an error', async () => {
  await expect(check(sessionThat({}, 'server-error'))).rejects.toMatchObject({ kind: 'server-error' });
});
