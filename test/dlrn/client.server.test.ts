import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import { createDlrn } from '../../src/dlrn/client.js';
import type { Report } from '../../src/dlrn/post-report.js';
import { sandbox } from '../sandbox/current.js';
import type { Rule } from '../sandbox/fault-proxy.js';
import {
  CANDIDATE,
  clock,
  dlrnAt,
  dlrnResults,
  errorOf,
  faultyDlrn,
  http,
  master,
  newReport,
  silent,
  stopProxies,
} from './support.js';

const dlrn = () => dlrnAt(master().url);
const POST: Pick<Rule, 'method' | 'path'> = { method: 'POST', path: /report_result/ };
const html = (status: number, title: string) => ({
  kind: 'answer' as const,
  status,
  headers: { 'content-type': 'text/html' },
  body: `<!doctype html>\n<html lang=en>\n<title>${title}</title>\n<h1>Oh</h1>\n<p>It broke.</p>\n`,
});

const answered = (body: string) => ({ kind: 'answer' as const, status: 200, body });

afterEach(stopProxies);

/** What `newReport` is on. */
const NOTES = `${CANDIDATE.tag}@${CANDIDATE.digest}`;

describe('a report', () => {
  test.each([true, false])('of success %s is stored as it is', async (success) => {
    const report = newReport({ success, timestamp: 1_795_000_123 });
    expect(await dlrn().reportResult(report)).toBe(true);
    const votes = await dlrn().votes(report.subject);
    expect(votes.filter(({ job_id }) => job_id === report.jobId)).toEqual([
      {
        aggregate_hash: master().hashes[0],
        job_id: report.jobId,
        success,
        in_progress: false,
        timestamp: 1_795_000_123,
        url: report.jobUrl,
        notes: report.notes,
        user: 'ciuser',
      },
    ]);
  });

  test('that DLRN has already is not sent again, whatever its time; one that differs is sent', async () => {
    const report = newReport();
    expect(await dlrn().reportResult(report)).toBe(true);
    expect(await dlrn().reportResult({ ...report, timestamp: 1_795_009_999 })).toBe(false);
    for (const other of [{ jobUrl: 'https://ci.example/2' }, { notes: 'v6.0.9' }, { success: false }]) {
      expect(await dlrn().reportResult({ ...report, ...other })).toBe(true);
    }
    const [, other = ''] = master().hashes;
    expect(await dlrn().reportResult({ ...report, subject: { kind: 'aggregate', hash: other } })).toBe(true);
    const votes = await dlrn().votes(report.subject);
    expect(votes.filter(({ job_id }) => job_id === report.jobId)).toHaveLength(4);
  });

  test('is skipped only where the newest vote says the same', async () => {
    const report = newReport();
    const outcomes = [false, true, false, false, true, true];
    const posted = [];
    for (const [n, success] of outcomes.entries()) {
      posted.push(await dlrn().reportResult({ ...report, success, timestamp: report.timestamp + n }));
    }
    expect(posted).toEqual([true, true, true, false, true, false]);
    const criteria = parseCriteria(`current-ceph: ["${report.jobId}"]`, 'current-ceph');
    const evidence = await dlrnResults(dlrn(), report.subject, [report.jobId], silent);
    const until = (count: number) => evidence.filter(({ timestamp }) => timestamp < report.timestamp + count);
    const verdict = (count: number) =>
      evaluate(criteria, until(count), CANDIDATE, { evaluatedAt: report.timestamp + 60 }).verdict;
    expect([1, 2, 3, 5].map(verdict)).toEqual(['reject', 'promote', 'reject', 'promote']);
  });

  describe('is not skipped for', () => {
    const row = (rest: object) => ({
      aggregate_hash: master().hashes[0],
      success: true,
      in_progress: false,
      url: 'https://ci.example/1',
      timestamp: 1_795_000_000,
      user: 'ciuser',
      ...rest,
    });

    test.each<[string, (report: Report) => object]>([
      ['the same vote of another user', () => ({ user: 'mallory' })],
      ['the same vote of nobody', () => ({ user: null })],
      ['the same vote on another image', () => ({ notes: 'v6.0.9' })],
      ['the same vote in milliseconds', () => ({ timestamp: 1_795_000_000_000 })],
      ['the same vote before 1970', () => ({ timestamp: -1 })],
      ['the same job, still running', () => ({ in_progress: true })],
      ['the same vote of a job whose name begins with its name', ({ jobId }) => ({ job_id: `${jobId}-b` })],
    ])('%s', async (_, rest) => {
      const report = newReport();
      const there = row({ job_id: report.jobId, notes: report.notes, ...rest(report) });
      const proxy = await faultyDlrn({ path: /agg_status/, fault: answered(JSON.stringify([there])) });
      expect(await dlrnAt(proxy.url).reportResult(report)).toBe(true);
    });

    test('one of two that disagree about one moment', async () => {
      const report = newReport();
      const own = row({ job_id: report.jobId, notes: report.notes });
      const both = JSON.stringify([own, { ...own, success: false }]);
      const proxy = await faultyDlrn({ path: /agg_status/, fault: answered(both) });
      expect(await dlrnAt(proxy.url).reportResult(report)).toBe(true);
    });

    test.each<[string, object, boolean]>([
      ['a newer failure by another user', { success: false, user: 'mallory' }, true],
      ['a newer failure on the tag without its digest', { success: false, notes: CANDIDATE.tag }, true],
      ['a newer failure in a set', { success: false, notes: `${NOTES} set=sha256:${'5'.repeat(64)}` }, true],
      ['a newer failure that does not say what it tested', { success: false, notes: '' }, true],
      ['a newer failure whose digest is cut', { success: false, notes: NOTES.slice(0, -1) }, true],
      ['a newer vote that the job runs', { success: null, in_progress: true }, true],
      [
        'a newer failure on another image (it is skipped)',
        { success: false, notes: `v6.0.9@sha256:${'9'.repeat(64)}` },
        false,
      ],
    ])('the same vote before %s', async (_, rest, posted) => {
      const report = newReport();
      const own = row({ job_id: report.jobId, notes: report.notes });
      const both = JSON.stringify([own, { ...own, timestamp: 1_795_000_001, ...rest }]);
      const proxy = await faultyDlrn({ path: /agg_status/, fault: answered(both) });
      expect(await dlrnAt(proxy.url).reportResult(report)).toBe(posted);
    });

    test('unless it is the same vote', async () => {
      const report = newReport();
      const own = row({ job_id: report.jobId, notes: report.notes });
      const proxy = await faultyDlrn({ path: /agg_status/, fault: answered(JSON.stringify([own])) });
      expect(await dlrnAt(proxy.url).reportResult(report)).toBe(false);
    });
  });

  test('on one build goes by its commit, distro and extended hash', async () => {
    const { subject } = await aBuild();
    const report = newReport({ subject });
    expect(await dlrn().reportResult(report)).toBe(true);
    expect(await dlrn().reportResult(report)).toBe(false);
    expect(await dlrn().votes(subject)).toContainEqual(expect.objectContaining({ job_id: report.jobId }));
  });

  test.each<[string, Rule[]]>([
    ['the answer is lost', [{ ...POST, fault: { kind: 'lose-answer' }, times: 1 }]],
    ['the answer is cut', [{ ...POST, fault: { kind: 'truncate', after: 20 }, times: 1 }]],
    ['the request is cut', [{ ...POST, fault: { kind: 'cut-request', after: 20 }, times: 1 }]],
    ['the connection is reset', [{ ...POST, fault: { kind: 'reset' }, times: 2 }]],
    ['DLRN fails three times', [{ ...POST, fault: html(500, 'Internal Server Error'), times: 3 }]],
    ['DLRN fails three times when asked', [{ method: 'GET', fault: html(503, 'Busy'), times: 3 }]],
    ['another server says 201', [{ ...POST, fault: html(201, 'Created'), times: 1 }]],
  ])('is stored once where %s', async (_, rules) => {
    const proxy = await faultyDlrn(...rules);
    const report = newReport();
    expect(await dlrnAt(proxy.url).reportResult(report)).toBe(true);
    const votes = await dlrn().votes(report.subject);
    expect(votes.filter(({ job_id }) => job_id === report.jobId)).toHaveLength(1);
  });

  test('whose answer is late is looked for before it is sent again', async () => {
    const proxy = await faultyDlrn({ ...POST, fault: { kind: 'delay', ms: 400 }, times: 1 });
    const report = newReport();
    expect(await dlrnAt(proxy.url, { http: http({ answerMs: 200 }) }).reportResult(report)).toBe(true);
    const asked = proxy.requests.map(({ method, path }) => `${method} ${path.replace(/^.*\/api\/|\?.*$/g, '')}`);
    expect(asked.slice(0, 3)).toEqual(['GET agg_status', 'POST report_result', 'GET agg_status']);
  });

  test('that DLRN always refuses with an error ends after six tries, with what DLRN said', async () => {
    const proxy = await faultyDlrn({ ...POST, fault: html(500, 'Internal Server Error') });
    const error = await errorOf(dlrnAt(proxy.url).reportResult(newReport()));
    expect(error.kind).toBe('server-error');
    expect(error.message).toMatch(/POST http:.*report_result answered 500: Internal Server Error$/);
    expect(proxy.requests.filter(({ method }) => method === 'POST')).toHaveLength(6);
  });

  test('on an unknown hash is refused at once, and the input is named', async () => {
    const proxy = await faultyDlrn();
    const report = newReport({ subject: { kind: 'aggregate', hash: '0'.repeat(32) } });
    const error = await errorOf(dlrnAt(proxy.url).reportResult(report));
    expect(error.kind).toBe('not-found');
    expect(error.message).toMatch(/aggregate_hash not found; DLRN knows only/);
    expect(proxy.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test.each([
    ['a wrong password', { username: 'ciuser', password: 'wrong' }, 'DLRN refuses the login'],
    ['an unknown user', { username: 'nobody', password: 'wrong' }, 'DLRN refuses the login'],
    ['no credentials', undefined, 'DLRN asks for a login'],
  ])('by %s is refused at once, and the inputs are named', async (_, credentials, why) => {
    const parts = { http: http(), url: new URL(master().url), clock, log: silent };
    const client = createDlrn({ ...parts, ...(credentials && { credentials }) });
    for (const work of [() => client.reportResult(newReport()), () => client.checkCredentials()]) {
      const error = await errorOf(work());
      expect(error.kind).toBe('unauthorized');
      expect(error.message).toContain(`answered 401; ${why}`);
    }
  });
});

const buildSchema = v.tuple([
  v.object({ commit_hash: v.string(), distro_hash: v.string(), extended_hash: v.string() }),
]);

/** A build of the sandbox's, as a promotion names it. */
async function aBuild() {
  const answer = await fetch(`${master().url}/api/promotions?limit=1`);
  const [{ commit_hash: commit, distro_hash: distro, extended_hash: extended }] = v.parse(
    buildSchema,
    await answer.json(),
  );
  return { subject: { kind: 'commit', commit, distro, extended } as const };
}

describe('votes by job, from GraphQL', () => {
  const ROW = {
    refHash: 'h',
    ciName: 'job',
    ciVote: true,
    ciInProgress: false,
    timestamp: 1,
    ciUrl: null,
    notes: null,
    user: null,
  };
  /** What a server says about one job. */
  const page = (length: number, path = /graphql/): Rule => ({
    path,
    fault: answered(JSON.stringify({ data: { j0: Array.from({ length }, () => ROW) } })),
  });
  const from = (offset: number) => new RegExp(`offset%3A\\+${offset}%2C`);

  test('are what agg_status has, of these jobs only', async () => {
    const report = newReport();
    const jobs = [report.jobId, `${report.jobId}-b`, `${report.jobId}-foo`];
    for (const jobId of jobs) {
      for (const n of [0, 1]) {
        const subject = { kind: 'aggregate', hash: master().hashes[n] ?? '' } as const;
        await dlrn().reportResult({ ...report, jobId, subject, success: n === 0 });
      }
    }
    const both = await Promise.all(
      [1, 0].map((n) => dlrn().votes({ kind: 'aggregate', hash: master().hashes[n] ?? '' })),
    );
    const [a = '', b = ''] = jobs;
    const own = [a, b].flatMap((job) => both.flat().filter(({ job_id }) => job_id === job));
    expect(own).toHaveLength(4);
    const proxy = await faultyDlrn();
    expect(await dlrnAt(proxy.url).jobVotes([a, b])).toEqual(own);
    // One for both, and one that shows that there are no more.
    expect(proxy.requests).toHaveLength(2);
  });

  test.each(['no such job', 'quoted "job" \\', ''.padEnd(256, 'é')])('of %j are none', async (jobId) => {
    expect(await dlrn().jobVotes([jobId])).toEqual([]);
  });

  test('of many jobs are asked for in URLs that Apache takes', async () => {
    const jobs = Array.from({ length: 90 }, (_, n) => `${n}-${randomUUID()}`.padEnd(110, 'x'));
    const report = newReport({ jobId: jobs[85] ?? '' });
    await dlrn().reportResult(report);
    const proxy = await faultyDlrn();
    expect(await dlrnAt(proxy.url).jobVotes(jobs)).toEqual([expect.objectContaining({ job_id: report.jobId })]);
    expect(proxy.requests).toHaveLength(4);
    for (const { path } of proxy.requests) expect(`GET ${path} HTTP/1.1`.length).toBeLessThan(8190);
  });

  test('are read until a page is empty, however many the server returns at once', async () => {
    const proxy = await faultyDlrn(page(7, from(0)), page(7, from(7)), page(2, from(14)), page(0, from(16)));
    expect(await dlrnAt(proxy.url).jobVotes(['job'])).toHaveLength(16);
    expect(proxy.requests).toHaveLength(4);
  });

  test('are given up where there are too many', async () => {
    const proxy = await faultyDlrn(page(100));
    expect(await dlrnAt(proxy.url).jobVotes(['job'])).toBeUndefined();
    expect(proxy.requests).toHaveLength(22);
  });

  test.each<[string, Rule['fault']]>([
    ['501', { kind: 'answer', status: 501, body: '{"message": "Missing libraries"}' }],
    ['404', html(404, '404 Not Found')],
    ['414', html(414, 'Request-URI Too Long')],
    ['500', html(500, 'Internal Server Error')],
    // Of 2020, without pages and in no order.
    ['that it knows no offset', { kind: 'answer', status: 400, body: '{"errors": [{"message": "Unknown argument"}]}' }],
    ['HTML', html(200, 'Welcome')],
    ['half a JSON', answered('{"data": {"j0')],
    ['null', answered('{"data": {"j0": null}}')],
    ['a null row', answered('{"data": {"j0": [null]}}')],
    ['a row without time', answered(JSON.stringify({ data: { j0: [{ ...ROW, timestamp: null }] } }))],
    ['nothing of a job', answered('{"data": {}}')],
    ['errors beside data', answered('{"errors": [], "data": {"j0": []}}')],
    ['errors beside part of the data', answered('{"errors": [{"message": "x"}], "data": {"j0": [], "j1": null}}')],
  ])('a server that answers %s cannot tell', async (_, fault) => {
    const proxy = await faultyDlrn({ fault });
    expect(await dlrnAt(proxy.url).jobVotes(['job'])).toBeUndefined();
  });

  test('nor one that has only some of the jobs, or fails on a later page', async () => {
    const proxy = await faultyDlrn(page(3, from(0)));
    proxy.rules.push({ path: from(3), fault: html(500, 'Oh') });
    expect(await dlrnAt(proxy.url).jobVotes(['job'])).toBeUndefined();
    proxy.rules.splice(0, 2, page(0));
    expect(await dlrnAt(proxy.url).jobVotes(['job', 'other'])).toBeUndefined();
  });

  test('a time in milliseconds is too large for GraphQL', async () => {
    const report = newReport({ timestamp: 1_795_000_000_000 });
    await dlrn().reportResult(report);
    expect(await dlrn().jobVotes([report.jobId])).toBeUndefined();
  });

  test('Kerberos is named', async () => {
    const ticket = (offered: string) => ({
      ...html(401, 'no'),
      headers: { 'content-type': 'text/html', 'www-authenticate': offered },
    });
    const only = await faultyDlrn({ fault: ticket('Negotiate') });
    expect((await errorOf(dlrnAt(only.url).health())).message).toMatch(
      /answered 401.*; DLRN asks for a Kerberos ticket \(Negotiate\), which is not supported here$/,
    );
    const both = await faultyDlrn({ fault: ticket('Negotiate, Basic realm="DLRN"') });
    expect((await errorOf(dlrnAt(both.url).health())).message).toMatch(/; DLRN refuses the login$|asks for a login$/);
  });

  test('401 is an error', async () => {
    const proxy = await faultyDlrn({ fault: html(401, 'no') });
    expect((await errorOf(dlrnAt(proxy.url).jobVotes(['job']))).kind).toBe('unauthorized');
  });
});

describe('what is read', () => {
  test('votes on an unknown hash are none; on an unknown build an error', async () => {
    expect(await dlrn().votes({ kind: 'aggregate', hash: '0'.repeat(32) })).toEqual([]);
    const error = await errorOf(dlrn().votes({ kind: 'commit', commit: '0'.repeat(40), distro: '0'.repeat(40) }));
    expect(error.kind).toBe('not-found');
    expect(error).toMatchObject({ message: expect.stringContaining('no such build'), hint: 'dlrn-hash' });
  });

  test('promotions, newest first; only one row of a batch has the aggregate hash', async () => {
    const rows = await dlrn().promotions('current-tripleo', 0);
    expect(rows.flatMap(({ aggregate_hash }) => aggregate_hash ?? [])).toEqual(master().hashes);
    expect(rows.filter(({ aggregate_hash }) => aggregate_hash === null)).toHaveLength(master().hashes.length);
    expect(await dlrn().promotions('current-tripleo', rows.length - 1)).toEqual(rows.slice(-1));
    expect(await dlrn().promotions('no-such-label', 0)).toEqual([]);
  });

  test('what votes are on is known, or an error', async () => {
    const { subject } = await aBuild();
    await expect(dlrn().checkKnown(subject)).resolves.toBeUndefined();
    await expect(dlrn().checkKnown({ ...subject, distro: '0'.repeat(40) })).rejects.toThrow('no such build');
    await expect(dlrn().checkKnown({ kind: 'aggregate', hash: master().hashes[2] ?? '' })).resolves.toBeUndefined();
    await expect(dlrn().checkKnown({ kind: 'aggregate', hash: '0'.repeat(32) })).rejects.toThrow(
      'does not know aggregate hash 0000',
    );
  });

  test('health, and whether the credentials are good', async () => {
    expect(await dlrn().health()).toBe('ok');
    await expect(dlrn().checkCredentials()).resolves.toBeUndefined();
  });

  test('no GET has a Content-Type, and where there are credentials each has them', async () => {
    const seen: Record<string, string | undefined>[] = [];
    const real = http();
    const spied = {
      ...real,
      sendForText: (...[request, options]: Parameters<typeof real.sendForText>) => {
        seen.push({ ...request.headers });
        return real.sendForText(request, options);
      },
    };
    const parts = { http: spied, url: new URL(master().url), clock, log: silent };
    await createDlrn(parts).health();
    await createDlrn({ ...parts, credentials: sandbox().dlrn.login }).health();
    expect(seen).toEqual([{}, { authorization: expect.stringMatching(/^Basic /) }]);
  });

  test.each(['', '/', '/api', '/api/', '//'])('the URL may end with %j', async (end) => {
    expect(await dlrnAt(master().url, { url: new URL(master().url + end) }).health()).toBe('ok');
  });
});

describe('a server that fails', () => {
  const vote = (on: object) => ({ ...on, job_id: 'a', success: true, in_progress: false, timestamp: 1 });
  const hash = () => ({ kind: 'aggregate', hash: master().hashes[0] ?? '' }) as const;

  test.each<[string, Rule['fault'], string, RegExp]>([
    ['HTML', html(200, 'Welcome'), 'bad-answer', /HTML instead of JSON: Welcome; this is not a DLRN API$/],
    ['half a JSON', answered('[{"job_id": "a", "succ'), 'bad-answer', /not JSON/],
    ['another JSON', answered('{"votes": []}'), 'bad-answer', /Expected Array/],
    ['a vote without outcome', answered('[{"job_id": "a"}]'), 'bad-answer', /0\.success/],
    [
      'votes on another hash',
      answered(JSON.stringify([vote({ aggregate_hash: 'x' })])),
      'bad-answer',
      /a different hash/,
    ],
    ['votes on no hash', answered(JSON.stringify([vote({})])), 'bad-answer', /a different hash/],
    ['404', html(404, '404 Not Found'), 'not-found', /404 Not Found; there is no DLRN API at this address$/],
    ['403', html(403, '403 Forbidden'), 'forbidden', /answered 403: 403 Forbidden$/],
    [
      '400',
      { kind: 'answer', status: 400, body: '{"message": "Missing\\nparameters"}' },
      'bad-answer',
      /400: Missing parameters$/,
    ],
    ['500 of 100 kB of <', html(500, '<'.repeat(100_000)), 'server-error', /answered 500$/],
    ['500 always', html(500, 'Internal Server Error'), 'server-error', /answered 500: Internal Server Error$/],
    ['resets', { kind: 'reset' }, 'unreachable', /agg_status/],
    ['cut answers', { kind: 'truncate', after: 1 }, 'unreachable', /agg_status/],
  ])('with %s is a named error', async (_, fault, kind, message) => {
    const proxy = await faultyDlrn({ fault });
    await dlrn().reportResult(newReport());
    const error = await errorOf(dlrnAt(proxy.url).votes(hash()));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/[\n<]/);
  });

  test('with votes on another build is a named error', async () => {
    const { subject } = await aBuild();
    const row = vote({ commit_hash: subject.commit, distro_hash: '0'.repeat(40) });
    const proxy = await faultyDlrn({ fault: answered(JSON.stringify([row])) });
    expect((await errorOf(dlrnAt(proxy.url).votes(subject))).message).toContain('a different hash');
  });

  test('by being slow is a time limit', async () => {
    const proxy = await faultyDlrn({ fault: { kind: 'delay', ms: 500 } });
    const slow = dlrnAt(proxy.url, { http: http({ answerMs: 100, attempts: 2 }) });
    expect((await errorOf(slow.votes(hash()))).kind).toBe('timeout');
  });

  test('by being down is unreachable', async () => {
    const proxy = await faultyDlrn();
    await proxy.stop();
    expect((await errorOf(dlrnAt(proxy.url).votes(hash()))).kind).toBe('unreachable');
    expect((await errorOf(dlrnAt(proxy.url).reportResult(newReport()))).kind).toBe('unreachable');
  });

  test('a POST that is redirected names where to', async () => {
    const fault = { kind: 'answer', status: 301, headers: { location: 'https://trunk.example/api' } } as const;
    const proxy = await faultyDlrn({ ...POST, fault });
    const error = await errorOf(dlrnAt(proxy.url).reportResult(newReport()));
    expect(error.message).toContain('a redirect to https://trunk.example/api');
  });

  test('no error holds the password', async () => {
    const password = randomUUID();
    const proxy = await faultyDlrn({ fault: html(401, `no: ciuser`) });
    const client = dlrnAt(proxy.url, { credentials: { username: 'ciuser', password } });
    const error = await errorOf(client.reportResult(newReport()));
    expect(`${error.message} ${error.stack}`).not.toContain(password);
    expect(sandbox().dlrn.login.password).not.toBe('');
  });
});
