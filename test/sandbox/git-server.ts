import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Stoppable } from './process.js';

export interface GitRequest {
  /** What git asks for: `refs` (a look), `fetch`, `push-refs` or `push`. */
  readonly kind: 'refs' | 'fetch' | 'push-refs' | 'push';
  /** In the answer. */
  bytes: number;
}

export interface GitServer extends Stoppable {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** Where the bare repositories are, each at `<owner>/<name>`. */
  readonly root: string;
  /** May read and write. */
  readonly token: string;
  /** May only read. */
  readonly readingToken: string;
  readonly requests: GitRequest[];
  /** Answers a request in place of git where it returns true. Git waits for it. */
  fault: (kind: GitRequest['kind'], request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
  /** Is told of each request that git has carried out, before the answer is sent. */
  carriedOut: (kind: GitRequest['kind']) => void;
  /** Breaks the connection of the next push once git has carried it out. */
  loseNextAnswer: boolean;
}

/**
 * A forge's git side, in this process: `git http-backend` as a CGI program behind HTTP, with a token as GitHub and
 * Gitea take it (basic authentication, any user name). Without a token only what `isPublic` is read.
 */
export async function startGitServer(root: string, isPublic = (_path: string) => false): Promise<GitServer> {
  const token = randomBytes(20).toString('hex');
  const readingToken = randomBytes(20).toString('hex');
  const http = createServer(async (request, response) => {
    const kind = kindOf(request);
    const seen: GitRequest = { kind, bytes: 0 };
    const given = Buffer.from(request.headers.authorization?.replace(/^Basic /, '') ?? '', 'base64')
      .toString()
      .replace(/^[^:]*:/, '');
    const isAnswered = server.fault(kind, request, response);
    // Waits only where it must: a fault may have begun to listen to the request, and would get its first piece alone.
    if (typeof isAnswered === 'boolean' ? isAnswered : await isAnswered) return;
    const isReading = kind === 'refs' || kind === 'fetch';
    if (given !== token && given !== readingToken && !(isReading && isPublic(request.url ?? ''))) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="forge"' }).end('log in');
      return;
    }
    server.requests.push(seen);
    if (given !== token && kind.startsWith('push')) {
      response.writeHead(403).end('this token may not write');
      return;
    }
    const losesAnswer = kind === 'push' && server.loseNextAnswer;
    if (losesAnswer) server.loseNextAnswer = false;
    serve(root, request, response, seen, () => {
      server.carriedOut(kind);
      return losesAnswer;
    });
  });
  http.listen(0, '127.0.0.1').unref();
  await once(http, 'listening');
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('the git server has no port');
  const server: GitServer = {
    url: `http://127.0.0.1:${address.port}`,
    root,
    token,
    readingToken,
    requests: [],
    fault: () => false,
    carriedOut: () => undefined,
    loseNextAnswer: false,
    stop: async () => {
      http.close();
      http.closeAllConnections();
    },
  };
  return server;
}

function kindOf({ url = '' }: IncomingMessage): GitRequest['kind'] {
  if (url.includes('service=git-receive-pack')) return 'push-refs';
  if (url.endsWith('/git-receive-pack')) return 'push';
  return url.endsWith('/git-upload-pack') ? 'fetch' : 'refs';
}

function serve(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  seen: GitRequest,
  losesAnswer: () => boolean,
): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'somebody',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(backend.stdin);
  backend.stdin.on('error', () => undefined);
  const pieces: Buffer[] = [];
  backend.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  backend.on('close', () => {
    if (losesAnswer()) return response.destroy();
    const answer = Buffer.concat(pieces);
    const end = answer.indexOf('\r\n\r\n');
    const lines = answer.subarray(0, end).toString().split('\r\n');
    const { Status: status = '200', ...headers } = Object.fromEntries(lines.map((line) => line.split(': ')));
    seen.bytes = answer.length - end - 4;
    return response.writeHead(Number.parseInt(status, 10), headers).end(answer.subarray(end + 4));
  });
}

/** Makes a bare repository with one commit on `main`, as a forge has them: partial clones are allowed. */
export async function makeBareRepository(root: string, name: string): Promise<string> {
  const path = join(root, name);
  const git = (...args: string[]) => promisify(execFile)('git', args);
  await git('init', '--quiet', '--bare', '--initial-branch', 'main', path);
  for (const setting of ['uploadpack.allowFilter', 'uploadpack.allowAnySHA1InWant']) {
    await git('-C', path, 'config', setting, 'true');
  }
  const commit = 'commit refs/heads/main\ncommitter somebody <somebody@example.org> 1 +0000\ndata 5\nStart\n';
  execFileSync('git', ['-C', path, 'fast-import', '--quiet'], {
    input: `${commit}M 100644 inline README.md\ndata 2\nx\n\n`,
  });
  return path;
}
