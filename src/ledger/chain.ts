import { ServiceError } from '../base/errors.js';
import { formatRepository } from '../candidate/reference.js';
import { banByDigest } from './bans.js';
import { type Checked, parseRecord, type ReadRecord, sealProblem, sha256 } from './codec.js';
import type { Label } from './names.js';
import { keepsImage, type LedgerRecord, overriddenBy } from './record.js';
import { replayProblem } from './replay.js';

/** A label's ledger: records 1, 2, 3 … without a gap, each with the hash of the bytes of the one before. */

/** Reads the files of one ledger. */
export interface LedgerReader {
  /** The bytes of record n; undefined where there is none. */
  read(n: number): Promise<Buffer | undefined>;
  /** The numbers of all records, in any order; undefined where the store cannot list them, as over HTTP. */
  list(): Promise<readonly number[] | undefined>;
}

export interface Head {
  readonly n: number;
  readonly record: LedgerRecord;
  readonly bytes: Buffer;
  /** Of the bytes: the next record's `prev-sha256`. */
  readonly sha256: string;
}

/** What a record must be, besides a link of its chain. */
export interface LedgerRules {
  readonly label: Label;
  /** Every record must be sealed by it; undefined: seals are not checked. */
  readonly key?: string | undefined;
}

/** No ledger gets there: a server that has a record for every number must not keep us for ever. */
const MAX_RECORDS = 1_000_000;

/** How far beyond the end a record is looked for where a store cannot list: a hole would have cut it off. */
const BEYOND_END = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512, 1024];

/**
 * Finds the newest record and checks that no record before it is missing. Reads two records where the store lists
 * them, and otherwise 2·log2 n + 17; fewer where `known`, a record that was there, is still the newest.
 *
 * @throws ServiceError `ledger record N not trusted` where the head must not be acted on: a record is missing, or it
 * does not fit the record before it, or the rules. Undefined where the ledger is empty.
 */
export async function readHead(reader: LedgerReader, rules: LedgerRules, known = 1): Promise<Head | undefined> {
  const newest = await findNewest(reader, known);
  if (newest === undefined) return undefined;
  const { n, bytes } = newest;
  const before = n === 1 ? undefined : await reader.read(n - 1);
  const checked = checkRecord(n, bytes, before, rules);
  if ('problem' in checked) throw distrust(n, checked.problem);
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
  if (bytes === undefined) throw distrust(n, 'it is listed, and is not there');
  return { n, bytes };
}

function firstMissing(numbers: readonly number[]): number {
  const there = new Set(numbers);
  let n = 1;
  while (there.has(n)) n += 1;
  return n;
}

/** Doubles its steps until a record is absent, and bisects. */
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

/** A record that lies beyond a hole after record `end`. */
async function recordBeyond(reader: LedgerReader, end: number): Promise<number | undefined> {
  const later = BEYOND_END.map((step) => end + 1 + step);
  const found = await Promise.all(later.map(async (n) => (await reader.read(n)) !== undefined));
  // A record that another run appended meanwhile is no hole.
  const n = later.find((_, index) => found[index]);
  return n === undefined || (await reader.read(end + 1)) !== undefined ? undefined : n;
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

export interface NewestRecords {
  /** Newest first, down to the first that is wrong. */
  readonly records: readonly LedgerRecord[];
  readonly problem: string | undefined;
}

/** The newest records of a ledger, at most `most`, each checked against the one before. */
export async function readNewestRecords(
  reader: LedgerReader,
  rules: LedgerRules,
  most: number,
  readAll: (numbers: readonly number[]) => Promise<readonly (Buffer | undefined)[]>,
): Promise<NewestRecords> {
  const records: LedgerRecord[] = [];
  try {
    const head = await findNewest(reader, 1);
    if (head === undefined) return { records, problem: undefined };
    // One more than is returned: the oldest is checked against it.
    const earlier = Array.from({ length: Math.min(head.n - 1, most) }, (_, index) => head.n - 1 - index);
    const bytes = [head.bytes, ...(await readAll(earlier))];
    for (const [index, own] of bytes.slice(0, most).entries()) {
      const n = head.n - index;
      if (own === undefined) throw distrust(n, 'it is missing');
      const checked = checkRecord(n, own, bytes[index + 1], rules);
      if ('problem' in checked) throw distrust(n, checked.problem);
      records.push(checked.value);
    }
    return { records, problem: undefined };
  } catch (error) {
    if (error instanceof LedgerError) return { records, problem: error.message };
    throw error;
  }
}

export interface Verification {
  /** All records up to the first that is wrong, oldest first. */
  readonly records: readonly LedgerRecord[];
  /** The bytes of the newest of them. */
  readonly newest: Buffer | undefined;
  /** The SHA-256 of record 1's bytes; undefined where there is no record. */
  readonly id: string | undefined;
  /** The first thing that is wrong, as `ledger record N not trusted: …`. */
  readonly problem: string | undefined;
}

const READ_AT_ONCE = 16;

/** Checks every record of a ledger. */
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

async function laterRecord(reader: LedgerReader, end: number): Promise<number | undefined> {
  const numbers = await reader.list();
  if (numbers === undefined) return recordBeyond(reader, end);
  const newest = Math.max(0, ...numbers);
  return newest > end && firstMissing(numbers) <= newest ? newest : undefined;
}

/** The records from the first to the one before the first that is absent. */
async function* readInOrder(reader: LedgerReader): AsyncGenerator<Buffer> {
  for (let first = 1; first <= MAX_RECORDS; first += READ_AT_ONCE) {
    const numbers = Array.from({ length: READ_AT_ONCE }, (_, index) => first + index);
    for (const bytes of await Promise.all(numbers.map((n) => reader.read(n)))) {
      if (bytes === undefined) return;
      yield bytes;
    }
  }
}

/** Record n, checked against the bytes of the one before and the rules; a problem says what is wrong with it. */
export function checkRecord(
  n: number,
  bytes: Uint8Array,
  before: Uint8Array | undefined,
  { label, key }: LedgerRules,
): Checked<LedgerRecord> {
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) return parsed;
  const { record } = parsed.value;
  const problem =
    chainProblem(record, n, before) ??
    (record.label === label ? undefined : `it is of label ${record.label}, not of ${label}`) ??
    replayProblem(record) ??
    (key === undefined ? undefined : sealProblem(parsed.value, key)) ??
    contentProblem(record) ??
    successionProblem(record, before);
  return problem === undefined ? { value: record } : { problem };
}

function chainProblem(record: LedgerRecord, n: number, before: Uint8Array | undefined): string | undefined {
  if (record.n !== n) return `it says that it is record ${record.n}`;
  if (n > 1 && before === undefined) return `record ${n - 1} is missing`;
  const expected = before === undefined ? undefined : sha256(before);
  return record.prevSha256 === expected ? undefined : `its prev-sha256 is not that of record ${n - 1}`;
}

/** What no record can be. */
function contentProblem(record: LedgerRecord): string | undefined {
  const { candidate, targets, previous, kind, reason } = record;
  const wrong = targets.find(({ source, digest }) => source.digest !== digest);
  if (wrong !== undefined) return `its target ${formatRepository(wrong.repository)} has another digest than its source`;
  if (!targets.some(({ digest }) => digest === candidate.digest)) return 'none of its targets is the candidate';
  if (previous?.digest === candidate.digest) return 'its previous image is its candidate';
  if (kind === 'adopted' && record.n !== 1) return 'only record 1 can be adopted';
  if (kind === 'earned' && record.decision.verdict !== 'promote') return 'it was earned, and nothing decided so';
  if (reason === '' && kind !== 'earned' && kind !== 'adopted') return 'it has no reason';
  return undefined;
}

/** What a record cannot be after the one before it: writing a record gets around no guard. */
function successionProblem(record: LedgerRecord, before: Uint8Array | undefined): string | undefined {
  if (before === undefined) return undefined;
  const parsed = parseRecord(before);
  if ('problem' in parsed) return `record ${record.n - 1} is none: ${parsed.problem}`;
  const { record: last }: ReadRecord = parsed.value;
  const released = last.quarantine.find(({ digest }) => banByDigest(record.quarantine, digest) === undefined);
  if (released !== undefined) return `it takes ${released.tag} out of quarantine, which never ends`;
  const { digest } = record.candidate;
  if (keepsImage(record)) {
    return digest === last.candidate.digest ? undefined : 'it changes the image, which its kind does not';
  }
  if (banByDigest(last.quarantine, digest) !== undefined) return 'it promotes what is quarantined';
  if (banByDigest(last.holds, digest) !== undefined && !overriddenBy(record).includes('hold')) {
    return 'it promotes what is on hold';
  }
  return undefined;
}

/** What a record cannot be after all those before it. */
function historyProblem(record: LedgerRecord, before: readonly LedgerRecord[]): string | undefined {
  const wasPromoted = (digest: string) => before.some(({ candidate }) => candidate.digest === digest);
  if (record.previous !== undefined && !wasPromoted(record.previous.digest)) {
    return `its previous ${record.previous.tag} was never promoted`;
  }
  if (record.kind === 'rollback' && !wasPromoted(record.candidate.digest)) {
    return 'it rolls back to what was never promoted';
  }
  return undefined;
}
