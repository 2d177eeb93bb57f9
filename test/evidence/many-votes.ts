import { execFileSync } from 'node:child_process';

const INSERT = `
import json, sqlite3, sys
database, votes = sys.argv[1], json.load(sys.stdin)
with sqlite3.connect(database) as connection:
    connection.executemany('''insert into civotes_agg (ref_hash, ci_name, ci_url, ci_vote, ci_in_progress, timestamp,
        notes, user) values (?, ?, 'https://ci.example/1', ?, 0, ?, ?, 'ciuser')''', votes)
`;

/** On each hash votes of each of `job-0`, `job-1` …, a minute apart; job-0 fails, but on every seventh hash. */
export interface ManyVotes {
  /** Newest first. */
  readonly hashes: readonly string[];
  readonly jobs: number;
  /** How many of each job on each hash; 1 if absent. */
  readonly each?: number;
  readonly notes: string;
  /** Unix seconds. */
  readonly now: number;
}

/** Writes votes directly into a DLRN's database: posting them would take longer than all the rest. */
export function insertVotes(python: string, database: string, { hashes, jobs, each = 1, notes, now }: ManyVotes): void {
  const votes = hashes.flatMap((hash, age) =>
    Array.from({ length: jobs * each }, (_, n) => [
      hash,
      `job-${n % jobs}`,
      age % 7 === 3 ? 1 : Number(n % jobs > 0),
      now - 3600 * (age + 1) - 60 * Math.floor(n / jobs),
      notes,
    ]),
  );
  execFileSync(python, ['-c', INSERT, database], { input: JSON.stringify(votes) });
}
