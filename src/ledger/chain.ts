import { formatRepository } from '../candidate/reference.js';
import { banByDigest } from './bans.js';
import { type Checked, parseRecord, type ReadRecord, sealProblem, sha256 } from './codec.js';
import type { LedgerRules } from './reader.js';
import { keepsImage, type LedgerRecord, overriddenBy } from './record.js';
import { replayProblem } from './replay.js';

/** A label's ledger: records 1, 2, 3 … without a gap, each with the hash of the bytes of the one before. */

/** Checks record n against the bytes of the record before it and against the rules. */
export function checkRecord(
  n: number,
  bytes: Uint8Array,
  before: Uint8Array | undefined,
  { label, key }: LedgerRules,
): Checked<LedgerRecord> {
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) return parsed;
  const { record } = parsed.value;
  const seal = key === undefined ? undefined : sealProblem(parsed.value, key);
  const problem =
    chainProblem(record, n, before) ??
    (record.label === label ? undefined : `its label is ${record.label}, not ${label}`) ??
    replayProblem(record) ??
    seal ??
    contentProblem(record) ??
    successionProblem(record, before);
  if (problem === undefined) return { value: record };
  return problem === seal ? { problem, hint: 'ledger-key' } : { problem };
}

function chainProblem(record: LedgerRecord, n: number, before: Uint8Array | undefined): string | undefined {
  if (record.n !== n) return `it says that it is record ${record.n}`;
  if (n > 1 && before === undefined) return `record ${n - 1} is missing`;
  const expected = before === undefined ? undefined : sha256(before);
  if (record.prevSha256 === expected) return undefined;
  return n === 1 ? 'it is the first, but has a prev-sha256' : `its prev-sha256 is not the hash of record ${n - 1}`;
}

/** Returns the problem with a record on its own, if there is one. */
function contentProblem(record: LedgerRecord): string | undefined {
  const { candidate, targets, previous, kind, reason } = record;
  const wrong = targets.find(({ source, digest }) => source.digest !== digest);
  if (wrong !== undefined)
    return `its target ${formatRepository(wrong.repository)} does not have the digest of its source`;
  if (!targets.some(({ digest }) => digest === candidate.digest)) return 'none of its targets is the candidate';
  if (previous?.digest === candidate.digest) return 'its previous image is its candidate';
  if (kind === 'adopted' && record.n !== 1) return 'only record 1 can be adopted';
  if (kind === 'earned' && record.decision.verdict !== 'promote')
    return 'it is earned, but its decision does not promote';
  if (reason === '' && kind !== 'earned' && kind !== 'adopted') return 'it has no reason';
  return undefined;
}

/** Returns the problem with a record as the next after `before`: a hand-written one must not bypass a guard. */
function successionProblem(record: LedgerRecord, before: Uint8Array | undefined): string | undefined {
  if (before === undefined) return undefined;
  const parsed = parseRecord(before);
  if ('problem' in parsed) return `record ${record.n - 1} is not valid: ${parsed.problem}`;
  const { record: last }: ReadRecord = parsed.value;
  const released = last.quarantine.find(({ digest, contents }) => {
    const still = banByDigest(record.quarantine, digest);
    return still === undefined || !contents.every((one) => still.contents.includes(one));
  });
  if (released !== undefined)
    return `it takes ${released.tag} out of quarantine, or a part of it, and quarantine never ends`;
  const { digest } = record.candidate;
  if (keepsImage(record)) {
    return digest === last.candidate.digest ? undefined : `it is of kind ${record.kind}, but changes the image`;
  }
  if (banByDigest(last.quarantine, digest) !== undefined) return 'it promotes a quarantined image';
  if (banByDigest(last.holds, digest) !== undefined && !overriddenBy(record).includes('hold')) {
    return 'it promotes an image on hold';
  }
  return undefined;
}

/** Returns the problem with what a record says about those before it, if there is one. */
export function historyProblem(record: LedgerRecord, before: readonly LedgerRecord[]): string | undefined {
  const wasPromoted = (digest: string) => before.some(({ candidate }) => candidate.digest === digest);
  if (record.previous !== undefined && !wasPromoted(record.previous.digest)) {
    return `its previous image ${record.previous.tag} was never promoted`;
  }
  if (record.kind === 'rollback' && !wasPromoted(record.candidate.digest)) {
    return 'it rolls back to an image that was never promoted';
  }
  return undefined;
}
