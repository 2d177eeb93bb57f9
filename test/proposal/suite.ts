import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type BundleRun, runBundle } from '../e2e/bundle.js';
import { chainOf, digestOf, SOURCE, tag } from '../ledger/fixture.js';
import { type GitServer, makeBareRepository, startGitServer } from '../sandbox/git-server.js';
import { type ForgeStandIn, startForge } from './forge-stand-in.js';
import { keep, killAtStep } from './kill.js';

/**
 * The whole action against a real git server. The forges' APIs are a stand-in, which says in forge-stand-in.ts what of
 * each request is checked against an excerpt of the published descriptions, and what is not.
 */

const BRANCH = 'ceph-promotion/current-ceph';
const FILE = 'roles/ceph/defaults/main.yml';
const DEFAULTS = '---\n# The image of Ceph\nceph_image: quay.io/ceph/ceph   # the repository\nceph_tag: v1 # the tag\n';
const scratch = mkdtempSync(join(tmpdir(), 'propose-'));
let server: GitServer;
let repository: string;
let forge: ForgeStandIn;
let count = 0;

beforeAll(async () => {
  server = await startGitServer(scratch);
});
afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true });
});
beforeEach(async () => {
  count += 1;
  repository = `owner/name${count}`;
  await makeBareRepository(scratch, repository);
  commit({ [FILE]: DEFAULTS, 'image.env': 'IMAGE=ceph:v1\n' });
});

/** A forge that knows the repository of the test. */
async function newForge(provider: 'github' | 'gitea'): Promise<void> {
  forge = await startForge(provider, repository);
  Object.assign(forge, { token: server.token });
}

type GitArgument = string | { readonly input: Buffer };
function git(...args: readonly GitArgument[]): string {
  const [words, options] = [args.filter((arg) => typeof arg === 'string'), args.find((arg) => typeof arg !== 'string')];
  return execFileSync('git', ['-C', join(scratch, repository), ...words], { encoding: 'utf8', ...options });
}
const show = (file: string, branch = BRANCH) => git('show', `${branch}:${file}`);
const imageOf = (tag: string) => `quay.io/ceph/ceph:${tag}@${digestOf(tag)}`;

/** A person's commit. */
function commit(files: Readonly<Record<string, string>>, branch = 'main', link?: string): void {
  const work = mkdtempSync(join(scratch, 'work-'));
  const inWork = (...args: string[]) =>
    execFileSync('git', ['-C', work, '-c', 'user.name=alice', '-c', 'user.email=alice@example.org', ...args]);
  execFileSync('git', ['clone', '--quiet', '--branch', branch, join(scratch, repository), work]);
  for (const [name, text] of Object.entries(files)) {
    execFileSync('mkdir', ['-p', join(work, name, '..')]);
    writeFileSync(join(work, name), text);
  }
  if (link !== undefined) symlinkSync('README.md', join(work, link));
  inWork('add', '--all');
  inWork('commit', '--quiet', '--message', 'By hand');
  inWork('push', '--quiet', 'origin', `HEAD:${branch}`);
}

function merge(): void {
  git('update-ref', 'refs/heads/main', BRANCH);
  for (const pull of forge.pulls) if (pull.state === 'open') Object.assign(pull, { state: 'closed', merged: true });
}

function propose(
  tag: string,
  inputs: Readonly<Record<string, string>> = {},
  started?: (kill: () => void) => void,
): Promise<BundleRun> {
  const settings = {
    reference: imageOf(tag),
    repository: `${server.url}/${repository}`,
    file: FILE,
    'yaml-path': 'ceph_tag',
    value: '{tag}',
    provider: 'gitea',
    token: server.token,
    'api-url': forge.url,
    ...inputs,
  };
  return runBundle('propose-change', settings, {}, started);
}

/** A web server with the records of a label, of which only the first ones can be seen. */
async function serveLedger(records: readonly Buffer[]): Promise<{ readonly url: string; newest: number }> {
  const http = createServer(({ url = '' }, response) => {
    const n = Number(/\/ledger\/current-ceph\/(\d+)\.json$/.exec(url)?.[1]);
    const bytes = n <= ledger.newest ? records[n - 1] : undefined;
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  http.listen(0, '127.0.0.1').unref();
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const ledger = { url: `http://127.0.0.1:${port}`, newest: records.length };
  return ledger;
}

/** There is one change, and its branch, title and text are for this tag. */
function expectOneChange(tag: string): void {
  expect(forge.pulls.filter(({ state }) => state === 'open')).toMatchObject([
    {
      title: expect.stringMatching(`^Update (ceph|daemon) to ${tag} \\(current-ceph\\)$`),
      body: expect.stringContaining(digestOf(tag)),
      head: BRANCH,
    },
  ]);
  expect(show(FILE)).toBe(DEFAULTS.replace('v1 #', `${tag} #`));
  expect(git('rev-list', '--count', `main..${BRANCH}`).trim()).toBe('1');
  expect(forge.violations).toEqual([]);
}

/** What a change looks like after runs that end, break off and come again. */
export function testChanges(provider: 'github' | 'gitea'): void {
  beforeEach(() => newForge(provider));
  const run = (tag: string, inputs = {}) => propose(tag, { provider, ...inputs });

  test('the same again changes nothing', async () => {
    const first = await run('v2');
    const before = git('rev-parse', BRANCH);
    const again = await run('v2');
    expect(again.outputs).toEqual({ url: first.outputs.url, state: 'open', changed: 'false' });
    expect(git('rev-parse', BRANCH)).toBe(before);
    expect(forge.requests.filter((method) => method !== 'GET')).toEqual(['POST']);
  });

  test('what is merged is left, and the way back is proposed', async () => {
    await run('v2');
    merge();
    expect((await run('v2')).outputs).toEqual({ url: '', state: '', changed: 'false' });
    expect((await run('v1')).outputs.changed).toBe('true');
    expect(forge.pulls).toHaveLength(2);
    expect(show(FILE)).toBe(DEFAULTS);
  });

  test('a change is closed where the base has what is promoted, and opened again later', async () => {
    await run('v2');
    expect((await run('v1')).outputs).toMatchObject({ changed: 'true', state: 'closed' });
    expect(forge.pulls).toMatchObject([
      { state: 'closed', merged: false, body: expect.stringContaining('Closed, since the base') },
    ]);
    expect((await run('v2')).outputs.changed).toBe('true');
    expect(forge.pulls.map(({ state }) => state)).toEqual(['closed', 'open']);
  });

  test('a change that a person closed is not opened again for the same image', async () => {
    await run('v2');
    Object.assign(forge.pulls[0] ?? {}, { state: 'closed' });
    expect(await run('v2')).toMatchObject({
      status: 0,
      outputs: { changed: 'false', state: 'closed' },
      log: expect.stringContaining('::warning::'),
    });
    expect((await run('v3')).outputs.changed).toBe('true');
    expect(forge.pulls.map(({ state }) => state)).toEqual(['closed', 'open']);
  });

  test('a branch that a person pushed to is not overwritten', async () => {
    await run('v2');
    commit({ 'more.yml': 'a: b\n' }, BRANCH);
    const before = git('rev-parse', BRANCH);
    const next = await run('v3');
    expect(next).toMatchObject({
      status: 0,
      outputs: { changed: 'false' },
      log: expect.stringContaining('somebody has pushed'),
    });
    expect(git('rev-parse', BRANCH)).toBe(before);
  });

  test.each([
    ['before it is opened', 'before'],
    ['after it is opened', 'after'],
  ])('a forge that breaks off %s: the next run leaves one change, right', async (_, when) => {
    forge.fault = (...at) => at.join() === [when, 'POST'].join();
    expect((await run('v2')).status).toBe(1);
    expect(show(FILE)).toContain('v2');
    forge.fault = () => false;
    expect((await run('v2')).status).toBe(0);
    expect(forge.pulls).toMatchObject([{ state: 'open', title: 'Update ceph to v2 (current-ceph)' }]);
  });

  test('a push whose answer is lost: curl sends it again, and the run finds its own commit', async () => {
    server.loseNextAnswer = true;
    expect(await run('v2')).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
    expect(server.loseNextAnswer).toBe(false);
    expectOneChange('v2');
  });

  test.each(['push-refs', 'push'] as const)(
    'a run of ours that pushes first, just before the %s of another: one change, right, and nothing overwritten',
    async (step) => {
      await run('v2');
      const pushed: string[] = [];
      let other: Promise<BundleRun> | undefined;
      server.fault = async (kind) => {
        if (kind !== step || other !== undefined) return false;
        other = run('v4');
        expect(await other).toMatchObject({ status: 0, outputs: { changed: 'true' } });
        pushed.push(git('rev-parse', BRANCH).trim());
        return false;
      };
      const late = await run('v3').finally(() => {
        server.fault = () => false;
      });
      expect(late).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
      expect(late.log).toContain('somebody else has pushed to the branch of the change; looking again');
      expect(pushed).toHaveLength(1);
      expectOneChange('v3');
    },
  );

  test('a person who pushes between the look and the push: nothing is overwritten', async () => {
    await run('v2');
    let theirs: string | undefined;
    server.fault = (kind) => {
      if (kind !== 'push-refs' || theirs !== undefined) return false;
      commit({ 'more.yml': 'a: b\n' }, BRANCH);
      theirs = git('rev-parse', BRANCH);
      return false;
    };
    const late = await run('v3').finally(() => {
      server.fault = () => false;
    });
    expect(late).toMatchObject({ status: 0, outputs: { changed: 'false' } });
    expect(late.log).toContain('somebody has pushed to the branch of the change, so it is left as it is');
    expect(git('rev-parse', BRANCH)).toBe(theirs);
  });

  test.each(['refs', 'push-refs', 'push'] as const)(
    'an older run, overtaken before its %s, leaves what a newer record proposes',
    async (step) => {
      const ledger = await serveLedger(chainOf([['v2'], ['v3']]));
      const fromLedger = () => run('', { reference: '', url: ledger.url });
      ledger.newest = 1;
      let newer: BundleRun | undefined;
      server.fault = async (kind) => {
        if (kind !== step || ledger.newest === 2) return false;
        ledger.newest = 2;
        newer = await fromLedger();
        return false;
      };
      const older = await fromLedger().finally(() => {
        server.fault = () => false;
      });
      expect(newer).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
      expect(older).toMatchObject({ status: 0, errors: [], outputs: { changed: 'false', url: newer?.outputs.url } });
      expect(older.summary).toContain('record 2 was proposed already, and is newer than record 1');
      expect(git('log', '-1', '--format=%(trailers:key=Promotion-Record,valueonly)', BRANCH).trim()).toMatch(
        /^2 [0-9a-f]{64}$/,
      );
      expectOneChange('v3');
      expect((await fromLedger()).outputs.changed).toBe('false');
    },
  );

  test('a dry run changes nothing, and says what it would do', async () => {
    const dry = await run('v2', { 'dry-run': 'true' });
    expect(dry).toMatchObject({ status: 0, outputs: { changed: 'false' } });
    expect(dry.summary).toContain('would open a change: Update ceph to v2');
    expect(git('branch', '--list').trim()).toBe('* main');
    expect(forge.requests).toEqual(['GET']);
  });
}

/** Runs that are killed, with all that they started, before or after each request that they send. */
export function testKills(provider: 'github' | 'gitea'): void {
  afterEach(() => {
    server.fault = () => false;
    server.carriedOut = () => undefined;
  });
  const inputs = { provider };

  const killAt = (tag: string, n: number) =>
    killAtStep(n, { git: server, rest: forge }, (started) => propose(tag, inputs, started));

  test.each<[string, readonly string[], string, readonly string[]]>([
    ['that opens a change', [], 'v2', ['push', 'POST']],
    ['that updates a change', ['v2'], 'v3', ['push', 'PATCH']],
    ['that closes a change', ['v2'], 'v1', ['PATCH']],
  ])('a run %s: the next run leaves one change, right', async (_, earlier, tag, writes) => {
    await newForge(provider);
    for (const before of earlier) await propose(before, inputs);
    const restore = keep(join(scratch, repository));
    const pulls = structuredClone(forge.pulls);
    const killed: string[] = [];
    for (let n = 0; ; n += 1) {
      restore();
      forge.pulls.splice(0, forge.pulls.length, ...structuredClone(pulls));
      const { status, steps } = await killAt(tag, n);
      if (status !== null) {
        expect({ status, steps }).toEqual({ status: 0, steps: killed });
        break;
      }
      killed.push(steps.at(-1) ?? '');
      expect(await propose(tag, inputs)).toMatchObject({ status: 0, errors: [] });
      if (tag === 'v1') expect(forge.pulls).toMatchObject([{ state: 'closed', merged: false }]);
      else expectOneChange(tag);
      expect(forge.pulls).toHaveLength(1);
    }
    for (const write of writes) expect(killed).toEqual(expect.arrayContaining([`before ${write}`, `after ${write}`]));
  });
}

/** Many runs in a row. */
export function testManyRuns(provider: 'github' | 'gitea'): void {
  beforeEach(() => newForge(provider));

  test('ten promotions and two rollbacks leave one change, with the right content', async () => {
    const tags = ['v2', 'v3', 'v4', 'v5', 'v6', 'v5', 'v7', 'v8', 'v9', 'v8', 'v10', 'v11'];
    for (const tag of tags) {
      expect(await propose(tag, { provider })).toMatchObject({ status: 0, errors: [], outputs: { changed: 'true' } });
    }
    expect(forge.pulls).toMatchObject([
      { state: 'open', title: 'Update ceph to v11 (current-ceph)', head: BRANCH, base: 'main' },
    ]);
    expect(show(FILE)).toBe(DEFAULTS.replace('v1 #', 'v11 #'));
    expect(git('rev-list', '--count', `main..${BRANCH}`).trim()).toBe('1');
    expect(git('diff', '--name-only', 'main', BRANCH).trim()).toBe(FILE);
    expect(git('log', '-1', '--format=%B', BRANCH)).toContain(imageOf('v11'));
    expect(forge.violations).toEqual([]);
  });
}

/** What is refused, and several edits. */
export function testEdits(): void {
  describe('what is refused', () => {
    beforeEach(() => newForge('gitea'));

    test.each<[string, Readonly<Record<string, string>>, RegExp]>([
      ['no such file', { file: 'none.yml' }, /there is no file none\.yml in main; check the input file/],
      [
        'no such place',
        { 'yaml-path': 'none' },
        /there is no none; check the inputs yaml-path, pattern and matches|there is no none; check the input yaml-path/,
      ],
      ['a path that leads out', { file: '../x' }, /input file: .*not a plain relative path/],
      ['a file of git itself', { file: '.git/config' }, /input file: .*not a plain relative path/],
      ['no such base', { base: 'none' }, /there is no branch none; check the inputs repository and base/],
      ['a file of git itself, in other letters', { file: 'a/.GIT/config' }, /input file: .*not a plain relative path/],
      ['a branch that is an option', { base: '--upload-pack=x' }, /input base: .*not a branch name/],
      ...['a..b', 'a.lock', 'a%topic=x'].map((branch): [string, Readonly<Record<string, string>>, RegExp] => [
        `the branch ${branch}`,
        { branch },
        /input branch: .*not a branch name/,
      ]),
      ['a branch that is the base', { branch: 'main' }, /input branch: is the base itself/],
      ['a committer with a line of its own', { committer: 'a <a@b>\nfrom refs/heads/x' }, /input committer: /],
      ['an unknown placeholder', { value: '{nothing}' }, /input value: line 1: \{nothing\} is unknown/],
      ['a wrong token', { token: 'wrong-token-0123456789' }, /check the input token/],
      ['no token', { token: '' }, /input token: required with provider gitea/],
      ['both kinds of places', { pattern: '(x)' }, /inputs yaml-path and pattern: set one of the two/],
      ['a password in the address', { repository: 'https://me:pw@forge.example/a/b' }, /input repository: /],
    ])('%s', async (_, inputs, message) => {
      const run = await propose('v2', inputs);
      expect(run).toMatchObject({ status: 1, errors: [expect.stringMatching(message)] });
      expect(git('branch', '--list').trim()).toBe('* main');
    });

    test('a symbolic link is not followed', async () => {
      commit({}, 'main', 'link.yml');
      const run = await propose('v2', { file: 'link.yml' });
      expect(run.errors).toEqual([expect.stringMatching(/link\.yml is a symbolic link, not a file/)]);
    });

    test('what only looks like a file in a directory is not followed, and what is large or no text is refused', async () => {
      const entries = [
        'M 120000 inline linked\ndata 5\nroles\n',
        `M 160000 ${'1'.repeat(40)} module\n`,
        `M 644 inline large.yml\ndata ${1024 * 1024 + 1}\n${'a'.repeat(1024 * 1024 + 1)}\n`,
        'M 644 inline latin.yml\ndata 2\n\xe4\n',
      ].join('');
      const commit = `commit refs/heads/main\ncommitter alice <a@example.org> 3 +0000\ndata 1\nx\nfrom refs/heads/main^0\n`;
      git('fast-import', '--quiet', { input: Buffer.from(`${commit}${entries}\n`, 'latin1') });
      for (const [file, message] of [
        ['linked/ceph/defaults/main.yml', /there is no file linked\/ceph/],
        ['module', /module is a submodule, not a file/],
        ['module/main.yml', /there is no file module\/main\.yml/],
        ['roles', /roles is a directory, not a file/],
        ['large.yml', /large\.yml has 1048577 bytes/],
        ['latin.yml', /latin\.yml is not UTF-8/],
      ] as const) {
        expect((await propose('v2', { file })).errors).toEqual([expect.stringMatching(message)]);
      }
      expect(git('branch', '--list').trim()).toBe('* main');
    });

    test('a value of several lines', async () => {
      const companion = { repository: SOURCE, tag: tag('c1'), digest: digestOf('c1') };
      const { url } = await serveLedger(chainOf([['v2', { companions: [companion] }]]));
      const run = await propose('', { reference: '', url, value: '{set}' });
      expect(run.errors).toEqual([
        expect.stringMatching(/input value: gives an empty value, or one with more than one line/),
      ]);
    });

    test('a branch that the forge protects', async () => {
      const hook = join(scratch, repository, 'hooks/update');
      writeFileSync(hook, '#!/bin/sh\necho "GH006: Protected branch update failed for $1." >&2\nexit 1\n', {
        mode: 0o755,
      });
      const run = await propose('v2');
      rmSync(hook);
      expect(run).toMatchObject({
        status: 1,
        errors: [expect.stringMatching(/the push was refused: .*Protected branch/)],
      });
      expect(forge.pulls).toEqual([]);
      expect((await propose('v2')).outputs.changed).toBe('true');
      expectOneChange('v2');
    });

    test('no token is in the log', async () => {
      const { log } = await propose('v2');
      expect(log.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain(server.token);
    });
  });

  test('several edits are one change', async () => {
    await newForge('gitea');
    await propose('v2', { 'yaml-path': 'ceph_tag\nceph_image', value: '{tag}\n{repository}@{digest}' });
    expect(show(FILE)).toBe(
      DEFAULTS.replace('v1 #', 'v2 #').replace('quay.io/ceph/ceph ', `quay.io/ceph/ceph@${digestOf('v2')} `),
    );
    git('fast-import', '--quiet', {
      input: Buffer.from(
        'commit refs/heads/main\ncommitter alice <a@example.org> 3 +0000\ndata 1\nx\nfrom refs/heads/main^0\nM 755 inline image.env\ndata 14\nIMAGE=ceph:v1\n\n',
      ),
    });
    await propose('v3', { file: 'image.env', 'yaml-path': '', pattern: '^IMAGE=.*:(.*)$' });
    expect(show('image.env')).toBe('IMAGE=ceph:v3\n');
    expect(git('ls-tree', BRANCH, 'image.env')).toMatch(/^100755 /);
    expect(forge.pulls).toHaveLength(1);
  });
}
