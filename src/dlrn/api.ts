import type * as v from 'valibot';
import { type Hint, oneLine, ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { describe, type Http, type TextResponse } from '../http/policy.js';
import { readSaid } from '../http/said.js';
import { kindOfStatus } from '../http/status.js';
import type { HttpRequest } from '../http/transport.js';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface DlrnApiParts {
  readonly http: Http;
  /** For example `https://trunk.rdoproject.org/api-centos9-master-uc`. `/api/…` is appended to it. */
  readonly url: URL;
  /** Sent with every request, since some servers protect reading too (PROTECT_READ_ENDPOINTS). */
  readonly credentials?: Credentials | undefined;
}

type Query = Readonly<Record<string, string>>;

/** Sends requests to DLRN's endpoints, and turns refusals into errors. */
export interface DlrnApi {
  /** Sends a request that changes nothing, and parses the answer. Throws a ServiceError for any status but 200. */
  ask<S extends v.GenericSchema>(
    schema: S,
    endpoint: string,
    query?: Query,
    method?: 'GET' | 'POST',
  ): Promise<v.InferOutput<S>>;
  /** Sends a GET, for callers that check the status themselves. */
  send(endpoint: string, query: Query): Promise<Answer>;
  /** Posts JSON once, without retries, for callers that check the status themselves. */
  post(endpoint: string, body: object): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** Throws a ServiceError if the body does not fit. */
  parse<S extends v.GenericSchema>(schema: S): v.InferOutput<S>;
  /** The error for an unexpected status, with the explanation in the body. */
  refusal(): ServiceError;
}

/** A thousand votes are about 300 kB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export function createDlrnApi({ http, url, credentials }: DlrnApiParts): DlrnApi {
  const base = `${url.origin}${url.pathname}`.replace(/\/+(?:api\/*)?$/, '');
  const headers = credentials === undefined ? {} : { authorization: basicAuthorization(credentials) };

  function request(method: 'GET' | 'POST', endpoint: string, query: Query = {}): HttpRequest {
    const target = new URL(`${base}/api/${endpoint}`);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
    return { method, url: target, headers };
  }

  async function answer(asked: HttpRequest, idempotent: boolean): Promise<Answer> {
    const response = await http.sendForText(asked, { idempotent, maxBytes: MAX_ANSWER_BYTES, hint: 'dlrn-url' });
    return {
      status: response.status,
      text: response.text,
      parse: (schema) => parseAnswer(schema, asked, response),
      refusal: () => refusal(asked, response, credentials !== undefined),
    };
  }

  return {
    async ask(schema, endpoint, query, method = 'GET') {
      const answered = await answer(request(method, endpoint, query), true);
      if (answered.status !== 200) throw answered.refusal();
      return answered.parse(schema);
    },
    send: (endpoint, query) => answer(request('GET', endpoint, query), true),
    post(endpoint, body) {
      const asked = {
        ...request('POST', endpoint),
        // Exactly this type, and no Content-Type without a body: DLRN answers 415 or 400 to anything else.
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      };
      return answer(asked, false);
    },
  };
}

function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function parseAnswer<S extends v.GenericSchema>(schema: S, asked: HttpRequest, answer: TextResponse): v.InferOutput<S> {
  return parseJson(schema, answer.text, (problem) => {
    const said = describeOther(answer, problem);
    return new ServiceError('bad-answer', `${describe(asked)}: ${said}; this is not a DLRN API`, { hint: 'dlrn-url' });
  });
}

/** Describes an unexpected answer. Never quotes an answer from another host. */
function describeOther({ text, headers, elsewhere }: TextResponse, problem: string): string {
  if (elsewhere !== undefined) return `${elsewhere}, after a redirect, sent something else`;
  const isHtml = text.slice(0, 100).trimStart().startsWith('<');
  return isHtml ? `HTML instead of JSON: ${readSaid({ headers, body: text }).text}` : problem;
}

export const KNOWN_HASHES = 'DLRN knows only hashes that were promoted to some label';

function refusal(asked: HttpRequest, response: TextResponse, hasCredentials: boolean): ServiceError {
  const said = readSaid({ ...response, body: response.text }).text;
  const { kind = kindOfStatus(response.status), more = '', hint } = explain(response, said, hasCredentials);
  const line = `${describe(asked)} answered ${response.status}${said === '' ? '' : `: ${said}`}`;
  return new ServiceError(kind, line + more, { hint });
}

interface Explanation {
  /** Set if DLRN's words say more than the status. */
  readonly kind?: ServiceErrorKind;
  readonly more?: string;
  readonly hint?: Hint;
}

/** What a refusal means with DLRN. */
function explain({ status, headers }: TextResponse, said: string, hasCredentials: boolean): Explanation {
  if (status >= 300 && status < 400) {
    return { more: `, a redirect to ${oneLine(headers.location ?? '', 200)}`, hint: 'dlrn-url' };
  }
  if (status === 401) {
    // Node.js has no GSSAPI, and the modules that bring it run install scripts.
    const offered = headers['www-authenticate'] ?? '';
    if (/\bnegotiate\b/i.test(offered) && !/\bbasic\b/i.test(offered)) {
      return { more: '; DLRN asks for a Kerberos ticket (Negotiate), which is not supported here' };
    }
    const why = hasCredentials ? 'DLRN refuses the login' : 'DLRN asks for a login';
    return { more: `; ${why}`, hint: 'log-in-to-dlrn' };
  }
  if (status === 404) return { more: '; there is no DLRN API at this address', hint: 'dlrn-url' };
  if (status === 400 && said === 'aggregate_hash not found') {
    return { kind: 'not-found', more: `; ${KNOWN_HASHES}`, hint: 'dlrn-hash' };
  }
  if (status === 400 && said.endsWith('combination not found')) {
    return { kind: 'not-found', more: '; DLRN has no such build', hint: 'dlrn-hash' };
  }
  return {};
}
