import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { projectRoot } from '../sandbox/project.js';

/** What a visitor sees of the README without scrolling. */

const read = (name: string) => readFileSync(path.join(projectRoot, name), 'utf8');

/** About so many lines of text fit on a first screen. */
const SCREEN = 25;

test('the first screen says what it does and what you need, and then comes the minimal example', () => {
  const [before = '', example = ''] = read('README.md').split('```yaml\n');
  expect(before.split('\n').length).toBeLessThanOrEqual(SCREEN);
  expect(before.match(/^#+ .*$/gm)).toEqual(['# ceph-promotion-actions', '## Start here']);
  expect(before.match(/\*\*[^*]+\*\*/g)).toEqual(['**What it does.**', '**What you need.**', '**The file.**']);
  const [shown] = example.split('```\n');
  expect(shown).toBe(read('examples/minimal/.github/workflows/ceph.yml'));
});
