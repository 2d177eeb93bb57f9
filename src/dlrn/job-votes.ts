import * as v from 'valibot';
import type { DlrnApi } from './api.js';
import type { Vote } from './votes.js';

/** So that the URL keeps below the 8,190 characters that Apache takes, with names of up to 110. */
const JOBS_AT_ONCE = 40;
/** The most votes that GraphQL gives of one job at once. */
const PAGE = 100;
/** Room for 2,000 votes of one job. With more than that, one request for each hash costs no more. */
const MAX_REQUESTS = 22;

/** A vote by GraphQL's names, as FRAGMENT asks for it. */
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

/** By alias. Strict: with `errors` beside it the data are not whole. */
const answerSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.strictObject({ data: v.record(v.string(), v.array(rowSchema)) }),
);
const FRAGMENT = 'fragment vote on CIVoteAgg { refHash ciName ciVote ciInProgress timestamp ciUrl notes user }';

/** Which of one job's votes: newest first, `offset` are skipped. */
interface Place {
  readonly job: string;
  readonly offset: number;
}

/**
 * All votes of these jobs on aggregate hashes, by GraphQL; undefined where the server has none that can tell. Pages are
 * newest first, so that votes which come meanwhile push others to a later page, and hide none.
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
      // Until a page is empty: a short one may be all that this server gives at once.
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
