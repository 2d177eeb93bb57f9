import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyCallable } from '../demo/act.js';
import { downstreamVariables, writeSettings } from '../demo/downstream.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { blocksOf, linksOf, missingLine } from './markdown.js';

/** The pages do what they say: their commands run, in the order of docs/README.md, and print what they show. */

const docs = path.join(projectRoot, 'docs');
const read = (page: string) => readFileSync(path.join(docs, page), 'utf8');
const pages = readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));
const runnable = ['README.md', ...linksOf(read('README.md'))].filter(
  (page) => pages.includes(page) && blocksOf(read(page)).some(({ info }) => info.startsWith('bash test')),
);

let work: string;
let env: Record<string, string | undefined>;

beforeAll(async () => {
  const info = sandbox();
  work = await mkdtemp(path.join(tmpdir(), 'docs-'));
  const settings = path.join(work, 'settings');
  const directory = await freshImageDirectory();
  // A repository of its own, in the branch's DLRN where no other test reports for the example's job.
  const variables = downstreamVariables(info, 'master', directory, `test-${randomUUID()}/daemon`);
  await writeSettings(info, variables, settings);
  await copyCallable(path.join(settings, 'callable'));
  env = {
    PATH: `${path.dirname(info.tools.act)}:${process.env.PATH}`,
    HOME: work,
    ACTIONS: projectRoot,
    SETTINGS: settings,
    SERVER_URL: directory.url,
    REGISTRY: info.source.host,
  };
});

afterAll(() => rm(work, { recursive: true, force: true }));

function run(script: string, cwd: string): Promise<{ status: number; printed: string }> {
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', script],
      { cwd, env, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => resolve({ status: error === null ? 0 : Number(error.code), printed: stdout + stderr }),
    );
  });
}

test('the tutorial comes first', () => {
  expect(runnable[0]).toBe('tutorial.md');
  expect(runnable.length).toBeGreaterThan(7);
});

test.each(runnable)(
  '%s',
  async (page) => {
    const blocks = blocksOf(read(page));
    for (const [index, { info, text }] of blocks.entries()) {
      if (!info.startsWith('bash test')) continue;
      const { status, printed } = await run(text, existsSync(path.join(work, 'ceph')) ? path.join(work, 'ceph') : work);
      const shown = blocks[index + 1];
      const expected = shown?.info === 'text' ? missingLine(shown.text, printed) : undefined;
      const fails = info === 'bash test fails';
      if (expected !== undefined || (status !== 0) !== fails) {
        throw new Error(`${text}\nended with ${status}; it does not print ${expected}; it prints\n${printed}`);
      }
    }
  },
  180_000,
);

describe.each(pages)('%s', (page) => {
  const text = read(page);

  test('its links lead to files', () => {
    const broken = linksOf(text).filter((link) => !existsSync(path.join(docs, path.dirname(page), link)));
    expect(broken).toEqual([]);
  });

  test('a command that no test runs says why', () => {
    const silent = blocksOf(text).filter(
      ({ info, after }) => info === 'bash' && after[0]?.startsWith('Not run in the tests: ') !== true,
    );
    expect(silent.map((block) => block.text)).toEqual([]);
  });
});

test('each invariant of the threat model names tests that are there', () => {
  const rows = read('explanation/threat-model.md').match(/^\| I\d+ .*$/gm) ?? [];
  expect(rows.map((row) => /^\| (I\d+) /.exec(row)?.[1])).toEqual(rows.map((_, index) => `I${index + 1}`));
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) {
    const files = [...row.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !existsSync(path.join(projectRoot, file)))).toEqual([]);
  }
});

test('the reference is what the schemas say', async () => {
  const { status, printed } = await run(`node "$ACTIONS/build/scripts/reference.js" --check`, work);
  expect({ status, printed }).toEqual({ status: 0, printed: '' });
});
