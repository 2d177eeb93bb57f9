import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { evaluate, replay } from '../../src/criteria/evaluate.js';
import { createDlrn } from '../../src/dlrn/client.js';
import { CANDIDATE, clock, dlrnResults, http, newReport, silent } from '../dlrn/support.js';
import { sandbox } from '../sandbox/current.js';
import { type Dlrn as DlrnServer, startDlrn } from '../sandbox/dlrn.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { insertVotes } from './many-votes.js';

const NOW = Math.floor(Date.now() / 1000);
const AGGREGATES = 50;
const VOTES = 2000;
const NOTES = `${CANDIDATE.tag}@${CANDIDATE.digest}`;

let directory: Stoppable & { readonly path: string };
let server: DlrnServer<'busy' | 'narrow'>;
let proxy: FaultProxy;

beforeAll(async () => {
  directory = await runDirectory();
  server = await startDlrn({
    tools: sandbox().tools,
    directory: directory.path,
    login: sandbox().dlrn.login,
    branches: {
      busy: { prefix: '/api-busy', repository: '/busy', hashes: AGGREGATES },
      narrow: { prefix: '/api-narrow', repository: '/narrow', hashes: AGGREGATES },
    },
  });
  proxy = await startFaultProxy({ upstream: new URL(server.branches.busy.url).origin });
});

afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
  await directory?.stop();
});

function client(branch: 'busy' | 'narrow' = 'busy') {
  const { url } = server.branches[branch];
  return createDlrn({
    // A report that seems lost would be sent again.
    http: http({ answerMs: 100_000, totalMs: 100_000 }),
    url: new URL(new URL(url).pathname, proxy.url),
    credentials: server.login,
    clock,
    log: silent,
  });
}

function insert(branch: 'busy' | 'narrow', jobs: number): void {
  const { hashes } = server.branches[branch];
  const database = join(directory.path, `api-${branch}`, 'commits.sqlite');
  const each = VOTES / AGGREGATES / jobs;
  insertVotes(sandbox().tools.python, database, { hashes, jobs, each, notes: NOTES, now: NOW });
}

const LABEL = { kind: 'label', label: 'current-tripleo' } as const;
const jobs = (count: number) => Array.from({ length: count }, (_, n) => `job-${n}`);

async function requestsOf<T>(work: () => Promise<T>): Promise<[number, T]> {
  const before = proxy.requests.length;
  const result = await work();
  return [proxy.requests.length - before, result];
}

describe('50 aggregates with 2,000 votes', () => {
  beforeAll(() => {
    insert('busy', 40);
    insert('narrow', 1);
  });

  test.each([2, 40])('of 40 jobs take three requests where %d are required', async (required) => {
    const [requests, evidence] = await requestsOf(() => dlrnResults(client(), LABEL, jobs(required), silent));
    expect(requests).toBe(3);
    expect(evidence).toHaveLength(required * AGGREGATES);
  });

  test('of one job take one for the list, and 21', async () => {
    const [requests, evidence] = await requestsOf(() => dlrnResults(client('narrow'), LABEL, jobs(1), silent));
    expect(requests).toBe(22);
    expect(evidence).toHaveLength(VOTES);
  });

  test('without GraphQL one for the list, one for each hash, and one that fails', async () => {
    proxy.rules.push({ path: /graphql/, fault: { kind: 'answer', status: 501 } });
    const [requests, evidence] = await requestsOf(() => dlrnResults(client(), LABEL, jobs(40), silent));
    proxy.rules.pop();
    expect(requests).toBe(52);
    const byGraphql = await dlrnResults(client(), LABEL, jobs(40), silent);
    expect(new Set(evidence.map((vote) => JSON.stringify(vote)))).toEqual(
      new Set(byGraphql.map((vote) => JSON.stringify(vote))),
    );
    const criteria = parseCriteria(JSON.stringify({ 'current-ceph': jobs(40) }), 'current-ceph');
    const record = evaluate(criteria, evidence, CANDIDATE, { evaluatedAt: NOW });
    // job-0 failed on the newest hash; what passed before makes no difference.
    expect(record.reason).toMatch(/^job-0 failed on this image on aggregate hash [0-9a-f]+$/);
    expect(replay(record)).toBe('reject');
  });
});

test('400 reports, 100 at once, are each stored once', async () => {
  const dlrn = client();
  const subject = { kind: 'aggregate', hash: server.branches.busy.hashes[AGGREGATES - 1] ?? '' } as const;
  const waiting = Array.from({ length: 400 }, (_, n) => newReport({ subject, jobId: `report-${n}` }));
  const worker = async () => {
    for (let report = waiting.pop(); report !== undefined; report = waiting.pop()) {
      expect(await dlrn.reportResult(report)).toBe(true);
    }
  };
  await Promise.all(Array.from({ length: 100 }, worker));
  const stored = (await dlrn.votes(subject)).filter(({ job_id }) => job_id.startsWith('report-'));
  expect(new Set(stored.map(({ job_id }) => job_id)).size).toBe(400);
  expect(stored).toHaveLength(400);
});
