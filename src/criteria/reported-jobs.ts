import type { Criteria } from './criteria-file.js';

/** The jobs of the criteria that have to be reported; signed statements and other labels are not. */
export function reportedJobs({ requirements, attestations, promotedIn }: Criteria): string[] {
  const others = new Set([...attestations.map(({ name }) => name), promotedIn?.job]);
  return requirements.flat().filter((job) => !others.has(job));
}
