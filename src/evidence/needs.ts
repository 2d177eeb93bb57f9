import * as v from 'valibot';
import { oneLine, UserError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { type ImageSet, setDigest } from '../candidate/image-set.js';
import { type Candidate, candidateSchema, formatCandidate } from '../candidate/reference.js';
import { type Evidence, type JobResult, jobNameSchema } from '../criteria/job-result.js';

/** Text, or nothing: an output that is not text says nothing, and must not be an error for the other jobs. */
const textSchema = v.fallback(v.optional(v.string()), undefined);
const outputsSchema = v.object({ reference: textSchema, 'set-digest': textSchema });
type Outputs = v.InferOutput<typeof outputsSchema>;

/** Parses `${{ toJSON(needs) }}`, by job key. Some forges omit `outputs` or set it to null if there are none. */
const needsSchema = v.record(
  jobNameSchema,
  v.object({ result: textSchema, outputs: v.fallback(v.optional(outputsSchema), undefined) }),
);

export interface NeedsParts {
  /** The text of `${{ toJSON(needs) }}`. */
  readonly needs: string;
  /**
   * The attempt of the run, from 1; 0 if it is not known. A later attempt keeps the results of jobs that passed in an
   * earlier one, however old.
   */
  readonly attempt: number;
  readonly jobs: readonly string[];
  readonly candidate: ImageSet;
  /** In unix seconds, since needs have no times. */
  readonly now: number;
}

/**
 * Reads the results of this workflow run's jobs on the candidate. A failure always counts. A success counts as a pass
 * if the job's output `reference` names the candidate, and its output `set-digest` the set with its companions.
 * Anything else (skipped, cancelled) is no result, and a remark says why.
 */
export function needsEvidence({ needs, attempt, jobs, candidate, now }: NeedsParts): Evidence {
  const given = parseJson(needsSchema, needs, (problem) => new UserError(`needs: ${problem}`, { hint: 'needs' }));
  const set = setDigest(candidate);
  const results: JobResult[] = [];
  const remarks = new Map<string, string>();
  for (const job of jobs) {
    if (!Object.hasOwn(given, job)) remarks.set(job, describeAbsent(job, Object.keys(given)));
  }
  for (const [job, { result = '', outputs = {} }] of Object.entries(given)) {
    const tested = result === 'failure' ? candidate : testedImage(outputs, candidate);
    if (result !== 'success' && result !== 'failure') {
      remarks.set(job, `its result is ${oneLine(result, 40) || 'empty'}, which is neither success nor failure`);
    } else if (typeof tested === 'string') {
      remarks.set(job, `succeeded, but ${tested}`);
    } else {
      results.push({
        job,
        outcome: result,
        candidate: { tag: tested.tag, digest: tested.digest },
        ...(tested === candidate && set !== undefined && { 'set-digest': set }),
        timestamp: now,
        ...(attempt !== 1 && { 'age-unknown': true }),
        source: 'needs',
      });
    }
  }
  return { source: 'needs', results, remarks };
}

/** The image that a job says it tested, or the reason why its pass counts for no image. */
function testedImage({ reference, 'set-digest': set }: Outputs, candidate: ImageSet): Candidate | string {
  const expected = formatCandidate(candidate);
  if (reference === expected) return otherSet(set ?? '', setDigest(candidate) ?? '') ?? candidate;
  if (reference === undefined) return 'it has no output `reference`';
  if (reference === '') return 'its output `reference` is empty';
  if (reference.trim() === expected) return 'its output `reference` has blanks or line ends around the candidate';
  const tested = v.safeParse(candidateSchema, reference);
  // The same digest in another repository or under another tag is not the image that was to be tested.
  if (tested.success && tested.output.digest !== candidate.digest) return tested.output;
  return `its output \`reference\` is ${JSON.stringify(oneLine(reference, 200))}, not the candidate ${expected}`;
}

/** The reason why a pass on the candidate does not count for its set; undefined if it does. */
function otherSet(tested: string, expected: string): string | undefined {
  if (tested === expected) return undefined;
  if (tested === '') return `its output \`set-digest\` is empty, and the set is ${expected}`;
  const wanted = expected === '' ? 'the candidate has no companions' : `the set is ${expected}`;
  return `its output \`set-digest\` is ${JSON.stringify(oneLine(tested, 100))}, and ${wanted}`;
}

/** A remark names at most this many of the existing jobs. */
const NAMED = 5;

function describeAbsent(job: string, there: readonly string[]): string {
  if (there.length === 0) return `needs has no job ${job}; it is empty`;
  const names = there.slice(0, NAMED).map((name) => oneLine(name, 60));
  return `needs has no job ${job}; it has ${names.join(', ')}${there.length > NAMED ? ', …' : ''}`;
}
