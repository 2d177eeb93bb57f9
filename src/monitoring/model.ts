import * as v from 'valibot';
import { runUrlSchema, timestampSchema } from '../base/schema.js';
import { digestSchema, referenceSchema, tagSchema } from '../candidate/reference.js';
import { decisionRecordSchema } from '../criteria/decision-record.js';
import { jobNameSchema, linkSchema } from '../criteria/job-result.js';
import { ledgerRecordSchema } from '../ledger/codec.js';
import { labelSchema } from '../ledger/names.js';
import { lastDecisionSchema } from '../store/last-decision.js';

/** The content of the dashboard, and of data.json. Durations are in seconds. */

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
  reference: v.pipe(referenceSchema, v.description('The image promoted after it')),
  tag: tagSchema,
  digest: digestSchema,
  left: v.pipe(v.nullable(referenceSchema), v.description('The image promoted before it; null if it is the first')),
  'skipped-jobs': v.array(v.string()),
  overridden,
  found: v.pipe(v.nullable(timestampSchema), v.description('When the candidate was published for testing')),
  'first-result': v.pipe(v.nullable(timestampSchema), v.description('When the first result on it arrived')),
  'lead-time': v.pipe(
    v.nullable(secondsSchema),
    v.description('From when it was found until it was earned, for the first promotion of an image; otherwise null'),
  ),
});
export type Promotion = v.InferOutput<typeof promotionSchema>;

const cellSchema = v.strictObject({
  ...v.omit(jobs.pipe[0].item, ['aggregate-hash']).entries,
  attempts: v.pipe(countSchema, v.description('How many results it has on this image')),
});
export type Cell = v.InferOutput<typeof cellSchema>;

const evaluationSchema = v.strictObject({
  tag: tagSchema,
  digest: digestSchema,
  'evaluated-at': timestampSchema,
  outcome: v.pipe(
    v.picklist(['earned', 'forced', ...verdict.options, 'undecided']),
    v.description(
      'How it was promoted, or the verdict of the last decision. undecided: no run left a decision, and the cells are ' +
        'the votes evaluated by the newest criteria',
    ),
  ),
  current: v.pipe(v.boolean(), v.description('It is promoted now')),
  cells: v.pipe(v.array(v.nullable(cellSchema)), v.description('In the order of `jobs`')),
});
export type Evaluation = v.InferOutput<typeof evaluationSchema>;

const jobFiguresSchema = v.strictObject({
  job: jobNameSchema,
  results: v.pipe(countSchema, v.description('Passes and failures')),
  passed: countSchema,
  tries: v.pipe(countSchema, v.description('Pairs of image and aggregate hash with a result')),
  flaky: v.pipe(countSchema, v.description('Tries that failed first and passed later')),
});
export type JobFigures = v.InferOutput<typeof jobFiguresSchema>;

const waiverSchema = v.strictObject({
  job: jobNameSchema,
  until: v.pipe(v.string(), v.description('The last day, in UTC')),
  reason: v.string(),
  issue: v.nullable(v.string()),
});

const figuresSchema = v.strictObject({
  records: v.pipe(countSchema, v.description('How many ledger records were counted')),
  'by-kind': v.record(kind, countSchema),
  'promotions-a-week': v.pipe(v.nullable(v.number()), v.description('Earned and forced, over the last 12 weeks')),
  'lead-time': v.strictObject({
    promotions: v.pipe(countSchema, v.description('How many lead times are known')),
    p50: v.nullable(secondsSchema),
    p90: v.nullable(secondsSchema),
  }),
  'time-to-restore': v.pipe(
    v.nullable(secondsSchema),
    v.description('Median time between a promotion and the rollback that ended it'),
  ),
});

const sourceSchema = v.picklist([
  'image server',
  'ledger',
  'label',
  'previous label',
  'candidate label',
  'last decision',
  'candidate files',
  'criteria',
  'DLRN',
]);
export type Source = v.InferOutput<typeof sourceSchema>;

const problemSchema = v.strictObject({
  source: v.pipe(sourceSchema, v.description('What could not be read or trusted; at most one problem for each source')),
  since: v.pipe(timestampSchema, v.description('When a dashboard first reported it; every one since did too')),
  why: v.string(),
});
export type Problem = v.InferOutput<typeof problemSchema>;

const healthSchema = v.strictObject({
  state: v.pipe(
    v.picklist(['passing', 'regressed', 'unproven', 'unknown', 'nothing']),
    v.description(
      'passing: its required jobs passed, and none has failed since; regressed: a job that passed has failed since; ' +
        'unproven: its jobs never all passed; unknown: it cannot be read; nothing: nothing is promoted',
    ),
  ),
  why: v.string(),
  jobs: v.pipe(
    v.array(v.omit(jobs.pipe[0].item, ['aggregate-hash'])),
    v.description('The jobs that make it regressed or unproven'),
  ),
});
export type Health = v.InferOutput<typeof healthSchema>;

const targetSchema = v.strictObject({
  repository: v.string(),
  tag: v.pipe(tagSchema, v.description('The tag that never moves')),
  digest: digestSchema,
  companion: v.pipe(v.boolean(), v.description('Promoted along with the candidate')),
});
export type Target = v.InferOutput<typeof targetSchema>;

const stepSchema = v.strictObject({
  what: v.string(),
  command: v.pipe(v.nullable(v.string()), v.description('For a shell, with branch and tags filled in')),
  link: v.pipe(v.nullable(v.string()), v.description('The result or the page that it is about')),
  'how-to': v.pipe(v.nullable(v.string()), v.description('The address of the how-to')),
});
export type Step = v.InferOutput<typeof stepSchema>;

const branchSchema = v.strictObject({
  branch: v.string(),
  url: v.string(),
  dlrn: v.pipe(v.nullable(v.string()), v.description('The DLRN API whose votes are read too')),
  owner: v.pipe(v.nullable(v.string()), v.description('Whom to ask')),
  changes: v.pipe(
    v.array(v.pipe(v.string(), v.startsWith('https://'))),
    v.description('The open changes that propose the promoted image to other repositories'),
  ),
  state: v.pipe(
    v.picklist(['broken', 'regressed', 'silent', 'late', 'empty', 'ok']),
    v.description(
      'The worst of these that is true, in this order. broken: the ledger or the last decision cannot be read or trusted; ' +
        'regressed: see health; silent: no run within heartbeat-age; late: no promotion within target-age; ' +
        'empty: nothing is promoted',
    ),
  ),
  health: healthSchema,
  targets: v.pipe(v.array(targetSchema), v.description('Where the promoted image can be pulled')),
  next: v.pipe(v.array(stepSchema), v.description('What to do, most urgent first')),
  problems: v.array(problemSchema),
  'label-tag': v.pipe(v.nullable(tagSchema), v.description('What the label names')),
  head: v.pipe(v.nullable(countSchema), v.description('The number of the newest ledger record')),
  current: v.pipe(v.nullable(promotionSchema), v.description('The promoted image, according to the ledger')),
  previous: v.pipe(v.nullable(referenceSchema), v.description('What a rollback goes back to')),
  'last-success': v.pipe(
    v.nullable(timestampSchema),
    v.description('When it was last promoted, other than by a rollback'),
  ),
  due: v.pipe(v.nullable(timestampSchema), v.description('By when the next promotion is due')),
  heartbeat: v.pipe(v.nullable(timestampSchema), v.description('When the pipeline last came to a decision')),
  'heartbeat-due': v.pipe(v.nullable(timestampSchema), v.description('By when its next decision is due')),
  candidate: v.nullable(
    v.strictObject({
      tag: tagSchema,
      digest: v.nullable(digestSchema),
      found: v.nullable(timestampSchema),
      promoted: v.boolean(),
      banned: v.pipe(v.boolean(), v.description('It is on hold or quarantined')),
      evaluated: v.pipe(v.boolean(), v.description('The last decision is about it')),
    }),
  ),
  decision: v.nullable(
    v.strictObject({
      ...v.pick(lastDecisionSchema, ['decided-at', 'decision', 'reason', 'reference', 'run-url']).entries,
      blocked: v.pipe(v.boolean(), v.description('The candidate is still not promoted')),
      jobs,
      'blocked-by': blockedBy,
      warnings: v.array(v.string()),
    }),
  ),
  signed: v.pipe(
    v.nullable(v.strictObject({ by: v.nullable(v.string()) })),
    v.description(
      'The signer of the promoted image, according to the last run. `by` is null if nobody signed it; null in place of the object if that is not known',
    ),
  ),
  jobs: v.pipe(v.array(jobNameSchema), v.description('The columns of `evaluations`')),
  evaluations: v.pipe(v.array(evaluationSchema), v.description('The newest of each candidate, newest first')),
  promotions: v.pipe(v.array(promotionSchema), v.description('The newest 50, newest first')),
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
      since: v.pipe(timestampSchema, v.description('When a dashboard first reported it; every one since did too')),
      why: v.pipe(v.string(), v.description('Why its builds could not be read')),
    }),
  ),
  builds: v.pipe(
    v.array(
      v.strictObject({
        outcome: v.pipe(
          v.picklist(['success', 'failure', 'running', 'unknown']),
          v.description('unknown: it ended for a reason other than its test'),
        ),
        result: v.pipe(v.nullable(v.string()), v.description("Zuul's result; null while it runs")),
        when: v.pipe(v.nullable(timestampSchema), v.description('When it ended; if it runs, when it began')),
        url: v.pipe(v.nullable(linkSchema), v.description('Where its logs are')),
      }),
    ),
    v.description('The newest 14, newest first'),
  ),
});
export type NightlyJob = v.InferOutput<typeof nightlyJobSchema>;

export const dashboardSchema = v.strictObject({
  version: v.literal(2),
  title: v.string(),
  label: labelSchema,
  'candidate-label': labelSchema,
  'generated-at': timestampSchema,
  'target-age': v.pipe(secondsSchema, v.description('How old the newest promotion may get')),
  'heartbeat-age': v.pipe(secondsSchema, v.description('How old the newest run may get')),
  branches: v.array(branchSchema),
  nightly: v.pipe(v.array(nightlyJobSchema), v.description('Jobs that test development builds; they promote nothing')),
  'record-pages': v.pipe(
    v.optional(v.record(v.string(), v.string())),
    v.description('The SHA-256 of each page of records by its name. The next run publishes those that differ'),
  ),
});
export type DashboardModel = v.InferOutput<typeof dashboardSchema>;
