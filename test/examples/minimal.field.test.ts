import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { makeBareRepository } from '../sandbox/git-server.js';
import {
  askRegistry,
  ENGINES,
  PASSWORD,
  type Place,
  publishActions,
  startPlace,
  type Values,
  watchProcesses,
} from './minimal.js';

/** examples/minimal with its store in the job's own repository; minimal-by-ssh.field.test.ts has it over SSH. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
const OTHER = 'v6.0.5-stable-6.0-pacific-centos-8';

const RECORD = v.object({ kind: v.string(), who: v.string(), candidate: v.string() });

let place: Place;
beforeAll(async () => {
  place = await startPlace();
  await publishActions(place);
});
afterAll(() => place.stop());

describe.each(ENGINES)('by %s', (_, short, engine) => {
  const name = `Alice/${short}`;
  const target = `alice/ceph-${short}`;
  let store: string;
  let processes: () => string;

  beforeAll(async () => {
    store = await makeBareRepository(place.work, name);
    processes = watchProcesses(store);
  });

  const git = (...args: string[]) => execFileSync('git', ['-C', store, ...args], { encoding: 'utf8' });
  const record = (n: number) => v.parse(RECORD, JSON.parse(git('show', `promotions:ledger/current-ceph/${n}.json`)));

  async function run(inputs: Values = {}): Promise<string> {
    const vars = {
      IMAGE: `${sandbox().source.host}/ceph/daemon`,
      FLAVOR: 'pacific',
      TARGET: `${place.registry.host}/${target}`,
      ACTORS: 'alice',
    };
    const secrets = { GITHUB_TOKEN: place.forge.token, REGISTRY_TOKEN: PASSWORD };
    const { status, log } = await engine(place, { repository: name, vars, secrets, inputs });
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    for (const secret of [place.forge.token, PASSWORD]) expect(log).not.toContain(secret);
    return log;
  }

  test('it promotes what it has checked, with two pushes, and changes nothing the next time', async () => {
    place.forge.requests.length = 0;
    const log = await run();
    expect(log).toContain('current-ceph: promoted ');
    expect(place.forge.requests.filter(({ kind }) => kind === 'push')).toHaveLength(2);
    expect(record(1)).toMatchObject({ kind: 'earned', who: 'alice' });
    expect(record(1).candidate).toContain(`:${TAG}@${cephDaemonImage(TAG).digest}`);
    expect(git('show', 'promotions:current-ceph')).toBe(TAG);
    expect(await tags()).toEqual(expect.arrayContaining(['current-ceph', TAG]));

    const before = git('rev-parse', 'promotions^{tree}');
    expect(await run()).toContain('current-ceph: nothing changed: ');
    expect(git('ls-tree', '-r', 'promotions', '--', 'ledger/current-ceph/', 'current-ceph')).toBe(
      git('ls-tree', '-r', before.trim(), '--', 'ledger/current-ceph/', 'current-ceph'),
    );
  });

  test('a person forces a tag, rolls back, and holds an image', async () => {
    const reason = { 'force-reason': 'try' };
    const force = (tag: string) => run({ 'force-tag': tag, 'force-confirm': tag, ...reason });
    await force(OLDER);
    expect(git('show', 'promotions:current-ceph')).toBe(OLDER);
    await force(TAG);
    expect(git('show', 'promotions:previous-current-ceph')).toBe(OLDER);
    await run({ 'rollback-to': 'previous', ...reason });
    expect(git('show', 'promotions:current-ceph')).toBe(OLDER);
    await run({ hold: OTHER, ...reason });
    expect([2, 3, 4, 5].map((n) => record(n).kind)).toEqual(['forced', 'forced', 'rollback', 'hold']);
  });

  test('whoever may read the branch can verify it and read what is promoted', async () => {
    const store = { url: `git+${place.forge.url}/${name}`, 'git-token': place.forge.readingToken };
    const login = { 'target-username': 'alice', 'target-password': PASSWORD };
    const verified = await runBundle('verify-ledger', { ...store, ...login });
    expect(verified.errors).toEqual([]);
    expect(verified.outputs).toMatchObject({ verified: 'true', records: '5' });
    const consumed = await runBundle('consume-ci-testing', { ...store, label: 'current-ceph' });
    expect(consumed.errors).toEqual([]);
    expect(consumed.outputs).toMatchObject({ tag: OLDER, digest: cephDaemonImage(OLDER).digest });
  });

  test('no token is in the branch, and none was in the list of processes', () => {
    expect(processes()).toContain('dist/evaluate-and-promote/index.js');
    for (const everything of [git('log', '-p', '--all'), processes()]) {
      for (const secret of [place.forge.token, PASSWORD]) expect(everything).not.toContain(secret);
    }
  });

  async function tags(): Promise<string[]> {
    const list = await askRegistry(place, `${target}/tags/list`, `repository:${target}:pull`);
    return v.parse(v.object({ tags: v.array(v.string()) }), await list.json()).tags;
  }
});
