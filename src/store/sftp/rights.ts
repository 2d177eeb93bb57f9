import { dirname } from 'node:path/posix';
import { ServiceError } from '../../base/errors.js';
import type { Label } from '../../ledger/names.js';
import { type FileRights, findRightsProblems, type RightsProblem } from '../rights.js';
import { type Directory, pathOf } from './directory.js';

/** Reads the rights on a store's directories and labels, and finds the problems with them. */
export async function checkRights(
  directory: Directory,
  promotedLabel: Label,
  candidateLabel: Label,
): Promise<RightsProblem[]> {
  const { session, where, path } = directory;
  const look = (name: string) => session.stat(pathOf(directory, name));
  // `/.` follows a link: the rights that count are those of the directory itself.
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
  return findRightsProblems(
    {
      parents: new Map(parents.flatMap(([above, rights]) => (rights === undefined ? [] : [[above, rights]]))),
      directory: own,
      ledgers,
      ledger,
      records,
      promotedLabel: promoted,
      candidateLabel: candidate,
    },
    { where, promotedLabel, candidateLabel },
  );
}

/** All directories above an absolute path, the nearest first. */
function directoriesAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...directoriesAbove(parent)];
}

/**
 * True if the label's ledger belongs to the account of this session, or if there is no ledger. SFTP does not name that
 * account, but only an owner may set a mode. So the ledger's mode is set to its own value.
 */
export async function ownsLedger(directory: Directory, label: Label): Promise<boolean> {
  const ledger = pathOf(directory, `ledger/${label}`);
  const entry = await directory.session.stat(ledger);
  if (entry === undefined) return true;
  return (await unlessForbidden(directory.session.setMode(ledger, entry.mode).then(() => true))) ?? false;
}

async function unlessForbidden<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ServiceError && error.kind === 'forbidden') return undefined;
    throw error;
  }
}
