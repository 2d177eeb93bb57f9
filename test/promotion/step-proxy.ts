import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Stoppable } from '../sandbox/process.js';

/** A TCP proxy that asks before it passes on what a client sent: who asks one thing after the other is seen step by step. */
export interface StepProxy extends Stoppable {
  readonly port: number;
  /**
   * What it returns resolves when all connections that were opened since are closed by the server behind, which then has
   * acted on all that it was sent.
   */
  watch(): () => Promise<void>;
}

/** How long a server may take to answer somebody who is gone. On a busy machine it acts late, and a request that was cut gets no answer. */
const LAST_ANSWER_MS = 2000;

/** `onStep` is called with each piece that a client sends, and says whether it is passed on. */
export async function startStepProxy(toPort: number, onStep: (piece: Buffer) => Promise<boolean>): Promise<StepProxy> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(toPort, '127.0.0.1');
    open.add(upstream);
    let answered = true;
    let passing = Promise.resolve();
    let gone = false;
    for (const socket of [client, upstream]) socket.setNoDelay(true).on('error', () => {});
    client.on('data', (chunk: Buffer) => {
      passing = passing.then(async () => {
        if (!(await onStep(chunk))) return;
        answered = false;
        if (!upstream.destroyed) upstream.write(chunk);
      });
    });
    upstream.on('data', (chunk) => {
      answered = true;
      if (gone) upstream.end();
      else client.write(chunk);
    });
    client.on('close', async () => {
      await passing;
      gone = true;
      if (answered) upstream.end();
      else setTimeout(() => upstream.destroy(), LAST_ANSWER_MS);
    });
    upstream.on('end', () => client.end());
    upstream.on('close', () => {
      open.delete(upstream);
      client.destroy();
    });
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the step proxy has no port');
  return {
    port: address.port,
    watch: () => {
      const before = new Set(open);
      return async () => {
        await Promise.all([...open].filter((socket) => !before.has(socket)).map((socket) => once(socket, 'close')));
      };
    },
    stop: async () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
