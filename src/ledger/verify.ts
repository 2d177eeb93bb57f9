import { checkRecord, historyProblem } from './chain.js';
import { sha256 } from './codec.js';
import type { LedgerEnd } from './proofs.js';
import { distrust, type LedgerReader, type LedgerRules, laterRecord, MAX_RECORDS } from './reader.js';
import type { LedgerRecord } from './record.js';

export interface Verification {
  /** All records before the first one that is wrong, oldest first. */
  readonly records: readonly LedgerRecord[];
  /** The bytes of the newest of `records`. */
  readonly newest: Buffer | undefined;
  /** The SHA-256 of record 1's bytes; undefined if there is no record. */
  readonly id: string | undefined;
  /** The first problem, as `ledger record N not trusted: …`. */
  readonly problem: string | undefined;
}

const READ_AT_ONCE = 16;

/** Checks a whole ledger from record 1 on, and stops at the first problem. */
export async function verifyLedger(reader: LedgerReader, rules: LedgerRules): Promise<Verification> {
  const records: LedgerRecord[] = [];
  let before: Buffer | undefined;
  let id: string | undefined;
  const end = (problem: string | undefined, n: number) => ({
    records,
    newest: before,
    id,
    problem: problem && distrust(n, problem).message,
  });
  for await (const bytes of readInOrder(reader)) {
    const n = records.length + 1;
    const checked = checkRecord(n, bytes, before, rules);
    if ('problem' in checked) return end(checked.problem, n);
    const problem = historyProblem(checked.value, records);
    if (problem !== undefined) return end(problem, n);
    records.push(checked.value);
    id ??= sha256(bytes);
    before = bytes;
  }
  const later = await laterRecord(reader, records.length);
  const problem = later === undefined ? undefined : `it is missing, and record ${later} is there`;
  return end(problem, records.length + 1);
}

/** The end of a verified ledger, to compare proofs with; undefined if there is no record. */
export function endOfVerified({ records, newest, id }: Verification): LedgerEnd | undefined {
  const [first] = records;
  if (first === undefined || newest === undefined || id === undefined) return undefined;
  const supersedes = first.kind === 'adopted' ? first.supersedes : [];
  return { ledger: id, n: records.length, sha256: sha256(newest), supersedes };
}

/** Reads records from the first one on, and stops at the first gap. */
async function* readInOrder(reader: LedgerReader): AsyncGenerator<Buffer> {
  for (let first = 1; first <= MAX_RECORDS; first += READ_AT_ONCE) {
    const numbers = Array.from({ length: READ_AT_ONCE }, (_, index) => first + index);
    for (const bytes of await Promise.all(numbers.map((n) => reader.read(n)))) {
      if (bytes === undefined) return;
      yield bytes;
    }
  }
}
