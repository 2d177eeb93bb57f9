import { dirname } from 'node:path/posix';
import { ServiceError } from '../../base/errors.js';
import {
  type FileRights,
  findRightsProblems,
  foreignLedger,
  type RightsProblem,
  type StoreLabels,
  unknownOwner,
} from '../rights.js';
import { type Directory, pathOf } from './directory.js';
import type { SftpSession } from './session.js';

/** Reads the permissions of a store's directories and labels, and finds the problems with them. */
export async function checkRights(
  directory: Directory,
  { promotedLabel, candidateLabel }: StoreLabels,
  { isWriter }: { readonly isWriter: boolean },
): Promise<RightsProblem[]> {
  const { session, where, path } = directory;
  const look = (name: string) => session.stat(pathOf(directory, name));
  // `/.` follows a link: the permissions that count are those of the directory itself.
  const [parents, own, ledgers, ledger, promoted, candidate] = await Promise.all([
    Promise.all(
      directoriesAbove(path).map(async (above) => [above, await unlessForbidden(session.stat(`${above}/.`))] as const),
    ),
    session.stat(`${path}/.`),
    look('ledger'),
    look(`ledger/${promotedLabel}`),
    look(promotedLabel),
    look(candidateLabel),
  ]);
  if (own === undefined) throw new ServiceError('not-found', `${where}: no such directory`);
  const records = new Map<string, FileRights>();
  if (ledger?.kind === 'directory') {
    for (const { name, ...entry } of await session.list(pathOf(directory, `ledger/${promotedLabel}`))) {
      if (name !== '.' && name !== '..') records.set(name, entry);
    }
  }
  const names = { where, promotedLabel, candidateLabel };
  const problems = findRightsProblems(
    {
      parents: new Map(parents.flatMap(([above, rights]) => (rights === undefined ? [] : [[above, rights]]))),
      directory: own,
      ledgers,
      ledger,
      records,
      promotedLabel: promoted,
      candidateLabel: candidate,
    },
    names,
  );
  if (!isWriter || ledger?.kind !== 'directory') return problems;
  const ours = await isOwner(session, pathOf(directory, `ledger/${promotedLabel}`), ledger);
  if (ours === undefined) return [...problems, unknownOwner(names)];
  return ours ? problems : [...problems, foreignLedger(names)];
}

/** All directories above an absolute path, the nearest first. */
function directoriesAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...directoriesAbove(parent)];
}

/**
 * True if a file or directory belongs to the account of this session. SFTP does not name that account, but only an
 * owner may set a mode. So the mode is set to its own value. Undefined if nobody may set a mode: the file system is
 * read-only, or the server refuses it even for a path that does not exist.
 */
async function isOwner(session: SftpSession, path: string, { mode }: FileRights): Promise<boolean | undefined> {
  const refusalOf = async (of: string) => {
    try {
      await session.setMode(of, mode);
      return undefined;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.kind === 'not-found') return undefined;
      if (['forbidden', 'unsupported', 'read-only'].includes(error.kind)) return error.kind;
      throw error;
    }
  };
  const refusal = await refusalOf(path);
  if (refusal === undefined) return true;
  if (refusal === 'read-only') return undefined;
  return (await refusalOf(`${path}/.not-there`)) === undefined ? false : undefined;
}

async function unlessForbidden<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ServiceError && error.kind === 'forbidden') return undefined;
    throw error;
  }
}
