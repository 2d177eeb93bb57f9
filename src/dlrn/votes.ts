import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import type { DlrnApi } from './api.js';
import type { Commit, Subject } from './hashes.js';

const voteSchema = v.object({
  /** Either the aggregate hash or the two hashes of one build. */
  aggregate_hash: v.nullish(v.string()),
  commit_hash: v.nullish(v.string()),
  distro_hash: v.nullish(v.string()),
  job_id: v.nullish(v.string(), ''),
  success: v.nullable(v.boolean()),
  in_progress: v.nullable(v.boolean()),
  /** In unix seconds, or whatever the reporter believed to be that. */
  timestamp: v.number(),
  url: v.nullish(v.string(), ''),
  notes: v.nullish(v.string(), ''),
  user: v.nullish(v.string(), ''),
});
export type Vote = v.InferOutput<typeof voteSchema>;

/** All votes on a hash, in no meaningful order; none for an unknown aggregate hash. */
export async function readVotes(api: DlrnApi, subject: Subject): Promise<Vote[]> {
  const votes = await (subject.kind === 'aggregate'
    ? api.ask(v.array(voteSchema), 'agg_status', { aggregate_hash: subject.hash })
    : api.ask(v.array(voteSchema), 'repo_status', commitParameters(subject)));
  // A cache that ignores the query answers with the votes of another hash.
  if (votes.every((vote) => isOn(vote, subject))) return votes;
  throw new ServiceError('bad-answer', 'DLRN answered with votes on a different hash');
}

export function commitParameters({ commit, distro, extended }: Commit): Readonly<Record<string, string>> {
  return {
    commit_hash: commit,
    distro_hash: distro,
    ...(extended === undefined ? {} : { extended_hash: extended }),
  };
}

function isOn(vote: Vote, subject: Subject): boolean {
  return subject.kind === 'aggregate'
    ? vote.aggregate_hash === subject.hash
    : vote.commit_hash === subject.commit && vote.distro_hash === subject.distro;
}
