import { afterEach, expect, test } from '@jest/globals';
import { readAggregateHash } from '../../src/dlrn/hashes.js';
import { errorOf, faultyDlrn, http, master, stopProxies } from './support.js';

afterEach(stopProxies);

test.each(['', '/', '//'])("a label's hash is read from its directory, which may end with %j", async (end) => {
  const directory = new URL(`${master().repositoryUrl}/current-tripleo${end}`);
  expect(await readAggregateHash(http(), directory)).toBe(master().hashes[0]);
});

test('a directory without a hash is named', async () => {
  const error = await errorOf(readAggregateHash(http(), new URL(`${master().repositoryUrl}/no-such-label`)));
  expect(error.kind).toBe('not-found');
  expect(error.message).toMatch(/^http:.*\/no-such-label\/delorean.repo.md5 is not there/);
});

test.each([
  ['HTML', '<html>index</html>', 'contains no md5 sum'],
  ['nothing', '', 'contains no md5 sum'],
  ['an upper-case hash', 'A'.repeat(32), 'contains no md5 sum'],
])('%s is not a hash', async (_, body, message) => {
  const proxy = await faultyDlrn({ fault: { kind: 'answer', status: 200, body } });
  const error = await errorOf(readAggregateHash(http(), new URL(`${proxy.url}/current-tripleo`)));
  expect(error.kind).toBe('bad-answer');
  expect(error.message).toContain(message);
});
