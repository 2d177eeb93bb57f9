import { renderFiles } from '../../src/monitoring/dashboard.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { busyHistory, DAY, NOW, SETTINGS } from '../monitoring/fixture.js';

/** Summarizes and renders five branches of a thousand promotions: processor time, and the size of the files. */

const BRANCHES = ['master', 'zed', 'yoga', 'xena', 'wallaby'];
const PROMOTIONS = 1000;
const RUNS = 5;
/** Of one run, in seconds. */
const MAX_SECONDS = 4;
const MAX_BYTES = 1_000_000;

const histories = BRANCHES.map((branch, seed) => busyHistory(branch, PROMOTIONS, DAY, seed));
let best = Number.POSITIVE_INFINITY;
let sizes: { readonly name: string; readonly bytes: number }[] = [];
let rendered: ReadonlyMap<string, string> = new Map();
for (let run = 0; run < RUNS; run += 1) {
  const start = process.cpuUsage();
  rendered = renderFiles(summarize(histories, SETTINGS, NOW), histories);
  const { user, system } = process.cpuUsage(start);
  best = Math.min(best, (user + system) / 1e6);
  sizes = [...rendered]
    .map(([name, text]) => ({ name, bytes: Buffer.byteLength(text) }))
    .sort((a, b) => b.bytes - a.bytes);
}
const [largest] = sizes;
const sum = (some: typeof sizes) => some.reduce((total, { bytes }) => total + bytes, 0);
/** What the run before published: each branch had one record less. */
const before = histories.map((history) => ({ ...history, records: history.records.slice(1) }));
const published = renderFiles(summarize(before, SETTINGS, NOW), before);
const changing = sizes.filter(({ name }) => !name.startsWith('records-') || published.get(name) !== rendered.get(name));
const index = sizes.find(({ name }) => name === 'index.html');
console.log(`${BRANCHES.length} branches of ${PROMOTIONS} promotions: ${best.toFixed(2)} s (limit ${MAX_SECONDS} s)`);
console.log(
  `${sizes.length} files of ${sum(sizes)} bytes, of which a later run publishes ${sum(changing)}; index.html ${index?.bytes}; the largest, ${largest?.name}, ${largest?.bytes} (limit ${MAX_BYTES})`,
);
if (best > MAX_SECONDS || (largest?.bytes ?? 0) > MAX_BYTES) process.exitCode = 1;
