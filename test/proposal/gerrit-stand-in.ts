import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import * as v from 'valibot';
import { projectRoot } from '../sandbox/project.js';

/**
 * Gerrit's side of a push to refs/for/<branch> (its documentation, "Uploading Changes"), as a proc-receive hook
 * (githooks(5)): one change for each Change-Id, a patch set for each commit, and its words where it refuses. As Gerrit
 * does, it looks for the commit in the whole project first, whatever became of its change.
 */
const HOOK = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readSync, writeSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
const bytes = (size) => { const buffer = Buffer.alloc(size); let at = 0; while (at < size) at += readSync(0, buffer, at, size - at); return buffer; };
const read = () => { const size = parseInt(bytes(4).toString(), 16); return size === 0 ? undefined : bytes(size - 4).toString().replace(/\\n$/, ''); };
const lines = () => { const all = []; for (let line = read(); line !== undefined; line = read()) all.push(line); return all; };
const say = (line) => writeSync(1, line === undefined ? '0000' : (line.length + 5).toString(16).padStart(4, '0') + line + '\\n');
const [, capabilities = ''] = lines()[0].split('\\0');
say('version=1\\0'); say();
const commands = lines();
if (capabilities.includes('push-options')) lines();
const file = 'changes.json';
const changes = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
for (const command of commands) {
  const [, commit, ref] = command.split(' ');
  const topic = /%topic=([^,]+)/.exec(ref)?.[1];
  const message = execFileSync('git', ['log', '-1', '--format=%B', commit], { encoding: 'utf8' });
  const id = /^Change-Id: (I[0-9a-f]{40})$/m.exec(message)?.[1];
  const known = Object.values(changes).some(({ patchSets }) => patchSets.includes(commit));
  if (id === undefined) say('ng ' + ref + ' missing Change-Id in message footer');
  else if (known) say('ng ' + ref + ' no new changes');
  else if (changes[id] !== undefined && changes[id].status !== 'NEW') say('ng ' + ref + ' change https://gerrit.example/c/ceph/+/' + changes[id].number + ' closed');
  else {
    const change = changes[id] ??= { number: Object.keys(changes).length + 1, patchSets: [], status: 'NEW', messages: [] };
    Object.assign(change, { topic });
    change.patchSets.push(commit);
    execFileSync('git', ['update-ref', 'refs/changes/' + String(change.number % 100).padStart(2, '0') + '/' + change.number + '/' + change.patchSets.length, commit]);
    process.stderr.write('\\n  https://gerrit.example/c/ceph/+/' + change.number + ' Update [NEW]\\n');
    say('ok ' + ref);
  }
}
say();
writeFileSync(file, JSON.stringify(changes));
`;

const apiSchema = v.object({
  list: v.object({ query: v.record(v.string(), v.nullable(v.array(v.string()))), operators: v.array(v.string()) }),
  abandon: v.object({ fields: v.array(v.string()) }),
});
const { gerrit: API } = v.parse(
  v.object({ gerrit: apiSchema }),
  JSON.parse(readFileSync(path.join(projectRoot, 'test/data/forge-apis.json'), 'utf8')),
);

export interface GerritChange {
  readonly number: number;
  readonly patchSets: string[];
  status: 'NEW' | 'MERGED' | 'ABANDONED';
  topic: string | undefined;
  messages: { message: string }[];
}

/**
 * Gerrit: the hook for what is pushed, and its REST API over the same changes. Parameters, operators and fields of
 * requests are checked against test/data/forge-apis.json. Not checked, but as in its documentation: what an answer
 * holds (only what we read), and that an abandoned change keeps the message. Rights and the search index are not there.
 */
export interface GerritStandIn {
  readonly url: string;
  readonly login: { readonly user: string; readonly password: string };
  /** May anybody look? */
  isPublic: boolean;
  readonly violations: string[];
  /** `GET` and `POST`, in order. */
  readonly requests: string[];
  /** Breaks the connection where it returns true: asked before a request is carried out, and before it is answered. */
  fault: (when: 'before' | 'after', method: string) => boolean;
  /** By their Change-Ids. */
  changes(): Record<string, GerritChange>;
  /** Changes a change as a person does in the browser. */
  set(number: number, to: Partial<GerritChange>): void;
  stop(): Promise<void>;
}

/** Makes Gerrit of a bare repository. Over HTTP and SSH its project has these names. */
export async function startGerrit(repository: string, names: readonly string[]): Promise<GerritStandIn> {
  const git = (...args: string[]) => execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8' });
  git('config', 'receive.procReceiveRefs', 'refs/for');
  writeFileSync(path.join(repository, 'hooks/proc-receive'), HOOK);
  chmodSync(path.join(repository, 'hooks/proc-receive'), 0o755);
  const file = path.join(repository, 'changes.json');
  const login = { user: 'promoter', password: 'http-password-0123456789' };
  const basic = () => `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;

  const http = createServer(async (request, response) => {
    const { method = '', headers } = request;
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(Buffer.from(piece));
    gerrit.requests.push(method);
    if (gerrit.fault('before', method)) return request.socket.destroy();
    const answer = (status: number, body: unknown) => {
      if (gerrit.fault('after', method)) return request.socket.destroy();
      const text = typeof body === 'string' ? body : `)]}'\n${JSON.stringify(body)}`;
      return response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    };
    const url = new URL(request.url ?? '', 'http://gerrit');
    const isLoggedIn = url.pathname.startsWith('/a/');
    if (isLoggedIn ? headers.authorization !== basic() : !gerrit.isPublic) return answer(401, 'Unauthorized');
    const [, id = ''] = /^(?:\/a)?\/changes\/(?:([^/]+)\/abandon)?$/.exec(url.pathname) ?? [];
    const all = gerrit.changes();
    if (method === 'GET') {
      const { project = '', branch, topic, change } = checkQuery(url.searchParams);
      if (!names.includes(project) || branch !== 'main') return answer(200, []);
      const wanted = Object.entries(all).filter(([id, one]) => one.topic === topic || id === change);
      return answer(
        200,
        wanted.map(([id, one]) => shown(project, id, one)),
      );
    }
    const body = v.parse(v.record(v.string(), v.string()), JSON.parse(Buffer.concat(pieces).toString()));
    for (const field of Object.keys(body)) if (!API.abandon.fields.includes(field)) gerrit.violations.push(field);
    const [project = '', branch, changeId = ''] = id.split('~').map(decodeURIComponent);
    const change = all[changeId];
    if (!isLoggedIn || !names.includes(project) || branch !== 'main' || change === undefined)
      return answer(404, 'Not found');
    if (change.status !== 'NEW') return answer(409, 'change is closed');
    gerrit.set(change.number, { status: 'ABANDONED', messages: [{ message: `Abandoned\n\n${body.message}` }] });
    return answer(200, shown(project, changeId, { ...change, status: 'ABANDONED' }));
  });
  http.listen(0, '127.0.0.1').unref();
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no port');
  const gerrit: GerritStandIn = {
    url: `http://127.0.0.1:${address.port}`,
    login,
    isPublic: true,
    violations: [],
    requests: [],
    fault: () => false,
    changes: () => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}),
    set(number, to) {
      const all = gerrit.changes();
      for (const change of Object.values(all)) if (change.number === number) Object.assign(change, to);
      writeFileSync(file, JSON.stringify(all));
    },
    stop: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
  return gerrit;

  function checkQuery(query: URLSearchParams): Record<string, string> {
    for (const [key, value] of query) {
      const allowed = API.list.query[key];
      if (allowed === undefined || (allowed !== null && !allowed.includes(value))) {
        gerrit.violations.push(`query ${key}=${value}`);
      }
    }
    const terms = [...(query.get('q') ?? '').matchAll(/(\w+):(?:"([^"]*)"|(\w+))/g)];
    for (const [, operator = ''] of terms) if (!API.list.operators.includes(operator)) gerrit.violations.push(operator);
    return Object.fromEntries(terms.map(([, operator, quoted, plain]) => [operator, quoted ?? plain ?? '']));
  }

  function shown(project: string, changeId: string, { number, patchSets, status, topic, messages }: GerritChange) {
    const refs = git('for-each-ref', '--format=%(objectname) %(refname)', `refs/changes/*/${number}/*`)
      .trim()
      .split('\n');
    const newest = refs
      .map((line) => line.split(' '))
      .sort(([, a = ''], [, b = '']) => patchSetOf(b) - patchSetOf(a))[0];
    const [commit = patchSets.at(-1) ?? '', ref = ''] = newest ?? [];
    const [committer = '', email = ''] = git('log', '-1', '--format=%cn%n%ce', commit).trim().split('\n');
    return {
      id: `${project}~main~${changeId}`,
      project,
      branch: 'main',
      topic,
      change_id: changeId,
      status,
      _number: number,
      current_revision: commit,
      revisions: {
        [commit]: {
          ref,
          _number: patchSetOf(ref),
          commit: { message: git('log', '-1', '--format=%B', commit), committer: { name: committer, email } },
        },
      },
      messages,
    };
  }
}

function patchSetOf(ref: string): number {
  return Number(ref.split('/').at(-1));
}
