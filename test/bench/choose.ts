import { ceph } from '../../src/candidate/schemes/ceph.js';
import { patternScheme } from '../../src/candidate/schemes/pattern.js';
import { selectCandidate } from '../../src/candidate/selection.js';
import { listed, policy } from '../candidate/policies.js';

/** Choosing among 20,000 tags: scheme pattern takes at most twice as long as scheme ceph, in one run and on the same tags. */

const LIMIT = 2;
const RUNS = 15;
const TAGS = listed(
  Array.from({ length: 20_000 }, (_, n) => `v${14 + (n % 7)}.2.${n % 40}-${20_200_101 + Math.floor(n / 280)}`),
);
const PATTERN = String.raw`v(?<version>\d+\.\d+\.\d+)-(?<build>\d{8})`;

const schemes = { ceph, pattern: patternScheme(PATTERN) };
const times: Record<keyof typeof schemes, number[]> = { ceph: [], pattern: [] };
// In turns, so that a busy machine slows both.
for (let run = 0; run < RUNS; run += 1) {
  for (const name of ['ceph', 'pattern'] as const) {
    const start = performance.now();
    const { kind } = selectCandidate(TAGS, policy({ scheme: schemes[name], preferDated: name === 'ceph' }));
    times[name].push(performance.now() - start);
    if (kind === 'nothing') throw new Error(`scheme ${name} chose nothing`);
  }
}
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const ratio = median(times.pattern) / median(times.ceph);
for (const name of ['ceph', 'pattern'] as const) {
  console.log(
    `scheme ${name.padEnd(8)} ${median(times[name]).toFixed(1)} ms for ${TAGS.length} tags (median of ${RUNS})`,
  );
}
console.log(`${ratio <= LIMIT ? 'ok' : 'FAILED'}: pattern takes ${ratio.toFixed(2)} times as long; at most ${LIMIT}`);
process.exitCode = ratio <= LIMIT ? 0 : 1;
