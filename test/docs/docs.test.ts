import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { PINS } from '../../scripts/pin.js';
import { projectRoot } from '../sandbox/project.js';
import { blocksOf } from './markdown.js';

/** The pages' claims about files. Their commands run in docs.field.test.ts. */

const docs = path.join(projectRoot, 'docs');
const read = (page: string) => readFileSync(path.join(docs, page), 'utf8');
const pages = readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));

test('the page on calling the workflow passes every input and secret, and has one pin', () => {
  const page = read('how-to/call-the-workflow.md');
  const caller = parse(blocksOf(page).find(({ info }) => info === 'yaml')?.text ?? '');
  const called = parse(readFileSync(path.join(projectRoot, '.github/workflows/branch-promotion.yml'), 'utf8'));
  const { inputs, secrets } = called.on.workflow_call;
  const [job] = Object.values<{ with: object; secrets: object }>(caller.jobs);
  expect(Object.keys(job?.with ?? {}).sort()).toEqual(Object.keys(inputs).sort());
  expect(Object.keys(job?.secrets ?? {}).sort()).toEqual(Object.keys(secrets).sort());
  expect([...page.matchAll(PINS)]).toHaveLength(1);
});

test('the changelog mentions each action', () => {
  const changelog = readFileSync(path.join(projectRoot, 'CHANGELOG.md'), 'utf8');
  const names = readdirSync(path.join(projectRoot, 'actions'));
  expect(names.filter((name) => !changelog.includes(name))).toEqual([]);
});

describe.each(pages)('%s', (page) => {
  test('a command that no test runs says why', () => {
    const silent = blocksOf(read(page)).filter(
      ({ info, after }) => info === 'bash' && after[0]?.startsWith('<!-- Not run in the tests: ') !== true,
    );
    expect(silent.map((block) => block.text)).toEqual([]);
  });
});

test('each invariant of the threat model names tests that exist', () => {
  const rows = read('explanation/threat-model.md').match(/^\| I\d+ .*$/gm) ?? [];
  expect(rows.map((row) => /^\| (I\d+) /.exec(row)?.[1])).toEqual(rows.map((_, index) => `I${index + 1}`));
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) {
    const files = [...row.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !existsSync(path.join(projectRoot, file)))).toEqual([]);
  }
});

test('each point of the design names where it is done, and tests that exist', () => {
  const rows = read('explanation/design.md').match(/^\| (?!---|the design says).*$/gm) ?? [];
  expect(rows.length).toBeGreaterThan(35);
  for (const row of rows) {
    const [, says, where] = row.split(' | ');
    expect([row, says !== '', where !== undefined]).toEqual([row, true, true]);
    const files = [...row.matchAll(/`(test\/[\w./-]+)`/g)].map(([, file = '']) => file);
    expect(files.filter((file) => !existsSync(path.join(projectRoot, file)))).toEqual([]);
  }
});
