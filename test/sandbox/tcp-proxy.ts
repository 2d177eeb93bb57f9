import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Stoppable } from './process.js';

/** When a connection breaks, counted in bytes of this direction since it was opened. */
export interface Break {
  readonly direction: 'to-server' | 'to-client';
  readonly afterBytes: number;
  /** The connection is reset, or stays open and passes nothing more in either direction. */
  readonly how: 'reset' | 'stall';
}

export interface TcpProxy extends Stoppable {
  readonly port: number;
  /** Holds for connections that open from now on. */
  break: Break | undefined;
  /** Bytes that passed, by connection, in the order in which they were opened. */
  readonly connections: { 'to-server': number; 'to-client': number }[];
  /** Resets every connection that is open. */
  cut(): void;
}

/** Forwards a loopback port to `toPort`, for faults of protocols that are not HTTP. */
export async function startTcpProxy(toPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const connections: TcpProxy['connections'] = [];
  const cut = () => {
    for (const socket of sockets) resetConnection(socket);
  };

  const server = createServer((client) => {
    const upstream = connect(toPort, '127.0.0.1');
    const passed = { 'to-server': 0, 'to-client': 0 };
    connections.push(passed);
    const planned = proxy.break;
    let stalled = false;
    const forward = (from: Socket, to: Socket, direction: Break['direction']) => {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (stalled) return;
        const limit = planned?.direction === direction ? planned.afterBytes - passed[direction] : chunk.length;
        const part = chunk.subarray(0, limit);
        passed[direction] += part.length;
        stalled = part.length < chunk.length;
        from.pause();
        to.write(part, () => {
          from.resume();
          if (!stalled || planned?.how !== 'reset') return;
          resetConnection(client);
          resetConnection(upstream);
        });
      });
      from.on('end', () => stalled || to.end());
      from.on('error', () => resetConnection(to));
      from.on('close', () => {
        sockets.delete(from);
        if (!stalled) to.destroy();
      });
    };
    forward(client, upstream, 'to-server');
    forward(upstream, client, 'to-client');
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the TCP proxy has no port');

  const proxy: TcpProxy = {
    port: address.port,
    break: undefined,
    connections,
    cut,
    stop: async () => {
      server.close();
      cut();
    },
  };
  return proxy;
}

/** Ends a connection with a TCP reset. After its own end a socket cannot: Node 20 would then spin when it exits. */
export function resetConnection(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
