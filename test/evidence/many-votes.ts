import { execFileSync } from 'node:child_process';

const INSERT = `
import json, sqlite3, sys
database, votes = sys.argv[1], json.load(sys.stdin)
with sqlite3.connect(database) as connection:
    connection.executemany('''insert into civotes_agg (ref_hash, ci_name, ci_url, ci_vote, ci_in_progress, timestamp,
        notes, user) values (?, ?, 'https://ci.example/1', ?, 0, ?, ?, 'ciuser')''', votes)
`;

/** On each hash a vote of each of `job-0`, `job-1` …; job-0 fails, but on every seventh hash. */
export interface ManyVotes {
  /** Newest first. */
  readonly hashes: readonly string[];
  readonly jobs: number;
  readonly notes: string;
  /** Unix seconds. */
  readonly now: number;
}

/** Votes straight into a DLRN's database: posting them would take longer than all the rest. */
export function insertVotes(python: string, database: string, { hashes, jobs, notes, now }: ManyVotes): void {
  const votes = hashes.flatMap((hash, age) =>
    Array.from({ length: jobs }, (_, n) => [
      hash,
      `job-${n}`,
      age % 7 === 3 ? 1 : Number(n > 0),
      now - 3600 * (age + 1),
      notes,
    ]),
  );
  execFileSync(python, ['-c', INSERT, database], { input: JSON.stringify(votes) });
}
