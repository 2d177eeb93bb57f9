import type * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import { describe, type Http, type TextResponse } from '../http/policy.js';
import { readSaid } from '../http/said.js';
import { kindOfStatus } from '../http/status.js';
import type { HttpRequest } from '../http/transport.js';

export interface RestRequest {
  readonly method: HttpRequest['method'];
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object | undefined;
  /** The caller can do without the answer. */
  readonly isOptional?: boolean;
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** The line before Gerrit's JSON, which keeps a browser from running it as a script. */
const GERRIT_PREFIX = /^\)\]\}'\r?\n/;

/**
 * Sends a request to a forge's REST API, and reads its JSON. `api` names the kind of forge in messages.
 *
 * @throws ServiceError if it refuses or cannot be read. Nothing is shown of an answer from another host.
 */
export async function sendJson<S extends v.GenericSchema>(
  http: Http,
  schema: S,
  { method, url, headers, body, isOptional = false }: RestRequest,
  api: string,
): Promise<v.InferOutput<S>> {
  const request: HttpRequest = {
    method,
    url,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  const response = await http.sendForText(request, {
    idempotent: method !== 'POST',
    optional: isOptional,
    hint: 'change-api',
    maxBytes: MAX_ANSWER_BYTES,
  });
  if (response.status !== 200 && response.status !== 201) throw refused(request, response);
  return parseJson(schema, response.text.replace(GERRIT_PREFIX, ''), (problem) => {
    const said = response.elsewhere === undefined ? problem : `${response.elsewhere} sent something else`;
    return new ServiceError('bad-answer', `${describe(request)}: ${said}; this is not a ${api} API`);
  });
}

function refused(request: HttpRequest, { status, headers, text, elsewhere }: TextResponse): ServiceError {
  const said = elsewhere === undefined ? readSaid({ headers, body: text }).text : '';
  const line = `${describe(request)} answered ${status}${said === '' ? '' : `: ${said}`}`;
  return new ServiceError(kindOfStatus(status), line, {
    hint: [401, 403, 404].includes(status) ? 'git-token' : undefined,
  });
}
