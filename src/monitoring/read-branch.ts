import { errorLine } from '../base/errors.js';
import type { Tag } from '../candidate/reference.js';
import { inParallel } from '../evidence/in-parallel.js';
import type { Http } from '../http/policy.js';
import type { CandidateFile } from '../image-server/candidate-file.js';
import { httpLedger, readCandidateFile, readLabelledTag, readLastDecision } from '../image-server/http-reader.js';
import type { LastDecision } from '../image-server/last-decision.js';
import { checkRecord, findHead, holeAfter, type LedgerReader } from '../image-server/ledger.js';
import type { LedgerRecord } from '../image-server/ledger-record.js';
import type { Label } from '../image-server/names.js';
import { candidateOf } from './words.js';

/** A branch, and where its labels and its ledger are. */
export interface Branch {
  readonly branch: string;
  readonly url: URL;
}

/** What could be read of a branch; what could not is among the problems. */
export interface BranchHistory {
  readonly branch: string;
  readonly url: string;
  /** One line each: what could not be read or trusted, and why. */
  readonly problems: readonly string[];
  /** Newest first, at most MAX_RECORDS, each checked against the one before; undefined: the ledger is not readable. */
  readonly records: readonly LedgerRecord[] | undefined;
  /** Whether every record that was read is trusted. Those from the first that is not are left out. */
  readonly trusted: boolean;
  /** What the label names. */
  readonly labelTag: Tag | undefined;
  /** What the candidate label names. */
  readonly candidateTag: Tag | undefined;
  /** Those of the candidate and of the newest promotions. */
  readonly candidateFiles: ReadonlyMap<Tag, CandidateFile>;
  readonly lastDecision: LastDecision | undefined;
}

export interface ReadBranchOptions {
  readonly http: Http;
  readonly label: Label;
  readonly candidateLabel: Label;
}

/** So much of a ledger is read: at three promotions a week, six years. */
const MAX_RECORDS = 1000;
/** So many candidate files are read, for lead times. */
const MAX_CANDIDATE_FILES = 100;

/** Reads a branch over HTTP. Never fails: whatever cannot be read is a problem that the page shows. */
export async function readBranch(
  { branch, url }: Branch,
  { http, label, candidateLabel }: ReadBranchOptions,
): Promise<BranchHistory> {
  const problems: string[] = [];
  const attempt = async <T>(reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      problems.push(errorLine(error));
      return undefined;
    }
  };
  const ledger = await attempt(readLedger(httpLedger(http, url, label), label));
  if (ledger?.problem !== undefined) problems.push(ledger.problem);
  const [labelTag, candidateTag, lastDecision] = await Promise.all([
    attempt(readLabelledTag(http, url, label)),
    attempt(readLabelledTag(http, url, candidateLabel)),
    attempt(readLastDecision(http, url, label)),
  ]);
  const promoted = ledger?.records.map(({ candidate }) => candidateOf(candidate).tag) ?? [];
  const tags = [...new Set([...(candidateTag === undefined ? [] : [candidateTag]), ...promoted])];
  const files = await inParallel(tags.slice(0, MAX_CANDIDATE_FILES), (tag) =>
    attempt(readCandidateFile(http, url, tag)),
  );
  return {
    branch,
    url: url.href,
    problems,
    records: ledger?.records,
    trusted: ledger?.problem === undefined,
    labelTag,
    candidateTag,
    candidateFiles: new Map(files.flatMap((file) => (file === undefined ? [] : [[file.tag, file]]))),
    lastDecision,
  };
}

/** The newest records, newest first, down to the first that is wrong. */
async function readLedger(
  reader: LedgerReader,
  label: Label,
): Promise<{ readonly records: readonly LedgerRecord[]; readonly problem: string | undefined }> {
  const head = await findHead(reader);
  if (head === undefined) return { records: [], problem: await holeAfter(reader, 0) };
  // One more than is shown: what the oldest is checked against.
  const numbers = Array.from({ length: Math.min(head.n - 1, MAX_RECORDS) }, (_, index) => head.n - 1 - index);
  const bytes = [head.bytes, ...(await inParallel(numbers, (n) => reader.read(n)))];
  const records: LedgerRecord[] = [];
  for (const [index, own] of bytes.slice(0, MAX_RECORDS).entries()) {
    // Where one is missing, the record after it has said so.
    if (own === undefined) break;
    const n = head.n - index;
    const checked = checkRecord(n, own, bytes[index + 1], { label });
    if ('problem' in checked) return { records, problem: `ledger record ${n} not trusted: ${checked.problem}` };
    records.push(checked.value);
  }
  return { records, problem: await holeAfter(reader, head.n) };
}
