import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { tryParse } from '../base/schema.js';
import { candidateSchema } from '../candidate/reference.js';
import type { Label } from './names.js';
import { type Ban, type LedgerRecord, ledgerRecordSchema } from './record.js';

/**
 * A label's ledger: records 1, 2, 3 … without a gap, each with the hash of the bytes of the one before. A record's
 * bytes are canonical: JSON indented by two spaces and a newline, so that one record has one form and one hash.
 */

/** Reads a ledger, whatever it comes by: writers by SFTP, everyone by HTTP. */
export interface LedgerReader {
  /** The bytes of record n; undefined where there is none. */
  read(n: number): Promise<Buffer | undefined>;
}

export interface Head {
  readonly n: number;
  readonly record: LedgerRecord;
  readonly bytes: Buffer;
  /** Of the bytes: what the next record's `prev-sha256` is. */
  readonly sha256: string;
}

/** What a record must be, besides a link of its chain. */
export interface LedgerRules {
  readonly label: Label;
  /** `ledger-key`: every record must be sealed by it. */
  readonly key?: string | undefined;
  /** Evaluates a record's decision again: what is wrong with it, or undefined. */
  readonly replay?: (record: LedgerRecord) => string | undefined;
}

/** The bytes of a record to append; sealed by an HMAC where there is a key. */
export function sealRecord(record: LedgerRecord, key: string | undefined): Buffer {
  const { hmac: _, ...rest } = v.parse(ledgerRecordSchema, record);
  return canonical(key === undefined ? rest : { ...rest, hmac: hmacOf(rest, key) });
}

function canonical(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}

function hmacOf(unsealed: unknown, key: string): string {
  return createHmac('sha256', key).update(canonical(unsealed)).digest('hex');
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Finds the last record, by galloping and bisection: at most 2·log2 n + 2 reads; two where `known`, a record that was
 * there, is still the last.
 */
export async function findHead(reader: LedgerReader, known = 1): Promise<{ n: number; bytes: Buffer } | undefined> {
  let head: { n: number; bytes: Buffer } | undefined;
  let absent = known;
  for (let step = 1; ; step *= 2) {
    const bytes = await reader.read(absent);
    if (bytes === undefined) break;
    head = { n: absent, bytes };
    absent += step;
  }
  if (head === undefined && known > 1) return findHead(reader);
  while (head !== undefined && absent - head.n > 1) {
    const middle = Math.floor((head.n + absent) / 2);
    const bytes = await reader.read(middle);
    if (bytes === undefined) absent = middle;
    else head = { n: middle, bytes };
  }
  return head;
}

/** The last record, parsed; undefined where the ledger is empty. Its chain and seal are verifyHead's to check. */
export async function readHead(reader: LedgerReader, known?: number): Promise<Head | undefined> {
  const found = await findHead(reader, known);
  return found && parseHead(found.n, found.bytes);
}

/** Record n as the head; throws where it is no record. */
export function parseHead(n: number, bytes: Buffer): Head {
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) throw notTrusted(n, parsed.problem);
  return { n, bytes, record: parsed.value.record, sha256: sha256(bytes) };
}

/**
 * Throws `ledger record N not trusted` where the head must not be acted on: it does not fit the record before it, or
 * the rules, or it only looks like the head because the record after it was removed.
 */
export async function verifyHead(reader: LedgerReader, head: Head, rules: LedgerRules): Promise<void> {
  if ((await reader.read(head.n + 2)) !== undefined && (await reader.read(head.n + 1)) === undefined) {
    throw notTrusted(head.n + 1, `it is missing, and record ${head.n + 2} is there`);
  }
  const before = head.n === 1 ? undefined : await reader.read(head.n - 1);
  const checked = checkRecord(head.n, head.bytes, before, rules);
  if ('problem' in checked) throw notTrusted(head.n, checked.problem);
}

function notTrusted(n: number, problem: string): ServiceError {
  return new ServiceError('bad-answer', `ledger record ${n} not trusted: ${problem}`);
}

export interface Verification {
  /** All records up to the first that is wrong. */
  readonly records: readonly LedgerRecord[];
  /** The first thing that is wrong, as `ledger record N not trusted: …`; undefined where all is well. */
  readonly problem: string | undefined;
}

const READ_AT_ONCE = 16;

/** How far behind the end a record is looked for that a hole would have cut off. */
const BEYOND_END = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Walks the whole ledger: anyone can, by HTTP alone (seals need the key). */
export async function verifyLedger(reader: LedgerReader, rules: LedgerRules): Promise<Verification> {
  const records: LedgerRecord[] = [];
  const stop = (n: number, problem: string) => ({ records, problem: notTrusted(n, problem).message });
  let before: Buffer | undefined;
  for await (const bytes of inOrder(reader)) {
    const n = records.length + 1;
    const checked = checkRecord(n, bytes, before, rules);
    if ('problem' in checked) return stop(n, checked.problem);
    const problem = historyProblem(checked.value, records);
    if (problem !== undefined) return stop(n, problem);
    records.push(checked.value);
    before = bytes;
  }
  return { records, problem: await holeAfter(reader, records.length) };
}

/** What is wrong with an end that is none: a record that lies beyond a hole; undefined where there is no such record. */
export async function holeAfter(reader: LedgerReader, end: number): Promise<string | undefined> {
  const n = end + 1;
  for (const step of BEYOND_END) {
    if ((await reader.read(n + step)) === undefined) continue;
    return notTrusted(n, `it is missing, and record ${n + step} is there`).message;
  }
  return undefined;
}

/** The records from the first to the one before the first that is absent. */
async function* inOrder(reader: LedgerReader): AsyncGenerator<Buffer> {
  for (let first = 1; ; first += READ_AT_ONCE) {
    const numbers = Array.from({ length: READ_AT_ONCE }, (_, index) => first + index);
    for (const bytes of await Promise.all(numbers.map((n) => reader.read(n)))) {
      if (bytes === undefined) return;
      yield bytes;
    }
  }
}

type Checked<T> = { readonly value: T } | { readonly problem: string };

function parseRecord(bytes: Buffer): Checked<{ record: LedgerRecord; raw: Record<string, unknown> }> {
  let raw: unknown;
  try {
    raw = JSON.parse(bytes.toString('utf8'));
  } catch {
    return { problem: 'it is not JSON' };
  }
  const parsed = tryParse(ledgerRecordSchema, raw);
  if ('problem' in parsed) return parsed;
  if (!canonical(raw).equals(bytes))
    return { problem: 'its bytes are not canonical: it was not written by this program' };
  return { value: { record: parsed.value, raw: v.parse(v.record(v.string(), v.unknown()), raw) } };
}

/** Record n, held against the bytes of the one before and the rules; a problem says what is wrong with it. */
export function checkRecord(
  n: number,
  bytes: Buffer,
  before: Buffer | undefined,
  rules: LedgerRules,
): Checked<LedgerRecord> {
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) return parsed;
  const { record, raw } = parsed.value;
  const problem =
    chainProblem(record, n, before) ??
    ruleProblem(record, rules) ??
    sealProblem(raw, rules.key) ??
    contentProblem(record) ??
    successionProblem(record, before);
  return problem === undefined ? { value: record } : { problem };
}

function chainProblem(record: LedgerRecord, n: number, before: Buffer | undefined): string | undefined {
  if (record.n !== n) return `it says that it is record ${record.n}`;
  if (n > 1 && before === undefined) return `record ${n - 1} is missing`;
  const expected = before === undefined ? null : sha256(before);
  return record['prev-sha256'] === expected ? undefined : `its prev-sha256 is not that of record ${n - 1}`;
}

function ruleProblem(record: LedgerRecord, { label, replay }: LedgerRules): string | undefined {
  if (record.label !== label) return `it is of label ${record.label}, not of ${label}`;
  return replay?.(record);
}

function sealProblem({ hmac, ...unsealed }: Record<string, unknown>, key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  if (typeof hmac !== 'string') return 'it has no HMAC, and input ledger-key is set';
  const expected = hmacOf(unsealed, key);
  return timingSafeEqual(Buffer.from(hmac), Buffer.from(expected)) ? undefined : 'its HMAC is not by input ledger-key';
}

/** What a record of its kind cannot be. */
function contentProblem(record: LedgerRecord): string | undefined {
  const candidate = v.parse(candidateSchema, record.candidate);
  const wrong = record.targets.find(({ source, digest }) => !source.endsWith(`@${digest}`));
  if (wrong !== undefined) return `its target ${wrong.repository} has another digest than its source`;
  if (!record.targets.some(({ source }) => source === record.candidate)) return 'none of its targets is the candidate';
  if (record.previous?.endsWith(`@${candidate.digest}`)) return 'its previous image is its candidate';
  if (record.kind === 'adopted' && record.n !== 1) return 'only record 1 can be adopted';
  if (record.kind === 'earned' && record.decision?.verdict !== 'promote')
    return 'it was earned, and nothing decided so';
  if (record.decision !== null && record.decision.candidate !== record.candidate)
    return 'its decision is on another image';
  if (record.kind !== 'earned' && record.kind !== 'adopted' && record.reason === '') return 'it has no reason';
  return undefined;
}

/** What a record cannot be after the one before it: whatever its kind, no guard is got round by writing one. */
function successionProblem(record: LedgerRecord, before: Buffer | undefined): string | undefined {
  if (before === undefined) return undefined;
  const parsed = parseRecord(before);
  if ('problem' in parsed) return `record ${record.n - 1} is none: ${parsed.problem}`;
  const { candidate, holds, quarantine } = parsed.value.record;
  const released = quarantine.find(({ digest }) => !record.quarantine.some((ban) => ban.digest === digest));
  if (released !== undefined) return `it takes ${released.tag} out of quarantine, which is for good`;
  if (['hold', 'lift', 'quarantine'].includes(record.kind)) {
    return record.candidate === candidate ? undefined : 'it changes the image, which its kind does not';
  }
  const isBanned = ({ digest }: Ban) => record.candidate.endsWith(`@${digest}`);
  if (quarantine.some(isBanned)) return 'it promotes what is quarantined';
  if (holds.some(isBanned) && !record.overridden.includes('hold')) return 'it promotes what is on hold';
  return undefined;
}

/** What a record cannot be after all those before it. */
function historyProblem(record: LedgerRecord, before: readonly LedgerRecord[]): string | undefined {
  const seen = (reference: string) => before.some(({ candidate }) => candidate === reference);
  if (record.previous !== null && !seen(record.previous)) return `its previous ${record.previous} was never promoted`;
  if (record.kind === 'rollback' && !seen(record.candidate)) return 'it rolls back to what was never promoted';
  return undefined;
}
