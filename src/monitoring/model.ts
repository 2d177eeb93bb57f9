import * as v from 'valibot';
import { runUrlSchema, timestampSchema } from '../base/schema.js';
import { digestSchema, referenceSchema, tagSchema } from '../candidate/reference.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { jobNameSchema, linkSchema } from '../criteria/job-result.js';
import { ledgerRecordSchema } from '../ledger/codec.js';
import { labelSchema } from '../ledger/names.js';
import { lastDecisionSchema } from '../store/last-decision.js';

/** All that the dashboard says, and what data.json holds. Durations are in seconds. */

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0));
const secondsSchema = v.number();
const { kind, holds, quarantine, overridden } = ledgerRecordSchema.entries;
const { jobs, 'blocked-by': blockedBy, verdict } = decisionRecordSchema.entries;

const promotionSchema = v.strictObject({
  n: v.pipe(countSchema, v.description('The number of its ledger record')),
  id: ledgerRecordSchema.entries.id,
  kind: v.pipe(kind, v.description('earned, forced, rollback or adopted: the kinds that change the image')),
  when: timestampSchema,
  who: v.string(),
  'run-url': runUrlSchema,
  reason: v.string(),
  reference: referenceSchema,
  tag: tagSchema,
  digest: digestSchema,
  'skipped-jobs': v.array(v.string()),
  overridden,
  found: v.pipe(v.nullable(timestampSchema), v.description('When the candidate was published for testing')),
  'first-result': v.pipe(v.nullable(timestampSchema), v.description('When the first result on it came')),
  'lead-time': v.pipe(
    v.nullable(secondsSchema),
    v.description('From found to earned, of the first promotion of an image; null of all others'),
  ),
});
export type Promotion = v.InferOutput<typeof promotionSchema>;

const cellSchema = v.strictObject({
  ...v.omit(jobs.pipe[0].item, ['aggregate-hash']).entries,
  attempts: v.pipe(countSchema, v.description('How many results there are of it on this image')),
});
export type Cell = v.InferOutput<typeof cellSchema>;

const evaluationSchema = v.strictObject({
  tag: tagSchema,
  digest: digestSchema,
  'evaluated-at': timestampSchema,
  outcome: v.pipe(
    v.picklist(['earned', 'forced', ...verdict.options, 'undecided']),
    v.description(
      'How it was promoted, or the verdict of the last decision; undecided: no run has left a decision, and the cells ' +
        'are what the votes say by the newest criteria',
    ),
  ),
  current: v.pipe(v.boolean(), v.description('Whether it is what is promoted now')),
  cells: v.pipe(v.array(v.nullable(cellSchema)), v.description('In the order of `jobs`')),
});
export type Evaluation = v.InferOutput<typeof evaluationSchema>;

const jobFiguresSchema = v.strictObject({
  job: jobNameSchema,
  results: v.pipe(countSchema, v.description('Passes and failures')),
  passed: countSchema,
  tries: v.pipe(countSchema, v.description('On how many pairs of image and aggregate hash it gave a result')),
  flaky: v.pipe(countSchema, v.description('On how many of them it failed, and passed later')),
});
export type JobFigures = v.InferOutput<typeof jobFiguresSchema>;

const waiverSchema = v.strictObject({
  job: jobNameSchema,
  until: v.pipe(v.string(), v.description('The last day, in UTC')),
  'days-left': v.pipe(v.number(), v.integer(), v.description('0 on the last day, negative afterwards')),
  reason: v.string(),
  issue: v.nullable(v.string()),
});

const figuresSchema = v.strictObject({
  records: v.pipe(countSchema, v.description('How many ledger records these figures rest on')),
  'by-kind': v.record(kind, countSchema),
  'promotions-a-week': v.pipe(v.nullable(v.number()), v.description('Earned and forced, over the last 12 weeks')),
  'lead-time': v.strictObject({
    promotions: v.pipe(countSchema, v.description('How many lead times are known')),
    p50: v.nullable(secondsSchema),
    p90: v.nullable(secondsSchema),
  }),
  'time-to-restore': v.pipe(
    v.nullable(secondsSchema),
    v.description('The median time between a promotion and the rollback that left it'),
  ),
});

const sourceSchema = v.picklist([
  'image server',
  'ledger',
  'label',
  'candidate label',
  'last decision',
  'candidate files',
  'criteria',
  'DLRN',
]);
export type Source = v.InferOutput<typeof sourceSchema>;

const problemSchema = v.strictObject({
  source: v.pipe(sourceSchema, v.description('What could not be read or trusted; each once at most')),
  since: v.pipe(timestampSchema, v.description('When a dashboard first said so, and each one since')),
  why: v.string(),
});
export type Problem = v.InferOutput<typeof problemSchema>;

const branchSchema = v.strictObject({
  branch: v.string(),
  url: v.string(),
  dlrn: v.pipe(v.nullable(v.string()), v.description('The DLRN API whose votes are told as well')),
  state: v.pipe(
    v.picklist(['ok', 'late', 'silent', 'empty', 'broken']),
    v.description(
      'late: no promotion within target-age; silent: no run within heartbeat-age; empty: no ledger; ' +
        'broken: the ledger or the last decision cannot be read or trusted',
    ),
  ),
  problems: v.array(problemSchema),
  'label-tag': v.pipe(v.nullable(tagSchema), v.description('What the label names')),
  head: v.pipe(v.nullable(countSchema), v.description('The number of the newest ledger record')),
  current: v.pipe(v.nullable(promotionSchema), v.description('What is promoted, by the ledger')),
  previous: v.pipe(v.nullable(referenceSchema), v.description('What a rollback would go back to')),
  'last-success': v.pipe(v.nullable(timestampSchema), v.description('The newest promotion that is no rollback')),
  heartbeat: v.pipe(v.nullable(timestampSchema), v.description('When the pipeline last came to a decision')),
  candidate: v.nullable(
    v.strictObject({
      tag: tagSchema,
      digest: v.nullable(digestSchema),
      found: v.nullable(timestampSchema),
      promoted: v.boolean(),
      banned: v.pipe(v.boolean(), v.description('Whether it is on hold or quarantined')),
      evaluated: v.pipe(v.boolean(), v.description('Whether the last decision is about it')),
    }),
  ),
  decision: v.nullable(
    v.strictObject({
      ...v.omit(lastDecisionSchema, ['version', 'report']).entries,
      blocked: v.pipe(v.boolean(), v.description('Whether the candidate still waits for its promotion')),
      jobs,
      'blocked-by': blockedBy,
      warnings: v.array(v.string()),
    }),
  ),
  jobs: v.pipe(v.array(jobNameSchema), v.description('The columns of `evaluations`')),
  evaluations: v.pipe(v.array(evaluationSchema), v.description('The newest of each candidate, newest first')),
  promotions: v.pipe(v.array(promotionSchema), v.description('Newest first')),
  figures: figuresSchema,
  'job-figures': v.array(jobFiguresSchema),
  waivers: v.array(waiverSchema),
  holds,
  quarantine,
});
export type BranchModel = v.InferOutput<typeof branchSchema>;

const nightlyJobSchema = v.strictObject({
  job: jobNameSchema,
  problem: v.nullable(
    v.strictObject({
      since: v.pipe(timestampSchema, v.description('When a dashboard first said so, and each one since')),
      why: v.pipe(v.string(), v.description('Why its builds could not be read')),
    }),
  ),
  builds: v.pipe(
    v.array(
      v.strictObject({
        outcome: v.pipe(
          v.picklist(['success', 'failure', 'running', 'unknown']),
          v.description('unknown: it ended before it could tell'),
        ),
        result: v.pipe(v.nullable(v.string()), v.description("Zuul's word for it; null while it runs")),
        when: v.pipe(v.nullable(timestampSchema), v.description('When it ended, or else began')),
        url: v.pipe(v.nullable(linkSchema), v.description('Where its logs are')),
      }),
    ),
    v.description('The newest 14, newest first'),
  ),
});
export type NightlyJob = v.InferOutput<typeof nightlyJobSchema>;

export const dashboardSchema = v.strictObject({
  version: v.literal(1),
  title: v.string(),
  label: labelSchema,
  'candidate-label': labelSchema,
  'generated-at': timestampSchema,
  'target-age': v.pipe(secondsSchema, v.description('How old the newest promotion may be')),
  'heartbeat-age': v.pipe(secondsSchema, v.description('How long ago the newest run may be')),
  branches: v.array(branchSchema),
  nightly: v.pipe(v.array(nightlyJobSchema), v.description('Jobs that test development builds, and promote nothing')),
});
export type DashboardModel = v.InferOutput<typeof dashboardSchema>;
