import type { Log } from '../../base/log.js';
import type { Store } from '../store.js';
import {
  listArtifacts,
  listLinks,
  readArtifact,
  readCandidateFile,
  removeArtifact,
  writeArtifact,
} from './artifact.js';
import { type BranchOptions, openBranch } from './branch.js';
import { Changes } from './changes.js';
import { moveLabel, readLabel, removeLabel } from './label.js';
import {
  appendRecord,
  listLedgers,
  listRecords,
  readLastDecision,
  readRecord,
  writeLastDecision,
} from './ledger-files.js';

export interface GitStoreOptions extends BranchOptions {
  readonly log: Log;
}

/**
 * A store in a git branch. A record is pushed at once, with the artifacts that were written before it; everything else
 * waits for `flush`. It reads its own writes even before they are pushed.
 *
 * @throws UserError for an address that cannot hold a store; ServiceError if the repository cannot be read.
 */
export async function openGitStore(options: GitStoreOptions): Promise<Store> {
  const branch = await openBranch(options);
  const changes = new Changes(branch, options.clock);
  return {
    where: branch.where,
    readLabel: (label) => readLabel(changes.files, label),
    moveLabel: (label, tag) => changes.add(moveLabel(label, tag)),
    removeLabel: (label) => changes.add(removeLabel(label)),
    readCandidateFile: (tag) => readCandidateFile(changes.files, tag),
    readArtifact: (tag) => readArtifact(changes.files, tag),
    writeArtifact: async (file, { replace } = {}) => changes.add(writeArtifact(file, replace)),
    listArtifacts: async () => listArtifacts(changes.files),
    listLinks: () => listLinks(changes.files),
    listLedgers: () => listLedgers(changes),
    removeArtifact: (tag) => changes.add(removeArtifact(tag)),
    listRecords: (label) => listRecords(changes, label),
    readRecord: (label, n) => readRecord(changes, label, n),
    findChangedRecord: (label) => branch.findChange(`ledger/${label}`),
    appendRecord: (label, n, bytes) => appendRecord(changes, label, n, bytes),
    readLastDecision: (label) => readLastDecision(changes.files, label),
    writeLastDecision: async (label, decision) => changes.add(writeLastDecision(label, decision)),
    readPage: async (name, maxBytes) => (await changes.files.read(name, maxBytes))?.toString('utf8'),
    writePage: (name, text) =>
      changes.add({
        title: name,
        make: async (files) => {
          if (files.kind(name) !== 'file' || !files.holds(name, text)) files.put(name, text);
        },
      }),
    // The forge decides who may push. A branch has no permissions.
    checkRights: async () => [],
    sweep: async () => undefined,
    async flush() {
      for (const { title } of await changes.push()) {
        options.log.info(`another run wrote to the ledger first; left to that run: ${title}`);
      }
    },
    close: () => branch.close(),
  };
}
