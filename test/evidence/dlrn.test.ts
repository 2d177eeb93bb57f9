import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import type { Report } from '../../src/dlrn/client.js';
import { dlrnEvidence } from '../../src/evidence/dlrn.js';
import {
  CANDIDATE,
  dlrnAt,
  errorOf,
  faultyDlrn,
  http,
  master,
  newReport,
  silent,
  stopProxies,
} from '../dlrn/support.js';
import type { Rule } from '../sandbox/fault-proxy.js';

const NOW = Math.floor(Date.now() / 1000);
const LABEL = { kind: 'label', label: 'current-tripleo' } as const;
const THIS = `${CANDIDATE.tag}@${CANDIDATE.digest}`;
const OLDER = `v6.0.9-stable-6.0-pacific-centos-stream8-x86_64@sha256:${'9'.repeat(64)}`;

const dlrn = () => dlrnAt(master().url);
/** The n-th newest of the sandbox's aggregate hashes. */
const hash = (n: number) => ({ kind: 'aggregate', hash: master().hashes[n] ?? '' }) as const;

afterEach(stopProxies);

/** Three names that no other test votes for; each begins with the one before. */
function freshJobs() {
  const a = `job-${randomUUID()}`;
  return { a, b: `${a}-b`, c: `${a}-b-c` };
}

async function report(...votes: Partial<Report>[]): Promise<void> {
  for (const vote of votes) {
    const sent = newReport({ subject: hash(0), notes: THIS, timestamp: NOW - 100, ...vote });
    await dlrn().reportResult({ ...sent, jobUrl: `https://ci.example/${randomUUID()}` });
  }
}

async function decide(criteria: object) {
  const evidence = await dlrnEvidence(dlrn(), LABEL, silent);
  const file = JSON.stringify({ 'current-ceph': criteria });
  return evaluate(parseCriteria(file, 'current-ceph'), evidence, CANDIDATE, { evaluatedAt: NOW });
}

describe('what other promoters get wrong', () => {
  test('votes for different tags on one hash do not add up', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a, notes: OLDER }, { jobId: b });
    expect((await decide([a, b])).verdict).toBe('wait');
    await report({ jobId: a });
    expect((await decide([a, b])).verdict).toBe('promote');
  });

  test('a later failure counts', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a }, { jobId: b }, { jobId: a, success: false, timestamp: NOW - 50 });
    expect((await decide([a, b])).verdict).toBe('reject');
  });

  test('an alternative that one hash uses does not become the rule for the next', async () => {
    const { a, b, c } = freshJobs();
    // The newest hash has only the alternative c of a; the second has a and b.
    await report({ jobId: c }, { jobId: a, subject: hash(1) }, { jobId: b, subject: hash(1) });
    const record = await decide({ required: [b], 'any-of': [[a, c]] });
    expect(record.verdict).toBe('promote');
    expect(record['aggregate-hash']).toBe(master().hashes[1]);
  });

  test('requirements that are met on two hashes are not met', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a }, { jobId: b, subject: hash(1) });
    expect((await decide([a, b])).verdict).toBe('wait');
  });

  test("a job's name that begins with the required one is another job", async () => {
    const { a, b } = freshJobs();
    await report({ jobId: b });
    expect((await decide([a])).verdict).toBe('wait');
  });

  test('rows without an aggregate hash are passed over, and cost no request', async () => {
    const proxy = await faultyDlrn();
    const rows = await dlrn().promotions(LABEL);
    expect(rows.some(({ aggregate_hash }) => aggregate_hash === null)).toBe(true);
    await dlrnEvidence(dlrnAt(proxy.url), LABEL, silent);
    expect(proxy.requests).toHaveLength(1 + master().hashes.length);
  });

  test('a null extended hash is none', async () => {
    const proxy = await faultyDlrn({
      path: /promotions/,
      fault: {
        kind: 'answer',
        status: 200,
        body: JSON.stringify([
          { aggregate_hash: null, promote_name: 'current-tripleo', extended_hash: null },
          { aggregate_hash: master().hashes[0], promote_name: 'current-tripleo', extended_hash: null },
        ]),
      },
    });
    const { a } = freshJobs();
    await report({ jobId: a });
    const evidence = await dlrnEvidence(dlrnAt(proxy.url), LABEL, silent);
    expect(evidence).toContainEqual(expect.objectContaining({ job: a, outcome: 'success' }));
  });
});

describe('what is read', () => {
  test('a vote with its image, hash, user and link', async () => {
    const { a } = freshJobs();
    const sent = newReport({ jobId: a, subject: hash(1), success: false, timestamp: NOW - 7, notes: THIS });
    await dlrn().reportResult(sent);
    expect((await dlrnEvidence(dlrn(), hash(1), silent)).filter(({ job }) => job === a)).toEqual([
      {
        job: a,
        outcome: 'failure',
        candidate: { tag: CANDIDATE.tag, digest: CANDIDATE.digest },
        'aggregate-hash': master().hashes[1],
        timestamp: NOW - 7,
        url: sent.jobUrl,
        source: 'dlrn',
        user: 'ciuser',
      },
    ]);
  });

  test.each([
    ['other notes', { notes: 'all is well' }],
    ['no notes', { notes: '' }],
    ['a name that no criteria can have', { jobId: `job\n${randomUUID()}` }],
  ])('a vote with %s is about something else', async (_, vote) => {
    const before = await dlrnEvidence(dlrn(), hash(0), silent);
    await report(vote);
    expect(await dlrnEvidence(dlrn(), hash(0), silent)).toHaveLength(before.length);
  });

  test('a link that is none is left away, and odd times are whole', async () => {
    const row = {
      job_id: 'a',
      success: true,
      in_progress: false,
      timestamp: 1_795_000_000.7,
      url: 'javascript:alert(1)',
      notes: THIS,
      user: null,
    };
    const rows = [row, { ...row, timestamp: 1e300 }, { ...row, success: false, in_progress: true, timestamp: -1e300 }];
    const proxy = await faultyDlrn({ fault: { kind: 'answer', status: 200, body: JSON.stringify(rows) } });
    const evidence = await dlrnEvidence(dlrnAt(proxy.url), hash(0), silent);
    expect(evidence.map(({ timestamp, outcome, url, user }) => ({ timestamp, outcome, url, user }))).toEqual([
      { timestamp: 1_795_000_000, outcome: 'success' },
      { timestamp: Number.MAX_SAFE_INTEGER, outcome: 'success' },
      { timestamp: Number.MIN_SAFE_INTEGER, outcome: 'running' },
    ]);
  });

  test('an unknown hash is an error, one without votes is not', async () => {
    const error = await errorOf(dlrnEvidence(dlrn(), { kind: 'aggregate', hash: '0'.repeat(32) }, silent));
    expect(error.message).toContain('input aggregate-hash: DLRN does not know');
    const proxy = await faultyDlrn({ path: /agg_status/, fault: { kind: 'answer', status: 200, body: '[]' } });
    expect(await dlrnEvidence(dlrnAt(proxy.url), hash(2), silent)).toEqual([]);
  });

  test('a label to which nothing was promoted is an error', async () => {
    const error = await errorOf(dlrnEvidence(dlrn(), { kind: 'label', label: 'no-such-label' }, silent));
    expect(error.kind).toBe('not-found');
    expect(error.message).toContain('promoted to no-such-label');
  });

  test('promotions are paged until they end', async () => {
    const row = (n: number) => ({
      aggregate_hash: n % 12 ? null : n.toString(16).padStart(32, '0'),
      promote_name: 'x',
    });
    const page = (from: number, length: number) => JSON.stringify(Array.from({ length }, (_, n) => row(from + n)));
    const answer = (offset: number, length: number): Rule => ({
      path: new RegExp(`promotions.*offset=${offset}$`),
      fault: { kind: 'answer', status: 200, body: page(offset, length) },
    });
    const proxy = await faultyDlrn(answer(0, 100), answer(100, 100), answer(200, 40), {
      fault: { kind: 'answer', status: 200, body: '[]' },
    });
    await dlrnEvidence(dlrnAt(proxy.url), LABEL, silent);
    const asked = (name: string) => proxy.requests.filter(({ path }) => path.includes(name)).length;
    expect([asked('promotions'), asked('agg_status')]).toEqual([3, 20]);
  });
});

describe('a DLRN that fails gives an error, and never part of the evidence', () => {
  test.each<[string, Rule, string]>([
    ['the promotions', { path: /promotions/, fault: { kind: 'answer', status: 500 } }, 'server-error'],
    ['one hash of three', { path: /agg_status/, skip: 1, fault: { kind: 'answer', status: 500 } }, 'server-error'],
    [
      'one hash of three by HTML',
      { path: /agg_status/, skip: 1, times: 1, fault: { kind: 'answer', status: 200, body: '<p>' } },
      'bad-answer',
    ],
    [
      'one hash of three by half a JSON',
      { path: /agg_status/, skip: 2, times: 1, fault: { kind: 'answer', status: 200, body: '[{' } },
      'bad-answer',
    ],
    ['with 401', { path: /agg_status/, fault: { kind: 'answer', status: 401 } }, 'unauthorized'],
  ])('%s', async (_, rule, kind) => {
    const proxy = await faultyDlrn(rule);
    expect((await errorOf(dlrnEvidence(dlrnAt(proxy.url), LABEL, silent))).kind).toBe(kind);
  });

  test('slow', async () => {
    const proxy = await faultyDlrn({ path: /agg_status/, skip: 1, fault: { kind: 'delay', ms: 300 } });
    const slow = dlrnAt(proxy.url, { http: http({ answerMs: 100, attempts: 2 }) });
    expect((await errorOf(dlrnEvidence(slow, LABEL, silent))).kind).toBe('timeout');
  });

  test('500 three times, then well, is well', async () => {
    const proxy = await faultyDlrn({ path: /agg_status/, times: 3, fault: { kind: 'answer', status: 500 } });
    const all = await dlrnEvidence(dlrn(), LABEL, silent);
    expect(await dlrnEvidence(dlrnAt(proxy.url), LABEL, silent)).toHaveLength(all.length);
  });
});
