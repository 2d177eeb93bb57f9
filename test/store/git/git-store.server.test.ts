import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { imageSet } from '../../../src/candidate/image-set.js';
import { type Tag, tagSchema } from '../../../src/candidate/reference.js';
import { type Label, previousLabel } from '../../../src/ledger/names.js';
import { companionKeys, imageOf } from '../../../src/store/candidate-file.js';
import type { LastDecision } from '../../../src/store/last-decision.js';
import type { Store } from '../../../src/store/store.js';
import { candidateFile, failure, label } from '../fixture.js';
import { type Forge, freshRepository, type Repository, startForge, withGitStore } from './support.js';

const CURRENT = label('current-ceph');
const V1 = candidateFile('v1');
const V2 = candidateFile('v2');
const tag = (text: string): Tag => v.parse(tagSchema, text);
const record = (n: number, text = '') => Buffer.from(`{"id":"1/1/${n}${text}"}\n`);

let forge: Forge;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());
afterEach(() => {
  forge.fault = () => false;
  expect(readdirSync(forge.temporary)).toEqual([]);
});

/** What the requests since `work` began were. */
async function counted<T>(
  work: () => Promise<T>,
): Promise<{ result: T; pushes: number; fetches: number; bytes: number }> {
  forge.requests.length = 0;
  const result = await work();
  const fetches = forge.requests.filter(({ kind, bytes }) => kind === 'fetch' && bytes > 400);
  return {
    result,
    pushes: forge.requests.filter(({ kind }) => kind === 'push').length,
    fetches: fetches.length,
    bytes: fetches.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

async function promote(store: Store, file: typeof V1, n: number, previous?: typeof V1, of: Label = CURRENT) {
  await store.writeArtifact(file);
  const result = await store.appendRecord(of, n, record(n), `1/1/${n}`);
  await store.moveLabel(of, file.tag);
  if (previous !== undefined) await store.moveLabel(previousLabel(of), previous.tag);
  return result;
}

describe('a store in a branch', () => {
  test('has the files of the SFTP store, and needs two pushes for a promotion', async () => {
    const repository = await freshRepository(forge);
    const { result, pushes, fetches } = await counted(() =>
      withGitStore(forge, repository, async (store) => {
        const won = await promote(store, V1, 1);
        await store.writeLastDecision(CURRENT, decision('promote'));
        return won;
      }),
    );
    expect(result).toBe('won');
    expect(repository.files()).toEqual([
      '120000 current-ceph',
      '100644 ledger/current-ceph.json',
      '100644 ledger/current-ceph/1.json',
      '100644 v1',
      '100644 v1.json',
    ]);
    expect(repository.show('current-ceph')).toBe('v1');
    expect(repository.show('v1')).toBe('v1');
    expect(repository.show('v1.json')).toBe(JSON.stringify(V1, undefined, 2));
    expect({ pushes, fetches }).toEqual({ pushes: 2, fetches: 0 });
    expect(repository.git('rev-list', '--count', 'promotions')).toBe('2');
    expect(repository.git('log', '--format=%s', 'promotions')).toBe(
      'current-ceph is v1, current-ceph: promote\nv1, current-ceph: record 1',
    );
  });

  test('is read back by the same run and by the next, which fetches at most twice', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, async (store) => {
      await promote(store, V1, 1);
      expect(await store.readLabel(CURRENT)).toBe('v1');
      expect(await store.readArtifact(V1.tag)).toEqual(V1);
    });
    const { result, fetches } = await counted(() =>
      withGitStore(forge, repository, async (store) => ({
        label: await store.readLabel(CURRENT),
        none: await store.readLabel(previousLabel(CURRENT)),
        artifact: await store.readArtifact(V1.tag),
        record: await store.readRecord(CURRENT, 1),
        beyond: await store.readRecord(CURRENT, 2),
        artifacts: await store.listArtifacts(),
        links: [...(await store.listLinks())],
        ledgers: await store.listLedgers(),
      })),
    );
    expect(result).toEqual({
      label: 'v1',
      none: undefined,
      artifact: V1,
      record: record(1),
      beyond: undefined,
      artifacts: ['v1'],
      links: [['current-ceph', 'v1']],
      ledgers: [CURRENT],
    });
    expect(fetches).toBeLessThanOrEqual(2);
  });

  test('is read at its head without reading its 1,000 records', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, (store) => promote(store, V1, 1));
    const large = (n: number) => Buffer.from(JSON.stringify({ id: `1/1/${n}`, pad: randomText(4000, n) }));
    addCommit(
      repository,
      Array.from({ length: 999 }, (_, index) => [`ledger/current-ceph/${index + 2}.json`, large(index + 2)]),
    );
    const { result, fetches, bytes } = await counted(() =>
      withGitStore(forge, repository, async (store) => [
        await store.readRecord(CURRENT, 1000),
        await store.readRecord(CURRENT, 999),
        await store.readLabel(CURRENT),
        await store.readRecord(CURRENT, 1001),
      ]),
    );
    expect(result).toEqual([large(1000), large(999), 'v1', undefined]);
    expect(fetches).toBe(2);
    expect(bytes).toBeLessThan(100_000);
    const all = await counted(() =>
      withGitStore(forge, repository, async (store) => {
        for (let n = 1000; n > 0; n -= 1) await store.readRecord(CURRENT, n);
      }),
    );
    expect(all.fetches).toBe(3);
  });

  test('keeps to its directory', async () => {
    const repository = await freshRepository(forge);
    addCommit(repository, [
      ['other/current-ceph', Buffer.from('x')],
      ['README.md', Buffer.from('x')],
    ]);
    await withGitStore(
      forge,
      repository,
      async (store) => {
        expect(await store.listArtifacts()).toEqual([]);
        await promote(store, V1, 1);
      },
      { directory: 'ceph/main' },
    );
    expect(repository.show('ceph/main/current-ceph')).toBe('v1');
    expect(repository.show('other/current-ceph')).toBe('x');
    await withGitStore(forge, repository, async (store) => expect(await store.readLabel(CURRENT)).toBe('v1'), {
      directory: 'ceph/main',
    });
  });

  test('pushes nothing if nothing changes, and a decision alone only if it says something new, or once in 12 hours', async () => {
    const repository = await freshRepository(forge);
    const decide = (reason: string, time: string) =>
      withGitStore(forge, repository, (store) =>
        store.writeLastDecision(CURRENT, { ...decision('wait', reason), 'decided-at': `2026-11-24T${time}:00Z` }),
      );
    const commits = () => repository.git('rev-list', '--count', 'promotions');
    await decide('job x has not passed', '02:01');
    await decide('job x has not passed', '14:00');
    await withGitStore(forge, repository, async () => undefined);
    expect(commits()).toBe('1');
    await decide('job y has not passed', '14:00');
    expect(commits()).toBe('2');
    await decide('job y has not passed', '16:00');
    // A clock that was wrong is put right, too.
    await decide('job y has not passed', '02:00');
    expect(commits()).toBe('3');
    await decide('job y has not passed', '14:00');
    expect(commits()).toBe('4');
    expect(await withGitStore(forge, repository, (store) => store.readLastDecision(CURRENT))).toMatchObject({
      reason: 'job y has not passed',
      'decided-at': '2026-11-24T14:00:00Z',
    });
  });

  test('can name other companions of a candidate, but never another image', async () => {
    const repository = await freshRepository(forge);
    const set = { ...V1, ...companionKeys(imageSet(imageOf(V1), [imageOf(V2)])) };
    await withGitStore(forge, repository, (store) => store.writeArtifact(V1));
    await withGitStore(forge, repository, (store) => store.writeArtifact(set));
    expect(await withGitStore(forge, repository, (store) => store.readArtifact(V1.tag))).toEqual(V1);
    await withGitStore(forge, repository, (store) => store.writeArtifact(set, { replace: 'set' }));
    await withGitStore(forge, repository, async (store) => {
      expect(await store.readArtifact(V1.tag)).toEqual(set);
      const other = store.writeArtifact(candidateFile('v1', 'other'), { replace: 'set' });
      expect(await failure(other)).toMatchObject({ kind: 'conflict' });
    });
  });

  test('refuses what the SFTP store refuses', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, (store) => promote(store, V1, 1));
    addCommit(repository, [['v3', Buffer.from('another')]]);
    await withGitStore(forge, repository, async (store) => {
      expect(await failure(store.writeArtifact(candidateFile('v1', 'other')))).toMatchObject({ kind: 'conflict' });
      expect(await failure(store.writeArtifact(candidateFile('v3')))).toMatchObject({ kind: 'conflict' });
      expect(await failure(store.moveLabel(CURRENT, tag('v9')))).toMatchObject({ kind: 'not-found' });
      expect(await failure(store.removeArtifact(V1.tag))).toMatchObject({ kind: 'UserError' });
      expect(await failure(store.appendRecord(CURRENT, 3, record(3), '1/1/3'))).toEqual({
        kind: 'conflict',
        message: expect.stringMatching(/record 2 is missing$/),
      });
    });
    expect(repository.git('rev-list', '--count', 'promotions')).toBe('3');
  });
});

describe('of two runs', () => {
  test('that append the same record one wins, and the other keeps nothing', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, (store) => promote(store, V1, 1));
    await withGitStore(forge, repository, async (mine) => {
      await mine.writeArtifact(V2);
      await withGitStore(forge, repository, (other) => promote(other, candidateFile('v3'), 2, V1));
      expect(await mine.appendRecord(CURRENT, 2, record(2, 'mine'), '1/1/2mine')).toBe('lost');
      expect(await mine.readRecord(CURRENT, 2)).toEqual(record(2));
      expect(await mine.readArtifact(V2.tag)).toBeUndefined();
      expect(await mine.readLabel(CURRENT)).toBe('v3');
    });
    expect(repository.git('log', '-1', '--format=%s', 'promotions')).toBe(
      'current-ceph is v3, previous-current-ceph is v1',
    );
  });

  test('that create the branch one wins', async () => {
    const repository = await freshRepository(forge);
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((who) =>
        withGitStore(forge, repository, (store) => store.appendRecord(CURRENT, 1, record(1, who), `1/1/1${who}`)),
      ),
    );
    expect(outcomes.sort()).toEqual(['lost', 'lost', 'won']);
    expect(repository.git('rev-list', '--count', 'promotions')).toBe('1');
  });

  test('on different labels both win, and neither loses what the other wrote', async () => {
    const repository = await freshRepository(forge);
    const labels = ['one', 'two', 'three'].map(label);
    await Promise.all(
      labels.map((each) => withGitStore(forge, repository, (store) => promote(store, V1, 1, undefined, each))),
    );
    for (const each of labels) expect(repository.show(each)).toBe('v1');
    expect(repository.git('log', '--merges', '--format=%H', 'promotions')).toBe('');
  });

  test('the one whose record is no longer the newest leaves the labels', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, async (mine) => {
      await mine.writeArtifact(V1);
      await mine.appendRecord(CURRENT, 1, record(1), '1/1/1');
      await mine.moveLabel(CURRENT, V1.tag);
      await withGitStore(forge, repository, (other) => promote(other, V2, 2, V1));
    });
    expect(repository.show('current-ceph')).toBe('v2');
  });

  test('one sees what the other appended', async () => {
    const repository = await freshRepository(forge);
    await withGitStore(forge, repository, async (mine) => {
      expect(await mine.readRecord(CURRENT, 1)).toBeUndefined();
      await withGitStore(forge, repository, (other) => promote(other, V1, 1));
      expect(await mine.readRecord(CURRENT, 1)).toEqual(record(1));
      expect(await mine.readLabel(CURRENT)).toBe('v1');
    });
  });
});

function decision(verdict: LastDecision['decision'], reason = 'all passed'): LastDecision {
  return {
    version: 1,
    'decided-at': '2026-11-24T02:00:00Z',
    decision: verdict,
    reason,
    reference: V1.reference,
    'run-url': null,
    report: null,
  };
}

/** Text that hardly compresses, the same for the same seed. */
function randomText(length: number, seed: number): string {
  let state = seed;
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return String.fromCharCode(97 + ((state >> 16) % 26));
  }).join('');
}

/** Puts files onto the branch, as somebody else would. */
function addCommit({ path, git }: Repository, files: readonly (readonly [string, Buffer])[]): void {
  const parent = git('for-each-ref', '--format=%(objectname)', 'refs/heads/promotions');
  const stream = [
    'commit refs/heads/promotions\ncommitter somebody <somebody@example.org> 1 +0000\ndata 5\nOther\n',
    parent === '' ? '' : `from ${parent}\n`,
    ...files.map(([name, bytes]) => `M 100644 inline ${name}\ndata ${bytes.length}\n${bytes}\n`),
  ].join('');
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], { input: stream });
}
