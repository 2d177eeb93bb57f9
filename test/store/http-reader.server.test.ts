import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type Repository, repositorySchema } from '../../src/candidate/reference.js';
import { type ConsumedCandidate, noLabel, readCandidate } from '../../src/store/consume.js';
import { httpReader } from '../../src/store/http-reader.js';
import { publishCandidate } from '../../src/store/publish.js';
import { ledgerOf } from '../../src/store/reader.js';
import { freshImageDirectory } from '../sandbox/current.js';
import { candidate, candidateFile, failure, http, TESTING, withServer } from './fixture.js';

async function read(url: string, unpinnedRepository?: Repository): Promise<ConsumedCandidate> {
  const store = httpReader(http, new URL(url));
  const found = await readCandidate({ store, label: TESTING, unpinnedRepository });
  if (found === undefined) throw noLabel(store, TESTING);
  return found;
}

describe('what a label names', () => {
  test('is what was published', async () => {
    const { server, url } = await freshImageDirectory();
    const published = candidate('v6.0.7-stable-6.0-pacific-centos-stream8');
    await withServer(server, (opened) =>
      publishCandidate({
        server: opened,
        candidate: published,
        label: TESTING,
        tagsRead: 606,
        runUrl: undefined,
        createdAt: 0,
        dryRun: false,
      }),
    );
    expect(await read(url)).toEqual({ ...published, companions: [], tagsRead: 606 });
    expect(await read(`${url}/`)).toEqual({ ...published, companions: [], tagsRead: 606 });
  });

  test.each(['v1', 'v1\n'])('as RDO leaves it, %j, is only accepted if that is allowed', async (content) => {
    const { path, url } = await freshImageDirectory();
    writeFileSync(join(path, 'v1'), content);
    symlinkSync('v1', join(path, 'ceph-ci-testing'));
    expect(await failure(read(url))).toEqual({
      kind: 'not-found',
      message: expect.stringContaining('the digest of v1 is not known'),
    });
    const repository = v.parse(repositorySchema, 'quay.io/ceph/daemon');
    expect(await read(url, repository)).toEqual({
      repository,
      tag: 'v1',
      digest: undefined,
      companions: [],
      tagsRead: 0,
    });
  });

  test('as artifact_promoter leaves it without content, is said to be empty', async () => {
    const { path, url } = await freshImageDirectory();
    writeFileSync(join(path, 'v1'), '');
    symlinkSync('v1', join(path, TESTING));
    expect(await failure(read(url))).toEqual({
      kind: 'bad-answer',
      message: `${url}/ceph-ci-testing: is empty instead of naming a tag: publish the tag again`,
    });
  });

  test.each<[string, string | undefined, string | undefined, string]>([
    ['no label', undefined, undefined, 'not-found'],
    ['an empty label', '', undefined, 'bad-answer'],
    ['two lines', 'v1\nv2', undefined, 'bad-answer'],
    ['a page', '<!DOCTYPE html><html>', undefined, 'bad-answer'],
    ['a path', '../v1', undefined, 'bad-answer'],
    ['an option', '-oProxyCommand=x', undefined, 'bad-answer'],
    ['far too much', 'v'.repeat(100_000), undefined, 'too-large'],
    ['no JSON beside it', 'v1', '<html>', 'bad-answer'],
    ['half a candidate file', 'v1', JSON.stringify(candidateFile('v1')).slice(0, 100), 'bad-answer'],
    ['the candidate file of another tag', 'v1', JSON.stringify(candidateFile('v2')), 'bad-answer'],
    [
      'a candidate file without digest',
      'v1',
      JSON.stringify({ ...candidateFile('v1'), digest: undefined }),
      'bad-answer',
    ],
    ['a candidate file that is too large', 'v1', JSON.stringify(candidateFile('v1')).padEnd(100_000), 'too-large'],
  ])('%s is an error, also where a bare tag is allowed', async (_, content, json, kind) => {
    const { path, url } = await freshImageDirectory();
    if (content !== undefined) writeFileSync(join(path, 'ceph-ci-testing'), content);
    if (json !== undefined) writeFileSync(join(path, 'v1.json'), json);
    const refused = await failure(read(url, v.parse(repositorySchema, 'quay.io/ceph/daemon')));
    expect(refused.kind).toBe(kind);
    expect(refused.message).toContain(url);
    expect(refused.message).not.toContain('\n');
  });

  test('a label that is a directory', async () => {
    const { path, url } = await freshImageDirectory();
    mkdirSync(join(path, 'ceph-ci-testing'));
    // nginx sends us on to the directory, and lists nothing.
    expect(await failure(read(url))).toMatchObject({ kind: 'forbidden' });
  });
});

describe('a server that does not say', () => {
  async function answering<T>(answer: RequestListener, use: (url: string) => Promise<T>): Promise<T> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      return await use(`http://127.0.0.1:${address.port}/images`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [410, 'not-found'],
    [204, 'bad-answer'],
    [503, 'server-error'],
  ])('%i is taken neither for an empty ledger nor for a missing label', async (status, kind) => {
    const answer: RequestListener = (_, response) => response.writeHead(status).end();
    await answering(answer, async (url) => {
      expect(await failure(read(url))).toMatchObject({ kind });
      expect(await failure(ledgerOf(httpReader(http, new URL(url)), TESTING).read(1))).toMatchObject({ kind });
    });
  });

  test('404 is an empty ledger', async () => {
    const answer: RequestListener = (_, response) => response.writeHead(404).end('<html>');
    expect(await answering(answer, (url) => ledgerOf(httpReader(http, new URL(url)), TESTING).read(1))).toBeUndefined();
  });
});
