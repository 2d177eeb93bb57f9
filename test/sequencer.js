import { readFileSync } from 'node:fs';
import path from 'node:path';
import Sequencer from '@jest/test-sequencer';

const folder = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const slow = JSON.parse(readFileSync(path.join(folder, 'slow-files.json'), 'utf8')).map((name) =>
  path.join(folder, name),
);

/**
 * Starts the slowest files first, so that none is left alone at the end. Jest does that by the times of earlier runs,
 * which a fresh clone has not got: there it goes by size.
 */
export default class SlowFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted;
    const rank = ({ path: file }) => (slow.includes(file) ? slow.indexOf(file) : slow.length);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
