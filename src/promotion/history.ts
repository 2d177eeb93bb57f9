import { createHash } from 'node:crypto';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import type { LedgerReader } from '../image-server/ledger.js';
import { type LedgerRecord, ledgerRecordSchema } from '../image-server/ledger-record.js';

/** The newest record, from `record` on backwards, that is wanted; undefined where none is. Each step is held to the chain. */
export async function findBack(
  reader: LedgerReader,
  record: LedgerRecord,
  wanted: (record: LedgerRecord) => boolean,
): Promise<LedgerRecord | undefined> {
  let current = record;
  while (!wanted(current)) {
    if (current.n === 1) return undefined;
    current = await recordBefore(reader, current);
  }
  return current;
}

async function recordBefore(reader: LedgerReader, record: LedgerRecord): Promise<LedgerRecord> {
  const n = record.n - 1;
  const notTrusted = (problem: string) => new ServiceError('bad-answer', `ledger record ${n} not trusted: ${problem}`);
  const bytes = await reader.read(n);
  if (bytes === undefined) throw notTrusted('it is missing');
  if (createHash('sha256').update(bytes).digest('hex') !== record['prev-sha256']) {
    throw notTrusted(`it is not what record ${record.n} was written after`);
  }
  return parseJson(ledgerRecordSchema, bytes.toString('utf8'), notTrusted);
}
