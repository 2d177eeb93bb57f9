import type { Tag } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { CandidateFile } from './candidate-file.js';
import type { LastDecision } from './last-decision.js';
import type { StoreReader } from './reader.js';
import type { RightsProblem, StoreLabels } from './rights.js';

/**
 * Runs right before the one request that changes a label. If it throws, the label stays unchanged. In git it does not
 * run: there, the push of a label is dropped if the ledger has grown.
 */
export type LastLook = () => Promise<void>;

/** The differences that let an existing candidate file be replaced: in its image, or only in its companions. */
export type Replaces = 'image' | 'set';

/** A store as its writers use it. Every call is idempotent. */
export interface Store extends StoreReader {
  /** Moves or creates a label. Readers see the old tag or the new one. The artifact must exist and be whole. */
  moveLabel(label: Label, tag: Tag, lastLook?: LastLook): Promise<void>;
  /** Removes a label, such as `previous-…` when there is no longer a previous image. */
  removeLabel(label: Label, lastLook?: LastLook): Promise<void>;

  /**
   * The candidate file of a tag; `bare` if the artifact has none, like RDO's; undefined if there is no whole artifact.
   * A file that does not contain its own name is an error.
   */
  readArtifact(tag: Tag): Promise<CandidateFile | 'bare' | undefined>;
  /** Writes an artifact and its candidate file if they are absent. A file with another reference is a conflict. */
  writeArtifact(file: CandidateFile, options?: { readonly replace?: Replaces }): Promise<void>;
  /** For retention: the tags of all artifacts. */
  listArtifacts(): Promise<Tag[]>;
  /** For retention: the name that each link means, whoever made it and however it is written. */
  listLinks(): Promise<Map<string, string>>;
  /** For retention: the labels that have a ledger. */
  listLedgers(): Promise<Label[]>;
  /** For retention: removes an artifact and its candidate file; refused while a label points at it. */
  removeArtifact(tag: Tag): Promise<void>;

  /** Creates record n exclusively; `id` is the record's own. `lost` means that another record has this number. */
  appendRecord(label: Label, n: number, bytes: Uint8Array, id: string): Promise<'won' | 'lost'>;

  /** Replaces the previous run's decision about a label. */
  writeLastDecision(label: Label, decision: LastDecision): Promise<void>;

  /** The text of a page of at most `maxBytes`; undefined if there is none. */
  readPage(name: string, maxBytes: number): Promise<string | undefined>;
  /** Replaces a whole page. For a directory of pages: names are not checked against labels. */
  writePage(name: string, text: string): Promise<void>;

  /**
   * Finds who besides the promoting account could change what is promoted, if the store has permissions. Only with
   * `isWriter` is the account of this session taken to be the promoting one, which must own the ledger.
   */
  checkRights(labels: StoreLabels, options: { readonly isWriter: boolean }): Promise<readonly RightsProblem[]>;
  /** Removes temporary files that killed runs left behind, after a day. */
  sweep(): Promise<void>;
  /**
   * Shows readers all that was written. SFTP shows each write at once; in git a record is pushed at once, with the
   * artifacts before it, and everything else waits for this, so that it is one commit.
   */
  flush(): Promise<void>;
  close(): void;
}
