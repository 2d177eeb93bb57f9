import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type JobResult, jobNameSchema, linkSchema } from '../criteria/job-result.js';
import { type Dlrn, PROMOTIONS_PAGE, type Vote } from '../dlrn/client.js';
import type { Subject } from '../dlrn/hashes.js';
import { parseNotes } from '../dlrn/notes.js';
import { checkKnown } from '../dlrn/report.js';
import { inParallel } from './in-parallel.js';

/** Where to look: at what jobs have tested with, or at the newest aggregate hashes of a label. */
export type DlrnScope = Subject | { readonly kind: 'label'; readonly label: string };

export const NEWEST_AGGREGATES = 50;
const MAX_PAGES = 50;

/** What DLRN knows of jobs' results. All of it or an error: a failure that was not read must not pass as none. */
export async function dlrnEvidence(dlrn: Dlrn, scope: DlrnScope, log: Log): Promise<JobResult[]> {
  if (scope.kind !== 'label') {
    const votes = await dlrn.votes(scope);
    if (votes.length === 0) await checkKnown(dlrn, scope);
    return toJobResults(votes, scope.kind === 'aggregate' ? scope.hash : undefined);
  }
  const hashes = await newestAggregates(dlrn, scope.label);
  const results = await inParallel(hashes, async (hash) =>
    toJobResults(await dlrn.votes({ kind: 'aggregate', hash }), hash),
  );
  log.debug(`DLRN: ${results.flat().length} results on the ${hashes.length} newest aggregate hashes of ${scope.label}`);
  return results.flat();
}

/** The newest aggregate hashes that were promoted to a label, newest first. */
async function newestAggregates(dlrn: Dlrn, label: string): Promise<string[]> {
  const hashes = new Set<string>();
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const rows = await dlrn.promotions({ label, offset: page * PROMOTIONS_PAGE });
    for (const { aggregate_hash: hash } of rows) if (hash !== null) hashes.add(hash);
    if (hashes.size >= NEWEST_AGGREGATES || rows.length < PROMOTIONS_PAGE) break;
  }
  if (hashes.size > 0) return [...hashes].slice(0, NEWEST_AGGREGATES);
  throw new ServiceError(
    'not-found',
    `DLRN has no aggregate hash that was promoted to ${label}; is that a label there?`,
  );
}

/** Votes whose notes name no image are about something else. */
function toJobResults(votes: readonly Vote[], aggregateHash: string | undefined): JobResult[] {
  return votes.flatMap((vote): JobResult[] => {
    const candidate = parseNotes(vote.notes);
    if (candidate === undefined || !v.is(jobNameSchema, vote.job_id)) return [];
    return [
      {
        job: vote.job_id,
        outcome: vote.in_progress || vote.success === null ? 'running' : vote.success ? 'success' : 'failure',
        candidate,
        ...(aggregateHash === undefined ? {} : { 'aggregate-hash': aggregateHash }),
        timestamp: wholeSeconds(vote.timestamp),
        ...(v.is(linkSchema, vote.url) ? { url: vote.url } : {}),
        source: 'dlrn',
        ...(vote.user === '' ? {} : { user: oneLine(vote.user, 256) }),
      },
    ];
  });
}

/** The server stores any number. */
function wholeSeconds(timestamp: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.floor(timestamp)));
}
