import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Stoppable } from '../sandbox/process.js';

/** A TCP proxy that asks a function before it passes on each piece that a client sent. So a test sees each step. */
export interface StepProxy extends Stoppable {
  readonly port: number;
  /**
   * Returns a function that waits until the server has closed all connections opened since. The server has then done all
   * that it was sent.
   */
  watch(): () => Promise<void>;
}

/**
 * How long to wait for an answer after the client has gone. On a busy machine the server answers late. To a request that
 * was cut off it never answers.
 */
const LAST_ANSWER_MS = 2000;

/** Calls `onStep` with each piece that a client sends. The piece is passed on if that returns true. */
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
