import { connect as connectTcp, type Socket } from 'node:net';
import type { Client, ConnectConfig } from 'ssh2';
import { errorLine, oneLine, ServiceError } from '../../base/errors.js';
import { networkErrorLine } from '../../base/network-errors.js';
import { hostKeyProblem, type KnownHost, keyType } from '../ssh/host-keys.js';
import type { PrivateKey } from '../ssh/private-key.js';
import { formatServer, type ServerAddress } from './address.js';

/** The key or agent that logs in to the server. */
export type Identity = { readonly privateKey: PrivateKey } | { readonly agentSocket: string };

export interface SftpOptions {
  readonly server: ServerAddress;
  readonly knownHost: KnownHost;
  readonly identity: Identity;
  /** Milliseconds until the session must be open. */
  readonly connectMs: number;
  /** Milliseconds for each answer. */
  readonly answerMs: number;
}

export type Done<T> = (error: Error | null | undefined, value: T) => void;

/** An SSH connection on which every call ends: with its answer, at a limit, or because the connection broke. */
export interface Connection {
  readonly client: Client;
  call<T>(what: string, start: (done: Done<T>) => void): Promise<T>;
  /** Ends all current and future calls with this error. The first error wins. */
  breakOff(error: ServiceError): void;
  /** The error that ended the connection; undefined while it lives. */
  broken(): ServiceError | undefined;
}

/** Signature algorithms by the type of key that they go with; SHA-1 is left out. */
const HOST_KEY_ALGORITHMS = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
} as const;

/** SSH_DISCONNECT_… of RFC 4253, section 11.1. OpenSSH sends 2 to end a login with too many refused keys. */
const PROTOCOL_ERROR = 2;

/** In characters. The rest of a server's words is not shown. */
const MAX_WORDS = 200;

/**
 * Connects and logs in, once.
 *
 * @throws ServiceError: `unreachable` if another attempt may succeed, `unauthorized` if the key is refused.
 */
export async function logIn(client: Client, options: SftpOptions): Promise<Connection> {
  const { server, answerMs } = options;
  const where = formatServer(server);
  const host = hostOf(server);
  const waiting = new Set<(error: Error) => void>();
  let broken: ServiceError | undefined;
  let refusedKey: ServiceError | undefined;

  const breakOff = (error: ServiceError) => {
    broken ??= error;
    for (const reject of waiting) reject(broken);
    client.destroy();
  };

  const call = <T>(what: string, start: (done: Done<T>) => void, limitMs = answerMs): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (broken !== undefined) throw broken;
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        waiting.delete(fail);
        settle();
      };
      const fail = (error: Error) => finish(() => reject(error));
      const timer = setTimeout(() => {
        breakOff(new ServiceError('timeout', `${where}: ${what}: no answer within ${limitMs / 1000} s`, { host }));
      }, limitMs);
      waiting.add(fail);
      try {
        start((error, value) => (error ? fail(error) : finish(() => resolve(value))));
      } catch (error) {
        fail(new ServiceError('unreachable', `${where}: ${what}: ${errorLine(error)}`));
      }
    });

  const socket = connectTcp({ host: server.host, port: server.port, noDelay: true });
  const greeting = recordGreeting(socket);
  let banner = '';
  client.on('banner', (text) => {
    banner ||= text;
  });
  client.on('error', (error) =>
    breakOff(refusedKey ?? connectionError(error, options, greeting() || oneLine(banner, MAX_WORDS))),
  );
  client.on('close', () =>
    breakOff(
      new ServiceError('unreachable', `${where}: the server closed the connection${quoted(greeting())}`, { host }),
    ),
  );
  await call<void>(
    'log in',
    (done) => {
      client.once('ready', () => done(undefined, undefined));
      client.connect({ ...connectConfig(options, (problem) => (refusedKey = problem)), sock: socket });
    },
    options.connectMs,
  );
  return { client, call, breakOff, broken: () => broken };
}

/** Records the text before the server's identification, which may say why it hangs up (RFC 4253, section 4.2). */
function recordGreeting(socket: Socket): () => string {
  let text = '';
  const listen = (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (/^SSH-/m.test(text) || text.length > MAX_WORDS) socket.off('data', listen);
  };
  // Starts together with ssh2's own listener: an earlier one would take bytes away from ssh2.
  socket.once('newListener', function onListener(event) {
    if (event === 'data') socket.on('data', listen);
    else socket.once('newListener', onListener);
  });
  return () => oneLine(text.replace(/^SSH-[\s\S]*/m, ''), MAX_WORDS);
}

/** The server's words as a clause to add to a message; empty if there are none. */
export function quoted(words: string): string {
  return words === '' ? '' : `; it said: ${JSON.stringify(words)}`;
}

function connectConfig(options: SftpOptions, refuse: (problem: ServiceError) => void): ConnectConfig {
  const { server, knownHost, identity } = options;
  const knownTypes = knownHost.keys.map(keyType);
  // A server with several keys should offer the one that is known.
  const types = Object.entries(HOST_KEY_ALGORITHMS).sort(
    ([a], [b]) => Number(knownTypes.includes(b)) - Number(knownTypes.includes(a)),
  );
  const username = server.user;
  return {
    username,
    ...('privateKey' in identity
      ? { authHandler: identity.privateKey.offers.map((key) => ({ type: 'publickey' as const, username, key })) }
      : { agent: identity.agentSocket }),
    algorithms: { serverHostKey: types.flatMap(([, algorithms]) => [...algorithms]) },
    hostVerifier: (offered: Buffer) => {
      const problem = hostKeyProblem(knownHost, offered);
      if (problem !== undefined) refuse(problem);
      return problem === undefined;
    },
    readyTimeout: 0,
    keepaliveInterval: 10_000,
    keepaliveCountMax: 3,
  };
}

/** The host as an address names it. */
function hostOf({ host, port }: ServerAddress): string {
  return port === 22 ? host : `${host}:${port}`;
}

/** The error for a connection that ended. `level` is ssh2's name for the phase, `words` are the server's. */
function connectionError(
  error: Error & { level?: string; code?: unknown },
  { server, identity }: SftpOptions,
  words: string,
): ServiceError {
  const where = formatServer(server);
  const message = `${networkErrorLine(error)}${quoted(words)}`;
  if (error.level === 'client-authentication' || error.level === 'agent' || error.code === PROTOCOL_ERROR) {
    return 'privateKey' in identity
      ? new ServiceError(
          'unauthorized',
          `${where}: refuses the private key for user ${server.user} (${message}); ` +
            `that user's authorized_keys must have the line: ${identity.privateKey.publicLine}`,
          { hint: 'private-key' },
        )
      : agentError(error, `${where}: user ${server.user}`, identity.agentSocket, message);
  }
  if (error.level === 'client-timeout')
    return new ServiceError('timeout', `${where}: ${message}`, { host: hostOf(server) });
  if (error.level === 'handshake') return new ServiceError('unsupported', `${where}: ${message}`);
  const host = hostOf(server);
  // Another attempt would get the same answer.
  if (/^HTTP\//.test(words)) {
    return new ServiceError('unsupported', `${where}: a web server answers at this port, not an SSH server`, { host });
  }
  if (error.code === 'ENOTFOUND') return new ServiceError('not-found', `${where}: there is no such host`, { host });
  return new ServiceError('unreachable', `${where}: ${message}`, { host });
}

function agentError(error: { code?: unknown }, who: string, socket: string, message: string): ServiceError {
  const why =
    error.code === PROTOCOL_ERROR
      ? `the server ended the login before all keys of the agent at ${socket} were tried (${message}); ` +
        'load only the right key into it: ssh-add -D, then ssh-add <key>'
      : `no key of the agent at ${socket} is accepted (${message})`;
  return new ServiceError('unauthorized', `${who}: ${why}`, { hint: 'private-key' });
}
