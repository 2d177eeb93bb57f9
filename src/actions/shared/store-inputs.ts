import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { required, secret, textSchema } from '../../runner/inputs.js';
import { type ServerAddress, serverSchema } from '../../store/server-url.js';
import { openSftpStore } from '../../store/sftp/sftp-store.js';
import type { Store } from '../../store/store.js';

/** Of every action that writes to the image server. */
export const storeInputs = {
  server: required('The directory on the image server, as `sftp://user@host[:port]/absolute/directory`', serverSchema),
  'ssh-private-key': secret(
    'Private key of that user, of any type that OpenSSH writes; empty: the agent at SSH_AUTH_SOCK',
  ),
  'ssh-known-hosts': required(
    "The host's keys as lines of known_hosts (`[host]:port` off port 22); an unknown or other key is refused",
    textSchema,
  ),
};

interface ImageServerSettings {
  readonly server: ServerAddress;
  readonly 'ssh-private-key': string | undefined;
  readonly 'ssh-known-hosts': string;
}

/** Logs in to the image server, runs `work`, and logs out. */
export async function withStore<T>(
  inputs: ImageServerSettings,
  log: Log,
  work: (server: Store) => Promise<T>,
): Promise<T> {
  const server = await openSftpStore({
    server: inputs.server,
    knownHosts: inputs['ssh-known-hosts'],
    privateKey: inputs['ssh-private-key'],
    agentSocket: process.env.SSH_AUTH_SOCK,
    clock: systemClock,
    log,
  });
  try {
    return await work(server);
  } finally {
    server.close();
  }
}
