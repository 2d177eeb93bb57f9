import type { Clock } from '../base/clock.js';
import { ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Tag } from '../candidate/reference.js';
import { backoffMs } from '../http/policy.js';
import { listArtifacts, listLinks, readArtifact, removeArtifact, writeArtifact } from './artifact.js';
import type { CandidateFile } from './candidate-file.js';
import { type Directory, pathOf, replaceFile, sweep } from './directory.js';
import { findKnownHost } from './host-keys.js';
import { type LastLook, moveLabel, readLabel, removeLabel } from './label.js';
import type { LastDecision } from './last-decision.js';
import type { LedgerReader } from './ledger.js';
import { appendRecord, listLedgers, readLastDecision, readRecord, writeLastDecision } from './ledger-files.js';
import type { Label } from './names.js';
import { readPrivateKey } from './private-key.js';
import { formatServer, type ServerAddress } from './server-url.js';
import { connectSftp, type Identity, type SftpOptions, type SftpSession } from './sftp.js';

/** One directory of the image server, over SFTP: what writers use. Every call is idempotent. */
export interface ImageServer {
  /** `sftp://user@host/dir`: what errors and logs call it. */
  readonly where: string;

  /** What the label points at; undefined where there is none. A label that is no symlink to a plain name is an error. */
  readLabel(label: Label): Promise<Tag | undefined>;
  /** Moves (or creates) a label by renaming a new symlink over it. The artifact must exist and be whole. */
  moveLabel(label: Label, tag: Tag, lastLook?: LastLook): Promise<void>;
  /** Removes a label, as `previous-…` is where there is no previous any more. */
  removeLabel(label: Label, lastLook?: LastLook): Promise<void>;

  /**
   * The candidate file of a tag; `bare` where the artifact has none (RDO's); undefined where there is no whole
   * artifact. A file with another content than its name is an error.
   */
  readArtifact(tag: Tag): Promise<CandidateFile | 'bare' | undefined>;
  /** Writes an artifact and its candidate file where they are absent; one with another reference is a conflict. */
  writeArtifact(file: CandidateFile): Promise<void>;
  /** For retention: the tags of all artifacts. */
  listArtifacts(): Promise<Tag[]>;
  /** For retention: what each label points at, ours or not. */
  listLinks(): Promise<Map<string, string>>;
  /** For retention: the labels that have a ledger. */
  listLedgers(): Promise<Label[]>;
  /** For retention: removes an artifact and its candidate file; refused while a label points at it. */
  removeArtifact(tag: Tag): Promise<void>;

  /** The bytes of record n of a label's ledger; undefined where there is none. */
  readLedger(label: Label, n: number): Promise<Buffer | undefined>;
  /** Creates record n exclusively; `id` is the record's own. `lost`: another's record has this number. */
  appendLedger(label: Label, n: number, bytes: Uint8Array, id: string): Promise<'won' | 'lost'>;

  /** What the newest run decided about a label; undefined where no run has said. */
  readLastDecision(label: Label): Promise<LastDecision | undefined>;
  /** Puts what this run decided about a label in the place of what the run before did. */
  writeLastDecision(label: Label, decision: LastDecision): Promise<void>;

  /** What a page of at most `maxBytes` holds; undefined where there is none. */
  readPage(name: string, maxBytes: number): Promise<string | undefined>;
  /** Puts a whole page in the place of the one before. For a directory of pages: names are not held against labels. */
  writePage(name: string, text: string): Promise<void>;

  /** Removes what killed runs left behind, a day after. */
  sweep(): Promise<void>;
  close(): void;
}

/** A label's ledger as a writer reads it. */
export function ledgerOf(server: ImageServer, label: Label): LedgerReader {
  return { read: (n) => server.readLedger(label, n) };
}

export interface ImageServerOptions {
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
export async function openImageServer(options: ImageServerOptions): Promise<ImageServer> {
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
  return createImageServer({ session, where: formatServer(server), path: server.directory }, clock);
}

async function identityOf({ privateKey, agentSocket }: ImageServerOptions): Promise<Identity> {
  if (privateKey !== undefined) return { privateKey: await readPrivateKey(privateKey) };
  if (agentSocket) return { agentSocket };
  throw new UserError('input ssh-private-key: not set, and no agent runs either (SSH_AUTH_SOCK)');
}

/** Connects; again where nobody answered, as a server that is busy drops connections (MaxStartups). */
async function persistently(options: SftpOptions, { clock, log }: ImageServerOptions): Promise<SftpSession> {
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
export function createImageServer(directory: Directory, clock: Clock): ImageServer {
  return {
    where: directory.where,
    readLabel: (label) => readLabel(directory, label),
    moveLabel: (label, tag, lastLook) => moveLabel(directory, label, tag, lastLook),
    removeLabel: (label, lastLook) => removeLabel(directory, label, lastLook),
    readArtifact: (tag) => readArtifact(directory, tag),
    writeArtifact: (file) => writeArtifact(directory, file),
    listArtifacts: () => listArtifacts(directory),
    listLinks: () => listLinks(directory),
    listLedgers: () => listLedgers(directory),
    removeArtifact: (tag) => removeArtifact(directory, tag),
    readLedger: (label, n) => readRecord(directory, label, n),
    appendLedger: (label, n, bytes, id) => appendRecord(directory, label, n, bytes, id),
    readLastDecision: (label) => readLastDecision(directory, label),
    writeLastDecision: (label, decision) => writeLastDecision(directory, label, decision),
    readPage: async (name, maxBytes) =>
      (await directory.session.readFile(pathOf(directory, name), maxBytes))?.toString('utf8'),
    writePage: (name, text) => replaceFile(directory, name, Buffer.from(text)),
    sweep: () => sweep(directory, clock),
    close: () => directory.session.close(),
  };
}
