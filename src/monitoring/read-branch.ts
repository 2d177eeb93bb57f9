import { errorLine, ServiceError } from '../base/errors.js';
import type { Tag } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { JobResult } from '../criteria/job-result.js';
import { inParallel } from '../evidence/in-parallel.js';
import { type LedgerReader, type NewestRecords, readNewestRecords } from '../ledger/chain.js';
import type { Label } from '../ledger/names.js';
import { decisionOf, type LedgerRecord } from '../ledger/record.js';
import type { CandidateFile } from '../store/candidate-file.js';
import type { LastDecision } from '../store/last-decision.js';
import type { BranchFiles } from './branch-files.js';
import type { Source } from './model.js';

/** A branch, and where to read of it. */
export interface Branch {
  readonly branch: string;
  /** Where its labels and its ledger are, for people. */
  readonly url: string;
  /** Opens that, runs `read` on it, and closes it. */
  withFiles<T>(read: (files: BranchFiles) => Promise<T>): Promise<T>;
  /** Where its jobs vote, where that is to be read as well. */
  readonly dlrn: { readonly url: string; votes(jobs: readonly string[]): Promise<JobResult[]> } | undefined;
}

/** Something that could not be read or trusted. */
export interface Failure {
  readonly source: Source;
  readonly why: string;
}

/** What could be read of a branch; what could not is among the failures. */
export interface BranchHistory {
  readonly branch: string;
  readonly url: string;
  readonly dlrn: string | undefined;
  readonly failures: readonly Failure[];
  /** Newest first, at most MAX_RECORDS, each checked against the one before, down to the first that is not trusted. */
  readonly records: readonly LedgerRecord[];
  /** What the label names. */
  readonly labelTag: Tag | undefined;
  /** What the candidate label names. */
  readonly candidateTag: Tag | undefined;
  /** Those of the candidate, and of the newest promotions and votes. */
  readonly candidateFiles: ReadonlyMap<Tag, CandidateFile>;
  readonly lastDecision: LastDecision | undefined;
  /** What the jobs of the newest criteria say by DLRN, on whatever image. */
  readonly votes: readonly JobResult[];
}

interface Labels {
  readonly label: Label;
  readonly candidateLabel: Label;
}

/** So much of a ledger is read: at three promotions a week, six years. */
const MAX_RECORDS = 1000;
/** So many candidate files are read, for lead times. */
const MAX_CANDIDATE_FILES = 100;

/** Reads a branch. A service that fails is a failure that the page shows; only a mistake of the user's is an error. */
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
  const reading = branch.withFiles((files) => readFiles(files, branch, labels, attempt));
  const read = await attempt('image server', reading);
  if (read?.ledgerProblem !== undefined) failures.push({ source: 'ledger', why: read.ledgerProblem });
  return {
    branch: branch.branch,
    url: branch.url,
    dlrn: branch.dlrn?.url,
    failures,
    records: read?.records ?? [],
    labelTag: read?.labelTag,
    candidateTag: read?.candidateTag,
    candidateFiles: read?.candidateFiles ?? new Map(),
    lastDecision: read?.lastDecision,
    votes: read?.votes ?? [],
  };
}

async function readFiles(
  files: BranchFiles,
  { dlrn }: Branch,
  { label, candidateLabel }: Labels,
  attempt: <T>(source: Source, reading: Promise<T>) => Promise<T | undefined>,
) {
  const [ledger, labelTag, candidateTag, lastDecision] = await Promise.all([
    attempt('ledger', readLedger(files.ledger(label), label)),
    attempt('label', files.labelledTag(label)),
    attempt('candidate label', files.labelledTag(candidateLabel)),
    attempt('last decision', files.lastDecision(label)),
  ]);
  const records = ledger?.records ?? [];
  const jobs = newestDecision(records, lastDecision)?.jobs.map(({ job }) => job) ?? [];
  const votes = dlrn === undefined || jobs.length === 0 ? [] : await attempt('DLRN', dlrn.votes(jobs));
  const tags = [
    ...(candidateTag === undefined ? [] : [candidateTag]),
    ...records.map(({ candidate }) => candidate.tag),
    // Which image a vote on a bare tag is about, its candidate file says.
    ...(votes?.flatMap(({ candidate: on }) => (on === undefined || on.digest !== undefined ? [] : on.tag)) ?? []),
  ];
  const candidateFiles = await inParallel([...new Set(tags)].slice(0, MAX_CANDIDATE_FILES), (tag) =>
    attempt('candidate files', files.candidateFile(tag)),
  );
  return {
    records,
    ledgerProblem: ledger?.problem,
    labelTag,
    candidateTag,
    candidateFiles: new Map(candidateFiles.flatMap((file) => (file === undefined ? [] : [[file.tag, file]]))),
    lastDecision,
    votes,
  };
}

/** The newest evaluation that a run left: its criteria are those in force. */
export function newestDecision(
  records: readonly LedgerRecord[],
  lastDecision: LastDecision | undefined,
): DecisionRecord | undefined {
  return lastDecision?.report ?? records.map(decisionOf).find((decision) => decision !== undefined);
}

/** The newest records, newest first, down to the first that is wrong. */
function readLedger(reader: LedgerReader, label: Label): Promise<NewestRecords> {
  return readNewestRecords(reader, { label }, MAX_RECORDS, (numbers) => inParallel(numbers, (n) => reader.read(n)));
}
