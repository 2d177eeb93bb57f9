import { type Counting, type Refused, voteKey } from './counting.js';
import type { Criteria } from './criteria-file.js';
import type { DecisionRecord } from './decision-record.js';
import type { JobResult } from './job-result.js';
import { type Hash, type History, hashOf, runOf } from './job-state.js';

/** This many of each job's newest results are recorded, even if they do not decide: the dashboard counts tries. */
const NEWEST_COUNTED = 20;
const NEWEST_REFUSED = 3;

/**
 * Selects the results that a record keeps, so that frequent reports cannot make it too large. Those kept give the same
 * states on the hashes that the record mentions, and never a better state on any other hash.
 */
export function keepEvidence(
  { counted, refused }: Counting,
  histories: readonly History[],
  hashes: readonly Hash[],
  criteria: Criteria,
): Pick<DecisionRecord, 'evidence' | 'not-counted' | 'not-counted-total'> {
  const kept = new Set<JobResult>();
  const shown = new Set<Refused>();
  for (const { results, refused: others } of histories) {
    const keep = (...some: readonly (JobResult | undefined)[]) => {
      for (const one of some) if (one !== undefined) kept.add(one);
    };
    const deciders = hashes.map((hash) => results.find((one) => hashOf(one, criteria) === hash));
    for (const one of [results[0], ...deciders]) {
      if (one === undefined) continue;
      // A state also says since when, which is the time of the oldest result in the run.
      const { run, before } = runOf(one, results);
      keep(one, run.at(-1), before);
    }
    // A failure without proof is cleared by the newest pass.
    keep(
      ...results.slice(0, NEWEST_COUNTED),
      results.find(({ outcome }) => outcome === 'success'),
    );

    const blocking = (['undated', 'unproven'] as const).map((how) => others.find(({ blocks }) => blocks === how));
    for (const one of [...blocking, ...others.slice(0, NEWEST_REFUSED)]) if (one !== undefined) shown.add(one);
    // Without a vote that names the image, a vote that names none would block nothing.
    for (const one of blocking) if (one !== undefined) keep(newestAlike(results, voteKey, one.result));
    // Without what came later on its hash, an old pass would stand for that hash.
    for (const one of results) {
      if (kept.has(one)) keep(newestAlike(results, (other) => hashOf(other, criteria), one));
    }
  }
  const listed = refused.filter((one) => shown.has(one));
  return {
    evidence: [...counted.filter((one) => kept.has(one)), ...listed.map(({ result }) => result)],
    'not-counted': listed.map(({ result, why }) => ({ job: result.job, url: result.url ?? null, why })),
    'not-counted-total': refused.length,
  };
}

function newestAlike<K>(results: readonly JobResult[], keyOf: (result: JobResult) => K, one: JobResult) {
  return results.find((other) => keyOf(other) === keyOf(one));
}
