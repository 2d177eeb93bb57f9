import type { Label } from '../ledger/names.js';

/** The permissions of one file or directory of a store. */
export interface FileRights {
  /** Permission bits with the sticky bit, as in `0o1755`. */
  readonly mode: number;
  /** The user id of its owner. */
  readonly owner: number;
}

/** The parts of a store whose permissions decide who can promote; undefined if a part is absent. */
export interface StoreRights {
  /** The directories above it, by path, as far as they can be seen. */
  readonly parents: ReadonlyMap<string, FileRights>;
  readonly directory: FileRights;
  readonly ledgers: FileRights | undefined;
  readonly ledger: FileRights | undefined;
  /** The records of the promoted label's ledger, by name. */
  readonly records: ReadonlyMap<string, FileRights>;
  readonly promotedLabel: FileRights | undefined;
  readonly candidateLabel: FileRights | undefined;
}

export interface StoreLabels {
  readonly promotedLabel: Label;
  readonly candidateLabel: Label;
}

export interface StoreNames extends StoreLabels {
  /** The store's URL. */
  readonly where: string;
}

/** A problem with a store's permissions, with the way out. */
export interface RightsProblem {
  /** `unsafe`: another account can change what is promoted. `warning`: another account may become able to. */
  readonly severity: 'unsafe' | 'warning';
  /** One line. */
  readonly message: string;
}

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Finds who besides the promoting account could change what is promoted, from the permissions on the store, its ledger
 * and its labels. Access control lists are not visible.
 */
export function findRightsProblems(rights: StoreRights, names: StoreNames): RightsProblem[] {
  return [
    ...openDirectories(rights, names),
    ...openLedger(rights, names),
    ...foreignOwners(rights, names),
    ...sharedAccount(rights, names),
  ];
}

/** An account that may write a directory without the sticky bit can rename its entries, whoever owns them. */
function openDirectories({ parents, directory, ledgers }: StoreRights, { where }: StoreNames): RightsProblem[] {
  const problems: RightsProblem[] = [];
  const way = (open: FileRights) => `run chmod +t on it, or chmod go-w (its mode is ${modeOf(open)})`;
  if (isOpen(directory)) {
    problems.push(
      unsafe(`${where}: group or others may write it, and so replace ledger/ and labels: ${way(directory)}`),
    );
  } else if (isWritableByOthers(directory) && ledgers === undefined) {
    problems.push(
      warning(
        `${where}: group or others may write it, and ledger/ is not there yet: ` +
          'create it as the promoting account, before somebody else does',
      ),
    );
  }
  for (const [path, parent] of parents) {
    if (!isOpen(parent)) continue;
    problems.push(unsafe(`${where}: group or others may write ${path} above it, and so replace it: ${way(parent)}`));
  }
  return problems;
}

/** Only the promoting account writes the ledger. The sticky bit does not help: it lets others add records. */
function openLedger({ ledgers, ledger, records }: StoreRights, names: StoreNames): RightsProblem[] {
  const parts: (readonly [string, FileRights | undefined])[] = [
    ['ledger', ledgers],
    [`ledger/${names.promotedLabel}`, ledger],
    ...[...records].map(([name, record]) => [`ledger/${names.promotedLabel}/${name}`, record] as const),
  ];
  return parts.flatMap(([name, part]) =>
    part !== undefined && isWritableByOthers(part)
      ? [
          unsafe(
            `${names.where}/${name}: group or others may write it: run chmod go-w on it (its mode is ${modeOf(part)})`,
          ),
        ]
      : [],
  );
}

/** The problem with a ledger whose owner is not the account that promotes. */
export function foreignLedger({ where, promotedLabel }: StoreNames): RightsProblem {
  return unsafe(
    `${where}/ledger/${promotedLabel}: belongs to another account, which can therefore write it: find out who made it and ` +
      'what it says, then give it to the promoting account',
  );
}

/** The problem with a server on which the owner of a ledger cannot be determined. */
export function unknownOwner({ where, promotedLabel }: StoreNames): RightsProblem {
  return warning(
    `${where}: the server lets nobody set a file's mode, so it is not known whether ledger/${promotedLabel} belongs to ` +
      'this account: check who owns it',
  );
}

/** An owner can do what the mode forbids to others, so the owners must be right too. */
function foreignOwners(rights: StoreRights, { where, promotedLabel, candidateLabel }: StoreNames): RightsProblem[] {
  const { directory, ledgers, ledger, records } = rights;
  const promoter = ledger?.owner ?? ledgers?.owner;
  const publisher = rights.candidateLabel?.owner;
  if (promoter === undefined) return [];
  const problems: RightsProblem[] = [];
  if (publisher !== undefined && publisher !== promoter) {
    if (directory.owner === publisher) {
      problems.push(
        unsafe(
          `${where}: belongs to the account that publishes ${candidateLabel} (uid ${publisher}), ` +
            'which can therefore replace ledger/ and labels: give it to root or to the promoting account',
        ),
      );
    }
    for (const [path, parent] of rights.parents) {
      if (parent.owner !== publisher) continue;
      problems.push(
        unsafe(
          `${where}: ${path} above it belongs to the account that publishes ${candidateLabel} (uid ${publisher}), ` +
            'which can therefore replace it: give that directory to root',
        ),
      );
    }
    if (ledgers?.owner === publisher) {
      problems.push(unsafe(`${where}/ledger: ${belongsToPublisher(publisher, candidateLabel)}`));
    }
  }
  const trusted = new Set([promoter, directory.owner, ledgers?.owner]);
  const label = rights.promotedLabel;
  if (label !== undefined && !trusted.has(label.owner)) {
    problems.push(
      unsafe(
        `${where}/${promotedLabel}: belongs to a different account (uid ${label.owner}) than its ledger (uid ${promoter}): ` +
          'remove it; the next run creates it again',
      ),
    );
  }
  for (const [name, { owner }] of records) {
    if (trusted.has(owner)) continue;
    problems.push(
      unsafe(
        `${where}/ledger/${promotedLabel}/${name}: belongs to a different account (uid ${owner}) than its directory ` +
          `(uid ${promoter}): find out who wrote it, then run chown`,
      ),
    );
  }
  return problems;
}

function belongsToPublisher(uid: number, candidateLabel: string): string {
  return `belongs to the account that publishes ${candidateLabel} (uid ${uid}): give it to the promoting account`;
}

function sharedAccount(
  { directory, ledgers, ledger, candidateLabel }: StoreRights,
  names: StoreNames,
): RightsProblem[] {
  const onlyWriter = isWritableByOthers(directory) ? undefined : directory.owner;
  const promoter = ledger?.owner ?? ledgers?.owner ?? onlyWriter;
  if (candidateLabel === undefined || candidateLabel.owner !== promoter) return [];
  return [
    warning(
      `${names.where}: one account (uid ${promoter}) publishes ${names.candidateLabel} and promotes ` +
        `${names.promotedLabel}: whoever has the key for publishing can promote anything; use two accounts`,
    ),
  ];
}

function isWritableByOthers({ mode }: FileRights): boolean {
  return (mode & WRITABLE_BY_OTHERS) !== 0;
}

function isOpen(rights: FileRights): boolean {
  return isWritableByOthers(rights) && (rights.mode & STICKY) === 0;
}

function modeOf({ mode }: FileRights): string {
  return mode.toString(8).padStart(4, '0');
}

function unsafe(message: string): RightsProblem {
  return { severity: 'unsafe', message };
}

function warning(message: string): RightsProblem {
  return { severity: 'warning', message };
}
