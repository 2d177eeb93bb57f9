import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { action } from '../../src/actions/publish-dashboard.js';
import { rfc3339, systemClock } from '../../src/base/clock.js';
import type { Log } from '../../src/base/log.js';
import { type PublishOptions, publishDashboard } from '../../src/monitoring/dashboard.js';
import { type DashboardModel, dashboardSchema } from '../../src/monitoring/model.js';
import type { Branch } from '../../src/monitoring/read-branch.js';
import { readRunContext } from '../../src/runner/context.js';
import type { Input, ParsedInputs } from '../../src/runner/inputs.js';
import { parseInput } from '../../src/runner/run-action.js';
import { dlrnAt, newReport } from '../dlrn/support.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { failure, silent } from '../store/fixture.js';
import {
  busyHistory,
  candidate,
  candidateFile,
  criteriaOf,
  DAY,
  decide,
  NOW,
  nightlyJobs,
  record,
  SETTINGS,
} from './fixture.js';
import { layOut, overHttp } from './lay-out.js';

/** The files of a dashboard without branches. */
const FILES = ['badge.json', 'data.json', 'feed.atom', 'index.html', 'metrics.prom', 'style.css'];
const filesWith = (...pages: string[]) => [...FILES, ...pages].sort();

let directory: string;
let warnings: string[];
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dashboard-'));
  warnings = [];
});
afterEach(() => rm(directory, { recursive: true }));

async function publish(branches: readonly Branch[], changes: Partial<PublishOptions> = {}) {
  const log: Log = { debug() {}, info() {}, warning: (line) => warnings.push(line), group: (_, phase) => phase() };
  return publishDashboard({
    branches,
    settings: SETTINGS,
    readNightly: async () => [],
    output: path.join(directory, 'out', 'dashboard'),
    dryRun: false,
    upload: undefined,
    readBefore: async () => undefined,
    clock: systemClock,
    log,
    ...changes,
  });
}

const down: Branch = { ...overHttp({ url: 'http://127.0.0.1:1/zed' }), branch: 'zed' };
const fresh = async (branch: string): Promise<Branch> => ({ ...overHttp(await freshImageDirectory()), branch });

test('writes the files whole, over those of the run before', async () => {
  const branches = [await fresh('master')];
  await publish(branches);
  await publish(branches);
  const output = path.join(directory, 'out', 'dashboard');
  expect((await readdir(output)).sort()).toEqual(filesWith('branch-master.html'));
  const data = v.parse(dashboardSchema, JSON.parse(await readFile(path.join(output, 'data.json'), 'utf8')));
  expect(data.branches.map(({ branch, state }) => [branch, state])).toEqual([['master', 'empty']]);
});

test('an unreachable server is one problem, on the page and as a warning', async () => {
  const model = await publish([down]);
  expect(model.branches.map(({ state }) => state)).toEqual(['broken']);
  expect(warnings).toEqual([
    expect.stringMatching(/^zed: image server: GET http:\/\/127\.0\.0\.1:1\/zed\/ledger\/current-ceph\/1\.json: /),
  ]);
  const page = await readFile(path.join(directory, 'out', 'dashboard', 'index.html'), 'utf8');
  expect(page).toContain('broken');
});

test('nightly jobs are on the page, and a warning tells of one that cannot be read', async () => {
  const down = { job: 'nightly-x', failure: 'GET https://zuul.example: no answer', builds: [] };
  await publish([await fresh('master')], { readNightly: async () => [...nightlyJobs(), down] });
  expect(warnings).toEqual(['nightly-x: GET https://zuul.example: no answer']);
  const output = path.join(directory, 'out', 'dashboard');
  const data = v.parse(dashboardSchema, JSON.parse(await readFile(path.join(output, 'data.json'), 'utf8')));
  expect(data.nightly.map(({ job, problem }) => [job, problem?.why])).toEqual([
    ...nightlyJobs().map(({ job }) => [job, undefined]),
    ['nightly-x', 'GET https://zuul.example: no answer'],
  ]);
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

describe('the dashboard of the run before knows since when something fails', () => {
  const since = ({ branches }: DashboardModel) => branches.flatMap(({ problems }) => problems.map((one) => one.since));

  test('if it can be read', async () => {
    const first = await publish([down], { clock: { ...systemClock, now: () => NOW * 1000 } });
    const data = path.join(directory, 'out', 'dashboard', 'data.json');
    const second = await publish([down], { readBefore: () => readFile(data, 'utf8') });
    expect(since(second)).toEqual(since(first));
    expect(since(second)[0]).toBe(rfc3339(NOW));
  });

  test.each(['', '{"version":1}'])('a data.json with %j does no harm', async (text) => {
    const model = await publish([down], { readBefore: async () => text });
    expect(since(model)).toEqual([model['generated-at']]);
  });
});

test('a page of records is uploaded when it differs from the published one', async () => {
  const directory = await freshImageDirectory();
  const branch = overHttp(directory);
  const [older, newer] = [busyHistory('master', 45, DAY), busyHistory('master', 47, DAY)];
  expect([older.records.length, newer.records.length]).toEqual([50, 52]);
  const uploads: string[][] = [];
  let data: string | undefined;
  const run = async (history: typeof older) => {
    await layOut(directory.path, { records: history.records });
    const upload = async (files: ReadonlyMap<string, string>) => {
      uploads.push([...files.keys()].filter((name) => name.startsWith('records')));
      data = files.get('data.json');
    };
    await publish([branch], { upload, readBefore: async () => data });
  };
  await run(older);
  await run(newer);
  await run(newer);
  const [first, second] = ['records-master-1.html', 'records-master-2.html'];
  expect(uploads).toEqual([[first], [second, first], []]);
  // As an older version wrote it: the page has another form there, and gets this one.
  const changed: DashboardModel = JSON.parse(data ?? '');
  data = JSON.stringify({ ...changed, 'record-pages': { ...changed['record-pages'], [first]: '0'.repeat(64) } });
  await run(newer);
  // As before pages' hashes were written.
  data = JSON.stringify({ ...changed, 'record-pages': undefined });
  await run(newer);
  expect(uploads.slice(3)).toEqual([[first], [second, first]]);
  // Record 20 is no longer trusted: the page with it and those before it stays.
  await writeFile(path.join(directory.path, 'ledger/current-ceph/20.json'), '{}');
  await publish([branch], {
    upload: async (files) => void uploads.push([...files.keys()].filter((name) => name.startsWith('records'))),
    readBefore: async () => data,
  });
  expect(uploads.at(-1)).toEqual([]);
});

describe('refuses', () => {
  test.each<[string, Branch[], string]>([
    ['no branch', [], 'there is no branch to show'],
    ['a branch twice', [down, down], 'two branches are named zed'],
    [
      'two branches of one page',
      [
        { ...down, branch: 'a/b' },
        { ...down, branch: 'a-b' },
      ],
      'would share one page',
    ],
  ])('%s', async (_, branches, message) => {
    expect(await failure(publish(branches))).toEqual({ kind: 'UserError', message: expect.stringContaining(message) });
  });

  test('an output that is a file', async () => {
    await publish([down]);
    const output = path.join(directory, 'out', 'dashboard', 'index.html');
    expect(await failure(publish([down], { output }))).toEqual({
      kind: 'UserError',
      message: expect.stringMatching(/^cannot write the dashboard: /),
    });
  });
});

describe('input branches', () => {
  const parse = (text: string) => parseInput('branches', action.inputs.branches, text);

  test('is a branch and a URL a line', () => {
    const text = '\n  master   https://host/a\n\nstable/zed sftp://me@host/b/ https://dlrn.example/api-zed\n';
    expect(parse(text)).toEqual([
      { branch: 'master', where: new URL('https://host/a'), dlrn: undefined },
      {
        branch: 'stable/zed',
        where: { user: 'me', host: 'host', port: 22, directory: '/b' },
        dlrn: new URL('https://dlrn.example/api-zed'),
      },
    ]);
  });

  test.each([
    ['', 'input branches: required and not set'],
    ['https://host/a', 'is not a branch and a URL'],
    ['master', 'is not a branch and a URL'],
    ['<b> https://host/a', 'is not a branch and a URL'],
    ['master ftp://host/a', 'is not an http or https URL'],
    ['master sftp://host/a', 'names no user'],
    ['master https://host/a ftp://host/dlrn', 'is not an http or https URL'],
    ['master https://host/a https://host/dlrn more', 'is not a branch and a URL'],
    ['master https://user:password@host/a', 'has credentials in it'],
  ])('%j is refused', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});

describe('the action', () => {
  const inputs = (given: Readonly<Record<string, string>>) => {
    const parsed = Object.entries<Input<unknown>>(action.inputs).map(
      ([name, input]) => [name, parseInput(name, input, given[name] ?? '')] as const,
    );
    return Object.fromEntries(parsed) as ParsedInputs<typeof action.inputs>;
  };
  const run = (given: Readonly<Record<string, string>>) =>
    action.run(inputs({ output: path.join(directory, 'here'), ...given }), {
      log: silent,
      context: readRunContext({ GITHUB_WORKSPACE: directory }),
      redact: (text) => text,
      checkOutputs: () => undefined,
    });
  const login = () => {
    const { knownHosts, privateKey } = sandbox().imageServer.sshd;
    return { 'ssh-known-hosts': knownHosts, 'ssh-private-key': privateKey };
  };
  const published = async (there: ImageDirectory) =>
    v.parse(dashboardSchema, JSON.parse(await readFile(path.join(there.path, 'data.json'), 'utf8')));

  test('reads branches over HTTP and SFTP with the votes of DLRN, and puts the files on the image server', async () => {
    const [overWeb, overSsh, there] = [
      await freshImageDirectory(),
      await freshImageDirectory(),
      await freshImageDirectory(),
    ];
    const dlrn = sandbox().dlrn.branches.master;
    const jobs = [`job-${randomUUID()}`, `job-${randomUUID()}`];
    const image = candidate('v6.0.8-promoted');
    const decision = decide(image, criteriaOf(jobs), [], NOW - DAY);
    const records = [record([], image, NOW - DAY, { kind: 'forced', reason: 'must', decision })];
    const candidateFiles = new Map([[image.tag, candidateFile(image, NOW - 2 * DAY)]]);
    for (const { path } of [overWeb, overSsh]) await layOut(path, { records, labelTag: image.tag, candidateFiles });
    const superseded = candidate('v6.0.9-superseded');
    await dlrnAt(dlrn.url).reportResult({
      ...newReport({ subject: { kind: 'aggregate', hash: dlrn.hashes[0] ?? '' } }),
      jobId: jobs[0] ?? '',
      jobUrl: 'https://ci.example/1',
      notes: `${superseded.tag}@${superseded.digest}`,
      success: false,
      timestamp: Math.floor(Date.now() / 1000) - 60,
    });
    const given = {
      branches: `master ${overWeb.url} ${dlrn.url}\nwallaby ${overSsh.server} ${dlrn.url}\nzed ${overSsh.server} http://127.0.0.1:1/dlrn`,
      owners: 'master Ceph CI, #rdo',
      changes: '\nmaster https://forge.example/o/r/pull/1\nmaster https://forge.example/o/s/pull/2\n',
      server: there.server,
      ...login(),
    };
    const { outputs } = await run(given);
    expect(outputs.page).toBe(path.join(directory, 'here', 'index.html'));
    const files = filesWith(
      ...['master', 'wallaby', 'zed'].flatMap((branch) => [`branch-${branch}.html`, `records-${branch}-1.html`]),
    );
    expect((await readdir(there.path)).sort()).toEqual(files);
    for (const file of files) {
      expect(await readFile(path.join(there.path, file), 'utf8')).toBe(
        await readFile(path.join(directory, 'here', file), 'utf8'),
      );
    }
    const { branches } = await published(there);
    expect(branches.map(({ owner }) => owner)).toEqual(['Ceph CI, #rdo', null, null]);
    expect(branches.map(({ changes }) => changes)).toEqual([
      ['https://forge.example/o/r/pull/1', 'https://forge.example/o/s/pull/2'],
      [],
      [],
    ]);
    expect(branches.map(({ evaluations }) => evaluations.map(({ tag, outcome }) => [tag, outcome]))).toEqual([
      [
        [superseded.tag, 'undecided'],
        [image.tag, 'forced'],
      ],
      [
        [superseded.tag, 'undecided'],
        [image.tag, 'forced'],
      ],
      [[image.tag, 'forced']],
    ]);
    expect(branches.map(({ problems }) => problems.map(({ source }) => source))).toEqual([[], [], ['DLRN']]);
    const since = branches[2]?.problems[0]?.since;
    await run(given);
    expect((await published(there)).branches[2]?.problems[0]?.since).toBe(since);
  });

  test.each([
    ['owners', 'mastre Ceph CI', 'input owners: mastre is not among branches'],
    ['changes', 'mastre https://forge.example/1', 'input changes: mastre is not among branches'],
  ])('%s of an unknown branch are refused', async (name, text, message) => {
    const given = { branches: 'master http://127.0.0.1:1/a', [name]: text };
    expect(await failure(run(given))).toEqual({ kind: 'UserError', message });
  });

  test.each([
    ['no branch', 'https://forge.example/1'],
    ['no URL', 'master'],
    ['more than a URL', 'master https://forge.example/1 2'],
    ['http', 'master http://forge.example/1'],
    ['a script', 'master javascript:alert(1)'],
    ['an expression that the runner left', 'master ${{ needs.propose.outputs.url }}'],
    ['a login', 'master https://me:secret@forge.example/1', /has credentials in it/],
  ])(
    'a change with %s is refused',
    async (_, changes, message = /is not a branch and an https URL, such as `master /) => {
      const running = async () => run({ branches: 'master http://127.0.0.1:1/a', changes });
      const { kind, message: said } = await failure(running());
      expect(kind).toBe('UserError');
      expect(said).toMatch(/^input changes: line 1/);
      expect(said).toMatch(message);
    },
  );

  test.each([
    ['server', { branches: 'master http://127.0.0.1:1/a', server: 'sftp://me@127.0.0.1/a' }],
    ['an sftp:// branch', { branches: 'master sftp://me@127.0.0.1/a' }],
  ])('needs the host keys for %s', async (_, given) => {
    expect(await failure(run(given))).toEqual({
      kind: 'UserError',
      message: expect.stringMatching(/^input ssh-known-hosts: required/),
    });
  });
});
