import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { projectRoot } from './sandbox/project.js';

/** What the bundles cost those who run them. How long they take to start is `npm run bench -- start`. */

const dist = path.join(projectRoot, 'dist');
const names = readdirSync(dist).filter((name) => !name.includes('.'));

interface Budget {
  /** Bytes of index.js, all of which is read at each start. */
  readonly start: number;
  /** Bytes of index.js and of what is loaded only where it is used; the toolkit's undici is 440 kB of it. */
  readonly whole: number;
}

const BUDGET: Budget = { start: 200_000, whole: 620_000 };
/** The parts of a second undici whose HTTP/2 the reading and copying of images needs, and all of it for a proxy. */
const WITH_REGISTRY: Budget = { start: 200_000, whole: 800_000 };
/** Those that have more, and why. */
const EXCEPTIONS: Readonly<Record<string, Budget>> = {
  'check-image': WITH_REGISTRY,
  'find-stable-tag': WITH_REGISTRY,
  'resolve-tag': WITH_REGISTRY,
  // ssh2, and at the start a parser of YAML and the page.
  'publish-dashboard': { start: 400_000, whole: 1_250_000 },
  // Both of them, and a parser of YAML.
  'evaluate-and-promote': { start: 430_000, whole: 1_900_000 },
  'check-setup': { start: 430_000, whole: 1_900_000 },
  'prune-promotions': { start: 430_000, whole: 1_400_000 },
  // A second undici, and a parser of YAML: a record's decision is evaluated again.
  'verify-ledger': { start: 350_000, whole: 1_450_000 },
  // A parser of YAML.
  'test-criteria': { start: 270_000, whole: 270_000 },
};

/** Parts of packages that are there for development only; each is a text that a bundle of it would hold. */
const DEVELOPMENT = ['fast-check', '@jest/', 'playwright', 'axe-core', '@swc/', 'to-json-schema', 'grafana-foundation'];

describe.each(names)('%s', (name) => {
  const files = readdirSync(path.join(dist, name), { recursive: true, encoding: 'utf8' });
  const bundle = readFileSync(path.join(dist, name, 'index.js'), 'latin1');

  test('keeps to its budget', () => {
    const { start, whole } = EXCEPTIONS[name] ?? BUDGET;
    expect(bundle.length).toBeLessThanOrEqual(start);
    expect(files.reduce((sum, file) => sum + statSync(path.join(dist, name, file)).size, 0)).toBeLessThanOrEqual(whole);
  });

  test.each([
    ['ssh2', 'ssh2js'],
    ['undici', 'UND_ERR'],
  ])('does not load %s at the start', (_, text) => {
    expect(bundle).not.toContain(text);
  });

  test('has nothing in it from development', () => {
    const all = files.map((file) => readFileSync(path.join(dist, name, file), 'latin1')).join('');
    expect(DEVELOPMENT.filter((part) => all.includes(part))).toEqual([]);
  });
});

test('no exception is for an action that is not there', () => {
  expect(Object.keys(EXCEPTIONS).filter((name) => !names.includes(name))).toEqual([]);
});
