import * as v from 'valibot';
import type { Clock } from '../base/clock.js';
import { oneLine, ServiceError, type ServiceErrorKind } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { parseJson } from '../base/schema.js';
import { backoffMs, describe, type Http, type TextResponse } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';
import type { HttpRequest } from '../http/transport.js';
import type { Subject } from './hashes.js';

/**
 * The DLRN API (dlrn.readthedocs.io, "DLRN API"), as both the released server and the one in git take it: `success` as
 * text, `Content-Type` exactly `application/json` with a body and none without.
 */
export interface Dlrn {
  /** Reports a result, unless the same one is there; true where this call has posted it. */
  reportResult(report: Report): Promise<boolean>;
  /** All votes on a hash, in no order that means anything; none for a hash that is unknown. */
  votes(subject: Subject): Promise<Vote[]>;
  /** All votes of these jobs on aggregate hashes; undefined where the server has no GraphQL that can tell. */
  jobVotes(jobIds: readonly string[]): Promise<Vote[] | undefined>;
  /** Throws where DLRN does not know what votes are on, and so would take none. */
  checkKnown(subject: Subject): Promise<void>;
  /** One page of the promotions to a label, newest first; `offset` is how many of them to skip. */
  promotions(label: string, offset: number): Promise<Promotion[]>;
  /** What the server says of itself. */
  health(): Promise<string>;
  /** Throws where the credentials are refused; changes nothing. */
  checkCredentials(): Promise<void>;
}

export interface DlrnParts {
  readonly http: Http;
  /** `https://trunk.rdoproject.org/api-centos9-master-uc`: what `/api/…` is appended to. */
  readonly url: URL;
  /** Sent with every request: some servers protect reading too (PROTECT_READ_ENDPOINTS). */
  readonly credentials?: Credentials;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Report {
  readonly subject: Subject;
  readonly jobId: string;
  readonly jobUrl: string;
  readonly success: boolean;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly notes: string;
}

const voteSchema = v.object({
  /** On an aggregate hash, or on one build. */
  aggregate_hash: v.nullish(v.string()),
  commit_hash: v.nullish(v.string()),
  distro_hash: v.nullish(v.string()),
  job_id: v.nullish(v.string(), ''),
  success: v.nullable(v.boolean()),
  in_progress: v.nullable(v.boolean()),
  /** Unix seconds, or whatever the reporter took for it. */
  timestamp: v.number(),
  url: v.nullish(v.string(), ''),
  notes: v.nullish(v.string(), ''),
  user: v.nullish(v.string(), ''),
});
export type Vote = v.InferOutput<typeof voteSchema>;

/** The same by GraphQL's names, as VOTE_FRAGMENT asks for it. */
const graphqlVoteSchema = v.pipe(
  v.object({
    refHash: v.string(),
    ciName: v.string(),
    ciVote: v.nullable(v.boolean()),
    ciInProgress: v.nullable(v.boolean()),
    timestamp: v.number(),
    ciUrl: v.nullable(v.string()),
    notes: v.nullable(v.string()),
    user: v.nullable(v.string()),
  }),
  v.transform(
    ({ refHash, ciName, ciVote, ciInProgress, timestamp, ciUrl, notes, user }): Vote => ({
      aggregate_hash: refHash,
      job_id: ciName,
      success: ciVote,
      in_progress: ciInProgress,
      timestamp,
      url: ciUrl ?? '',
      notes: notes ?? '',
      user: user ?? '',
    }),
  ),
);

/** By alias. Strict: with `errors` beside it the data are not whole. */
const jobVotesSchema = v.strictObject({ data: v.record(v.string(), v.array(graphqlVoteSchema)) });
const VOTE_FRAGMENT = 'fragment vote on CIVoteAgg { refHash ciName ciVote ciInProgress timestamp ciUrl notes user }';

/** Of a batch of commits that is promoted at once only one row carries the aggregate hash. */
const promotionSchema = v.object({ aggregate_hash: v.nullable(v.string()), promote_name: v.string() });
export type Promotion = v.InferOutput<typeof promotionSchema>;

/** The most rows that the server gives at once. */
const PROMOTIONS_PAGE = 100;

const KNOWN_HASHES = 'only hashes that were promoted to some label';

const healthSchema = v.object({ result: v.string() });
const echoSchema = v.object({ job_id: v.string(), success: v.boolean() });
const problemSchema = v.object({ message: v.string() });

/** A thousand votes are some 300 kB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const REPORT_ATTEMPTS = 6;
/** So that the URL keeps below the 8,190 characters that Apache takes, with names of up to 110. */
const JOBS_AT_ONCE = 40;
/** The most votes that GraphQL gives of one job at once. */
const JOB_VOTES_PAGE = 100;
/** Room for 2,000 votes of one job. With more than that, a request a hash is no worse. */
const MAX_JOB_VOTES_REQUESTS = 22;

export function createDlrn({ http, url, credentials, clock, log }: DlrnParts): Dlrn {
  const base = `${url.origin}${url.pathname}`.replace(/\/+(?:api\/*)?$/, '');
  const headers =
    credentials === undefined
      ? {}
      : { authorization: `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}` };

  function request(method: 'GET' | 'POST', path: string, query: Readonly<Record<string, string>> = {}): HttpRequest {
    const target = new URL(`${base}/api/${path}`);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
    return { method, url: target, headers };
  }

  async function answer<S extends v.GenericSchema>(schema: S, asked: HttpRequest): Promise<v.InferOutput<S>> {
    const response = await http.sendForText(asked, { idempotent: true, maxBytes: MAX_ANSWER_BYTES });
    if (response.status !== 200) throw refusal(asked, response, credentials !== undefined);
    return parsed(schema, asked, response);
  }

  async function votes(subject: Subject): Promise<Vote[]> {
    const asked =
      subject.kind === 'aggregate'
        ? request('GET', 'agg_status', { aggregate_hash: subject.hash })
        : request('GET', 'repo_status', commitParameters(subject));
    const found = await answer(v.array(voteSchema), asked);
    // As a cache gives that looks at the path only.
    if (found.every((vote) => isOn(vote, subject))) return found;
    throw new ServiceError('bad-answer', `${describe(asked)} answered with votes on another hash than asked for`);
  }

  const promotions = (query: Readonly<Record<string, string>>) =>
    answer(v.array(promotionSchema), request('GET', 'promotions', query));

  /** The error after which nobody knows whether it was stored; undefined where DLRN has confirmed it. */
  async function post(report: Report): Promise<ServiceError | undefined> {
    const { headers, ...rest } = request('POST', 'report_result');
    const asked = {
      ...rest,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(reportBody(report)),
    };
    let response: TextResponse;
    try {
      response = await http.sendForText(asked, { idempotent: false, maxBytes: MAX_ANSWER_BYTES });
      if (response.status === 201) {
        parsed(echoSchema, asked, response);
        return undefined;
      }
    } catch (error) {
      if (error instanceof ServiceError) return error;
      throw error;
    }
    const error = refusal(asked, response, credentials !== undefined);
    if (error.kind === 'server-error') return error;
    throw error;
  }

  /** Pages are newest first, so that votes which come meanwhile push others to a later page, and hide none. */
  async function jobVotes(jobIds: readonly string[]): Promise<Vote[] | undefined> {
    const found: Vote[] = [];
    const waiting = jobIds.map((job) => ({ job, offset: 0 }));
    for (let requests = 0; requests < MAX_JOB_VOTES_REQUESTS; requests += 1) {
      const places = waiting.splice(0, JOBS_AT_ONCE);
      if (places.length === 0) return found;
      const pages = await jobVotesPages(places);
      if (pages === undefined) return undefined;
      for (const { job, offset, page } of pages) {
        found.push(...page);
        // Until a page is empty: a short one may be all that this server gives at once.
        if (page.length > 0) waiting.push({ job, offset: offset + page.length });
      }
    }
    return undefined;
  }

  async function jobVotesPages(places: readonly Place[]) {
    const fields = places.map(
      ({ job, offset }, n) =>
        `${alias(n)}: civoteAgg(ciName: ${JSON.stringify(job)}, offset: ${offset}, limit: ${JOB_VOTES_PAGE}) { ...vote }`,
    );
    const asked = request('GET', 'graphql', { query: `{ ${fields.join(' ')} } ${VOTE_FRAGMENT}` });
    const response = await http.sendForText(asked, { idempotent: true, maxBytes: MAX_ANSWER_BYTES });
    if (response.status === 401) throw refusal(asked, response, credentials !== undefined);
    const data = response.status === 200 ? jobVotesIn(response.text) : undefined;
    const pages = places.flatMap((place, n) => {
      const page = data?.[alias(n)];
      return page === undefined ? [] : [{ ...place, page }];
    });
    return pages.length === places.length ? pages : undefined;
  }

  return {
    votes,
    jobVotes,
    async reportResult(report) {
      let lost: ServiceError | undefined;
      for (let attempt = 1; ; attempt += 1) {
        if ((await votes(report.subject)).some((vote) => isSame(vote, report))) return lost !== undefined;
        if (lost !== undefined && attempt > REPORT_ATTEMPTS) throw lost;
        lost = await post(report);
        if (lost === undefined) return true;
        log.debug(`${lost.message}; looking whether it was stored (attempt ${attempt} of ${REPORT_ATTEMPTS})`);
        await clock.sleep(backoffMs(attempt, clock.random()));
      }
    },
    async checkKnown(subject) {
      if (subject.kind === 'commit') {
        await votes(subject);
      } else if ((await promotions({ aggregate_hash: subject.hash, limit: '1' })).length === 0) {
        const wayOut = `input aggregate-hash: DLRN does not know ${subject.hash}, ${KNOWN_HASHES}`;
        throw new ServiceError('not-found', wayOut);
      }
    },
    promotions: (label, offset) =>
      promotions({ promote_name: label, limit: String(PROMOTIONS_PAGE), offset: String(offset) }),
    health: async () => (await answer(healthSchema, request('GET', 'health'))).result,
    async checkCredentials() {
      await answer(healthSchema, request('POST', 'health'));
    },
  };
}

function commitParameters({ commit, distro, extended }: Subject & { readonly kind: 'commit' }) {
  return {
    commit_hash: commit,
    distro_hash: distro,
    ...(extended === undefined ? {} : { extended_hash: extended }),
  };
}

function reportBody({ subject, jobId, jobUrl, success, timestamp, notes }: Report) {
  return {
    ...(subject.kind === 'aggregate' ? { aggregate_hash: subject.hash } : commitParameters(subject)),
    job_id: jobId,
    url: jobUrl,
    timestamp,
    // As text: the released server fails on JSON's true.
    success: String(success),
    notes,
  };
}

function isOn(vote: Vote, subject: Subject): boolean {
  return subject.kind === 'aggregate'
    ? vote.aggregate_hash === subject.hash
    : vote.commit_hash === subject.commit && vote.distro_hash === subject.distro;
}

/** DLRN has no ids and inserts always: these fields together are what makes a report the same. */
function isSame(vote: Vote, { jobId, jobUrl, notes, success }: Report): boolean {
  return vote.job_id === jobId && vote.url === jobUrl && vote.notes === notes && vote.success === success;
}

/** Which of one job's votes: newest first, `offset` are skipped. */
interface Place {
  readonly job: string;
  readonly offset: number;
}

/** GraphQL's name for the n-th answer. */
function alias(n: number): string {
  return `j${n}`;
}

function jobVotesIn(text: string): Readonly<Record<string, Vote[]>> | undefined {
  try {
    return v.parse(jobVotesSchema, JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function parsed<S extends v.GenericSchema>(schema: S, asked: HttpRequest, { text }: TextResponse): v.InferOutput<S> {
  return parseJson(schema, text, (problem) => {
    const said = text.trimStart().startsWith('<') ? `HTML for JSON: ${messageOf(text)}` : problem;
    return new ServiceError('bad-answer', `${describe(asked)}: ${said}; is it a DLRN API? (input dlrn-url)`);
  });
}

/** What to tell of an answer that is none. Most bodies are HTML, some JSON with a `message`. */
function refusal(asked: HttpRequest, { status, headers, text }: TextResponse, hasCredentials: boolean): ServiceError {
  const said = messageOf(text);
  const line = `${describe(asked)} answered ${status}${said === '' ? '' : `: ${said}`}`;
  const fail = (kind: ServiceErrorKind, wayOut = '') => new ServiceError(kind, line + wayOut);
  if (status >= 300 && status < 400) {
    return fail('bad-answer', `, a redirect to ${oneLine(headers.location ?? '', 200)}; give that as input dlrn-url`);
  }
  if (status === 401) {
    const wayOut = hasCredentials ? 'DLRN refuses them' : 'DLRN asks for them';
    return fail(kindOfStatus(status), `; inputs username and password: ${wayOut}`);
  }
  if (status === 404)
    return fail(kindOfStatus(status), '; input dlrn-url: no DLRN API there, give …/api-centos9-master-uc');
  if (status === 400 && said === 'aggregate_hash not found') {
    return fail('not-found', `; input aggregate-hash: DLRN knows ${KNOWN_HASHES}`);
  }
  if (status === 400 && said.endsWith('combination not found')) {
    return fail('not-found', '; inputs commit-hash, distro-hash and extended-hash: DLRN has no such build');
  }
  return fail(kindOfStatus(status));
}

function messageOf(body: string): string {
  try {
    return oneLine(v.parse(problemSchema, JSON.parse(body)).message, 300);
  } catch {
    const title = /<title>([^<]*)<\/title>/i.exec(body)?.[1];
    return oneLine(title ?? body.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' '), 200);
  }
}
