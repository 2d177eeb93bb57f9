import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson, runUrlSchema, timestampSchema } from '../base/schema.js';
import { referenceSchema, repositorySchema } from '../candidate/reference.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { jobNameSchema, linkSchema } from '../criteria/job-result.js';
import type { Label } from '../ledger/names.js';

const repositoryNameSchema = v.pipe(
  v.string(),
  v.check((text) => v.is(repositorySchema, text), 'is not an image repository with its registry'),
);

/**
 * The newest run's decision about a label, whether or not it promoted: it shows that the pipeline is alive, and why a
 * candidate waits. Each run replaces it; in git, only if that says something new or the old one is 12 hours old. Only
 * the ledger is history.
 */
export const lastDecisionSchema = v.strictObject({
  version: v.literal(1),
  'decided-at': timestampSchema,
  decision: v.picklist(['promote', 'wait', 'reject', 'force', 'rollback', 'adopt', 'unchanged', 'frozen']),
  reason: v.pipe(v.string(), v.description('The decision in one sentence')),
  /** The candidate that it is about. */
  reference: referenceSchema,
  'run-url': runUrlSchema,
  /** The evaluation, where there was one. */
  report: v.nullable(decisionRecordSchema),
  regressed: v.exactOptional(
    v.pipe(
      v.strictObject({
        reference: referenceSchema,
        jobs: v.array(
          v.strictObject({ job: jobNameSchema, since: v.nullable(timestampSchema), url: v.nullable(linkSchema) }),
        ),
      }),
      v.description(
        'The promoted image, and the jobs that it had passed but that have failed since; absent if none has',
      ),
    ),
  ),
  signed: v.exactOptional(
    v.pipe(
      v.strictObject({
        reference: referenceSchema,
        by: v.pipe(v.nullable(v.string()), v.description('The key or the identity; null: that run signed nothing')),
      }),
      v.description(
        'The image that was promoted when the run ended, and its signer; absent if a target keeps no signatures',
      ),
    ),
  ),
  'without-referrers': v.exactOptional(
    v.pipe(
      v.array(repositoryNameSchema),
      v.minLength(1),
      v.description('The targets that did not keep the proof of the promoted image; absent if all did'),
    ),
  ),
});
export type LastDecision = v.InferOutput<typeof lastDecisionSchema>;

/** Parses the content of `ledger/<label>.json`, from any store. `where` is its address. */
export function parseLastDecision(text: string, where: string): LastDecision {
  return parseJson(lastDecisionSchema, text, (problem) => new ServiceError('bad-answer', `${where}: ${problem}`));
}

/** The path of the last decision. It is beside the ledger, which contains only records. */
export function lastDecisionPath(label: Label): string {
  return `ledger/${label}.json`;
}
