import { rfc3339 } from '../base/clock.js';
import { oneLine } from '../base/errors.js';
import type { BranchModel, DashboardModel, NightlyJob, Problem } from './model.js';
import type { NightlyHistory } from './nightly.js';
import type { Failure } from './read-branch.js';

/** One problem for each source that failed, since the first dashboard from which on all have shown it. */
export function problemsOf(failures: readonly Failure[], before: BranchModel | undefined, now: number): Problem[] {
  const sources = [...new Set(failures.map(({ source }) => source))];
  return sources.map((source) => {
    const [first = '', ...more] = failures.flatMap((failure) => (failure.source === source ? failure.why : []));
    return {
      source,
      since: since(before?.problems.find((problem) => problem.source === source)?.since, now),
      why: oneLine(first, 400) + (more.length === 0 ? '' : `; and ${more.length} more`),
    };
  });
}

export function nightlyModel(
  { job, failure, builds }: NightlyHistory,
  before: DashboardModel | undefined,
  now: number,
): NightlyJob {
  const failed = before?.nightly.find((nightly) => nightly.job === job)?.problem;
  return {
    job,
    problem: failure === undefined ? null : { since: since(failed?.since, now), why: oneLine(failure, 400) },
    builds: builds.map(({ result, ...build }) => ({ ...build, result: result === null ? null : oneLine(result, 50) })),
  };
}

function since(before: string | undefined, now: number): string {
  const written = rfc3339(now);
  return before !== undefined && before < written ? before : written;
}
