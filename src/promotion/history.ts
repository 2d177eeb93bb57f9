import { createHash } from 'node:crypto';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import type { Candidate, Digest } from '../candidate/reference.js';
import type { LedgerReader } from '../ledger/chain.js';
import { type Ban, type LedgerRecord, ledgerRecordSchema } from '../ledger/record.js';
import { ledgerOf } from '../store/reader.js';
import { candidateOf, isWayBack } from './plan.js';
import type { Promotion } from './promotion.js';

/** The newest record, from `record` on backwards, that is wanted; undefined where none is. Each step is held to the chain. */
export async function findBack(
  { server, label }: Promotion,
  record: LedgerRecord,
  wanted: (record: LedgerRecord) => boolean,
): Promise<LedgerRecord | undefined> {
  const reader = ledgerOf(server, label);
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

/** The newest image, from `head` on backwards, that can be gone back to from `digest`. */
export async function wayBack(
  promotion: Promotion,
  head: LedgerRecord,
  digest: Digest,
  bans: readonly Ban[],
): Promise<Candidate | undefined> {
  const found = await findBack(promotion, head, (record) => isWayBack(record, digest, bans));
  return found && candidateOf(found.candidate);
}

/** When an image was last promoted, otherwise than by going back; undefined where none ever was. */
export async function lastPromotion(promotion: Promotion, head: LedgerRecord): Promise<string | undefined> {
  const found = await findBack(promotion, head, ({ kind }) => ['earned', 'forced', 'adopted'].includes(kind));
  return found?.when;
}
