import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answered {
  /** 200 if absent. */
  readonly status?: number;
  /** `application/json` if absent. */
  readonly type?: string;
  readonly body: string;
}

const servers: Server[] = [];

/** A server on loopback with given answers, for servers that cannot run here. */
export async function startStandIn(answer: (asked: Asked) => Answered): Promise<{ url: URL; asked: Asked[] }> {
  const all: Asked[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://stand-in.example');
    const asked = { method: request.method ?? '', url, headers: request.headers, body: await text(request) };
    all.push(asked);
    const { status = 200, type = 'application/json', body } = answer(asked);
    response.writeHead(status, { 'content-type': type }).end(body);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: new URL(`http://127.0.0.1:${address.port}`), asked: all };
}

export function stopStandIns(): void {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
}
