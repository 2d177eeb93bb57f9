import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { failure } from '../fixture.js';
import { type Forge, freshRepository, type Repository, startForge, withGitStore } from './support.js';

/** A branch for pages, as publish-dashboard writes it: one commit of ours, amended again and again. */

let forge: Forge;
let repository: Repository;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());
afterEach(() => {
  forge.fault = () => false;
});

const PAGES = { branch: 'gh-pages', directory: 'ceph', history: 'amend' } as const;

function publish(pages: Record<string, string>): Promise<void> {
  return withGitStore(
    forge,
    repository,
    async (store) => {
      for (const [name, text] of Object.entries(pages)) await store.writePage(name, text);
    },
    PAGES,
  );
}

const count = () => Number(repository.git('rev-list', '--count', 'gh-pages'));
const page = (path: string) => repository.git('show', `gh-pages:${path}`);

/** Text that cannot be compressed. */
const large = (seed: string) =>
  execFileSync('openssl', ['enc', '-aes-256-ctr', '-pass', `pass:${seed}`, '-nosalt', '-pbkdf2', '-base64'], {
    input: Buffer.alloc(300_000),
    encoding: 'utf8',
  });

describe('a branch of pages', () => {
  test('has one commit however often it is published, and a push has only what changed', async () => {
    repository = await freshRepository(forge);
    const sizes: number[] = [];
    forge.fault = (kind, request) => {
      if (kind === 'push') request.on('data', (piece: Buffer) => sizes.push(piece.length));
      return false;
    };
    await publish({ 'index.html': '1', 'records/1.html': large('a') });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(200_000);
    sizes.length = 0;
    for (const text of ['2', '3']) await publish({ 'index.html': text, 'records/1.html': large('a') });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(5_000);
    expect(count()).toBe(1);
    expect(page('ceph/index.html')).toBe('3');
    expect(page('ceph/records/1.html')).toBe(large('a').trimEnd());
    sizes.length = 0;
    await publish({ 'index.html': '3' });
    expect(sizes).toEqual([]);
  });

  test("keeps others' commits and files", async () => {
    repository = await freshRepository(forge);
    repository.git('update-ref', 'refs/heads/gh-pages', 'main');
    const main = repository.git('rev-parse', 'main');
    await publish({ 'index.html': '1' });
    await publish({ 'index.html': '2' });
    expect(repository.git('rev-list', 'gh-pages').split('\n')).toEqual([expect.any(String), main]);
    expect([page('README.md'), page('ceph/index.html')]).toEqual(['x', '2']);

    const theirs = 'commit refs/heads/gh-pages\ncommitter somebody <somebody@example.org> 1 +0000\ndata 5\nOther\n';
    const tip = repository.git('rev-parse', 'gh-pages');
    execFileSync('git', ['-C', repository.path, 'fast-import', '--quiet'], {
      input: `${theirs}from ${tip}\nM 100644 inline CNAME\ndata 1\ny\n`,
    });
    await publish({ 'index.html': '3' });
    await publish({ 'index.html': '4' });
    expect(count()).toBe(4);
    expect([page('README.md'), page('CNAME'), page('ceph/index.html')]).toEqual(['x', 'y', '4']);
  });

  test('takes the pages of two runs at once, both of which amend', async () => {
    repository = await freshRepository(forge);
    await publish({ 'index.html': '1' });
    await withGitStore(
      forge,
      repository,
      async (store) => {
        await store.writePage('one.html', 'one');
        await publish({ 'two.html': 'two' });
      },
      PAGES,
    );
    expect(count()).toBe(1);
    expect([page('ceph/one.html'), page('ceph/two.html')]).toEqual(['one', 'two']);
  });

  test('must not be the branch of a store', async () => {
    repository = await freshRepository(forge);
    const label = 'current-ceph';
    await withGitStore(
      forge,
      repository,
      (store) => store.appendRecord(label as never, 1, Buffer.from('{"id":"1/1/1"}\n'), '1/1/1'),
      { branch: 'gh-pages' },
    );
    const before = repository.git('rev-parse', 'gh-pages');
    expect(await failure(publish({ 'index.html': '1' }))).toEqual({
      kind: 'UserError',
      message: expect.stringContaining('is the branch of a store'),
    });
    expect(repository.git('rev-parse', 'gh-pages')).toBe(before);
  });
});
