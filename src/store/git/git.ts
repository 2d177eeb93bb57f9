import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { type Hint, oneLine, ServiceError, UserError } from '../../base/errors.js';
import { repairKnownHosts } from '../ssh/host-keys.js';
import { repairPrivateKey } from '../ssh/private-key.js';
import { type GitFailure, readFailure, TOOK_TOO_LONG } from './failure.js';

/** The address of one remote repository, and the credentials for it. */
export interface Remote {
  /** `https:`, `http:` or `ssh:`; no secret in it. */
  readonly url: URL;
  /** For https; undefined for anonymous access. */
  readonly token: string | undefined;
  /** For https: the account of the token; undefined if the token names it itself, as on GitHub and Gitea. */
  readonly user?: string | undefined;
  /** For ssh: a private key in any form that repairPrivateKey knows; undefined if the agent has it. */
  readonly privateKey: string | undefined;
  /** For ssh: lines of known_hosts. */
  readonly knownHosts: string | undefined;
  /** SSH_AUTH_SOCK. */
  readonly agentSocket: string | undefined;
  /** A PEM file of authorities to trust besides the system's. */
  readonly caFile: string | undefined;
  /** What to check if the remote cannot be reached and no input names its host. */
  readonly hint?: Hint | undefined;
  /** The time limit for one command, in milliseconds; 15 minutes if undefined. */
  readonly limitMs?: number;
}

export interface Answer {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Buffer;
  /** Exit codes besides 0 that are an answer and not a failure. */
  readonly codes?: readonly number[];
}

/** Git in a bare repository of our own, without anyone's configuration. */
export interface Git {
  /** Runs a command that needs no remote. */
  local(args: readonly string[], options?: RunOptions): Promise<Answer>;
  /** Runs a command that may contact the remote, which is called `origin`. */
  remote(args: readonly string[], options?: RunOptions): Promise<Answer>;
}

const KNOWN_HOSTS = 'known_hosts';

/** The first git that reads its configuration from GIT_CONFIG_COUNT. */
const OLDEST_GIT = [2, 31] as const;

/** The variables that git and ssh need: programs, proxies, authorities, the agent. Nothing else is passed on. */
const INHERITED =
  /^(?:PATH|TMPDIR|LD_LIBRARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|GIT_SSL_CAINFO|GIT_EXEC_PATH|(?:https?|all|no)_proxy|HTTPS?_PROXY|ALL_PROXY|NO_PROXY)$/;

/**
 * Loads the key into an agent that lives as long as the command, so that no file ever holds it. The key is in the
 * environment, since the command uses the standard input.
 */
const WITH_KEY =
  'printf "%s\\n" "$PROMOTION_SSH_KEY" | ssh-add -q - 2>/dev/null || { echo "ssh-add cannot read the private key" >&2; exit 255; }\n' +
  'unset PROMOTION_SSH_KEY; exec "$@"';

/** Makes sure that there is a git that is new enough. */
export async function requireGit(environment: NodeJS.ProcessEnv): Promise<void> {
  const { stdout } = await run('git', ['version'], inherited(environment));
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout.toString()) ?? []).map(Number);
  if (major > OLDEST_GIT[0] || (major === OLDEST_GIT[0] && minor >= OLDEST_GIT[1])) return;
  const found = oneLine(stdout.toString(), 60);
  throw new UserError(`git ${OLDEST_GIT.join('.')} or newer is needed on the runner, but this is ${found}`);
}

/** Git with one remote. Its bare repository (which `git init` makes) and its home are in `directory`. */
export async function createGit(
  directory: string,
  remote: Remote,
  where: string,
  environment: NodeJS.ProcessEnv,
): Promise<Git> {
  const home = join(directory, 'home');
  await mkdir(home, { recursive: true });
  const isSsh = remote.url.protocol === 'ssh:';
  const privateKey = isSsh && remote.privateKey !== undefined ? repairPrivateKey(remote.privateKey) : undefined;
  if (isSsh) await writeFile(join(directory, KNOWN_HOSTS), repairKnownHosts(remote.knownHosts ?? ''), { mode: 0o600 });
  const local = { ...inherited(environment), ...plainEnvironment(join(directory, 'repository.git'), home) };
  const caFile = remote.caFile && (await writeAuthorities(join(directory, 'authorities.pem'), remote.caFile, local));
  const asking = {
    ...local,
    ...remoteEnvironment(remote),
    ...configuration(remoteConfiguration(remote)),
    // The variable takes precedence over the setting http.sslCAInfo.
    ...(caFile && { GIT_SSL_CAINFO: caFile }),
  };
  // ssh finds its files there by relative names.
  const cwd = isSsh ? directory : undefined;
  const settled = async (program: string, args: readonly string[], env: Environment, { input, codes }: RunOptions) => {
    const answer = await run(program, args, env, { cwd, input, limitMs: remote.limitMs });
    if (answer.code === 0 || codes?.includes(answer.code)) return answer;
    throw failed(where, readFailure(answer.stderr), remote);
  };
  let agents = 0;
  return {
    local: (args, options = {}) => settled('git', args, { ...local, ...configuration({}) }, options),
    remote: (args, options = {}) => {
      if (privateKey === undefined) return settled('git', args, asking, options);
      const withKey = { ...asking, PROMOTION_SSH_KEY: privateKey.trim() };
      agents += 1;
      // In `directory`, by a relative name: a socket's path has at most 107 bytes. An agent outlives its command a
      // little.
      const agent = ['-a', `agent-${agents}`];
      return settled('ssh-agent', [...agent, 'sh', '-c', WITH_KEY, 'sh', 'git', ...args], withKey, options);
    },
  };
}

/** The authorities that Node knows, those of the runner and those of a PEM file, since git takes one file for all. */
async function writeAuthorities(path: string, file: string, env: Environment): Promise<string> {
  const files = [env.GIT_SSL_CAINFO ?? env.SSL_CERT_FILE, file].filter((one) => one !== undefined);
  const given = await Promise.all(files.map((one) => readFile(one, 'utf8')));
  await writeFile(path, [...rootCertificates, ...given].join('\n'));
  return path;
}

/** If the remote cannot be reached, the error says what to check. */
export function failed(where: string, { kind, line, hint }: GitFailure, remote: Remote): ServiceError {
  const isOut = hint === undefined && (kind === 'unreachable' || kind === 'timeout');
  const named = isOut ? { hint: remote.hint, host: remote.url.host } : { hint };
  return new ServiceError(kind, `${where}: ${line}`, named);
}

type Environment = Record<string, string>;

function inherited(environment: NodeJS.ProcessEnv): Environment {
  const kept = Object.entries(environment).filter(([name, value]) => INHERITED.test(name) && value !== undefined);
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

/** No outside configuration, no prompts, and a home of its own. */
function plainEnvironment(gitDirectory: string, home: string): Environment {
  return {
    HOME: home,
    XDG_CONFIG_HOME: home,
    GIT_DIR: gitDirectory,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
  };
}

function remoteEnvironment(remote: Remote): Environment {
  if (remote.url.protocol !== 'ssh:') return {};
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    // A relative name needs no quotes, and has no `%` that ssh would expand.
    `UserKnownHostsFile=${KNOWN_HOSTS}`,
    'GlobalKnownHostsFile=/dev/null',
    'PasswordAuthentication=no',
    'ConnectTimeout=30',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
  ];
  const command = ['ssh', '-F', '/dev/null', ...options.flatMap((option) => ['-o', `'${option}'`])].join(' ');
  const agent =
    remote.privateKey === undefined && remote.agentSocket ? { SSH_AUTH_SOCK: resolve(remote.agentSocket) } : {};
  return { GIT_SSH_COMMAND: command, GIT_SSH_VARIANT: 'ssh', ...agent };
}

/** One protocol only, no redirects, and the token as a header for this one origin. */
function remoteConfiguration({ url, token, user = 'x-access-token' }: Remote): Record<string, string> {
  const protocol = url.protocol.slice(0, -1);
  const basic = token === undefined ? undefined : Buffer.from(`${user}:${token}`).toString('base64');
  return {
    'remote.origin.url': url.href,
    'protocol.version': '2',
    'protocol.allow': 'never',
    [`protocol.${protocol}.allow`]: 'always',
    'http.followRedirects': 'false',
    // Below this many bytes a second, for this many seconds, git gives up.
    'http.lowSpeedLimit': '100',
    'http.lowSpeedTime': '60',
    ...(basic === undefined ? {} : { [`http.${url.origin}/.extraHeader`]: `Authorization: Basic ${basic}` }),
  };
}

/**
 * Passes configuration through the environment (git-config(1), GIT_CONFIG_COUNT), so that no file or argument holds a
 * secret.
 */
function configuration(settings: Record<string, string>): Environment {
  const all = Object.entries({
    'core.hooksPath': '/dev/null',
    'core.askPass': '',
    'credential.helper': '',
    'gc.auto': '0',
    'maintenance.auto': 'false',
    'commit.gpgSign': 'false',
    'push.gpgSign': 'false',
    'fetch.fsckObjects': 'true',
    ...settings,
  });
  const pairs = all.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return { ...Object.fromEntries(pairs), GIT_CONFIG_COUNT: String(all.length) };
}

/** The time limit for one git. A server that sends a little now and then would keep it running for ever. */
const LIMIT_MS = 15 * 60_000;

interface RunPlace {
  readonly cwd?: string | undefined;
  readonly input?: Buffer | undefined;
  readonly limitMs?: number | undefined;
}

async function run(
  program: string,
  args: readonly string[],
  env: Environment,
  { cwd, input, limitMs = LIMIT_MS }: RunPlace = {},
): Promise<Answer> {
  // A process group of its own, so that git's child processes can be ended with it. Git does not end them itself.
  const child = spawn(program, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => void stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => void stderr.push(piece));
  // A git that fails does not read its input, and says itself why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = once(child, 'close').catch((error: unknown) => {
    const needed = program === 'git' ? 'git' : 'ssh-agent and ssh-add (openssh-client)';
    throw new UserError(`${needed} cannot be run, but a git repository needs it on the runner`, {
      cause: error,
    });
  });
  const late = await Promise.race([ended.then(() => false), delay(limitMs, true, { ref: false })]);
  if (late) {
    await end(child);
    stderr.push(Buffer.from(`\n${TOOK_TOO_LONG} after ${limitMs / 1000} seconds\n`));
    // Its earlier output is dropped, since the time limit is the reason.
    return { code: -1, stdout: Buffer.alloc(0), stderr: Buffer.concat(stderr.slice(-1)).toString('utf8') };
  }
  const code = child.exitCode ?? -1;
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') };
}

/** Ends a git and all that it started. */
async function end(child: ChildProcess): Promise<void> {
  const exited = child.exitCode !== null || once(child, 'exit');
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
  await exited;
  for (const stream of child.stdio) stream?.destroy();
}
