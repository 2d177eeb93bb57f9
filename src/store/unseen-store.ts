import type { Store } from './store.js';

/** The store of a dry run without a store address: everything in it is unknown, and nothing can be written. */
export const unseenStore: Store = {
  where: 'no image server',
  readLabel: async () => undefined,
  readCandidateFile: async () => undefined,
  readArtifact: async () => undefined,
  listArtifacts: async () => [],
  listLinks: async () => new Map(),
  listLedgers: async () => [],
  listRecords: async () => [],
  readRecord: async () => undefined,
  readLastDecision: async () => undefined,
  readPage: async () => undefined,
  checkRights: async () => [],
  moveLabel: refuse,
  removeLabel: refuse,
  writeArtifact: refuse,
  removeArtifact: refuse,
  appendRecord: refuse,
  writeLastDecision: refuse,
  writePage: refuse,
  sweep: refuse,
  flush: async () => undefined,
  close() {},
};

async function refuse(): Promise<never> {
  throw new Error('a dry run writes nothing');
}
