import { type Hint, ServiceError } from '../base/errors.js';
import type { Label } from './names.js';

/** Reads the files of one ledger. */
export interface LedgerReader {
  /** The bytes of record n; undefined if there is none. */
  read(n: number): Promise<Buffer | undefined>;
  /** The numbers of all records, in any order; undefined if the store cannot list them, as over HTTP. */
  list(): Promise<readonly number[] | undefined>;
}

/** The rules for a record, besides the chain. */
export interface LedgerRules {
  readonly label: Label;
  /** The key that must have sealed every record. Without it, seals are not checked. */
  readonly key?: string | undefined;
}

/** A ledger that must not be acted on. */
export class LedgerError extends ServiceError {
  constructor(n: number, problem: string, hint: Hint = 'restore-ledger') {
    super('bad-answer', `ledger record ${n} not trusted: ${problem}`, { hint });
  }
}

export function distrust(n: number, problem: string, hint?: Hint): LedgerError {
  return new LedgerError(n, problem, hint);
}

/** No real ledger gets this long. The limit ends reading from a server that answers for every number. */
export const MAX_RECORDS = 1_000_000;

/** The distances past the end at which to look for records that a hole hides, if the store cannot list them. */
const BEYOND_END = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512, 1024];

/** The number of a record that lies past a hole after record `end`; undefined if there is none. */
export async function laterRecord(reader: LedgerReader, end: number): Promise<number | undefined> {
  const numbers = await reader.list();
  if (numbers === undefined) return recordBeyond(reader, end);
  const newest = Math.max(0, ...numbers);
  return newest > end && firstMissing(numbers) <= newest ? newest : undefined;
}

/** Looks for a later record in a store that cannot list. */
export async function recordBeyond(reader: LedgerReader, end: number): Promise<number | undefined> {
  const later = BEYOND_END.map((step) => end + 1 + step);
  const found = await Promise.all(later.map(async (n) => (await reader.read(n)) !== undefined));
  // There is no hole if another run has appended the next record in the meantime.
  const n = later.find((_, index) => found[index]);
  return n === undefined || (await reader.read(end + 1)) !== undefined ? undefined : n;
}

export function firstMissing(numbers: readonly number[]): number {
  const there = new Set(numbers);
  let n = 1;
  while (there.has(n)) n += 1;
  return n;
}
