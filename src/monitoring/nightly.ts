import { rfc3339 } from '../base/clock.js';
import { errorLine } from '../base/errors.js';
import { inParallel } from '../base/in-parallel.js';
import { newestZuulBuilds, type Zuul, type ZuulBuild } from '../evidence/zuul.js';
import type { NightlyJob } from './model.js';

export interface NightlyHistory extends Pick<NightlyJob, 'job' | 'builds'> {
  /** The reason why its builds could not be read; undefined if they could. */
  readonly failure: string | undefined;
}

/** The builds of a job that are shown: those of two weeks. */
const BUILDS = 14;

/** Reads the newest builds of these jobs. Never fails: a job that cannot be read has a `failure`. */
export async function readNightlyJobs(zuul: Zuul, jobs: readonly string[]): Promise<NightlyHistory[]> {
  return inParallel(jobs, async (job) => {
    try {
      return { job, failure: undefined, builds: (await newestZuulBuilds(zuul, job, BUILDS)).map(toModel) };
    } catch (error) {
      return { job, failure: errorLine(error), builds: [] };
    }
  });
}

function toModel({ outcome, result, timestamp, url }: ZuulBuild): NightlyJob['builds'][number] {
  return { outcome, result, when: timestamp === null ? null : rfc3339(timestamp), url };
}
