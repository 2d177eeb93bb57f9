import { tmpdir } from 'node:os';
import * as v from 'valibot';
import { systemClock } from '../../base/clock.js';
import { errorLine, UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Http } from '../../http/policy.js';
import {
  type Input,
  optional,
  type ParsedInputs,
  required,
  secret,
  textSchema,
  urlSchema,
} from '../../runner/inputs.js';
import { isInGit, type StoreAddress, storeSchema } from '../../store/address.js';
import { formatGitAddress, type GitAddress, isLoopback } from '../../store/git/address.js';
import type { BranchOptions } from '../../store/git/branch.js';
import { openGitStore } from '../../store/git/git-store.js';
import { httpReader } from '../../store/http-reader.js';
import type { StoreReader } from '../../store/reader.js';
import { openSftpStore } from '../../store/sftp/sftp-store.js';
import type { Store } from '../../store/store.js';
import type { caInput } from './ca-input.js';

function describeToken(right: string): string {
  return `With a store in git over https: a token that may ${right}. The default is sent only to this forge; empty: anonymous`;
}

/** The job's own token. Outside a forge the expression arrives unevaluated. */
const gitToken: Input<string | undefined> = {
  description: describeToken('write to it'),
  default: '${{ github.token }}',
  secret: true,
  schema: v.pipe(
    v.string(),
    v.transform((text) => (text.startsWith('${{') ? undefined : text)),
  ),
  absent: { value: undefined },
};

/** The forms of an address that can be written to. */
export const ADDRESSES =
  '`git` (a branch of this repository), `git+https://host/owner/repository` or `git+ssh://git@host/owner/repository`, ' +
  'each optionally with `@branch` (default `promotions`) and `#directory`; or `sftp://user@host[:port]/absolute/directory`';

/** The inputs of every action that writes to a store. */
export const storeInputs = {
  server: required(`The store: ${ADDRESSES}`, storeSchema),
  'ssh-private-key': secret(
    'With a store over SSH: the private key of the user in its address, of any type that OpenSSH writes; empty: the agent at SSH_AUTH_SOCK',
  ),
  'ssh-known-hosts': optional(
    "Required with a store over SSH: the host's keys as lines of known_hosts (`[host]:port` if the port is not 22); an unknown or different key is refused",
    textSchema,
  ),
  'git-token': gitToken,
};

/** The address of a store to read: over HTTP, or in a form that can also be written. */
export const readableSchema: v.GenericSchema<string, URL | StoreAddress> = v.lazy((text) =>
  /^(?:sftp:|git(?:[+@#]|$))/i.test(String(text)) ? storeSchema : urlSchema,
);

const { server: _, ...loginInputs } = storeInputs;

/** The inputs, besides the address, of every action that only reads a store. */
export const readerInputs = {
  ...loginInputs,
  'git-token': { ...gitToken, description: describeToken('read it') },
};

/** `server` is the store that the same action writes, if it writes one. */
type ReaderSettings = Omit<StoreSettings, 'server'> & { readonly server?: StoreAddress | undefined };

/** Opens a store to read it, and runs `work`. A token for the store that is written goes to no other host. */
export function withReader<T>(
  where: URL | StoreAddress,
  settings: ReaderSettings,
  http: Http,
  log: Log,
  work: (store: StoreReader) => Promise<T>,
): Promise<T> {
  if (where instanceof URL) return work(httpReader(http, where));
  const { server } = settings;
  const isForeign = server !== undefined && isInGit(server) && isInGit(where) && isTokenFrom(server, where);
  const inputs = { ...settings, server: where, ...(isForeign && { 'git-token': undefined }) };
  return withStore(inputs, log, work, { hint: 'url' });
}

/** True if the token is for the host of `server`, and not for that of `where`. Over SSH no token is used. */
function isTokenFrom(server: GitAddress, where: GitAddress): boolean {
  const { protocol, origin } = repositoryOf(server, process.env);
  return protocol !== 'ssh:' && origin !== repositoryOf(where, process.env).origin;
}

export type StoreSettings = ParsedInputs<typeof storeInputs> & Partial<ParsedInputs<typeof caInput>>;

/** `hint` says what to check if `git` alone cannot be reached. */
type StoreUse = Pick<BranchOptions, 'history'> & Pick<BranchOptions['remote'], 'hint'>;

/** Opens the store, runs `work`, and publishes what it wrote, even if it failed halfway. */
export async function withStore<T>(
  inputs: StoreSettings,
  log: Log,
  work: (store: Store) => Promise<T>,
  use: StoreUse = {},
): Promise<T> {
  const store = await openStore(inputs, log, use);
  try {
    const result = await work(store).catch(async (error: unknown) => {
      await store.flush().catch((other: unknown) => log.warning(errorLine(other)));
      throw error;
    });
    await store.flush();
    return result;
  } finally {
    store.close();
  }
}

async function openStore(
  inputs: StoreSettings,
  log: Log,
  { history = 'keep', hint = 'server' }: StoreUse,
): Promise<Store> {
  const { server, 'ssh-private-key': privateKey, 'ssh-known-hosts': knownHosts } = inputs;
  const agentSocket = process.env.SSH_AUTH_SOCK;
  if (!isInGit(server)) {
    if (knownHosts === undefined) throw new UserError(`input ssh-known-hosts: required: a line for ${server.host}`);
    if (privateKey === undefined && !agentSocket) {
      throw new UserError('input ssh-private-key: not set, and no agent is running (SSH_AUTH_SOCK)');
    }
    return openSftpStore({ server, knownHosts, privateKey, agentSocket, clock: systemClock, log });
  }
  const url = repositoryOf(server, process.env);
  if (url.protocol === 'ssh:' && knownHosts === undefined) {
    throw new UserError(`ssh needs a line of known_hosts for ${url.hostname}`, { hint: 'known-hosts' });
  }
  return openGitStore({
    remote: {
      url,
      token: tokenFor(url, inputs, process.env),
      privateKey,
      knownHosts,
      agentSocket,
      caFile: inputs['ca-file'],
      hint,
    },
    branch: server.branch,
    history,
    directory: server.directory,
    where: formatGitAddress({ ...server, repository: url }),
    temporary: tmpdir(),
    environment: process.env,
    clock: systemClock,
    log,
  });
}

/** The repository of an address. `git` alone means the one that the workflow runs in. */
function repositoryOf({ repository }: GitAddress, env: NodeJS.ProcessEnv): URL {
  if (repository !== undefined) return repository;
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = env;
  if (!server || !name || !URL.canParse(`${server}/${name}`)) {
    throw new UserError('git alone means the repository of the run, but this run is not on a forge', {
      hint: 'server',
    });
  }
  const url = new URL(`${server}/${name}`);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url;
  throw new UserError(`${server}: a token is sent over https only, or on loopback`, { hint: 'server' });
}

/**
 * The token to send; undefined for none. The job's own token is only for the job's own forge. On a forge every token
 * counts as that one, unless action.yml says otherwise.
 */
function tokenFor(url: URL, inputs: StoreSettings, env: NodeJS.ProcessEnv): string | undefined {
  const forge = env.GITHUB_SERVER_URL ?? '';
  const isOwn = env['INPUT_GIT-TOKEN-IS-DEFAULT'] === 'false' || forge === '';
  const isHome = URL.canParse(forge) && new URL(forge).origin === url.origin;
  return isOwn || isHome ? inputs['git-token'] : undefined;
}
