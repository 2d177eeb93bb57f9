import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { projectRoot } from './sandbox/project.js';

/** What the bundle costs those who run it. How long it takes to start is `npm run bench -- start`. */

const folder = path.join(projectRoot, 'dist/bundle');

/** Bytes of index.js, all of which is read at each start. */
const START = 600_000;
/** Bytes of index.js and of what is loaded only where it is used: ssh2, both undicis, Sigstore, the dashboard's pages. */
const WHOLE = 2_900_000;

/** Packages that are for development only; each text would be in a bundle that includes the package. */
const DEVELOPMENT = ['fast-check', '@jest/', 'playwright', 'axe-core', '@swc/', 'to-json-schema', 'grafana-foundation'];

describe('the bundle', () => {
  const texts = readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'latin1')] as const);
  const start = texts.find(([name]) => name === 'index.js')?.[1] ?? '';
  const all = texts.map(([, text]) => text).join('');

  test('is within its size limits', () => {
    expect(start.length).toBeGreaterThan(0);
    expect(start.length).toBeLessThanOrEqual(START);
    expect(all.length).toBeLessThanOrEqual(WHOLE);
  });

  test.each([
    ['ssh2', 'ssh2js'],
    ['undici', 'UND_ERR_INVALID_ARG'],
  ])('does not load %s at the start', (_, text) => {
    expect(start).not.toContain(text);
    expect(all).toContain(text);
  });

  test('contains no development dependency', () => {
    expect(DEVELOPMENT.filter((part) => all.includes(part))).toEqual([]);
  });
});
