import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Candidate, Digest } from '../candidate/reference.js';
import type { Dlrn } from './client.js';
import type { Subject } from './hashes.js';
import { formatNotes } from './notes.js';

/** The outcome of a job, in the words of `${{ job.status }}` and step outcomes. */
export const outcomeSchema = v.picklist(
  ['success', 'failure', 'cancelled', 'skipped'],
  (issue) => `${issue.received} is not one of success, failure, cancelled, skipped`,
);
export type Outcome = v.InferOutput<typeof outcomeSchema>;

export interface ReportRequest {
  readonly dlrn: Dlrn;
  readonly subject: Subject;
  readonly jobId: string;
  readonly jobUrl: string;
  readonly outcome: Outcome;
  /** The image that the job has proved to have tested. */
  readonly candidate: Candidate;
  /** The digest of the set that it has proved to have tested; undefined without companions. */
  readonly setDigest: Digest | undefined;
  /** In unix seconds: when the job ended, and the current time. */
  readonly timestamp: number;
  readonly now: number;
  readonly dryRun: boolean;
  readonly log: Log;
}

export interface Reported {
  readonly notes: string;
  /** True if DLRN has the result. */
  readonly reported: boolean;
}

/** The width of the column. Some databases cut a longer URL and others refuse it. */
const MAX_URL = 1024;
const CLOCK_SKEW = 5 * 60;

/** Reports a job's outcome on a candidate. A cancelled or skipped job says nothing, so nothing is reported. */
export async function reportOutcome(request: ReportRequest): Promise<Reported> {
  const { dlrn, subject, jobId, jobUrl, outcome, candidate, setDigest, timestamp, dryRun, log } = request;
  const notes = formatNotes({ ...candidate, setDigest });
  checkRequest(request);
  if (outcome === 'cancelled' || outcome === 'skipped') {
    log.info(`${jobId} was ${outcome}: nothing to report`);
    return { notes, reported: false };
  }
  if (dryRun) {
    await dlrn.checkKnown(subject);
    log.info(`dry run: would report ${outcome} of ${jobId} on ${notes}`);
    return { notes, reported: false };
  }
  const posted = await dlrn.reportResult({ subject, jobId, jobUrl, notes, success: outcome === 'success', timestamp });
  log.info(`${posted ? 'reported' : 'already reported'}: ${outcome} of ${jobId} on ${notes}`);
  return { notes, reported: true };
}

/** Refuses values that DLRN would accept but nobody could use. */
function checkRequest({ jobId, jobUrl, timestamp, now }: ReportRequest): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  if (!/^[^\u0000-\u001f\u007f]{1,256}$/.test(jobId)) {
    throw new UserError(`${JSON.stringify(jobId)} is not 1 to 256 characters on one line`, { hint: 'job-id' });
  }
  if (!/^https?:\/\/[^\s"'<>]+$/.test(jobUrl) || jobUrl.length > MAX_URL) {
    throw new UserError(`${JSON.stringify(jobUrl)} is not an http or https URL of at most ${MAX_URL} characters`, {
      hint: 'job-url',
    });
  }
  if (timestamp > now + CLOCK_SKEW) {
    throw new UserError(`the time ${timestamp} is ${timestamp - now} s ahead; such results do not count`, {
      hint: 'timestamp',
    });
  }
}
