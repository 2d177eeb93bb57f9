import type { Tag } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import type { LedgerReader } from '../ledger/chain.js';
import type { Label } from '../ledger/names.js';
import type { CandidateFile } from '../store/candidate-file.js';
import { httpReader } from '../store/http-reader.js';
import type { LastDecision } from '../store/last-decision.js';
import { ledgerOf, type StoreReader } from '../store/reader.js';
import type { Store } from '../store/store.js';

/** What is read of a branch's directory, whatever it is read by. */
export interface BranchFiles {
  ledger(label: Label): LedgerReader;
  /** Undefined where there is no such label. */
  labelledTag(label: Label): Promise<Tag | undefined>;
  /** Undefined where the tag has none. */
  candidateFile(tag: Tag): Promise<CandidateFile | undefined>;
  /** Undefined where no run has come to one. */
  lastDecision(label: Label): Promise<LastDecision | undefined>;
}

export function filesOverHttp(http: Http, directory: URL): BranchFiles {
  return filesOf(httpReader(http, directory));
}

export function filesOverSftp(server: Store): BranchFiles {
  return filesOf(server);
}

function filesOf(store: StoreReader): BranchFiles {
  return {
    ledger: (label) => ledgerOf(store, label),
    labelledTag: (label) => store.readLabel(label),
    candidateFile: (tag) => store.readCandidateFile(tag),
    lastDecision: (label) => store.readLastDecision(label),
  };
}
