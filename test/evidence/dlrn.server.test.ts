import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import type { Report } from '../../src/dlrn/post-report.js';
import { dlrnEvidence } from '../../src/evidence/dlrn.js';
import {
  CANDIDATE,
  dlrnAt,
  dlrnResults,
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

/** The answer of a DLRN without graphene to GraphQL. */
const NO_GRAPHQL: Rule = { path: /graphql/, fault: { kind: 'answer', status: 501 } };

const answered = (body: unknown) => ({ kind: 'answer' as const, status: 200, body: JSON.stringify(body) });

/** The answers that list promotions, a page each. */
function promotionsAre(...pages: readonly (readonly object[])[]): Rule[] {
  let read = 0;
  return [...pages, []].map((rows) => {
    const path = new RegExp(`promotions.*offset=${read}$`);
    read += rows.length;
    return { path, fault: answered(rows) };
  });
}

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

describe.each<[string, Rule[]]>([
  ['by GraphQL', []],
  ['by agg_status', [NO_GRAPHQL]],
])('what other promoters get wrong, %s', (_, rules) => {
  async function decide(required: readonly string[], anyOf: readonly (readonly string[])[] = []) {
    const proxy = await faultyDlrn(...rules);
    const criteria = parseCriteria(JSON.stringify({ 'current-ceph': { required, 'any-of': anyOf } }), 'current-ceph');
    const evidence = await dlrnResults(dlrnAt(proxy.url), LABEL, criteria.requirements.flat(), silent);
    return evaluate(criteria, evidence, CANDIDATE, { evaluatedAt: NOW });
  }

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

  test('a failure counts that was reported earlier but has a later time', async () => {
    const { a } = freshJobs();
    await report({ jobId: a, success: false, timestamp: NOW - 50 }, { jobId: a });
    expect((await decide([a])).verdict).toBe('reject');
  });

  test('an alternative that passed on one hash is not required on the next', async () => {
    const { a, b, c } = freshJobs();
    // The newest hash has only the alternative c of a; the second has a and b.
    await report({ jobId: c }, { jobId: a, subject: hash(1) }, { jobId: b, subject: hash(1) });
    const record = await decide([b], [[a, c]]);
    expect(record.verdict).toBe('promote');
    expect(record['aggregate-hash']).toBe(master().hashes[1]);
  });

  test('requirements that are met on different hashes are not met together', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a }, { jobId: b, subject: hash(1) });
    expect((await decide([a, b])).verdict).toBe('wait');
  });

  test('a name that only begins with the required one is another job', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: b });
    expect((await decide([a])).verdict).toBe('wait');
  });

  test('a time in milliseconds never makes a vote the newest', async () => {
    const { a } = freshJobs();
    await report({ jobId: a, timestamp: NOW * 1000 });
    expect((await decide([a])).verdict).toBe('wait');
  });

  test('a null extended hash counts as none', async () => {
    const row = { promote_name: 'current-tripleo', extended_hash: null };
    const rows = [
      { ...row, aggregate_hash: null },
      { ...row, aggregate_hash: master().hashes[0] },
    ];
    const proxy = await faultyDlrn(...rules, ...promotionsAre(rows));
    const { a } = freshJobs();
    await report({ jobId: a });
    expect(await dlrnResults(dlrnAt(proxy.url), LABEL, [a], silent)).toHaveLength(1);
  });
});

describe('what is read', () => {
  test('a vote with its image, hash, user and link', async () => {
    const { a } = freshJobs();
    const sent = newReport({ jobId: a, subject: hash(1), success: false, timestamp: NOW - 7, notes: THIS });
    await dlrn().reportResult(sent);
    for (const scope of [hash(1), LABEL]) {
      expect(await dlrnResults(dlrn(), scope, [a], silent)).toEqual([
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
    }
  });

  const GARBLED = ['all is well', '', '???', 'failed', `${CANDIDATE.tag}@sha256:0`, `${CANDIDATE.tag}@`] as const;

  test.each(GARBLED)('a pass with the notes %j names no image', async (notes) => {
    const { a } = freshJobs();
    await report({ jobId: a, notes });
    const [result, ...others] = await dlrnResults(dlrn(), hash(0), [a], silent);
    expect(others).toEqual([]);
    expect(result?.candidate?.digest).toBeUndefined();
  });

  test.each([...GARBLED, CANDIDATE.tag])(
    'a failure with the notes %j blocks what its job passed, until a newer pass',
    async (notes) => {
      const { a } = freshJobs();
      const criteria = parseCriteria(`current-ceph: ["${a}"]`, 'current-ceph');
      const verdict = async () =>
        evaluate(criteria, await dlrnResults(dlrn(), LABEL, [a], silent), CANDIDATE, { evaluatedAt: NOW }).verdict;
      await report({ jobId: a });
      expect(await verdict()).toBe('promote');
      await report({ jobId: a, notes, success: false, timestamp: NOW - 50 });
      expect(await verdict()).toBe('wait');
      await report({ jobId: a, timestamp: NOW - 40 });
      expect(await verdict()).toBe('promote');
    },
  );

  test('a failure that names the tag blocks it from another hash too, on which its job tested nothing', async () => {
    const { a } = freshJobs();
    const criteria = parseCriteria(`current-ceph: ["${a}"]`, 'current-ceph');
    await report({ jobId: a }, { jobId: a, notes: `${CANDIDATE.tag}@sha256:0`, success: false, subject: hash(1) });
    const evidence = await dlrnResults(dlrn(), LABEL, [a], silent);
    expect(evaluate(criteria, evidence, CANDIDATE, { evaluatedAt: NOW }).verdict).toBe('wait');
  });

  test('votes on hashes that the label did not have are left out', async () => {
    const { a } = freshJobs();
    await report({ jobId: a }, { jobId: a, subject: hash(2) });
    const rows = [{ promote_name: 'current-tripleo', aggregate_hash: master().hashes[2] }];
    const proxy = await faultyDlrn(...promotionsAre(rows));
    const evidence = await dlrnResults(dlrnAt(proxy.url), LABEL, [a], silent);
    expect(evidence.map((result) => result['aggregate-hash'])).toEqual([master().hashes[2]]);
  });

  test('an invalid link is left out, and fractional times are rounded', async () => {
    const row = {
      aggregate_hash: master().hashes[0],
      job_id: 'a',
      success: true,
      in_progress: false,
      timestamp: 1_795_000_000.7,
      url: 'javascript:alert(1)',
      notes: THIS,
      user: null,
    };
    const rows = [row, { ...row, timestamp: 1e300 }, { ...row, success: false, in_progress: true, timestamp: -1e300 }];
    const proxy = await faultyDlrn({ fault: answered(rows) });
    const evidence = await dlrnResults(dlrnAt(proxy.url), hash(0), ['a'], silent);
    expect(evidence.map(({ timestamp, outcome, url, user }) => ({ timestamp, outcome, url, user }))).toEqual([
      { timestamp: 1_795_000_000, outcome: 'success' },
      { timestamp: Number.MAX_SAFE_INTEGER, outcome: 'success' },
      { timestamp: Number.MIN_SAFE_INTEGER, outcome: 'running' },
    ]);
  });

  test('an unknown hash is an error, one without votes is not', async () => {
    const error = await errorOf(dlrnResults(dlrn(), { kind: 'aggregate', hash: '0'.repeat(32) }, ['a'], silent));
    expect(error.message).toContain('DLRN does not know aggregate hash');
    const proxy = await faultyDlrn({ path: /agg_status/, fault: answered([]) });
    expect(await dlrnResults(dlrnAt(proxy.url), hash(2), ['a'], silent)).toEqual([]);
  });

  test('a label to which nothing was promoted is an error', async () => {
    const error = await errorOf(dlrnResults(dlrn(), { kind: 'label', label: 'no-such-label' }, ['a'], silent));
    expect(error.kind).toBe('not-found');
    expect(error.message).toContain('promoted to no-such-label');
  });

  test.each([
    ['of 100', [100, 100, 40], 20],
    ['short ones', [30, 30, 7], 6],
    ['more than are looked at', [100, 100, 100, 100, 100, 100, 100], 50],
  ])('promotions are paged, pages %s; rows without a hash cost nothing', async (_, lengths, hashes) => {
    const rows = lengths.map((length, page) => Array.from({ length }, (_, n) => promotion(1000 * page + n)));
    const proxy = await faultyDlrn(NO_GRAPHQL, ...promotionsAre(...rows), { fault: answered([]) });
    await dlrnResults(dlrnAt(proxy.url), LABEL, ['a', 'b'], silent);
    const asked = (name: string) => proxy.requests.filter(({ path }) => path.includes(name)).length;
    expect([asked('promotions'), asked('graphql'), asked('agg_status')]).toEqual([
      Math.min(lengths.length + 1, 6),
      1,
      hashes,
    ]);
  });

  /** Of twelve rows in a batch, one has the hash. */
  function promotion(n: number) {
    const hash = n % 12 ? null : n.toString(16).padStart(32, '0');
    return { aggregate_hash: hash, promote_name: LABEL.label };
  }

  test('promotions to another label do not count for this one', async () => {
    const rows = [{ promote_name: 'current-tripleo-rdo', aggregate_hash: master().hashes[0] }];
    const proxy = await faultyDlrn(...promotionsAre(rows));
    const error = await errorOf(dlrnResults(dlrnAt(proxy.url), LABEL, ['a'], silent));
    expect(error.message).toContain('no aggregate hash that was promoted to current-tripleo');
  });
});

describe('a DLRN that fails gives an error, never a part of the evidence', () => {
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
    [
      'a promotion whose hash is a command to the runner',
      {
        path: /promotions/,
        fault: answered([
          { promote_name: 'current-tripleo', aggregate_hash: `${'a'.repeat(32)}\n\u0085::stop-commands::x` },
        ]),
      },
      'bad-answer',
    ],
    ['with 401', { path: /agg_status/, fault: { kind: 'answer', status: 401 } }, 'unauthorized'],
  ])('%s', async (_, rule, kind) => {
    const proxy = await faultyDlrn(NO_GRAPHQL, rule);
    expect((await errorOf(dlrnResults(dlrnAt(proxy.url), LABEL, ['a'], silent))).kind).toBe(kind);
  });

  test.each<[string, Rule, string]>([
    ['HTML', { fault: { kind: 'answer', status: 200, body: '<title>Welcome</title>' } }, 'bad-answer'],
    ['half a JSON', { fault: { kind: 'answer', status: 200, body: '[{"aggregate_hash"' } }, 'bad-answer'],
    ['empty lists', { fault: answered([]) }, 'not-found'],
    ['401', { fault: { kind: 'answer', status: 401 } }, 'unauthorized'],
    ['401 from GraphQL', { path: /graphql/, fault: { kind: 'answer', status: 401 } }, 'unauthorized'],
    ['500', { fault: { kind: 'answer', status: 500 } }, 'server-error'],
    ['resets', { fault: { kind: 'reset' } }, 'unreachable'],
    ['half an answer', { fault: { kind: 'cut-answer', after: 20 } }, 'unreachable'],
  ])('all with %s', async (_, rule, kind) => {
    const { a } = freshJobs();
    await report({ jobId: a });
    const proxy = await faultyDlrn(rule);
    expect((await errorOf(dlrnResults(dlrnAt(proxy.url), LABEL, [a], silent))).kind).toBe(kind);
  });

  test.each<[string, Rule[]]>([
    ['agg_status', [NO_GRAPHQL, { path: /agg_status/, skip: 1, fault: { kind: 'delay', ms: 300 } }]],
    ['GraphQL', [{ path: /graphql/, fault: { kind: 'delay', ms: 300 } }]],
    ['promotions', [{ path: /promotions/, fault: { kind: 'delay', ms: 300 } }]],
  ])('slow: %s', async (_, rules) => {
    const proxy = await faultyDlrn(...rules);
    const slow = dlrnAt(proxy.url, { http: http({ answerMs: 100, attempts: 2 }) });
    expect((await errorOf(dlrnResults(slow, LABEL, ['a'], silent))).kind).toBe('timeout');
  });

  test('down', async () => {
    const proxy = await faultyDlrn();
    await proxy.stop();
    expect((await errorOf(dlrnResults(dlrnAt(proxy.url), LABEL, ['a'], silent))).kind).toBe('unreachable');
  });

  test.each<[string, Rule]>([
    ['GraphQL', { path: /graphql/, times: 3, fault: { kind: 'answer', status: 500 } }],
    ['all', { times: 3, fault: { kind: 'answer', status: 500 } }],
  ])('500 three times, then an answer, is a success: %s', async (_, rule) => {
    const { a } = freshJobs();
    await report({ jobId: a }, { jobId: a, subject: hash(1) });
    const proxy = await faultyDlrn(rule);
    expect(await dlrnResults(dlrnAt(proxy.url), LABEL, [a], silent)).toHaveLength(2);
  });

  test('part of what GraphQL was asked for is not used', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a }, { jobId: b, success: false });
    const part = { errors: [{ message: 'database is locked' }], data: { j0: [], j1: null } };
    const proxy = await faultyDlrn({ path: /graphql/, fault: answered(part) });
    const evidence = await dlrnResults(dlrnAt(proxy.url), LABEL, [a, b], silent);
    expect(evidence.map(({ outcome }) => outcome).sort()).toEqual(['failure', 'success']);
  });
});

describe('a job that nobody reports', () => {
  test('on a hash: the warning offers a similar name that has reported', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a });
    const wrong = `${a}s`;
    const { remarks } = await dlrnEvidence(dlrn(), hash(0), [wrong, b, a], silent);
    // A job of the criteria is never taken for another one.
    expect([...remarks]).toEqual([]);
    const other = await dlrnEvidence(dlrn(), hash(0), [wrong, randomUUID()], silent);
    expect([...other.remarks]).toEqual([[wrong, `no result under this name; DLRN has results of ${a}`]]);
    expect(evaluate(criteriaOf(wrong), other.results, CANDIDATE, { evaluatedAt: NOW, ...other })).toMatchObject({
      verdict: 'wait',
      reason: `not met: ${wrong} (no result under this name; DLRN has results of ${a})`,
    });
  });

  test('of a label, by GraphQL: that DLRN has no vote of this name at all', async () => {
    const { a, b } = freshJobs();
    await report({ jobId: a });
    const { remarks } = await dlrnEvidence(dlrn(), LABEL, [a, b], silent);
    expect([...remarks]).toEqual([[b, 'nobody has reported it to DLRN under this name']]);
  });

  test('of a label, hash by hash: the likely name', async () => {
    const { a } = freshJobs();
    await report({ jobId: a });
    const proxy = await faultyDlrn(NO_GRAPHQL);
    const { remarks } = await dlrnEvidence(dlrnAt(proxy.url), LABEL, [`${a}s`], silent);
    expect([...remarks]).toEqual([[`${a}s`, `no result under this name; DLRN has results of ${a}`]]);
  });
});

function criteriaOf(...required: string[]) {
  return parseCriteria(JSON.stringify({ 'current-ceph': { required } }), 'current-ceph');
}
