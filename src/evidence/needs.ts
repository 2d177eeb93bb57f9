import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { type Candidate, candidateSchema, formatCandidate } from '../candidate/reference.js';
import { type JobResult, jobNameSchema } from '../criteria/job-result.js';

/** `${{ toJSON(needs) }}`: by job key. Forges leave outputs away, or null, where there are none. */
const needsSchema = v.record(
  jobNameSchema,
  v.object({ result: v.string(), outputs: v.nullish(v.object({ reference: v.nullish(v.string()) })) }),
);

/**
 * What the jobs of this workflow run say of the candidate: failure is a failure, success is a pass where the job's
 * output `reference` says that it tested the candidate, and anything else (skipped, cancelled) says nothing. `now` is
 * in unix seconds: needs have no times.
 */
export function needsEvidence(needs: string, candidate: Candidate, now: number): JobResult[] {
  const jobs = parseJson(
    needsSchema,
    needs,
    (problem) => new UserError(`input needs: ${problem}; give \${{ toJSON(needs) }}`),
  );
  return Object.entries(jobs).flatMap(([job, { result, outputs }]): JobResult[] => {
    const tested = result === 'failure' ? candidate : testedImage(outputs?.reference, candidate);
    if ((result !== 'success' && result !== 'failure') || tested === undefined) return [];
    return [
      { job, outcome: result, candidate: { tag: tested.tag, digest: tested.digest }, timestamp: now, source: 'needs' },
    ];
  });
}

/** Undefined where the job does not say, or where the same image is in another repository: that was not to be tested. */
function testedImage(reference: string | null | undefined, candidate: Candidate): Candidate | undefined {
  if (reference === formatCandidate(candidate)) return candidate;
  const tested = v.safeParse(candidateSchema, reference);
  return tested.success && tested.output.digest !== candidate.digest ? tested.output : undefined;
}
