import * as v from 'valibot';
import { digestSchema, tagSchema } from '../candidate/reference.js';

/** A job's name: compared whole, never by a part of it. */
export const jobNameSchema = v.pipe(
  v.string(),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  v.regex(/^[^\u0000-\u001f\u007f]{1,256}$/, 'is not a job name: 1 to 256 characters on one line'),
);

/** Where a person can look. */
export const linkSchema = v.pipe(v.string(), v.regex(/^https?:\/\/[^\s"'<>]{1,2000}$/, 'is not an http or https URL'));

/** One result of one job, from whatever source. */
export const jobResultSchema = v.strictObject({
  job: jobNameSchema,
  outcome: v.picklist(['success', 'failure', 'running']),
  /** The image that the job says it tested; a bare tag says little about the bytes. */
  candidate: v.strictObject({ tag: tagSchema, digest: v.exactOptional(digestSchema) }),
  /** DLRN's hash of the OpenStack repositories that the job tested with. */
  'aggregate-hash': v.exactOptional(v.string()),
  /** Unix seconds, as the reporter's clock had it. */
  timestamp: v.pipe(v.number(), v.safeInteger()),
  /** Only http and https: pages link to it. */
  url: v.exactOptional(linkSchema),
  source: v.picklist(['dlrn', 'needs', 'zuul']),
  /** Who reported it to DLRN. */
  user: v.exactOptional(v.string()),
});
export type JobResult = v.InferOutput<typeof jobResultSchema>;
