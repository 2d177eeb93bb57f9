import * as v from 'valibot';
import { type ImageSet, setDigest } from '../candidate/image-set.js';
import type { PromotedIn } from '../criteria/criteria-file.js';
import { type Evidence, linkSchema } from '../criteria/job-result.js';
import { findBan } from '../ledger/bans.js';
import { readHead } from '../ledger/head.js';
import { findBack } from '../ledger/history.js';
import type { Label } from '../ledger/names.js';
import type { LedgerReader } from '../ledger/reader.js';
import type { LedgerRecord } from '../ledger/record.js';

/** The number of records to search. An image that was replaced earlier is not about to be promoted here. */
const MAX_LOOKED_AT = 500;

/**
 * Reads another label's ledger as evidence about a set. The result is a failure if the set's image is banned there now,
 * and otherwise a success with the newest time span in which the set was promoted there, if it was.
 *
 * @throws ServiceError if the ledger cannot be read, or is not trusted.
 */
export async function promotedInEvidence(
  reader: LedgerReader,
  label: Label,
  { job }: PromotedIn,
  set: ImageSet,
): Promise<Pick<Evidence, 'results'>> {
  const head = await readHead(reader, { label });
  if (head === undefined) return { results: [] };
  const tested = setDigest(set);
  const about = {
    job,
    candidate: { tag: set.tag, digest: set.digest },
    ...(tested !== undefined && { 'set-digest': tested }),
    source: 'ledger',
  } as const;
  const banned = findBan(head.record, set.digest, []);
  if (banned !== undefined) {
    return { results: [{ ...about, outcome: 'failure', timestamp: secondsOf(banned.ban.since) }] };
  }

  let looked = 0;
  let first: LedgerRecord | undefined;
  let until: number | undefined;
  let after: LedgerRecord | undefined;
  await findBack(reader, head.record, (record) => {
    const isOurs = record.candidate.digest === set.digest && setOf(record) === tested;
    if (!isOurs && first !== undefined) return true;
    if (isOurs) {
      if (first === undefined && after !== undefined) until = secondsOf(after.when);
      first = record;
    }
    after = record;
    looked += 1;
    return looked >= MAX_LOOKED_AT;
  });
  if (first === undefined) return { results: [] };
  const url = v.is(linkSchema, first.runUrl) ? { url: first.runUrl } : {};
  const span = { timestamp: secondsOf(first.when), ...(until !== undefined && { until }) };
  return { results: [{ ...about, outcome: 'success', ...span, ...url }] };
}

function setOf({ candidate, companions }: LedgerRecord) {
  return setDigest({ ...candidate, companions });
}

function secondsOf(when: string): number {
  return Math.floor(Date.parse(when) / 1000);
}
