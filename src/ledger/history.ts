import type { Candidate, Digest } from '../candidate/reference.js';
import { banByDigest } from './bans.js';
import { parseRecord, sha256 } from './codec.js';
import { distrust, type LedgerReader } from './reader.js';
import type { Ban, LedgerRecord } from './record.js';

/**
 * Searches backwards from a record for the newest one that matches; undefined if none does. Each record that is read is
 * checked against the hash in the record after it.
 */
export async function findBack(
  reader: Pick<LedgerReader, 'read'>,
  from: LedgerRecord,
  isWanted: (record: LedgerRecord) => boolean | Promise<boolean>,
): Promise<LedgerRecord | undefined> {
  let record = from;
  while (!(await isWanted(record))) {
    if (record.n === 1) return undefined;
    record = await readBefore(reader, record);
  }
  return record;
}

async function readBefore(reader: Pick<LedgerReader, 'read'>, record: LedgerRecord): Promise<LedgerRecord> {
  const n = record.n - 1;
  const bytes = await reader.read(n);
  if (bytes === undefined) throw distrust(n, 'it is missing');
  if (sha256(bytes) !== record.prevSha256) throw distrust(n, `it is not the record that record ${record.n} follows`);
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) throw distrust(n, parsed.problem);
  return parsed.value.record;
}

/** True if a run can roll back from the image `digest` to `record`, which has a different image that is not banned. */
export function isWayBack({ candidate }: LedgerRecord, digest: Digest, bans: readonly Ban[]): boolean {
  return candidate.digest !== digest && banByDigest(bans, candidate.digest) === undefined;
}

/** Searches for a record, from the head backwards. */
export type History = (
  isWanted: (record: LedgerRecord) => boolean | Promise<boolean>,
) => Promise<LedgerRecord | undefined>;

/** The newest image that can be rolled back to from `digest`. */
export async function findPrevious(
  history: History,
  digest: Digest,
  bans: readonly Ban[],
): Promise<Candidate | undefined> {
  return (await history((record) => isWayBack(record, digest, bans)))?.candidate;
}

/** The time of the last promotion, not counting rollbacks. RFC 3339. */
export async function lastPromotion(history: History): Promise<string | undefined> {
  const promoted = await history(({ kind }) => kind === 'earned' || kind === 'forced' || kind === 'adopted');
  return promoted?.when;
}
