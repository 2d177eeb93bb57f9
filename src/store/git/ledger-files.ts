import * as v from 'valibot';
import { ServiceError } from '../../base/errors.js';
import { parseWith } from '../../base/schema.js';
import { MAX_RECORD } from '../../ledger/codec.js';
import { type Label, labelSchema } from '../../ledger/names.js';
import { recordPath } from '../../ledger/paths.js';
import { type LastDecision, lastDecisionPath, lastDecisionSchema, parseLastDecision } from '../last-decision.js';
import type { Branch } from './branch.js';
import type { Change, Changes } from './changes.js';
import type { Files } from './files.js';
import { ledgerNames, recordNumbers } from './tree.js';

/** The records of the ledgers, which are pushed at once, and the last decisions beside them. */

/** The numbers of a label's records, after a look. */
export async function listRecords(changes: Changes, label: Label): Promise<number[]> {
  await changes.look();
  return recordNumbers(changes.branch.tree, label);
}

export async function readRecord(changes: Changes, label: Label, n: number): Promise<Buffer | undefined> {
  const { branch } = changes;
  // Only records after the newest can have been added since the last look.
  if (n === Math.max(0, ...recordNumbers(branch.tree, label)) + 1) await changes.look();
  return branch.read(recordPath(label, n), MAX_RECORD);
}

/** Pushes record n with all waiting changes. `lost` means that another record has this number; the changes are dropped. */
export async function appendRecord(
  changes: Changes,
  label: Label,
  n: number,
  bytes: Uint8Array,
): Promise<'won' | 'lost'> {
  try {
    await changes.add(writeRecord(changes.branch, label, n, bytes));
    await changes.push();
    return 'won';
  } catch (error) {
    // All waiting changes were meant for this record.
    changes.drop();
    if (error instanceof Lost) return 'lost';
    throw error;
  }
}

/** Another run's record has this number. */
class Lost extends Error {}

/** Refuses to write a record that does not follow the newest one, or that would fill a hole. */
function writeRecord(branch: Branch, label: Label, n: number, bytes: Uint8Array): Change {
  const name = recordPath(label, n);
  return {
    title: `${label}: record ${n}`,
    make: async (files) => {
      const there = await files.read(name, MAX_RECORD);
      if (there?.equals(bytes)) return;
      if (there !== undefined) throw new Lost();
      const numbers = new Set(recordNumbers(branch.tree, label));
      const missing = [n - 1, n].find((one) => one > 0 && !numbers.has(one) && (one < n || numbers.has(n + 1)));
      if (missing !== undefined) {
        throw new ServiceError('conflict', `${branch.where}/${name}: not written, record ${missing} is missing`);
      }
      files.put(name, bytes);
    },
  };
}

/** The labels that have a ledger, after a look. Throws if the name of a directory there cannot be a label. */
export async function listLedgers(changes: Changes): Promise<Label[]> {
  await changes.look();
  const { tree, where } = changes.branch;
  return ledgerNames(tree).map((name) =>
    parseWith(labelSchema, name, (problem) => new ServiceError('conflict', `${where}/ledger: ${problem}`)),
  );
}

/** The newest run's decision about a label; undefined if there is none. */
export async function readLastDecision(files: Files, label: Label): Promise<LastDecision | undefined> {
  const name = lastDecisionPath(label);
  const json = await files.read(name, MAX_RECORD);
  return json && parseLastDecision(json.toString('utf8'), `${files.branch.where}/${name}`);
}

/** In milliseconds. The dashboard calls a branch silent if it has seen no decision for some days. */
const SIGN_OF_LIFE = 12 * 3600 * 1000;

/**
 * Replaces the newest run's decision. Without other changes it is worth a commit only if it says something new, or as
 * a sign of life.
 */
export function writeLastDecision(label: Label, decision: LastDecision): Change {
  const text = `${JSON.stringify(v.parse(lastDecisionSchema, decision), undefined, 2)}\n`;
  return {
    title: `${label}: ${decision.decision}`,
    make: async (files) => {
      const before = await readLastDecision(files, label);
      const isKnown = before !== undefined && saysTheSame(before, decision) && isRecent(before, decision);
      if (files.writes.size > 0 || !isKnown) files.put(lastDecisionPath(label), text);
    },
  };
}

function saysTheSame(before: LastDecision, now: LastDecision): boolean {
  const words = ({ decision, reason, reference, regressed, 'without-referrers': keepNone }: LastDecision) =>
    JSON.stringify([decision, reason, reference, regressed, keepNone]);
  return words(before) === words(now);
}

function isRecent(before: LastDecision, now: LastDecision): boolean {
  return Math.abs(Date.parse(now['decided-at']) - Date.parse(before['decided-at'])) < SIGN_OF_LIFE;
}
