import { ServiceError } from '../base/errors.js';
import type { Label } from './names.js';

/** Reads the files of one ledger. */
export interface LedgerReader {
  /** The bytes of record n; undefined where there is none. */
  read(n: number): Promise<Buffer | undefined>;
  /** The numbers of all records, in any order; undefined where the store cannot list them, as over HTTP. */
  list(): Promise<readonly number[] | undefined>;
}

/** What a record must be, besides a link of its chain. */
export interface LedgerRules {
  readonly label: Label;
  /** Every record must be sealed by it; undefined: seals are not checked. */
  readonly key?: string | undefined;
}

/** A ledger that must not be acted on. */
export class LedgerError extends ServiceError {
  constructor(n: number, problem: string) {
    super('bad-answer', `ledger record ${n} not trusted: ${problem}`);
  }
}

/** `ledger record N not trusted: …` */
export function distrust(n: number, problem: string): LedgerError {
  return new LedgerError(n, problem);
}

/** No ledger gets there: a server that has a record for every number must not keep us for ever. */
export const MAX_RECORDS = 1_000_000;

/** How far beyond the end a record is looked for where a store cannot list: a hole would have cut it off. */
const BEYOND_END = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512, 1024];

/** A record that lies beyond a hole after record `end`. */
export async function laterRecord(reader: LedgerReader, end: number): Promise<number | undefined> {
  const numbers = await reader.list();
  if (numbers === undefined) return recordBeyond(reader, end);
  const newest = Math.max(0, ...numbers);
  return newest > end && firstMissing(numbers) <= newest ? newest : undefined;
}

/** Looks for it where the store cannot list. */
export async function recordBeyond(reader: LedgerReader, end: number): Promise<number | undefined> {
  const later = BEYOND_END.map((step) => end + 1 + step);
  const found = await Promise.all(later.map(async (n) => (await reader.read(n)) !== undefined));
  // A record that another run appended meanwhile is no hole.
  const n = later.find((_, index) => found[index]);
  return n === undefined || (await reader.read(end + 1)) !== undefined ? undefined : n;
}

/** The first number from 1 on that is not there. */
export function firstMissing(numbers: readonly number[]): number {
  const there = new Set(numbers);
  let n = 1;
  while (there.has(n)) n += 1;
  return n;
}
