import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { client, closeAll, copyOf, repository, tag } from './support.js';

/**
 * What Quay does differently from the registries that can run here, according to its source (quay/quay, endpoints/v2,
 * as of August 2026) and not by a run of it: a real registry answers, except where a rule is Quay's. Its tokens, which
 * say when they end only inside, are those of token-server.ts.
 */

const { source } = sandbox();
const image = buildMultiPlatform({ seed: 'quay' });
let front: FaultProxy;

afterEach(async () => {
  await closeAll();
  await front.stop();
});

async function scene(options: Partial<FaultProxyOptions>) {
  front = await startFaultProxy({ upstream: source.url, ...options });
  const [from, to] = [`${front.host}/${freshRepository()}`, `${front.host}/${freshRepository()}`];
  await pushImage({ url: source.url, repository: repository(from).path }, image, ['v1']);
  return copyOf(from, image, to);
}

const answer = (status: number, code: string) =>
  ({ kind: 'answer', status, body: JSON.stringify({ errors: [{ code, detail: {}, message: 'by Quay' }] }) }) as const;

test('a mount from a repository that the token may not read silently becomes an upload', async () => {
  const copy = await scene({ path: (path) => path.replace(/\?mount=.*/, '') });
  expect(await client().copy([copy], { referrers: false })).toMatchObject([{ uploaded: { blobs: 6 } }]);
  expect(await client().repository(copy.target.repository).resolve(tag('v1'))).toMatchObject({ digest: image.digest });
});

test('an index whose children do not exist is invalid', async () => {
  const rule = { method: 'PUT', path: /manifests\/v1$/, fault: answer(400, 'MANIFEST_INVALID') };
  const copy = await scene({ rules: [rule] });
  await expect(client().copy([copy], { referrers: false })).rejects.toMatchObject({
    kind: 'bad-answer',
    message: expect.stringContaining('400 MANIFEST_INVALID (by Quay)'),
  });
});

test('a tag that is immutable is a conflict, and is named', async () => {
  const copy = await scene({ rules: [{ method: 'PUT', path: /manifests\/v1$/, fault: answer(409, 'TAG_IMMUTABLE') }] });
  await expect(client().copy([copy], { referrers: false })).rejects.toMatchObject({
    kind: 'conflict',
    message: expect.stringMatching(/:v1: should be sha256:.* but is not there/),
  });
});

test('a small blob is sent with the request that starts its upload', async () => {
  /** As in `start_blob_upload` (endpoints/v2/blob.py): a digest without a mount is an upload at once. */
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const body = await buffer(request);
    const send = (path: string | URL, init: RequestInit) => fetch(new URL(path, source.url), init);
    const sent = body.length === 0 ? {} : { body };
    const type = { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' };
    let answer = await send(url, { method, headers: { ...type, accept: request.headers.accept ?? '' }, ...sent });
    const [, digest] = /[?&](digest=[^&]*)/.exec(url) ?? [];
    if (method === 'POST' && digest !== undefined && answer.status === 202) {
      answer = await send(`${answer.headers.get('location')}&${digest}`, { method: 'PUT', headers: type, ...sent });
    }
    const named = ['content-type', 'content-length', 'docker-content-digest', 'location'];
    const headers = named.flatMap((name) => [[name, answer.headers.get(name) ?? []] as const]);
    response.writeHead(answer.status, Object.fromEntries(headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  }
  const copy = await scene({});
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const back = await startFaultProxy({ upstream: `http://127.0.0.1:${address.port}` });

  const to = copyOf(`${front.host}/${copy.source.repository.path}`, image, `${back.host}/${freshRepository()}`);
  expect(await client().copy([to], { referrers: false })).toMatchObject([{ uploaded: { blobs: 6 } }]);
  expect(await client().repository(to.target.repository).resolve(tag('v1'))).toMatchObject({ digest: image.digest });
  const aboutBlobs = back.requests.filter(({ path }) => path.includes('/blobs/'));
  expect(aboutBlobs.map(({ method, status }) => `${method} ${status}`)).toEqual(Array(6).fill('POST 201'));
  await back.stop();
  server.close();
});
