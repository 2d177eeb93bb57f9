import { errorLine, ServiceError } from '../base/errors.js';
import { inParallel } from '../base/in-parallel.js';
import type { Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { JobResult } from '../criteria/job-result.js';
import { parseRecord } from '../ledger/codec.js';
import { type NewestRecords, readNewestRecords } from '../ledger/head.js';
import { type Label, previousLabel } from '../ledger/names.js';
import { distrust, type LedgerReader } from '../ledger/reader.js';
import { decisionOf, type LedgerRecord } from '../ledger/record.js';
import type { CandidateFile } from '../store/candidate-file.js';
import type { LastDecision } from '../store/last-decision.js';
import { ledgerOf, type StoreReader } from '../store/reader.js';
import type { Source } from './model.js';

/** A branch, and the places to read about it. */
export interface Branch {
  readonly branch: string;
  /** The address of its labels and its ledger, for people. */
  readonly url: string;
  /** The person or address to ask about it. */
  readonly owner: string | undefined;
  /** The addresses of the open changes that propose what is promoted to other repositories. */
  readonly changes: readonly string[];
  /** Opens its store, runs `read` on it, and closes it. */
  withStore<T>(read: (store: StoreReader) => Promise<T>): Promise<T>;
  /** The place of its jobs' votes, if they are read too. */
  readonly dlrn: { readonly url: string; votes(jobs: readonly string[]): Promise<readonly JobResult[]> } | undefined;
}

/** A source that could not be read or trusted. */
export interface Failure {
  readonly source: Source;
  readonly why: string;
}

/** Everything that could be read about a branch. `failures` lists what could not. */
export interface BranchHistory {
  readonly branch: string;
  readonly url: string;
  readonly owner: string | undefined;
  readonly changes: readonly string[];
  readonly dlrn: string | undefined;
  readonly failures: readonly Failure[];
  /** Newest first, each checked against the one before it, down to the first that is not trusted. */
  readonly records: readonly LedgerRecord[];
  /** The hash of the newest record's bytes. The hash of any other is in the record after it. */
  readonly headSha256: string | undefined;
  /** The tag that the label names. */
  readonly labelTag: Tag | undefined;
  /** The tag that the label of the previous image names. */
  readonly previousTag: Tag | undefined;
  /** The tag that the candidate label names. */
  readonly candidateTag: Tag | undefined;
  /** The candidate files of the candidate, and of the newest promotions and votes. */
  readonly candidateFiles: ReadonlyMap<Tag, CandidateFile>;
  readonly lastDecision: LastDecision | undefined;
  /** The votes of the newest criteria's jobs in DLRN, on any image. */
  readonly votes: readonly JobResult[];
}

interface Labels {
  readonly label: Label;
  readonly candidateLabel: Label;
}

/** At most this many records are read: six years at three promotions a week. */
export const MAX_RECORDS = 1000;
/** At most this many candidate files are read, for lead times. */
const MAX_CANDIDATE_FILES = 100;

/** Reads a branch. A failing service becomes a failure that the page shows; only a user's mistake is thrown. */
export async function readBranch(branch: Branch, labels: Labels): Promise<BranchHistory> {
  const failures: Failure[] = [];
  const attempt = async <T>(source: Source, reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      failures.push({ source, why: errorLine(error) });
      return undefined;
    }
  };
  const reading = branch.withStore((store) => readFiles(store, branch, labels, attempt));
  const read = await attempt('image server', reading);
  if (read?.ledgerProblem !== undefined) failures.push({ source: 'ledger', why: read.ledgerProblem });
  return {
    branch: branch.branch,
    url: branch.url,
    owner: branch.owner,
    changes: branch.changes,
    dlrn: branch.dlrn?.url,
    failures: asOneOutage(failures),
    records: read?.records ?? [],
    headSha256: read?.headSha256,
    labelTag: read?.labelTag,
    previousTag: read?.previousTag,
    candidateTag: read?.candidateTag,
    candidateFiles: read?.candidateFiles ?? new Map(),
    lastDecision: read?.lastDecision,
    votes: read?.votes ?? [],
  };
}

/** The files of a store that are always read. */
const BASIC: readonly Source[] = ['ledger', 'label', 'previous label', 'candidate label', 'last decision'];

/** Reports a store of which nothing can be read as one failure, not one for each of its files. */
function asOneOutage(failures: readonly Failure[]): readonly Failure[] {
  const isOutage = BASIC.every((source) => failures.some((failure) => failure.source === source));
  const ledger = failures.find(({ source }) => source === 'ledger');
  if (!isOutage || ledger === undefined) return failures;
  const others = failures.filter(({ source }) => !BASIC.includes(source) && source !== 'candidate files');
  return [{ source: 'image server', why: ledger.why }, ...others];
}

async function readFiles(
  store: StoreReader,
  { dlrn }: Branch,
  { label, candidateLabel }: Labels,
  attempt: <T>(source: Source, reading: Promise<T>) => Promise<T | undefined>,
) {
  const [ledger, labelTag, previousTag, candidateTag, lastDecision] = await Promise.all([
    attempt('ledger', readLedger(ledgerOf(store, label), label)),
    attempt('label', store.readLabel(label)),
    attempt('previous label', store.readLabel(previousLabel(label))),
    attempt('candidate label', store.readLabel(candidateLabel)),
    attempt('last decision', store.readLastDecision(label)),
  ]);
  const records = ledger?.records ?? [];
  const jobs = newestDecision(records, lastDecision)?.jobs.map(({ job }) => job) ?? [];
  const votes = dlrn === undefined || jobs.length === 0 ? [] : await attempt('DLRN', dlrn.votes(jobs));
  const tags = [
    ...(candidateTag === undefined ? [] : [candidateTag]),
    ...records.map(({ candidate }) => candidate.tag),
    // The candidate file has the digest for a vote on a bare tag.
    ...(votes?.flatMap(({ candidate: on }) => (on === undefined || on.digest !== undefined ? [] : on.tag)) ?? []),
  ];
  const candidateFiles = await inParallel([...new Set(tags)].slice(0, MAX_CANDIDATE_FILES), (tag) =>
    attempt('candidate files', store.readCandidateFile(tag)),
  );
  return {
    records,
    headSha256: ledger?.sha256,
    ledgerProblem: ledger?.problem,
    labelTag,
    previousTag,
    candidateTag,
    candidateFiles: new Map(candidateFiles.flatMap((file) => (file === undefined ? [] : [[file.tag, file]]))),
    lastDecision,
    votes,
  };
}

/** The newest evaluation, whose criteria are those in force. */
export function newestDecision(
  records: readonly LedgerRecord[],
  lastDecision: LastDecision | undefined,
): DecisionRecord | undefined {
  return lastDecision?.report ?? records.map(decisionOf).find((decision) => decision !== undefined);
}

/** The newest records, newest first, down to the first that is not trusted. */
async function readLedger(reader: LedgerReader, label: Label): Promise<NewestRecords> {
  const sealed = new Map<number, boolean>();
  const noting: LedgerReader = {
    ...reader,
    async read(n) {
      const bytes = await reader.read(n);
      if (bytes !== undefined) sealed.set(n, isSealed(bytes));
      return bytes;
    },
  };
  const newest = await readNewestRecords(noting, { label }, MAX_RECORDS, (numbers) =>
    inParallel(numbers, (n) => noting.read(n)),
  );
  return { ...newest, problem: newest.problem ?? sealProblem(newest.records, sealed) };
}

/**
 * Finds a head without a seal after sealed records, which anyone who has the key would refuse. Without the key, a wrong
 * seal cannot be detected.
 */
function sealProblem([head]: readonly LedgerRecord[], sealed: ReadonlyMap<number, boolean>): string | undefined {
  if (head === undefined || sealed.get(head.n) === true) return undefined;
  const [last] = [...sealed].flatMap(([n, isSealed]) => (isSealed ? n : [])).sort((a, b) => b - a);
  return last === undefined
    ? undefined
    : distrust(head.n, `it has no seal, and record ${last} before it has one`).message;
}

function isSealed(bytes: Buffer): boolean {
  const parsed = parseRecord(bytes);
  return 'value' in parsed && parsed.value.hmac !== undefined;
}
