import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { inParallel } from '../base/in-parallel.js';
import type { Log } from '../base/log.js';
import { likelyName } from '../base/similar-names.js';
import { type Evidence, type JobResult, linkSchema } from '../criteria/job-result.js';
import type { Dlrn } from '../dlrn/client.js';
import type { Subject } from '../dlrn/hashes.js';
import { type Notes, parseNotes, tagInNotes } from '../dlrn/notes.js';
import type { Vote } from '../dlrn/votes.js';

/** The votes to read: on the hash that jobs have tested with, or on the newest aggregate hashes of a label. */
export type DlrnScope = Subject | { readonly kind: 'label'; readonly label: string };

const NEWEST_AGGREGATES = 50;
/** The most pages to read, each of up to a hundred promotions. */
const MAX_PAGES = 50;

/**
 * All of DLRN's results for these jobs, with a remark on each job that nobody has reported under its name. Throws
 * rather than return a part: a failure that was not read must not pass as absent.
 */
export async function dlrnEvidence(dlrn: Dlrn, scope: DlrnScope, jobs: readonly string[], log: Log): Promise<Evidence> {
  if (scope.kind !== 'label') {
    const votes = await dlrn.votes(scope);
    if (votes.length === 0) await dlrn.checkKnown(scope);
    return { source: 'dlrn', results: toJobResults(votes, jobs), remarks: remarksOn(jobs, votes) };
  }
  const [hashes, byJob] = await Promise.all([newestAggregates(dlrn, scope.label), dlrn.jobVotes(jobs)]);
  const votes =
    byJob?.filter(({ aggregate_hash: hash }) => hashes.includes(hash ?? '')) ??
    (await inParallel(hashes, (hash) => dlrn.votes({ kind: 'aggregate', hash }))).flat();
  log.debug(`DLRN: ${votes.length} votes on the ${hashes.length} newest aggregate hashes of ${scope.label}`);
  // GraphQL was asked for the votes of these jobs only, but on all hashes.
  const remarks = byJob === undefined ? remarksOn(jobs, votes) : remarksOn(jobs, byJob, NEVER);
  return { source: 'dlrn', results: toJobResults(votes, jobs), remarks };
}

const NEVER = 'nobody has reported it to DLRN under this name';

/** The number of newest aggregate hashes that show which jobs report at present. */
const PRESENT_AGGREGATES = 5;

/**
 * A remark on each of the jobs that nobody has ever reported to DLRN, as far as DLRN shows: most likely its name is
 * misspelled. Reads the votes on the newest hashes, and through GraphQL the older ones of the jobs that are not there.
 */
export async function unreportedJobs(dlrn: Dlrn, jobs: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const newest = (await dlrn.promotions(undefined, 0)).flatMap(({ aggregate_hash: hash }) => hash ?? []);
  const hashes = [...new Set(newest)].slice(0, PRESENT_AGGREGATES);
  const present = (await inParallel(hashes, (hash) => dlrn.votes({ kind: 'aggregate', hash }))).flat();
  const absent = jobs.filter((job) => present.every((vote) => vote.job_id !== job));
  if (absent.length === 0) return new Map();
  const older = await dlrn.jobVotes(absent);
  const otherwise = older === undefined ? 'nobody has reported it on the newest aggregate hashes in DLRN' : NEVER;
  return remarksOn(jobs, [...present, ...(older ?? [])], otherwise);
}

/**
 * Remarks on the jobs without a vote: each suggests the job with votes that its name was most likely meant to be. If
 * there is no such job, the remark is `otherwise`.
 */
function remarksOn(jobs: readonly string[], votes: readonly Vote[], otherwise?: string): ReadonlyMap<string, string> {
  const voters = new Set(votes.map(({ job_id: job }) => job));
  const others = [...voters].filter((voter) => !jobs.includes(voter));
  const remarks = new Map<string, string>();
  for (const job of jobs) {
    if (voters.has(job)) continue;
    const likely = likelyName(job, others);
    const remark =
      likely === undefined ? otherwise : `no result under this name; DLRN has results of ${oneLine(likely, 256)}`;
    if (remark !== undefined) remarks.set(job, remark);
  }
  return remarks;
}

async function newestAggregates(dlrn: Dlrn, label: string): Promise<string[]> {
  const hashes = new Set<string>();
  let read = 0;
  for (let page = 0; page < MAX_PAGES && hashes.size < NEWEST_AGGREGATES; page += 1) {
    const rows = await dlrn.promotions(label, read);
    // A short page is not the end: the server decides how many rows it returns.
    if (rows.length === 0) break;
    read += rows.length;
    for (const { aggregate_hash: hash, promote_name: name } of rows) {
      if (hash !== null && name === label) hashes.add(hash);
    }
  }
  if (hashes.size > 0) return [...hashes].slice(0, NEWEST_AGGREGATES);
  throw new ServiceError('not-found', `DLRN has no aggregate hash that was promoted to ${label}`, {
    hint: 'dlrn-label',
  });
}

/** A user name may be any text, but no user that criteria trust has a longer one. */
const MAX_USER = 256;

function toJobResults(votes: readonly Vote[], jobs: readonly string[]): JobResult[] {
  return votes.flatMap((vote): JobResult[] => {
    if (!jobs.includes(vote.job_id)) return [];
    const outcome = vote.in_progress || vote.success === null ? 'running' : vote.success ? 'success' : 'failure';
    const { setDigest: set, ...candidate } =
      parseNotes(vote.notes) ?? (outcome === 'failure' ? failedTag(vote.notes) : undefined) ?? {};
    const hash = vote.aggregate_hash ?? undefined;
    return [
      {
        job: vote.job_id,
        outcome,
        ...('tag' in candidate && { candidate }),
        ...(set !== undefined && { 'set-digest': set }),
        ...(hash === undefined ? {} : { 'aggregate-hash': hash }),
        timestamp: wholeSeconds(vote.timestamp),
        ...(v.is(linkSchema, vote.url) ? { url: vote.url } : {}),
        source: 'dlrn',
        ...(vote.user === '' || vote.user.length > MAX_USER ? {} : { user: vote.user }),
      },
    ];
  });
}

/** A failure with garbled notes blocks the tag that they name. A pass would need the digest. */
function failedTag(notes: string): Notes | undefined {
  const tag = tagInNotes(notes);
  return tag === undefined ? undefined : { tag };
}

/** The server accepts any number. */
function wholeSeconds(timestamp: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.floor(timestamp)));
}
