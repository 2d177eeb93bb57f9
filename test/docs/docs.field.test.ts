import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
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
/** The directory of the reader's terminal: if a block changes it, the blocks after it start there. */
let terminal: string;
let servers: ChildProcess;

// The tutorial's own servers, and what they say is to be pasted.
beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'docs-'));
  terminal = work;
  const child = spawn(process.execPath, [path.join(projectRoot, 'build/test/docs/servers.js')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers = child;
  const pasted: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith('export ')) pasted.push(line);
    if (line.startsWith('export PATH=')) break;
  }
  await writeFile(path.join(work, 'pasted'), `${pasted.join('\n')}\n`);
});

afterAll(async () => {
  const ended = once(servers, 'exit');
  servers.kill('SIGINT');
  await ended;
  await rm(work, { recursive: true, force: true });
});

function run(script: string): Promise<{ status: number; printed: string }> {
  const before = `source '${work}/pasted'\ntrap 'pwd > "${work}/terminal"' EXIT`;
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', `${before}\n${script}`],
      { cwd: terminal, env: { PATH: process.env.PATH, HOME: work }, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        terminal = readFileSync(path.join(work, 'terminal'), 'utf8').trimEnd();
        resolve({ status: error === null ? 0 : Number(error.code), printed: stdout + stderr });
      },
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
      const { status, printed } = await run(text);
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

test('the reference is what the schemas say', async () => {
  const { status, printed } = await run(`node "$ACTIONS/build/scripts/generate.js" --check reference`);
  expect({ status, printed }).toEqual({ status: 0, printed: '' });
});
