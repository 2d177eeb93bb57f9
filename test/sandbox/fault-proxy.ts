import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stoppable } from './process.js';
import { resetConnection } from './tcp-proxy.js';

/** What goes wrong with one request. Byte counts are of bodies, not of heads. */
export type Fault =
  /** This is answered; the server behind is not asked. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The connection is reset; the server behind is not asked. */
  | { readonly kind: 'reset' }
  /** The connection is reset when so much of the request's body has passed. */
  | { readonly kind: 'cut-request'; readonly after: number }
  /** The server behind acts on it, and its answer is lost: the connection is reset. */
  | { readonly kind: 'lose-answer' }
  /** The connection is reset when so much of the answer's body has passed. */
  | { readonly kind: 'cut-answer'; readonly after: number }
  /** The connection ends in good order, with less body than the answer's head says. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** One bit of the answer's body is another. */
  | { readonly kind: 'flip'; readonly at: number }
  /** The answer's body comes a byte at a time. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  | { readonly kind: 'delay'; readonly ms: number };

export interface Rule {
  readonly method?: string;
  /** Is looked for in the path with its query. */
  readonly path?: RegExp;
  readonly fault: Fault;
  /** How many requests it hits; without it, all. */
  readonly times?: number;
  /** How many it lets pass before. */
  readonly skip?: number;
  /** Between 0 and 1, by a generator with a fixed seed. */
  readonly probability?: number;
}

export interface LoggedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** As the client was answered; undefined while it was not. */
  status?: number;
}

export interface FaultProxy extends Stoppable {
  readonly url: string;
  readonly host: string;
  /** The first rule that fits decides; add and remove as the test goes on. */
  readonly rules: Rule[];
  /** Every request since the start, in order. */
  readonly requests: LoggedRequest[];
}

export interface FaultProxyOptions {
  /** `http://127.0.0.1:port` */
  readonly upstream: string;
  readonly rules?: readonly Rule[];
  /** Is added to every request, as a distant server would. */
  readonly delayMs?: number;
  /** Seed of the probabilities. */
  readonly seed?: number;
  /** Rewrites the path and query that the server behind gets, to imitate another configuration. */
  readonly path?: (path: string) => string;
  /** Is called at the n-th request (from 1) before anything is done with it, for instance to kill whoever asks. */
  readonly onRequest?: (n: number, request: LoggedRequest) => void | Promise<void>;
}

/** A reverse proxy on loopback, in this process, that passes everything on but for the faults that rules ask for. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const rules = [...(options.rules ?? [])];
  const requests: LoggedRequest[] = [];
  const random = generator(options.seed ?? 1);
  const met = new Map<Rule, number>();

  function choose({ method, path }: LoggedRequest): Fault | undefined {
    for (const rule of rules) {
      if (rule.method !== undefined && rule.method !== method) continue;
      if (rule.path !== undefined && !rule.path.test(path)) continue;
      if (rule.probability !== undefined && random() >= rule.probability) continue;
      const { skip = 0, times = Number.POSITIVE_INFINITY } = rule;
      const before = met.get(rule) ?? 0;
      met.set(rule, before + 1);
      if (before >= skip && before < skip + times) return rule.fault;
    }
    return undefined;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const logged: LoggedRequest = { method: request.method ?? '', path: request.url ?? '' };
    const n = requests.push(logged);
    response.on('finish', () => {
      logged.status = response.statusCode;
    });
    const fault = choose(logged);
    await options.onRequest?.(n, logged);
    const delay = (options.delayMs ?? 0) + (fault?.kind === 'delay' ? fault.ms : 0);
    if (delay > 0) await sleep(delay, undefined, { ref: false });
    if (fault?.kind === 'reset') return reset(response);
    if (fault?.kind === 'answer') {
      request.resume();
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const path = options.path?.(logged.path) ?? logged.path;
    const answer = await passOn(request, new URL(path, options.upstream), fault);
    if (fault?.kind === 'lose-answer') {
      for await (const _ of answer);
      return reset(response);
    }
    response.writeHead(answer.statusCode ?? 0, endToEnd(answer.rawHeaders));
    await passBack(answer, response, fault);
  }

  const server = createServer((request, response) => {
    // A server behind that is gone, or dies while it answers, looks the same from in front.
    serve(request, response).catch(() => reset(response));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the fault proxy has no port');
  const host = `127.0.0.1:${address.port}`;
  return {
    url: `http://${host}`,
    host,
    rules,
    requests,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Sends the request to the server behind, on a connection of its own; resolves to the head of its answer. */
async function passOn(request: IncomingMessage, url: URL, fault: Fault | undefined): Promise<IncomingMessage> {
  const onward = httpRequest(url, { method: request.method, headers: endToEnd(request.rawHeaders), agent: false });
  const answered = once(onward, 'response');
  // An error before the answer rejects `answered`; a later one ends the answer's body.
  onward.on('error', () => {});
  sendBody(request, onward, fault).catch((error) => onward.destroy(error));
  const [answer] = await answered;
  return answer;
}

async function sendBody(
  request: IncomingMessage,
  onward: ReturnType<typeof httpRequest>,
  fault: Fault | undefined,
): Promise<void> {
  let left = fault?.kind === 'cut-request' ? fault.after : Number.POSITIVE_INFINITY;
  for await (const chunk of request) {
    if (chunk.length > left) {
      await written(onward, chunk.subarray(0, left));
      throw new Error('cut');
    }
    left -= chunk.length;
    await written(onward, chunk);
  }
  onward.end();
}

async function passBack(answer: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
  let position = 0;
  for await (const piece of answer) {
    const chunk: Buffer = piece;
    const end = position + chunk.length;
    if ((fault?.kind === 'cut-answer' || fault?.kind === 'truncate') && end > fault.after) {
      await written(response, chunk.subarray(0, fault.after - position));
      if (fault.kind === 'cut-answer') reset(response);
      else response.socket?.end();
      return;
    }
    if (fault?.kind === 'flip' && position <= fault.at && fault.at < end) {
      chunk.writeUInt8(chunk.readUInt8(fault.at - position) ^ 1, fault.at - position);
    }
    if (fault?.kind === 'drip') {
      for (const byte of chunk) {
        await written(response, Buffer.of(byte));
        await sleep(fault.everyMs, undefined, { ref: false });
      }
    } else {
      await written(response, chunk);
    }
    position = end;
  }
  response.end();
}

function written(stream: NodeJS.WritableStream, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}

function reset(response: ServerResponse): void {
  if (response.socket !== null) resetConnection(response.socket);
}

/** Raw headers without those that speak of one connection only. */
function endToEnd(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const [name = '', value = ''] = rawHeaders.slice(n, n + 2);
    if (!/^(connection|keep-alive)$/i.test(name)) kept.push(name, value);
  }
  return kept;
}

/** mulberry32: numbers from 0 to below 1 that follow from a seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
