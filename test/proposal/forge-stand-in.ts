import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import path from 'node:path';
import * as v from 'valibot';
import { projectRoot } from '../sandbox/project.js';

const operationSchema = v.object({
  required: v.optional(v.array(v.string()), []),
  fields: v.array(v.string()),
  status: v.number(),
});
const apiSchema = v.object({
  headers: v.record(v.string(), v.string()),
  authorization: v.string(),
  list: v.object({ query: v.record(v.string(), v.nullable(v.array(v.string()))) }),
  create: operationSchema,
  update: operationSchema,
});
const APIS = v.parse(
  v.object({ github: apiSchema, gitea: apiSchema }),
  JSON.parse(readFileSync(path.join(projectRoot, 'test/data/forge-apis.json'), 'utf8')),
);

export interface Pull {
  readonly number: number;
  title: string;
  body: string;
  state: 'open' | 'closed';
  merged: boolean;
  readonly head: string;
  readonly base: string;
}

/**
 * A forge's pull requests, in memory. It stands in for the real ones, which the tests do not reach.
 *
 * Checked, against test/data/forge-apis.json, our own excerpt of the published API descriptions, written by hand: for
 * the three operations, which query parameters and fields there are, which fields are required, the values that
 * `state`, `sort` and `direction` may have, two headers, the form of the token, and the status of success.
 *
 * Not checked, but as we understand the forges: types and lengths of fields, how a list is ordered, filtered and paged,
 * what an answer holds (only what we read), that a second open change of a branch is refused and how, rights, rate
 * limits and redirects. An error in the excerpt would not be noticed here either.
 */
export interface ForgeStandIn {
  readonly url: string;
  readonly token: string;
  readonly pulls: Pull[];
  /** What the description forbids. */
  readonly violations: string[];
  /** `GET`, `POST` or `PATCH`, in order. */
  readonly requests: string[];
  /** Breaks the connection where it returns true: asked before a request is carried out, and before it is answered. */
  fault: (when: 'before' | 'after', method: string) => boolean;
  stop(): Promise<void>;
}

export async function startForge(provider: 'github' | 'gitea', repository: string): Promise<ForgeStandIn> {
  const api = APIS[provider];
  const prefix = provider === 'github' ? '' : '/api/v1';
  const http = createServer(async (request, response) => {
    const method = request.method ?? '';
    const answer = (status: number, body: unknown) => {
      if (forge.fault('after', method)) return request.socket.destroy();
      return response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const url = new URL(request.url ?? '', 'http://forge');
    const [, number] = new RegExp(`^${prefix}/repos/${repository}/pulls(?:/(\\d+))?$`).exec(url.pathname) ?? [];
    const text = await read(request);
    forge.requests.push(method);
    if (forge.fault('before', method)) return request.socket.destroy();
    if (request.headers.authorization !== `${api.authorization}${forge.token}`)
      return answer(401, { message: 'Bad credentials' });
    for (const [name, value] of Object.entries(api.headers)) {
      if (request.headers[name] !== value) forge.violations.push(`header ${name}: ${request.headers[name]}`);
    }
    if (method === 'GET') {
      checkQuery(url.searchParams);
      const size = Number(url.searchParams.get('per_page') ?? url.searchParams.get('limit') ?? 30);
      const page = Number(url.searchParams.get('page') ?? 1);
      const wanted = url.searchParams.get('head')?.split(':')[1];
      const found = forge.pulls.filter(({ head }) => wanted === undefined || head === wanted).reverse();
      return answer(200, found.slice((page - 1) * size, page * size).map(shown));
    }
    const operation = method === 'POST' ? api.create : api.update;
    const body = v.parse(v.record(v.string(), v.string()), JSON.parse(text));
    checkBody(operation, body);
    let pull = forge.pulls.find((one) => one.number === Number(number));
    if (method === 'POST') {
      if (forge.pulls.some(({ head, state }) => head === body.head && state === 'open')) {
        return answer(provider === 'github' ? 422 : 409, { message: 'A pull request already exists' });
      }
      pull = {
        number: forge.pulls.length + 1,
        title: '',
        body: '',
        state: 'open',
        merged: false,
        head: body.head ?? '',
        base: body.base ?? '',
      };
      forge.pulls.push(pull);
    }
    if (pull === undefined) return answer(404, { message: 'Not Found' });
    Object.assign(
      pull,
      Object.fromEntries(Object.entries(body).filter(([name]) => ['title', 'body', 'state'].includes(name))),
    );
    return answer(operation.status, shown(pull));
  });
  http.listen(0, '127.0.0.1').unref();
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no port');
  const forge: ForgeStandIn = {
    url: `http://127.0.0.1:${address.port}${prefix}`,
    token: 'forge-token-0123456789',
    pulls: [],
    violations: [],
    requests: [],
    fault: () => false,
    stop: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
  return forge;

  function checkQuery(query: URLSearchParams): void {
    for (const [name, value] of query) {
      const allowed = api.list.query[name];
      if (allowed === undefined || (allowed !== null && !allowed.includes(value))) {
        forge.violations.push(`query ${name}=${value}`);
      }
    }
  }

  function checkBody({ fields, required }: v.InferOutput<typeof operationSchema>, body: Record<string, string>): void {
    const unknown = Object.keys(body).filter((name) => !fields.includes(name));
    const missing = required.filter((name) => !(name in body));
    for (const name of [...unknown, ...missing]) forge.violations.push(`field ${name}`);
  }

  function shown({ number, title, body, state, merged, head, base }: Pull) {
    const when = merged ? '2026-11-24T02:00:00Z' : null;
    return {
      number,
      title,
      body,
      state,
      html_url: `https://forge.example/${repository}/pulls/${number}`,
      merged_at: when,
      ...(provider === 'gitea' && { merged }),
      head: { ref: head, repo: { full_name: repository } },
      base: { ref: base },
    };
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}
