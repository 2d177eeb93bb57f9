import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { createDlrn, type DlrnParts } from '../../src/dlrn/client.js';
import { type Answered, type Asked, startStandIn, stopStandIns } from './stand-in.js';
import { CANDIDATE, clock, dlrnResults, errorOf, http, newReport, silent } from './support.js';

/**
 * A stand-in for the DLRN of git, which is newer than 0.26.1 and on no package registry. It answers as
 * dlrn/api/dlrn_api.py, inputs/*.py (pydantic 1) and drivers/auth.py (flask-httpauth) of softwarefactory-project/DLRN
 * do, in what differs from 0.26.1: inputs have types, reading may be protected, and users have roles.
 */

const HASH = 'a'.repeat(32);
const BUILD = { kind: 'commit', commit: 'c'.repeat(40), distro: 'd'.repeat(40) } as const;
const LOGIN = { username: 'ciuser', password: 'votes' };

interface GitDlrn {
  readonly protectsReading?: boolean;
  /** Has the user only a role for reading? */
  readonly readOnly?: boolean;
}

const json = (body: unknown, status = 200): Answered => ({ status, body: JSON.stringify(body) });
const problem = (message: string, status = 400) => json({ message }, status);
const html = (status: number, text: string): Answered => ({ status, type: 'text/html', body: text });

/** ReportResultInput: `timestamp: int`, `success: bool`, `url: str`; the others are StrictStr. */
const reportSchema = v.object({
  timestamp: v.union([v.pipe(v.number(), v.integer()), v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number))]),
  success: v.pipe(
    v.union([v.boolean(), v.picklist(['true', 'True', 'false', 'False'])]),
    v.transform((success) => String(success).toLowerCase() === 'true'),
  ),
  job_id: v.string(),
  url: v.string(),
  aggregate_hash: v.optional(v.string()),
  commit_hash: v.optional(v.string()),
  distro_hash: v.optional(v.string()),
  notes: v.optional(v.string(), ''),
});

function gitDlrn({ protectsReading = false, readOnly = false }: GitDlrn = {}) {
  const votes: object[] = [];

  function report({ headers, body }: Asked): Answered {
    if (headers['content-type'] !== 'application/json') return problem('Unsupported Media Type, use JSON', 415);
    const parsed = v.safeParse(reportSchema, JSON.parse(body));
    if (!parsed.success) {
      const [issue] = parsed.issues;
      return problem(`Errors detected: 1 {'${v.getDotPath(issue)}': 'value could not be parsed'}`);
    }
    const { aggregate_hash: hash, commit_hash: commit } = parsed.output;
    if ((hash === undefined) === (commit === undefined)) return problem('cannot be combined');
    if (hash !== undefined && hash !== HASH) return problem('aggregate_hash not found');
    votes.push({ ...parsed.output, user: LOGIN.username, in_progress: false });
    return json(votes.at(-1), 201);
  }

  return (asked: Asked): Answered => {
    const { method, url, headers } = asked;
    const path = url.pathname.replace(/^.*\/api\//, '');
    const query = Object.fromEntries(url.searchParams);
    const isKnown = headers.authorization === `Basic ${Buffer.from('ciuser:votes').toString('base64')}`;
    if (path === 'graphql') return problem('Missing libraries, /api/graphql endpoint is notavailable', 501);
    if (method === 'GET' && headers['content-type'] !== undefined) return html(400, '<title>400 Bad Request</title>');
    if ((method === 'POST' || protectsReading) && !isKnown) return html(401, 'Unauthorized Access');
    if (method === 'POST' && readOnly) return html(403, 'Forbidden Access');
    switch (path) {
      case 'health':
        return json({ result: 'ok' });
      case 'report_result':
        return report(asked);
      case 'agg_status':
        return json(votes.filter((vote) => 'aggregate_hash' in vote && vote.aggregate_hash === query.aggregate_hash));
      case 'repo_status':
        return json(votes.filter((vote) => 'commit_hash' in vote && vote.commit_hash === query.commit_hash));
      case 'promotions':
        // PromotionsInput: NonNegativeInt. Without a limit all rows are given.
        if (!/^\d+$/.test(query.limit ?? '') || !/^\d*$/.test(query.offset ?? '')) {
          return problem("Errors detected: 1 {'limit': 'value is not a valid integer'}");
        }
        return json(query.offset === '0' || query.aggregate_hash === HASH ? [PROMOTION] : []);
      default:
        return html(404, '<title>404 Not Found</title>');
    }
  };
}

const PROMOTION = { aggregate_hash: HASH, promote_name: 'current-tripleo', extended_hash: null };

async function start(options: GitDlrn = {}, rest: Partial<DlrnParts> = { credentials: LOGIN }) {
  const { url, asked } = await startStandIn(gitDlrn(options));
  return { asked, dlrn: createDlrn({ http: http(), url, clock, log: silent, ...rest }) };
}

afterEach(stopStandIns);

describe.each<[string, GitDlrn]>([
  ['open for reading', {}],
  ['that protects reading', { protectsReading: true }],
])('a DLRN of git, %s', (_, options) => {
  test.each([
    [true, { kind: 'aggregate', hash: HASH } as const],
    [false, { kind: 'aggregate', hash: HASH } as const],
    [true, BUILD],
  ])('takes a report of success %s on %j, once', async (success, subject) => {
    const { dlrn, asked } = await start(options);
    const report = newReport({ subject, success });
    expect(await dlrn.reportResult(report)).toBe(true);
    expect(await dlrn.reportResult(report)).toBe(false);
    expect(await dlrn.votes(subject)).toMatchObject([{ job_id: report.jobId, success, notes: report.notes }]);
    expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('gives evidence, health, and what it knows', async () => {
    const { dlrn } = await start(options);
    await dlrn.reportResult(newReport({ subject: { kind: 'aggregate', hash: HASH }, jobId: 'a' }));
    const evidence = await dlrnResults(dlrn, { kind: 'label', label: 'current-tripleo' }, ['a'], silent);
    expect(evidence).toMatchObject([{ job: 'a', outcome: 'success', candidate: { tag: CANDIDATE.tag } }]);
    expect(await dlrn.health()).toBe('ok');
    await expect(dlrn.checkCredentials()).resolves.toBeUndefined();
    await expect(dlrn.checkKnown({ kind: 'aggregate', hash: HASH })).resolves.toBeUndefined();
    await expect(dlrn.checkKnown({ kind: 'aggregate', hash: '0'.repeat(32) })).rejects.toThrow('does not know');
  });
});

describe('what a DLRN of git refuses is a named error, and is not sent again', () => {
  test.each<[string, GitDlrn, Partial<DlrnParts>, string, RegExp]>([
    ['without credentials', {}, {}, 'unauthorized', /answered 401; DLRN asks for a login$/],
    [
      'by another password',
      {},
      { credentials: { ...LOGIN, password: 'no' } },
      'unauthorized',
      /answered 401; DLRN refuses the login$/,
    ],
    ['by a role that may only read', { readOnly: true }, { credentials: LOGIN }, 'forbidden', /answered 403$/],
  ])('a report %s', async (_, options, parts, kind, message) => {
    const { dlrn, asked } = await start(options, parts);
    const error = await errorOf(dlrn.reportResult(newReport({ subject: { kind: 'aggregate', hash: HASH } })));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect((await errorOf(dlrn.checkCredentials())).kind).toBe(kind);
  });

  test('reading without credentials where it is protected', async () => {
    const { dlrn } = await start({ protectsReading: true }, {});
    const label = { kind: 'label', label: 'current-tripleo' } as const;
    const reads = [dlrn.health(), dlrn.votes(BUILD), dlrnResults(dlrn, label, ['a'], silent)];
    for (const read of reads) expect((await errorOf(read)).kind).toBe('unauthorized');
  });

  test('an unknown hash, and a value of another type', async () => {
    const { dlrn, asked } = await start();
    const unknown = await errorOf(dlrn.reportResult(newReport()));
    expect(unknown.message).toContain('aggregate_hash not found; DLRN knows only');
    const subject = { kind: 'aggregate', hash: HASH } as const;
    const fraction = await errorOf(dlrn.reportResult(newReport({ subject, timestamp: 1.5 })));
    expect(fraction.message).toMatch(/answered 400: Errors detected: 1 {'timestamp': 'value could not be parsed'}$/);
    expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });
});
