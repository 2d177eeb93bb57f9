import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';

/** Answers a request for one of the Git repositories below a folder, as a forge does: by git's own program for it. */
export function serveGit(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  request.pipe(backend.stdin);
  const chunks: Buffer[] = [];
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  backend.on('close', () => {
    const answer = Buffer.concat(chunks);
    const end = answer.indexOf('\r\n\r\n');
    const headers = answer
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': '));
    const { Status: status = '200', ...rest } = Object.fromEntries(headers);
    response.writeHead(Number.parseInt(status, 10), rest).end(answer.subarray(end + 4));
  });
}

/** Serves on a port of its own; stop it with `stop`. */
export async function startServer(answer: RequestListener): Promise<{ url: string; stop: () => void }> {
  const server = createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, stop: () => server.close() };
}

/** Makes a folder, with all that is in it, a Git repository with one commit, and returns that. */
export async function makeRepository(folder: string): Promise<string> {
  const who = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.org'];
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', folder, ...who, ...args]);
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('add', '--force', '.');
  await git('commit', '--quiet', '--message', 'Start');
  return (await git('rev-parse', 'HEAD')).stdout.trim();
}
