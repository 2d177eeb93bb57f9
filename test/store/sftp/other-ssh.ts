import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';

export interface OtherSsh {
  readonly port: number;
  /** As a line of known_hosts. */
  readonly knownHosts: string;
  stop(): Promise<void>;
}

/** SSH_FXP_READ of draft-ietf-secsh-filexfer-02, section 3. */
const READ = 5;

/**
 * An SSH server that is not called OpenSSH, and hands SFTP to OpenSSH's sftp-server. It lets everybody in. With
 * `mostRead` it returns at most that many bytes at once.
 */
export async function startOtherSsh({ mostRead }: { readonly mostRead?: number } = {}): Promise<OtherSsh> {
  const { private: hostKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519');
  const server = new ssh2.Server({ hostKeys: [hostKey], ident: 'other' }, (client) => {
    client.on('error', () => undefined);
    // Its types lack it.
    Reflect.apply(Reflect.get(client, 'setNoDelay'), client, [true]);
    client.on('authentication', (context) => context.accept());
    client.on('ready', () =>
      client.on('session', (accept) =>
        accept().on('subsystem', (acceptSubsystem: () => Duplex) => {
          const channel = acceptSubsystem();
          const sftp = spawn('/usr/lib/openssh/sftp-server', { stdio: ['pipe', 'pipe', 'ignore'] });
          sftp.stdout.pipe(channel);
          let waiting = Buffer.alloc(0);
          channel.on('data', (piece: Buffer) => {
            waiting = Buffer.concat([waiting, piece]);
            while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
              const end = 4 + waiting.readUInt32BE(0);
              const request = waiting.subarray(0, end);
              waiting = waiting.subarray(end);
              // The length is the last field of a request to read.
              if (request[4] === READ && mostRead !== undefined) request.writeUInt32BE(mostRead, end - 4);
              sftp.stdin.write(request);
            }
          });
          channel.on('close', () => sftp.kill());
        }),
      ),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  return {
    port,
    knownHosts: `[127.0.0.1]:${port} ${publicKey}`,
    async stop() {
      server.close();
      await once(server, 'close');
    },
  };
}
