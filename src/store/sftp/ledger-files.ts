import * as v from 'valibot';
import { errorLine, ServiceError } from '../../base/errors.js';
import { parseWith } from '../../base/schema.js';
import { MAX_RECORD } from '../../ledger/codec.js';
import { type Label, labelSchema } from '../../ledger/names.js';
import { recordNumber, recordPath } from '../../ledger/paths.js';
import { type LastDecision, lastDecisionPath, lastDecisionSchema, parseLastDecision } from '../last-decision.js';
import { createFile, type Directory, makeReadable, pathOf, replaceFile } from './directory.js';

export function readRecord(directory: Directory, label: Label, n: number): Promise<Buffer | undefined> {
  return directory.session.readFile(pathOf(directory, recordPath(label, n)), MAX_RECORD);
}

/** The numbers of a label's records, in any order. */
export async function listRecords(directory: Directory, label: Label): Promise<number[]> {
  const path = pathOf(directory, `ledger/${label}`);
  if (!(await directory.session.isDirectory(path))) return [];
  return (await directory.session.list(path)).flatMap(({ name }) => recordNumber(name) ?? []);
}

/**
 * Creates record n exclusively. Whatever the server answers, the record that is there afterwards decides: `won` if it
 * has our id, `lost` if it has another. If nothing is there or can be read, the failure is thrown.
 */
export async function appendRecord(
  directory: Directory,
  label: Label,
  n: number,
  bytes: Uint8Array,
  id: string,
): Promise<'won' | 'lost'> {
  const name = recordPath(label, n);
  await refuseHole(directory, label, n);
  await makeDirectories(directory, ['ledger', `ledger/${label}`]);
  let failure: unknown;
  try {
    await createFile(directory, name, bytes);
  } catch (error) {
    failure = error;
  }
  let there: Buffer | undefined;
  try {
    there = await readRecord(directory, label, n);
  } catch (error) {
    throw new ServiceError(
      'unreachable',
      `${directory.where}/${name}: this may have been written; the next run finds out: ${errorLine(failure ?? error)}`,
    );
  }
  if (there === undefined) {
    throw failure ?? new ServiceError('conflict', `${directory.where}/${name}: was written, but is not there`);
  }
  return idOf(there) === id ? 'won' : 'lost';
}

/** The labels that have a ledger. Throws if the name of a directory there cannot be a label. */
export async function listLedgers(directory: Directory): Promise<Label[]> {
  const path = pathOf(directory, 'ledger');
  if (!(await directory.session.isDirectory(path))) return [];
  const entries = await directory.session.list(path);
  return entries
    .filter(({ kind }) => kind === 'directory')
    .map(({ name }) =>
      parseWith(labelSchema, name, (problem) => new ServiceError('conflict', `${directory.where}/ledger: ${problem}`)),
    );
}

/** The newest run's decision about a label; undefined if there is none. */
export async function readLastDecision(directory: Directory, label: Label): Promise<LastDecision | undefined> {
  const name = lastDecisionPath(label);
  const json = await directory.session.readFile(pathOf(directory, name), MAX_RECORD);
  return json && parseLastDecision(json.toString('utf8'), `${directory.where}/${name}`);
}

/** Replaces the newest run's decision, which is beside the ledger. */
export async function writeLastDecision(directory: Directory, label: Label, decision: LastDecision): Promise<void> {
  const text = JSON.stringify(v.parse(lastDecisionSchema, decision), undefined, 2);
  await makeDirectories(directory, ['ledger']);
  await replaceFile(directory, lastDecisionPath(label), Buffer.from(`${text}\n`));
}

/** Refuses to write a record that does not follow the newest one, or that would fill a hole. */
async function refuseHole(directory: Directory, label: Label, n: number): Promise<void> {
  const isThere = async (record: number) =>
    (await directory.session.stat(pathOf(directory, recordPath(label, record)))) !== undefined;
  const refuse = (missing: number) =>
    new ServiceError(
      'conflict',
      `${directory.where}/${recordPath(label, n)}: not written, record ${missing} is missing`,
    );
  if (n > 1 && !(await isThere(n - 1))) throw refuse(n - 1);
  // The later record is checked first: it is written only after this one is there.
  if ((await isThere(n + 1)) && !(await isThere(n))) throw refuse(n);
}

async function makeDirectories(directory: Directory, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await makeUnlessThere(directory, name);
    await makeReadable(directory, name);
  }
}

async function makeUnlessThere({ session, path }: Directory, name: string): Promise<void> {
  const wanted = `${path}/${name}`;
  if (await session.isDirectory(wanted)) return;
  try {
    await session.makeDirectory(wanted);
  } catch (error) {
    // Another run may have been as quick.
    if (!(await session.isDirectory(wanted))) throw error;
  }
}

const idSchema = v.pipe(v.string(), v.parseJson(), v.object({ id: v.string() }));

function idOf(bytes: Buffer): string | undefined {
  const parsed = v.safeParse(idSchema, bytes.toString('utf8'));
  return parsed.success ? parsed.output.id : undefined;
}
