import type { Tag } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { LedgerReader } from '../ledger/reader.js';
import type { CandidateFile } from './candidate-file.js';
import type { LastDecision } from './last-decision.js';

/**
 * The part of a store that anyone can read, by SFTP, HTTP or git. An absent file is undefined; a file that cannot be
 * parsed is a ServiceError.
 */
export interface StoreReader {
  /** The URL of the directory, which names the store in errors and logs. */
  readonly where: string;
  /** The tag that the label names. */
  readLabel(label: Label): Promise<Tag | undefined>;
  /** The candidate file of a tag. */
  readCandidateFile(tag: Tag): Promise<CandidateFile | undefined>;
  /** The numbers of the label's records, in any order; undefined if the store cannot be listed, as over HTTP. */
  listRecords(label: Label): Promise<readonly number[] | undefined>;
  /** The bytes of record n of the label's ledger. */
  readRecord(label: Label, n: number): Promise<Buffer | undefined>;
  /**
   * Finds a record that was ever changed or removed, which the newest state does not show, and describes it in one
   * line; undefined if there is none. Only a store that keeps its history has this.
   */
  findChangedRecord?(label: Label): Promise<string | undefined>;
  /** The newest run's decision about the label. */
  readLastDecision(label: Label): Promise<LastDecision | undefined>;
}

/** One label's ledger in a store. */
export function ledgerOf(store: StoreReader, label: Label): LedgerReader {
  return { list: () => store.listRecords(label), read: (n) => store.readRecord(label, n) };
}
