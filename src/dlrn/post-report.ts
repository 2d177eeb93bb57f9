import * as v from 'valibot';
import { type Clock, unixSeconds } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { backoffMs } from '../http/policy.js';
import type { Answer, DlrnApi } from './api.js';
import type { Subject } from './hashes.js';
import { parseNotes } from './notes.js';
import { commitParameters, readVotes, type Vote } from './votes.js';

export interface Report {
  readonly subject: Subject;
  readonly jobId: string;
  readonly jobUrl: string;
  readonly success: boolean;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly notes: string;
}

export interface PostParts {
  readonly api: DlrnApi;
  /** The user that posts reports; undefined without a login. */
  readonly username: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

const echoSchema = v.object({ job_id: v.string(), success: v.boolean() });
const ATTEMPTS = 6;
/** In seconds. A vote that is further in the future does not count. */
const CLOCK_SKEW = 5 * 60;

/**
 * Reports a result, unless the newest vote of this job on this hash and image, by anybody, is the same report. An older
 * vote does not matter, since the job has reported something else after it. True if this call has posted the report.
 * DLRN has no ids and always inserts, so after a lost answer this looks for the vote before it posts again.
 */
export async function postReport({ api, username, clock, log }: PostParts, report: Report): Promise<boolean> {
  let lost: ServiceError | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const votes = (await readVotes(api, report.subject)).filter((vote) => mayBeAbout(vote, report));
    const isOwn = (vote: Vote) => isSame(vote, report) && (username === undefined || vote.user === username);
    if (lost !== undefined && votes.some((vote) => isOwn(vote) && vote.timestamp === report.timestamp)) return true;
    if (lost === undefined && newest(votes, unixSeconds(clock)).some(isOwn)) return false;
    if (lost !== undefined && attempt > ATTEMPTS) throw lost;
    lost = await post(api, report);
    if (lost === undefined) return true;
    log.debug(`${lost.message}; checking whether it was stored (attempt ${attempt} of ${ATTEMPTS})`);
    await clock.sleep(backoffMs(attempt, clock.random()));
  }
}

/** Returns an error that leaves open whether the vote was stored, undefined if it was. Throws any other error. */
async function post(api: DlrnApi, report: Report): Promise<ServiceError | undefined> {
  let answer: Answer;
  try {
    answer = await api.post('report_result', reportBody(report));
    if (answer.status === 201) {
      answer.parse(echoSchema);
      return undefined;
    }
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  const error = answer.refusal();
  if (error.kind === 'server-error') return error;
  throw error;
}

function reportBody({ subject, jobId, jobUrl, success, timestamp, notes }: Report) {
  return {
    ...(subject.kind === 'aggregate' ? { aggregate_hash: subject.hash } : commitParameters(subject)),
    job_id: jobId,
    url: jobUrl,
    timestamp,
    // As text: the released server fails on JSON's true.
    success: String(success),
    notes,
  };
}

/** True for votes of this job on this image, whoever reported them, and for those that name no image clearly. */
function mayBeAbout({ job_id: job, notes }: Vote, report: Report): boolean {
  if (job !== report.jobId) return false;
  const [said, own] = [parseNotes(notes), parseNotes(report.notes)];
  // The set that the image was tested in makes no difference.
  return said?.digest === undefined || (said.digest === own?.digest && said.tag === own.tag);
}

/** True if a person would see two equal reports. Their times may differ. */
function isSame(vote: Vote, { jobUrl, success, notes }: Report): boolean {
  return vote.url === jobUrl && vote.success === success && vote.notes === notes && !vote.in_progress;
}

/** The newest votes with a possible time. None if those of the same moment disagree, so that the report is posted. */
function newest(votes: readonly Vote[], now: number): readonly Vote[] {
  const possible = votes.filter(({ timestamp }) => timestamp >= 0 && timestamp <= now + CLOCK_SKEW);
  const latest = Math.max(...possible.map(({ timestamp }) => timestamp));
  const last = possible.filter(({ timestamp }) => timestamp === latest);
  return new Set(last.map(({ url, success, notes }) => `${success} ${url} ${notes}`)).size === 1 ? last : [];
}
