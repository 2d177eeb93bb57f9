import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { type Hint, ServiceError } from '../base/errors.js';
import { runUrlSchema, timestampSchema, tryParse } from '../base/schema.js';
import { companionsOf, MAX_COMPANIONS } from '../candidate/image-set.js';
import {
  type Candidate,
  candidateSchema,
  digestSchema,
  formatCandidate,
  formatRepository,
  referenceSchema,
  repositorySchema,
  tagSchema,
} from '../candidate/reference.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { labelSchema } from './names.js';
import { type Ban, decisionOf, type LedgerRecord, type LedgerTarget, overriddenBy } from './record.js';

/**
 * The file of a record. Only this module knows its keys and its canonical bytes: JSON with the keys in the schema's
 * order, an indent of two spaces and a final newline. A record thus has exactly one form and one hash.
 */

const lineSchema = v.pipe(
  v.string(),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  v.regex(/^[^\u0000-\u001f\u007f]{0,4096}$/, 'is not one line of text'),
);

const sha256Schema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, (issue) => `${issue.received} is not 64 hex digits`),
);

/** `local/1/<uuid>` outside a runner. */
const recordIdSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9_-]{1,64}\/\d{1,9}\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    (issue) => `${issue.received} is not an id such as 123/1/<uuid>`,
  ),
);

const numberSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const targetSchema = v.strictObject({
  repository: v.pipe(
    v.string(),
    v.check((text) => v.is(repositorySchema, text), 'is not an image repository with its registry'),
    v.description('As in quay.io/tripleomastercentos9/daemon'),
  ),
  tag: v.pipe(tagSchema, v.description('The versioned tag, which never moves')),
  digest: digestSchema,
  source: v.pipe(referenceSchema, v.description('Where it was copied from')),
});

const banSchema = v.strictObject({
  digest: digestSchema,
  tag: tagSchema,
  reason: v.pipe(lineSchema, v.description('Why it is banned')),
  who: v.pipe(lineSchema, v.description('Who banned it')),
  since: timestampSchema,
  contents: v.exactOptional(
    v.pipe(
      v.array(digestSchema),
      v.minLength(1),
      v.description('Platform manifests and configs: an image that has one of them is banned too'),
    ),
  ),
});

/** The JSON of `ledger/<label>/<n>.json`. */
export const ledgerRecordSchema = v.strictObject({
  version: v.literal(1),
  id: v.pipe(recordIdSchema, v.description('run/attempt/uuid, different for every attempt to append')),
  n: v.pipe(numberSchema, v.description('From 1, without a gap')),
  kind: v.pipe(
    v.picklist(['earned', 'forced', 'rollback', 'adopted', 'hold', 'lift', 'quarantine']),
    v.description('What the run did. Earned: it promoted an image that met the criteria'),
  ),
  when: v.pipe(timestampSchema, v.description('RFC 3339 in UTC')),
  who: v.pipe(lineSchema, v.description('Who started the run')),
  'run-url': v.pipe(runUrlSchema, v.description('The page of the run; null outside a runner')),
  event: v.pipe(lineSchema, v.description('What started the run, as in `schedule`; empty outside a runner')),
  reason: v.pipe(lineSchema, v.description("The verdict's reason, or that of the person who decided")),
  label: v.pipe(labelSchema, v.description('The promoted label')),
  candidate: v.pipe(referenceSchema, v.description('The image promoted after this record: repository:tag@digest')),
  companions: v.exactOptional(
    v.pipe(
      v.array(referenceSchema),
      v.minLength(1),
      v.maxLength(MAX_COMPANIONS),
      v.description('The images that were tested with the candidate, sorted; absent if it was tested alone'),
    ),
  ),
  targets: v.pipe(
    v.array(targetSchema),
    v.description('Where each image was promoted to: the candidate first, then the companions'),
  ),
  decision: v.pipe(
    v.nullable(decisionRecordSchema),
    v.description('The decision record of the promoted or forced image; null if the criteria were not evaluated'),
  ),
  'skipped-jobs': v.pipe(v.array(lineSchema), v.description('The unmet jobs that a force named')),
  overridden: v.pipe(
    v.array(v.picklist(['downgrade', 'hold', 'reject', 'wait'])),
    v.description('The verdict and the guards that a force overrode'),
  ),
  previous: v.pipe(v.nullable(referenceSchema), v.description('What `previous-<label>` names after this record')),
  holds: v.pipe(v.array(banSchema), v.description('The images that are on hold after this record')),
  quarantine: v.pipe(v.array(banSchema), v.description('The images that are quarantined after this record')),
  supersedes: v.exactOptional(
    v.pipe(
      v.array(v.strictObject({ ledger: sha256Schema, n: numberSchema })),
      v.minLength(1),
      v.description('Only in an adopted record: the ledgers that were lost, each with its newest known record'),
    ),
  ),
  'prev-sha256': v.pipe(
    v.nullable(sha256Schema),
    v.description('The SHA-256 of the bytes of record n-1; null for record 1'),
  ),
  hmac: v.exactOptional(
    v.pipe(
      sha256Schema,
      v.description('The seal: HMAC-SHA256 with `ledger-key` over the canonical bytes without this key'),
    ),
  ),
});
type RecordFile = v.InferOutput<typeof ledgerRecordSchema>;

/** In bytes. The decision record makes up most of a record. */
export const MAX_RECORD = 4 * 1024 * 1024;

/** A value, or the problem with it, and the way out unless that is to restore the ledger. */
export type Checked<T> = { readonly value: T } | { readonly problem: string; readonly hint?: Hint };

/** A parsed record and its seal. */
export interface ReadRecord {
  readonly record: LedgerRecord;
  /** Undefined if the record is not sealed. */
  readonly hmac: string | undefined;
}

/** Parses a file's bytes, or returns the problem with them. Bytes that are not in canonical form are refused. */
export function parseRecord(bytes: Uint8Array): Checked<ReadRecord> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return { problem: 'it is not JSON' };
  }
  const parsed = tryParse(ledgerRecordSchema, json);
  if ('problem' in parsed) return parsed;
  const file = parsed.value;
  if (!canonical(file).equals(bytes)) {
    return { problem: 'its bytes are not canonical: another program wrote or changed it' };
  }
  const record = fromFile(file);
  return 'problem' in record ? record : { value: { record: record.value, hmac: file.hmac } };
}

/**
 * The canonical bytes of a record, sealed by an HMAC if there is a key.
 *
 * @throws a ServiceError if no store would read so large a record; an Error if it does not fit its schema, which would
 * be a bug in this program.
 */
export function formatRecord(record: LedgerRecord, key: string | undefined): Buffer {
  const file = v.parse(ledgerRecordSchema, toFile(record));
  const bytes = canonical(key === undefined ? file : { ...file, hmac: hmacOf(file, key) });
  if (bytes.length <= MAX_RECORD) return bytes;
  const what = `ledger record ${record.n} of ${record.label}`;
  throw new ServiceError('too-large', `${what}: has ${bytes.length} bytes, over ${MAX_RECORD}`);
}

/** Returns the problem with a record's seal, if there is one. */
export function sealProblem({ record, hmac }: ReadRecord, key: string): string | undefined {
  if (hmac === undefined) return 'it has no HMAC, although a ledger key is set';
  const expected = hmacOf(v.parse(ledgerRecordSchema, toFile(record)), key);
  return timingSafeEqual(Buffer.from(hmac), Buffer.from(expected))
    ? undefined
    : 'its HMAC was not made with the ledger key';
}

/** In hex. A record names the record before it by this hash, and record 1's hash identifies the ledger. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function canonical(file: RecordFile): Buffer {
  return Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
}

function hmacOf(unsealed: RecordFile, key: string): string {
  return createHmac('sha256', key).update(canonical(unsealed)).digest('hex');
}

function toFile(record: LedgerRecord): v.InferInput<typeof ledgerRecordSchema> {
  return {
    version: 1,
    id: record.id,
    n: record.n,
    kind: record.kind,
    when: record.when,
    who: record.who,
    'run-url': record.runUrl ?? null,
    event: record.event,
    reason: record.reason,
    label: record.label,
    candidate: formatCandidate(record.candidate),
    ...(companionsOf(record).length > 0 && { companions: companionsOf(record).map(formatCandidate) }),
    targets: record.targets.map(targetToFile),
    decision: decisionOf(record) ?? null,
    'skipped-jobs': record.kind === 'forced' ? [...record.skippedJobs] : [],
    overridden: [...overriddenBy(record)],
    previous: record.previous === undefined ? null : formatCandidate(record.previous),
    holds: record.holds.map(formatBan),
    quarantine: record.quarantine.map(formatBan),
    ...(record.kind === 'adopted' && record.supersedes.length > 0 && { supersedes: [...record.supersedes] }),
    'prev-sha256': record.prevSha256 ?? null,
  };
}

function targetToFile({ repository, tag, digest, source }: LedgerTarget) {
  return { repository: formatRepository(repository), tag, digest, source: formatCandidate(source) };
}

/** A ban in the form of the file. */
export function formatBan({ contents, ...ban }: Ban): v.InferOutput<typeof banSchema> {
  return contents.length === 0 ? ban : { ...ban, contents: [...contents] };
}

function fromFile(file: RecordFile): Checked<LedgerRecord> {
  const common = {
    id: file.id,
    n: file.n,
    when: file.when,
    who: file.who,
    runUrl: file['run-url'] ?? undefined,
    event: file.event,
    reason: file.reason,
    label: file.label,
    candidate: parseReference(file.candidate),
    ...(file.companions !== undefined && { companions: file.companions.map(parseReference) }),
    targets: file.targets.map(targetFromFile),
    previous: file.previous === null ? undefined : parseReference(file.previous),
    holds: file.holds.map(banFromFile),
    quarantine: file.quarantine.map(banFromFile),
    prevSha256: file['prev-sha256'] ?? undefined,
  };
  const { kind, decision, supersedes = [] } = file;
  if (kind !== 'forced' && file['skipped-jobs'].length + file.overridden.length > 0) {
    return { problem: 'it overrides something, which only a force does' };
  }
  if (kind !== 'adopted' && supersedes.length > 0) return { problem: 'only an adopted record supersedes a ledger' };
  if (kind === 'earned' || kind === 'forced') {
    if (decision === null) return { problem: `it is ${kind}, but has no decision` };
    if (kind === 'earned') return { value: { ...common, kind, decision } };
    const { 'skipped-jobs': skippedJobs, overridden } = file;
    return { value: { ...common, kind, decision, skippedJobs, overridden } };
  }
  if (decision !== null) return { problem: `it is of kind ${kind}, but has a decision` };
  return { value: kind === 'adopted' ? { ...common, kind, supersedes } : { ...common, kind } };
}

function targetFromFile({ repository, source, ...target }: RecordFile['targets'][number]): LedgerTarget {
  return { ...target, repository: v.parse(repositorySchema, repository), source: parseReference(source) };
}

function banFromFile({ contents = [], ...ban }: RecordFile['holds'][number]): Ban {
  return { ...ban, contents };
}

function parseReference(text: string): Candidate {
  return v.parse(candidateSchema, text);
}
