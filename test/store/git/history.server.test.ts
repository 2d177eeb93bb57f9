import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { label } from '../fixture.js';
import { type Forge, freshRepository, type Repository, startForge, withGitStore } from './support.js';

/** Finds a commit that changed or removed a record: the newest state alone does not show it. */

const CURRENT = label('current-ceph');
const record = (n: number) => Buffer.from(`{"id":"1/1/${n}"}\n`);

let forge: Forge;
let repository: Repository;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());

/** A commit of somebody else on the branch. */
function commit(change: string): string {
  const tip = repository.git('rev-parse', 'promotions');
  const who = 'committer somebody <somebody@example.org> 1 +0000\ndata 5\nOther\n';
  execFileSync('git', ['-C', repository.path, 'fast-import', '--quiet'], {
    input: `commit refs/heads/promotions\n${who}from ${tip}\n${change}`,
  });
  return repository.git('rev-parse', 'promotions');
}

const file = (n: number, bytes: Buffer) =>
  `M 100644 inline ledger/current-ceph/${n}.json\ndata ${bytes.length}\n${bytes}\n`;

const found = () => withGitStore(forge, repository, async (store) => store.findChangedRecord?.(CURRENT));

test.each([
  ['changed', () => file(1, Buffer.from('{}')), () => file(1, record(1))],
  ['removed', () => 'D ledger/current-ceph/1.json\n', () => file(1, record(1))],
])('a record that was %s, and put back, is found', async (_, change, restore) => {
  repository = await freshRepository(forge);
  await withGitStore(forge, repository, async (store) => {
    for (const n of [1, 2, 3]) await store.appendRecord(CURRENT, n, record(n), `1/1/${n}`);
  });
  expect(await found()).toBeUndefined();
  commit('M 100644 inline other\ndata 1\nx\n');
  expect(await found()).toBeUndefined();
  const bad = commit(change());
  const back = commit(restore());
  expect([`ledger/current-ceph/1.json in ${bad}`, `ledger/current-ceph/1.json in ${back}`]).toContain(await found());
});
