import * as v from 'valibot';
import { digestSchema, tagSchema } from '../candidate/reference.js';

const NO_NAME = 'is not a job name: 1 to 256 characters on one line';

/** A job's name. Names are always compared whole. */
export const jobNameSchema = v.pipe(
  v.string(NO_NAME),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  v.regex(/^[^\u0000-\u001f\u007f]{1,256}$/, NO_NAME),
);

/** A link to a job for people to open. */
export const linkSchema = v.pipe(v.string(), v.regex(/^https?:\/\/[^\s"'<>]{1,2000}$/, 'is not an http or https URL'));

/** One result of one job, from any source. */
export const jobResultSchema = v.strictObject({
  job: jobNameSchema,
  outcome: v.picklist(['success', 'failure', 'running']),
  candidate: v.exactOptional(
    v.pipe(
      v.strictObject({ tag: tagSchema, digest: v.exactOptional(digestSchema) }),
      v.description(
        'The image that the job says it tested; without a digest it is not known which image the tag named',
      ),
    ),
  ),
  'set-digest': v.exactOptional(
    v.pipe(digestSchema, v.description('The set that the job says it tested; absent if it names none')),
  ),
  'aggregate-hash': v.exactOptional(
    v.pipe(v.string(), v.description("DLRN's hash of the OpenStack repositories that the job tested with")),
  ),
  timestamp: v.pipe(v.number(), v.safeInteger(), v.description("Unix seconds, by the reporter's clock")),
  'age-unknown': v.exactOptional(
    v.pipe(
      v.literal(true),
      v.description('The job may have ended long before `timestamp`: with `max-age` its pass does not count'),
    ),
  ),
  // Only http and https, since pages link to it.
  url: v.exactOptional(linkSchema),
  until: v.exactOptional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.description('Only from `ledger`: when another image took its place, in unix seconds'),
    ),
  ),
  source: v.pipe(
    v.picklist(['dlrn', 'needs', 'zuul', 'attestation', 'ledger']),
    v.description('`ledger`: what the ledger of the label in `promoted-in` says; a failure is a ban there'),
  ),
  user: v.exactOptional(v.pipe(v.string(), v.description('Who reported it to DLRN'))),
  attestation: v.exactOptional(
    v.pipe(
      v.strictObject({
        type: v.pipe(v.string(), v.description('The type of its predicate')),
        by: v.pipe(v.string(), v.description('The key or the identity that signed it')),
        repository: v.pipe(v.string(), v.description('Where it is attached')),
        sha256: v.pipe(
          v.string(),
          v.regex(/^[0-9a-f]{64}$/),
          v.description('The SHA-256 of the bundle that was verified'),
        ),
      }),
      v.description('Only for an attestation: what was verified'),
    ),
  ),
});
export type JobResult = v.InferOutput<typeof jobResultSchema>;

/** A source's results for the jobs of the criteria. They are read once, for every candidate that they may mention. */
export interface Evidence {
  readonly source: Exclude<JobResult['source'], 'attestation' | 'ledger'>;
  /** In any order. Results of other jobs or images may be included. */
  readonly results: readonly JobResult[];
  /** By job: the reason why a source that knows the job has no result for it, such as `was skipped`. */
  readonly remarks: ReadonlyMap<string, string>;
}
