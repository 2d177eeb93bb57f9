import * as v from 'valibot';
import { runUrlSchema, timestampSchema } from '../base/schema.js';
import { digestSchema, referenceSchema, repositorySchema, tagSchema } from '../candidate/reference.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { type Label, labelSchema } from './names.js';

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

/** Where one image went: the candidate, or a companion. */
const targetSchema = v.strictObject({
  repository: v.pipe(
    v.string(),
    v.check((text) => v.is(repositorySchema, text), 'is not an image repository with its registry'),
    v.description('As in quay.io/tripleomastercentos9/daemon'),
  ),
  tag: v.pipe(tagSchema, v.description('The versioned tag, which covers the image for good')),
  digest: digestSchema,
  source: referenceSchema,
});
export type LedgerTarget = v.InferOutput<typeof targetSchema>;

/** A digest that is not to be promoted: until it is lifted (a hold), or ever (a quarantine). */
const banSchema = v.strictObject({
  digest: digestSchema,
  tag: tagSchema,
  reason: lineSchema,
  who: lineSchema,
  since: timestampSchema,
});
export type Ban = v.InferOutput<typeof banSchema>;

/**
 * One record of the ledger, `ledger/<label>/<n>.json`. Whatever its kind, candidate, targets, previous, holds and
 * quarantine are the state after it: what the label and the moving tags must be while it is the head.
 */
export const ledgerRecordSchema = v.strictObject({
  version: v.literal(1),
  id: v.pipe(recordIdSchema, v.description('run/attempt/uuid: who appended it, told apart from everyone else')),
  n: v.pipe(v.number(), v.integer(), v.minValue(1), v.description('From 1, without a gap')),
  kind: v.picklist(['earned', 'forced', 'rollback', 'adopted', 'hold', 'lift', 'quarantine']),
  when: v.pipe(timestampSchema, v.description('RFC 3339 in UTC')),
  who: lineSchema,
  'run-url': runUrlSchema,
  event: v.pipe(lineSchema, v.description('What started the run, as in `schedule`; empty outside a runner')),
  reason: lineSchema,
  label: labelSchema,
  candidate: v.pipe(referenceSchema, v.description('What is promoted after this record: repository:tag@digest')),
  targets: v.pipe(v.array(targetSchema), v.description("The candidate's, then the companions'")),
  decision: v.pipe(v.nullable(decisionRecordSchema), v.description('What earned it, or what a force overrode')),
  'skipped-jobs': v.pipe(v.array(lineSchema), v.description('The unmet jobs that a force named')),
  overridden: v.pipe(
    v.array(v.picklist(['downgrade', 'hold', 'reject', 'wait'])),
    v.description('What a force overrode'),
  ),
  previous: v.pipe(v.nullable(referenceSchema), v.description('What previous-<label> is after this record')),
  holds: v.pipe(v.array(banSchema), v.description('Not to be promoted until lifted, as they are after this record')),
  quarantine: v.pipe(v.array(banSchema), v.description('Never to be promoted, as they are after this record')),
  'prev-sha256': v.pipe(v.nullable(sha256Schema), v.description('Of the bytes of record n-1; null for record 1')),
  hmac: v.exactOptional(
    v.pipe(sha256Schema, v.description('HMAC-SHA256 by ledger-key over the canonical bytes without this')),
  ),
});
export type LedgerRecord = v.InferOutput<typeof ledgerRecordSchema>;

/** Bytes; the decision record is most of a record. */
export const MAX_RECORD = 4 * 1024 * 1024;

/** Where record n of a label's ledger lies, below the label's directory. */
export function recordPath(label: Label, n: number): string {
  return `ledger/${label}/${n}.json`;
}
