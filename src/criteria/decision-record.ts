import * as v from 'valibot';
import { timestampSchema } from '../base/schema.js';
import { MAX_COMPANIONS } from '../candidate/image-set.js';
import { candidateSchema, referenceSchema, tagSchema } from '../candidate/reference.js';
import { jobNameSchema, jobResultSchema, linkSchema } from './job-result.js';

const aggregateHashSchema = v.pipe(
  v.nullable(v.string()),
  v.description('The aggregate hash; null if the results name none, or if nothing was tested yet'),
);

const jobSchema = v.strictObject({
  job: jobNameSchema,
  state: v.pipe(
    v.picklist(['met', 'unmet', 'unknown', 'waived']),
    v.description('Unmet: its newest result is a failure. Unknown is neither pass nor fail: no vote, running, too old'),
  ),
  why: v.pipe(v.string(), v.description('The state in words, as in `failed`')),
  since: v.pipe(
    v.nullable(timestampSchema),
    v.description('The time since which the job has had the outcome that decides'),
  ),
  url: v.pipe(v.nullable(linkSchema), v.description('The page of the result that decides')),
  'aggregate-hash': aggregateHashSchema,
  'way-out': v.exactOptional(v.pipe(v.string(), v.description('What helps the job if a new pass does not'))),
});
export type JobState = v.InferOutput<typeof jobSchema>;

const blockersSchema = v.strictObject({
  'aggregate-hash': aggregateHashSchema,
  jobs: v.pipe(
    v.array(v.array(jobNameSchema)),
    v.description('It would promote if one job of each of these groups passed'),
  ),
});
export type Blockers = v.InferOutput<typeof blockersSchema>;

/** Everything that a verdict rests on, so that it evaluates again to the same verdict. */
export const decisionRecordSchema = v.strictObject({
  version: v.pipe(
    v.picklist([1, 2]),
    v.description(
      '2. Old records have 1 and are evaluated by older rules, where a failure without proof blocked nothing',
    ),
  ),
  candidate: v.pipe(
    v.string(),
    v.check((text) => v.is(candidateSchema, text), 'is not a reference with its tag and digest'),
    v.description('repository:tag@digest'),
  ),
  companions: v.exactOptional(
    v.pipe(
      v.array(referenceSchema),
      v.minLength(1),
      v.maxLength(MAX_COMPANIONS),
      v.description('The companions that the jobs must have tested with it, sorted; absent if there are none'),
    ),
  ),
  'evaluated-at': timestampSchema,
  criteria: v.strictObject({
    label: tagSchema,
    sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/), v.description('The SHA-256 of `content` in UTF-8')),
    content: v.pipe(v.string(), v.description('The criteria file as it was')),
  }),
  evidence: v.pipe(
    v.array(jobResultSchema),
    v.description(
      'What the jobs of the criteria said about this image: every result that decides, and the newest of the others',
    ),
  ),
  'not-counted': v.pipe(
    v.array(v.strictObject({ job: jobNameSchema, url: v.nullable(linkSchema), why: v.string() })),
    v.description('Results that do not count, and why: the newest few of each job'),
  ),
  'not-counted-total': v.exactOptional(
    v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.description('The number of all results that do not count')),
  ),
  verdict: v.picklist(['promote', 'wait', 'reject']),
  reason: v.pipe(v.string(), v.description('The verdict in one sentence')),
  jobs: v.pipe(v.array(jobSchema), v.description('Each job of the criteria, once')),
  'aggregate-hash': v.pipe(
    v.nullable(v.string()),
    v.description('The hash that meets the criteria, or comes nearest; null if the results name no hash'),
  ),
  'blocked-by': v.pipe(
    v.array(blockersSchema),
    v.description('The smallest sets of jobs that block, nearest first, at most ten; empty if the verdict is promote'),
  ),
  warnings: v.array(v.string()),
});
export type DecisionRecord = v.InferOutput<typeof decisionRecordSchema>;
export type Verdict = DecisionRecord['verdict'];
