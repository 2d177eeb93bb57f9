import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { candidateSchema } from '../../src/candidate/reference.js';
import { decisionNotice, errorNotice, notify, silenceNotice } from '../../src/promotion/notify.js';
import type { Outcome } from '../../src/rules/outcome.js';
import { http } from '../store/fixture.js';

const DAY = 86_400;
const REFERENCE = `quay.io/ceph/daemon:v1@sha256:${'a'.repeat(64)}`;
const outcome: Outcome = {
  decision: 'wait',
  reason: 'not met: job (no result)',
  candidate: v.parse(candidateSchema, REFERENCE),
  previous: undefined,
  report: undefined,
};

test('a decision, and an error, in one line', () => {
  expect(decisionNotice(outcome, 'current-ceph')).toBe(`current-ceph: wait: ${REFERENCE}: not met: job (no result)`);
  expect(errorNotice(new Error('two\nlines'), 'current-ceph')).toBe('current-ceph: error: two lines');
});

describe('silence', () => {
  const now = Date.parse('2022-05-20T02:00:00Z') / 1000;
  test.each<[Outcome['decision'], string | undefined, string | undefined]>([
    ['wait', '2022-05-06T01:59:59Z', 'nothing has been promoted for 14 days, since 2022-05-06T01:59:59Z'],
    ['reject', '2022-05-01T00:00:00Z', 'nothing has been promoted for 19 days, since 2022-05-01T00:00:00Z'],
    ['unchanged', '2022-05-01T00:00:00Z', 'nothing has been promoted for 19 days, since 2022-05-01T00:00:00Z'],
    ['wait', '2022-05-06T02:00:00Z', undefined],
    ['promote', '2022-05-01T00:00:00Z', undefined],
    ['frozen', '2022-05-01T00:00:00Z', undefined],
    ['wait', undefined, undefined],
  ])('%s, and the last promotion was at %s', (decision, lastPromotion, notice) => {
    expect(silenceNotice({ decision }, lastPromotion, 14 * DAY, now)).toBe(notice);
  });
});

describe('the webhook', () => {
  const bodies: string[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(`${request.method} ${request.headers['content-type']} ${body}`);
    // Discord's words.
    response.writeHead(status).end(status === 200 ? 'ok' : '{"message": "Cannot send an empty message"}');
  });
  let url: URL;

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    url = new URL(`http://127.0.0.1:${address.port}/hook/secret`);
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  test('gets JSON that Slack accepts, in which nothing becomes a mention or a link', async () => {
    const problem = await notify(http, url, ['<!channel> & <https://evil.example|here>', 'second']);
    expect(bodies).toEqual([
      'POST application/json {"text":"&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;\\nsecond"}',
    ]);
    expect(problem).toBeUndefined();
  });

  test('that fails is reported without its path, and is not called again', async () => {
    status = 500;
    bodies.length = 0;
    expect(await notify(http, url, ['x'])).toBe(
      `the webhook at ${url.origin} answered 500: {"message": "Cannot send an empty message"}`,
    );
    expect(await notify(http, new URL('http://127.0.0.1:1/hook/secret'), ['x'])).toBe(
      'the webhook: POST http://127.0.0.1:1: no server listens at 127.0.0.1:1 (ECONNREFUSED)',
    );
    expect(bodies).toHaveLength(1);
  });
});
