import { checkRecord } from './chain.js';
import { sha256 } from './codec.js';
import {
  distrust,
  firstMissing,
  LedgerError,
  type LedgerReader,
  type LedgerRules,
  MAX_RECORDS,
  recordBeyond,
} from './reader.js';
import type { LedgerRecord } from './record.js';

/** The newest record, which says what is promoted. */
export interface Head {
  readonly n: number;
  readonly record: LedgerRecord;
  readonly bytes: Buffer;
  /** The hash of the bytes, which becomes the next record's `prev-sha256`. */
  readonly sha256: string;
}

/**
 * Finds the newest record and checks that none before it is missing; undefined if the ledger is empty. Reads two
 * records if the store lists them, and otherwise 2·log2 n + 17, or fewer if `known`, a record known to exist, is still
 * the newest.
 *
 * @throws ServiceError `ledger record N not trusted` if the head must not be acted on: a record is missing, or breaks
 * the chain or the rules.
 */
export async function readHead(reader: LedgerReader, rules: LedgerRules, known = 1): Promise<Head | undefined> {
  const newest = await findNewest(reader, known);
  if (newest === undefined) return undefined;
  const { n, bytes } = newest;
  const before = n === 1 ? undefined : await reader.read(n - 1);
  const checked = checkRecord(n, bytes, before, rules);
  if ('problem' in checked) throw distrust(n, checked.problem, checked.hint);
  return { n, bytes, record: checked.value, sha256: sha256(bytes) };
}

async function findNewest(reader: LedgerReader, known: number): Promise<{ n: number; bytes: Buffer } | undefined> {
  const numbers = await reader.list();
  if (numbers === undefined) return gallop(reader, known);
  const missing = firstMissing(numbers);
  const n = Math.max(0, ...numbers);
  if (missing <= n) throw distrust(missing, `it is missing, and record ${n} is there`);
  if (n === 0) return undefined;
  const bytes = await reader.read(n);
  if (bytes === undefined) throw distrust(n, 'it is listed, but is not there');
  return { n, bytes };
}

/** Doubles the step until a record is absent, then bisects. */
async function gallop(reader: LedgerReader, known: number): Promise<{ n: number; bytes: Buffer } | undefined> {
  let newest: { n: number; bytes: Buffer } | undefined;
  let absent = known;
  for (let step = 1; ; step *= 2) {
    const bytes = await reader.read(absent);
    if (bytes === undefined) break;
    if (absent > MAX_RECORDS) throw distrust(absent, 'no ledger has so many records: the server answers for any file');
    newest = { n: absent, bytes };
    absent += step;
  }
  if (newest === undefined && known > 1) return gallop(reader, 1);
  while (newest !== undefined && absent - newest.n > 1) {
    const middle = Math.floor((newest.n + absent) / 2);
    const bytes = await reader.read(middle);
    if (bytes === undefined) absent = middle;
    else newest = { n: middle, bytes };
  }
  const beyond = await recordBeyond(reader, newest?.n ?? 0);
  if (beyond !== undefined) throw distrust((newest?.n ?? 0) + 1, `it is missing, and record ${beyond} is there`);
  return newest;
}

export interface NewestRecords {
  /** Newest first, up to the first one that is wrong. */
  readonly records: readonly LedgerRecord[];
  /** The hash of the newest record's bytes; undefined if there is none, or it is not trusted. */
  readonly sha256: string | undefined;
  readonly problem: string | undefined;
}

/** Reads at most `most` of a ledger's newest records, and checks each against the one before. */
export async function readNewestRecords(
  reader: LedgerReader,
  rules: LedgerRules,
  most: number,
  readAll: (numbers: readonly number[]) => Promise<readonly (Buffer | undefined)[]>,
): Promise<NewestRecords> {
  const records: LedgerRecord[] = [];
  let hash: string | undefined;
  try {
    const head = await findNewest(reader, 1);
    if (head === undefined) return { records, sha256: hash, problem: undefined };
    // Reads one record more than it returns, to check the oldest one against it.
    const earlier = Array.from({ length: Math.min(head.n - 1, most) }, (_, index) => head.n - 1 - index);
    const bytes = [head.bytes, ...(await readAll(earlier))];
    for (const [index, own] of bytes.slice(0, most).entries()) {
      const n = head.n - index;
      if (own === undefined) throw distrust(n, 'it is missing');
      const checked = checkRecord(n, own, bytes[index + 1], rules);
      if ('problem' in checked) throw distrust(n, checked.problem, checked.hint);
      records.push(checked.value);
      hash ??= sha256(own);
    }
    return { records, sha256: hash, problem: undefined };
  } catch (error) {
    if (error instanceof LedgerError) return { records, sha256: hash, problem: error.message };
    throw error;
  }
}
