import type { Clock } from '../../base/clock.js';
import { ServiceError, UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { backoffMs } from '../../http/policy.js';
import { findKnownHost } from '../ssh/host-keys.js';
import { readPrivateKey } from '../ssh/private-key.js';
import type { Store } from '../store.js';
import { formatServer, type ServerAddress } from './address.js';
import {
  listArtifacts,
  listLinks,
  readArtifact,
  readCandidateFile,
  removeArtifact,
  writeArtifact,
} from './artifact.js';
import type { Identity, SftpOptions } from './connection.js';
import { type Directory, pathOf, replaceFile, sweep } from './directory.js';
import { moveLabel, readLabel, removeLabel } from './label.js';
import { createLastingSession } from './lasting-session.js';
import {
  appendRecord,
  listLedgers,
  listRecords,
  readLastDecision,
  readRecord,
  writeLastDecision,
} from './ledger-files.js';
import { checkRights } from './rights.js';
import { connectSftp, type SftpSession } from './session.js';

export interface SftpStoreOptions {
  readonly server: ServerAddress;
  /** Lines of known_hosts. */
  readonly knownHosts: string;
  /** In any form that OpenSSH writes; undefined if the agent has the key. */
  readonly privateKey: string | undefined;
  /** SSH_AUTH_SOCK. */
  readonly agentSocket: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Pick<SftpOptions, 'connectMs' | 'answerMs'>;
}

const LIMITS = { connectMs: 30_000, answerMs: 60_000 };
/** Time to wait for a server that restarts or is busy. */
const PATIENCE_MS = 60_000;

/** Logs in, and checks that the directory is there. Later calls log in again if the server ended the session. */
export async function openSftpStore(options: SftpStoreOptions): Promise<Store> {
  const { server, clock, limits = LIMITS } = options;
  const identity = await identityOf(options);
  const knownHost = await findKnownHost(options.knownHosts, server);
  const connect = () => connectPatiently({ server, knownHost, identity, ...limits }, options);
  const session = createLastingSession(await connect(), connect);
  try {
    await requireDirectory(session, server);
  } catch (error) {
    session.close();
    throw error;
  }
  return createSftpStore({ session, where: formatServer(server), path: server.directory }, clock, options.log);
}

async function identityOf({ privateKey, agentSocket }: SftpStoreOptions): Promise<Identity> {
  if (privateKey !== undefined) return { privateKey: await readPrivateKey(privateKey) };
  if (agentSocket) return { agentSocket };
  throw new UserError('there is no SSH private key, and no agent (SSH_AUTH_SOCK)', { hint: 'private-key' });
}

/**
 * Connects, and retries for up to a minute if the connection is refused or closed: the server may be restarting, or
 * dropping connections because it is busy (MaxStartups). A refused key is not tried again, since servers punish that.
 */
async function connectPatiently(options: SftpOptions, { clock, log }: SftpStoreOptions): Promise<SftpSession> {
  const deadline = clock.now() + PATIENCE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connectSftp(options);
    } catch (error) {
      const wait = backoffMs(attempt, clock.random());
      const mayPass = error instanceof ServiceError && error.kind === 'unreachable';
      if (!mayPass || clock.now() + wait > deadline) throw error;
      log.info(`${error.message}; trying again in ${(wait / 1000).toFixed(1)} s`);
      await clock.sleep(wait);
    }
  }
}

async function requireDirectory(session: SftpSession, server: ServerAddress): Promise<void> {
  if (await session.isDirectory(server.directory)) return;
  throw new ServiceError('not-found', `${formatServer(server)}: no such directory`, { hint: 'server' });
}

/** An image server on a session that is open. */
export function createSftpStore(directory: Directory, clock: Clock, log: Log): Store {
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
    checkRights: (labels, options) => checkRights(directory, labels, options),
    sweep: () => sweep(directory, clock, log),
    flush: async () => undefined,
    close: () => directory.session.close(),
  };
}
