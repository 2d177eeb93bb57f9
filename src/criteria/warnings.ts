import { UserError } from '../base/errors.js';
import type { Criteria } from './criteria-file.js';
import type { Evidence } from './job-result.js';

/** Warns of options that have no effect on results from this source. */
export function idleOptions(criteria: Criteria, source: Evidence['source'] | undefined): string[] {
  if (source === undefined || source === 'dlrn') return [];
  const idle = [
    ...(criteria.trustedUsers === undefined ? [] : ['trusted-users']),
    ...(criteria.acrossHashes ? ['across-hashes'] : []),
    ...(criteria.bareTags ? ['bare-tags'] : []),
  ];
  return idle.map((option) => `criteria: ${option} has no effect on evidence from ${source}`);
}

const DAY = 86_400;
/** In seconds. The end of a waiver is announced this long before. */
const WAIVER_NOTICE = 7 * DAY;

/** Warns of waivers that end soon. Throws a UserError for one that has ended. `now` in unix seconds. */
export function checkWaivers({ waivers }: Criteria, now: number): string[] {
  return waivers.flatMap(({ job, until, reason }) => {
    const left = Date.parse(until) / 1000 + DAY - now;
    if (left <= 0) {
      throw new UserError(`criteria: the waiver of ${job} ended on ${until}; remove it, or give it a later date`);
    }
    return left > WAIVER_NOTICE ? [] : [`the waiver of ${job} ends on ${until}: ${reason}`];
  });
}
