import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { type ImageSet, setDigest } from '../../src/candidate/image-set.js';
import {
  type Candidate,
  type Digest,
  digestSchema,
  formatCandidate,
  repositorySchema,
  type Tag,
  tagSchema,
} from '../../src/candidate/reference.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import type { DecisionRecord } from '../../src/criteria/decision-record.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import { formatRecord, sha256 } from '../../src/ledger/codec.js';
import { type Label, labelSchema } from '../../src/ledger/names.js';
import type { Author, Change } from '../../src/ledger/next-record.js';
import { nextRecord } from '../../src/ledger/next-record.js';
import type { LedgerReader } from '../../src/ledger/reader.js';
import type { Ban, LedgerRecord } from '../../src/ledger/record.js';
import { projectRoot } from '../sandbox/project.js';

/** Builders of records, without a server. Images are named by their tags: equal tags, equal digests. */

export const CURRENT: Label = v.parse(labelSchema, 'current-ceph');
export const SOURCE = v.parse(repositorySchema, 'quay.io/ceph/daemon');
export const TARGET = v.parse(repositorySchema, 'quay.io/tripleomastercentos9/daemon');
export const NOW = Date.UTC(2026, 10, 24, 2) / 1000;

export const tag = (name: string): Tag => v.parse(tagSchema, name);
export const digestOf = (text: string): Digest =>
  v.parse(digestSchema, `sha256:${createHash('sha256').update(text).digest('hex')}`);
export const image = (name: string): Candidate => ({ repository: SOURCE, tag: tag(name), digest: digestOf(name) });

const CRITERIA = parseCriteria('current-ceph: { required: [check, deploy] }', CURRENT);

/** The evaluation of an image whose jobs passed, except those that failed or have not reported. */
export function reportOn(
  candidate: ImageSet,
  failed: readonly string[] = [],
  absent: readonly string[] = [],
): DecisionRecord {
  const set = setDigest(candidate);
  const results = ['check', 'deploy']
    .filter((job) => !absent.includes(job))
    .map((job) => ({
      job,
      outcome: failed.includes(job) ? ('failure' as const) : ('success' as const),
      candidate: { tag: candidate.tag, digest: candidate.digest },
      ...(set !== undefined && { 'set-digest': set }),
      timestamp: NOW - 3600,
      url: `https://ci.example.org/${job}`,
      source: 'dlrn' as const,
      user: 'ciuser',
    }));
  return evaluate(CRITERIA, results, candidate, { evaluatedAt: NOW });
}

export function banOn(name: string, contents: readonly Digest[] = []): Ban {
  const { digest, tag: own } = image(name);
  return { digest, tag: own, reason: 'it is broken', who: 'alice', since: '2026-11-23T02:00:00Z', contents };
}

const AUTHOR: Author = {
  id: '7/1/00000000-0000-4000-8000-000000000000',
  who: 'alice',
  runUrl: 'https://forge.example/runs/7',
  event: 'schedule',
};

type Changes = Partial<{ -readonly [K in keyof LedgerRecord]: LedgerRecord[K] }> & {
  readonly kind?: LedgerRecord['kind'];
  readonly supersedes?: readonly { ledger: string; n: number }[];
  readonly overridden?: readonly ('downgrade' | 'hold' | 'reject' | 'wait')[];
  readonly skippedJobs?: readonly string[];
};

/** A record of an image, earned unless `changes` say otherwise, after the bytes of the one before. */
export function recordOf(name: string, n = 1, before?: Uint8Array, changes: Changes = {}): LedgerRecord {
  const candidate = image(name);
  const kind = changes.kind ?? 'earned';
  const state = {
    reason: 'because',
    candidate,
    targets: [{ repository: TARGET, tag: candidate.tag, digest: candidate.digest, source: candidate }],
    previous: undefined,
    holds: [],
    quarantine: [],
  };
  const own =
    kind === 'earned'
      ? { kind, decision: reportOn({ ...candidate, companions: changes.companions }) }
      : kind === 'forced'
        ? { kind, decision: reportOn(candidate, ['deploy']), skippedJobs: ['deploy'], overridden: ['reject' as const] }
        : kind === 'adopted'
          ? { kind, supersedes: [] }
          : { kind };
  const change: Change = { ...state, ...own };
  const head = before === undefined ? undefined : { n: n - 1, sha256: sha256(before) };
  return Object.assign(nextRecord(head, CURRENT, change, AUTHOR, NOW), { n }, changes);
}

/** Records 1 … of these images and changes, each after the one before. */
export function chainOf(links: readonly (readonly [string, Changes?])[], key?: string): Buffer[] {
  const ledger: Buffer[] = [];
  for (const [name, changes] of links) {
    ledger.push(formatRecord(recordOf(name, ledger.length + 1, ledger.at(-1), changes), key));
  }
  return ledger;
}

/** A reader of records in memory; it lists them, unless it has to behave as over HTTP. */
export function readerOf(ledger: readonly (Buffer | undefined)[], { lists = true } = {}): LedgerReader {
  return {
    read: async (n) => ledger[n - 1],
    list: async () => (lists ? ledger.flatMap((bytes, index) => (bytes === undefined ? [] : [index + 1])) : undefined),
  };
}

/** The record after a change by somebody who can write files and has no key. */
export function forge(bytes: Buffer | undefined, change: Record<string, unknown>): Buffer {
  return Buffer.from(`${JSON.stringify({ ...JSON.parse(String(bytes)), ...change }, undefined, 2)}\n`);
}

export const reference = (name: string): string => formatCandidate(image(name));

/** The key of the seals of the ledgers that version 0.1 wrote. */
export const KEY_BY_01 = 'a key of the tests';

/** A ledger that version 0.1 wrote: its records have no proofs at the targets. */
export function writtenBy01(name: 'plain' | 'sealed'): Buffer[] {
  const directory = join(projectRoot, 'test/data/ledger-0.1', name);
  return readdirSync(directory)
    .sort()
    .map((file) => readFileSync(join(directory, file)));
}
