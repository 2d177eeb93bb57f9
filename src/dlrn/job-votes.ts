import * as v from 'valibot';
import type { DlrnApi } from './api.js';
import type { Vote } from './votes.js';

/** Keeps the URL below the 8,190 characters that Apache accepts, with job names of up to 110. */
const JOBS_AT_ONCE = 40;
/** The most votes of one job that GraphQL returns at once. */
const PAGE = 100;
/** Enough for 2,000 votes of one job. Beyond that, one request per hash costs no more. */
const MAX_REQUESTS = 22;

/** A vote with GraphQL's names, as FRAGMENT requests it. */
const rowSchema = v.pipe(
  v.object({
    refHash: v.string(),
    ciName: v.string(),
    ciVote: v.nullable(v.boolean()),
    ciInProgress: v.nullable(v.boolean()),
    timestamp: v.number(),
    ciUrl: v.nullable(v.string()),
    notes: v.nullable(v.string()),
    user: v.nullable(v.string()),
  }),
  v.transform(
    ({ refHash, ciName, ciVote, ciInProgress, timestamp, ciUrl, notes, user }): Vote => ({
      aggregate_hash: refHash,
      job_id: ciName,
      success: ciVote,
      in_progress: ciInProgress,
      timestamp,
      url: ciUrl ?? '',
      notes: notes ?? '',
      user: user ?? '',
    }),
  ),
);

/** By alias. Strict, since data that come with `errors` are incomplete. */
const answerSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.strictObject({ data: v.record(v.string(), v.array(rowSchema)) }),
);
const FRAGMENT = 'fragment vote on CIVoteAgg { refHash ciName ciVote ciInProgress timestamp ciUrl notes user }';

/** A page of one job's votes, newest first, after skipping `offset`. */
interface Place {
  readonly job: string;
  readonly offset: number;
}

/**
 * All votes of these jobs on aggregate hashes, through GraphQL; undefined if the server has no suitable one. Pages are
 * newest first, so a vote that arrives in the meantime moves others to a later page and hides none.
 */
export async function readJobVotes(api: DlrnApi, jobs: readonly string[]): Promise<Vote[] | undefined> {
  const votes: Vote[] = [];
  const waiting: Place[] = jobs.map((job) => ({ job, offset: 0 }));
  for (let requests = 0; requests < MAX_REQUESTS; requests += 1) {
    const places = waiting.splice(0, JOBS_AT_ONCE);
    if (places.length === 0) return votes;
    const pages = await readPages(api, places);
    if (pages === undefined) return undefined;
    for (const { job, offset, page } of pages) {
      votes.push(...page);
      // Continues until a page is empty: a short page may be all that this server returns at once.
      if (page.length > 0) waiting.push({ job, offset: offset + page.length });
    }
  }
  return undefined;
}

async function readPages(api: DlrnApi, places: readonly Place[]) {
  const fields = places.map(
    ({ job, offset }, n) =>
      `${alias(n)}: civoteAgg(ciName: ${JSON.stringify(job)}, offset: ${offset}, limit: ${PAGE}) { ...vote }`,
  );
  const { status, text, refusal } = await api.send('graphql', { query: `{ ${fields.join(' ')} } ${FRAGMENT}` });
  if (status === 401) throw refusal();
  if (status !== 200) return undefined;
  const answer = v.safeParse(answerSchema, text);
  if (!answer.success) return undefined;
  const pages = places.flatMap((place, n) => {
    const page = answer.output.data[alias(n)];
    return page === undefined ? [] : [{ ...place, page }];
  });
  return pages.length === places.length ? pages : undefined;
}

/** GraphQL's name for the n-th answer. */
function alias(n: number): string {
  return `j${n}`;
}
