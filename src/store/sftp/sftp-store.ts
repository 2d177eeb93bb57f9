import type { Clock } from '../../base/clock.js';
import { ServiceError, UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { backoffMs } from '../../http/policy.js';
import { formatServer, type ServerAddress } from '../server-url.js';
import type { Store } from '../store.js';
import {
  listArtifacts,
  listLinks,
  readArtifact,
  readCandidateFile,
  removeArtifact,
  writeArtifact,
} from './artifact.js';
import { type Directory, pathOf, replaceFile, sweep } from './directory.js';
import { findKnownHost } from './host-keys.js';
import { moveLabel, readLabel, removeLabel } from './label.js';
import {
  appendRecord,
  listLedgers,
  listRecords,
  readLastDecision,
  readRecord,
  writeLastDecision,
} from './ledger-files.js';
import { readPrivateKey } from './private-key.js';
import { checkRights } from './rights.js';
import { connectSftp, type Identity, type SftpOptions, type SftpSession } from './session.js';

export interface SftpStoreOptions {
  readonly server: ServerAddress;
  /** The input ssh-known-hosts. */
  readonly knownHosts: string;
  /** The input ssh-private-key; undefined: the agent. */
  readonly privateKey: string | undefined;
  /** SSH_AUTH_SOCK. */
  readonly agentSocket: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Pick<SftpOptions, 'connectMs' | 'answerMs'>;
}

const LIMITS = { connectMs: 30_000, answerMs: 60_000 };
const ATTEMPTS = 3;

/** Logs in, and finds the directory there. */
export async function openSftpStore(options: SftpStoreOptions): Promise<Store> {
  const { server, clock, limits = LIMITS } = options;
  const identity = await identityOf(options);
  const knownHost = await findKnownHost(options.knownHosts, server);
  const session = await persistently({ server, knownHost, identity, ...limits }, options);
  try {
    await requireDirectory(session, server);
  } catch (error) {
    session.close();
    throw error;
  }
  return createSftpStore({ session, where: formatServer(server), path: server.directory }, clock);
}

async function identityOf({ privateKey, agentSocket }: SftpStoreOptions): Promise<Identity> {
  if (privateKey !== undefined) return { privateKey: await readPrivateKey(privateKey) };
  if (agentSocket) return { agentSocket };
  throw new UserError('input ssh-private-key: not set, and no agent runs either (SSH_AUTH_SOCK)');
}

/** Connects; again where nobody answered, as a server that is busy drops connections (MaxStartups). */
async function persistently(options: SftpOptions, { clock, log }: SftpStoreOptions): Promise<SftpSession> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connectSftp(options);
    } catch (error) {
      const passing = error instanceof ServiceError && error.kind === 'unreachable';
      if (!passing || attempt === ATTEMPTS) throw error;
      log.debug(`${error.message}; trying again`);
      await clock.sleep(backoffMs(attempt, clock.random()));
    }
  }
}

async function requireDirectory(session: SftpSession, server: ServerAddress): Promise<void> {
  if (await session.isDirectory(server.directory)) return;
  throw new ServiceError('not-found', `${formatServer(server)}: no such directory; make it, or mend input server`);
}

/** An image server on a session that is open. */
export function createSftpStore(directory: Directory, clock: Clock): Store {
  return {
    where: directory.where,
    readLabel: (label) => readLabel(directory, label),
    moveLabel: (label, tag, lastLook) => moveLabel(directory, label, tag, lastLook),
    removeLabel: (label, lastLook) => removeLabel(directory, label, lastLook),
    readCandidateFile: (tag) => readCandidateFile(directory, tag),
    readArtifact: (tag) => readArtifact(directory, tag),
    writeArtifact: (file, options) => writeArtifact(directory, file, options),
    listArtifacts: () => listArtifacts(directory),
    listLinks: () => listLinks(directory),
    listLedgers: () => listLedgers(directory),
    removeArtifact: (tag) => removeArtifact(directory, tag),
    listRecords: (label) => listRecords(directory, label),
    readRecord: (label, n) => readRecord(directory, label, n),
    appendRecord: (label, n, bytes, id) => appendRecord(directory, label, n, bytes, id),
    readLastDecision: (label) => readLastDecision(directory, label),
    writeLastDecision: (label, decision) => writeLastDecision(directory, label, decision),
    readPage: async (name, maxBytes) =>
      (await directory.session.readFile(pathOf(directory, name), maxBytes))?.toString('utf8'),
    writePage: (name, text) => replaceFile(directory, name, Buffer.from(text)),
    checkRights: (promoted, candidate) => checkRights(directory, promoted, candidate),
    sweep: () => sweep(directory, clock),
    flush: async () => undefined,
    close: () => directory.session.close(),
  };
}
