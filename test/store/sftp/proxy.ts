import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy before sshd that can stop carrying. Requests go one by one, so that each is one chunk. */
export interface FaultyProxy {
  readonly port: number;
  /** Cuts both sides after the n-th chunk from now on has arrived, before its answer comes. */
  cutAfter(n: number): void;
  /** Stops passing anything on, without an error. */
  stall(): void;
  close(): void;
}

export async function startProxy(target: number): Promise<FaultyProxy> {
  let sent = 0;
  let cutAt = Number.POSITIVE_INFINITY;
  let stalled = false;
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const pair = [client, upstream];
    const cut = () => {
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', cut).on('close', cut);
    }
    client.on('data', (chunk) => {
      sent += 1;
      if (!stalled) upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (stalled) return;
      if (sent >= cutAt) cut();
      else client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    cutAfter: (n) => {
      sent = 0;
      cutAt = n;
    },
    stall: () => {
      stalled = true;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
