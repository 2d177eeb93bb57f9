import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { action } from '../../src/actions/publish-dashboard.js';
import { systemClock } from '../../src/base/clock.js';
import type { Log } from '../../src/base/log.js';
import { actionsTransport } from '../../src/http/actions-transport.js';
import { createHttp, defaultPolicy } from '../../src/http/policy.js';
import { type PublishOptions, publishDashboard } from '../../src/monitoring/dashboard.js';
import { dashboardSchema } from '../../src/monitoring/model.js';
import type { Branch } from '../../src/monitoring/read-branch.js';
import { parseInput } from '../../src/runner/run-action.js';
import { failure, withServer } from '../image-server/fixture.js';
import { freshImageDirectory } from '../sandbox/current.js';
import { nightlyJobs, SETTINGS } from './fixture.js';

const FILES = ['badge.json', 'data.json', 'feed.atom', 'index.html', 'metrics.prom'];

let directory: string;
let warnings: string[];
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dashboard-'));
  warnings = [];
});
afterEach(() => rm(directory, { recursive: true }));

async function publish(branches: readonly Branch[], changes: Partial<PublishOptions> = {}) {
  const log: Log = { debug() {}, info() {}, warning: (line) => warnings.push(line), group: (_, phase) => phase() };
  const policy = { ...defaultPolicy, attempts: 1 };
  return publishDashboard({
    branches,
    settings: SETTINGS,
    readNightly: async () => [],
    output: path.join(directory, 'out', 'dashboard'),
    dryRun: false,
    upload: undefined,
    http: createHttp({ transport: actionsTransport(), policy, clock: systemClock, log }),
    clock: systemClock,
    log,
    ...changes,
  });
}

const down: Branch = { branch: 'zed', url: new URL('http://127.0.0.1:1/zed') };
const fresh = async (branch: string): Promise<Branch> => ({ branch, url: new URL((await freshImageDirectory()).url) });

test('writes the files whole, over those of the run before', async () => {
  const branches = [await fresh('master')];
  await publish(branches);
  await publish(branches);
  const output = path.join(directory, 'out', 'dashboard');
  expect((await readdir(output)).sort()).toEqual(FILES);
  const data = v.parse(dashboardSchema, JSON.parse(await readFile(path.join(output, 'data.json'), 'utf8')));
  expect(data.branches.map(({ branch, state }) => [branch, state])).toEqual([['master', 'empty']]);
});

test('all branches down: the page shows it, a warning tells it', async () => {
  const model = await publish([down]);
  expect(model.branches.map(({ state }) => state)).toEqual(['broken']);
  expect(warnings[0]).toMatch(/^zed: GET http:\/\/127\.0\.0\.1:1\/zed\/ledger\/current-ceph\/1\.json: /);
  const page = await readFile(path.join(directory, 'out', 'dashboard', 'index.html'), 'utf8');
  expect(page).toContain('broken');
});

test('nightly jobs are on the page, and a warning tells of one that cannot be read', async () => {
  const down = { job: 'nightly-x', problem: 'GET https://zuul.example: no answer', builds: [] };
  await publish([await fresh('master')], { readNightly: async () => [...nightlyJobs(), down] });
  expect(warnings).toEqual(['nightly-x: GET https://zuul.example: no answer']);
  const output = path.join(directory, 'out', 'dashboard');
  const data = v.parse(dashboardSchema, JSON.parse(await readFile(path.join(output, 'data.json'), 'utf8')));
  expect(data.nightly).toEqual([...nightlyJobs(), down]);
});

test('a dry run writes and uploads nothing', async () => {
  let uploads = 0;
  const upload = async () => {
    uploads += 1;
  };
  await publish([down], { dryRun: true, upload });
  expect(await readdir(directory)).toEqual([]);
  expect(uploads).toBe(0);
});

test('uploads the same files over SFTP', async () => {
  const there = await freshImageDirectory();
  for (const branch of ['master', 'zed']) {
    await publish([{ ...down, branch }], {
      upload: (files) =>
        withServer(there.server, async (server) => {
          for (const [name, text] of files) await server.writePage(name, text);
        }),
    });
  }
  expect((await readdir(there.path)).sort()).toEqual(FILES);
  const page = await readFile(path.join(there.path, 'index.html'), 'utf8');
  expect(page).toBe(await readFile(path.join(directory, 'out', 'dashboard', 'index.html'), 'utf8'));
  expect(page).toContain('zed');
});

describe('refuses', () => {
  test.each<[string, Branch[], string]>([
    ['no branch', [], 'input branches: names no branch'],
    ['a branch twice', [down, down], 'input branches: two lines are of branch zed'],
  ])('%s', async (_, branches, message) => {
    expect(await failure(publish(branches))).toEqual({ kind: 'UserError', message: expect.stringContaining(message) });
  });

  test('an output that is a file', async () => {
    await publish([down]);
    const output = path.join(directory, 'out', 'dashboard', 'index.html');
    expect(await failure(publish([down], { output }))).toEqual({
      kind: 'UserError',
      message: expect.stringMatching(/^input output: /),
    });
  });
});

describe('input branches', () => {
  const parse = (text: string) => parseInput('branches', action.inputs.branches, text);

  test('is a branch and a URL a line', () => {
    expect(parse('\n  master   https://host/a\n\nstable/zed https://host/b/\n')).toEqual([
      { branch: 'master', url: new URL('https://host/a') },
      { branch: 'stable/zed', url: new URL('https://host/b/') },
    ]);
  });

  test.each([
    ['', 'input branches: required and not set'],
    ['https://host/a', 'is not a branch and a URL'],
    ['master', 'is not a branch and a URL'],
    ['<b> https://host/a', 'is not a branch and a URL'],
    ['master https://host/a https://host/b', 'is not a branch and a URL'],
    ['master ftp://host/a', 'is not an http or https URL'],
    ['master https://user:password@host/a', 'without credentials'],
  ])('%j is refused', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});
