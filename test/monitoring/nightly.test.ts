import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { readNightlyJobs } from '../../src/monitoring/nightly.js';
import { http } from '../dlrn/support.js';

/** A stand-in for Zuul, which would need ZooKeeper, a database, and executors that run jobs. */
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function zuul(
  answer: (job: string) => { status: number; body: unknown },
): Promise<{ url: URL; asked: string[] }> {
  const asked: string[] = [];
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://zuul.example');
    asked.push(url.pathname + url.search);
    const { status, body } = answer(url.searchParams.get('job_name') ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: new URL(`http://127.0.0.1:${address.port}/zuul`), asked };
}

const build = (job_name: string, result: string | null, end_time: string | null, log_url: string | null) => ({
  job_name,
  result,
  start_time: '2026-11-24T01:00:00',
  end_time,
  log_url,
});

test('the newest builds of each job, with one request a job; one that fails does not affect the others', async () => {
  const { url, asked } = await zuul((job) => {
    if (job === 'nightly-gone') return { status: 403, body: {} };
    return {
      status: 200,
      body: [
        build(job, null, null, null),
        build('another', 'SUCCESS', '2026-11-24T02:00:00', 'https://logs.example/x'),
        build(job, 'SUCCESS', '2026-11-24T03:00:00', 'https://logs.example/1'),
        build(job, 'TIMED_OUT', '2026-11-23T03:00:00', 'javascript:alert(1)'),
        build(job, 'NODE_FAILURE', '2026-11-22T03:00:00', ''),
      ],
    };
  });
  const zuulParts = { http: http(), url, tenant: 'rdoproject.org' };
  expect(await readNightlyJobs(zuulParts, ['nightly-a', 'nightly-gone'])).toEqual([
    {
      job: 'nightly-a',
      failure: undefined,
      builds: [
        { outcome: 'running', result: null, when: '2026-11-24T01:00:00Z', url: null },
        { outcome: 'success', result: 'SUCCESS', when: '2026-11-24T03:00:00Z', url: 'https://logs.example/1' },
        { outcome: 'failure', result: 'TIMED_OUT', when: '2026-11-23T03:00:00Z', url: null },
        { outcome: 'unknown', result: 'NODE_FAILURE', when: '2026-11-22T03:00:00Z', url: null },
      ],
    },
    { job: 'nightly-gone', failure: expect.stringMatching(/api\/tenant\/rdoproject\.org\/builds.*403/), builds: [] },
  ]);
  expect(asked.sort()).toEqual([
    '/zuul/api/tenant/rdoproject.org/builds?job_name=nightly-a&limit=14&skip=0',
    '/zuul/api/tenant/rdoproject.org/builds?job_name=nightly-gone&limit=14&skip=0',
  ]);
});
