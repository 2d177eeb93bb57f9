import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sandboxHome } from './project.js';

export interface Stoppable {
  stop(): Promise<void>;
}

export interface ServerProcess extends Stoppable {
  readonly port: number;
  readonly log: string;
}

export interface ServerCommand {
  readonly name: string;
  /** The server's own directory; its log is `<name>.log` there. */
  readonly directory: string;
  /** Undefined: any that is free. */
  readonly port?: number | undefined;
  /** Writes the configuration for this port, and returns the command that serves in the foreground. */
  readonly command: (port: number) => Promise<readonly string[]>;
  /** Whether it answers; without it, that it listens is enough. */
  readonly ready?: (port: number) => Promise<boolean>;
  readonly environment?: Readonly<Record<string, string>>;
}

const READY_WITHIN_MS = 90_000;

/**
 * The environment variable with the id of the process that began the run. A jest worker can outlive it: a killed jest
 * leaves a worker behind whose test still waits for a server.
 */
export const RUN_OWNER = 'SANDBOX_OWNER';

/**
 * Runs its arguments ($2 and on) and kills the whole process group as soon as standard input ends, the run's owner ($1)
 * is gone, or the command ends. The pipe ends when this process closes it or dies, whatever the cause, so no server
 * outlives the run.
 */
const WHILE_INPUT_LASTS = `
owner=$1
shift
{ "$@" </dev/null; kill -KILL 0; } &
{ tail --pid="$owner" -f /dev/null; kill -KILL 0; } </dev/null &
read -r _
kill -KILL 0`;

/** Removes directory $1 once standard input ends; servers that write there die at the same moment. */
const REMOVE_WHEN_INPUT_ENDS = 'read -r _; rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }';

/** A directory for one run, gone after `stop` or after this process ended. Removes what killed runs left. */
export async function runDirectory(): Promise<Stoppable & { readonly path: string }> {
  await mkdir(sandboxHome, { recursive: true });
  for (const name of await readdir(sandboxHome)) {
    const [, owner] = /^run-(\d+)-/.exec(name) ?? [];
    if (owner !== undefined && !isRunning(Number(owner))) {
      await rm(join(sandboxHome, name), { recursive: true, force: true });
    }
  }
  const path = await mkdtemp(join(sandboxHome, `run-${process.pid}-`));
  const janitor = tethered(['sh', '-c', REMOVE_WHEN_INPUT_ENDS, 'sh', path], 'ignore', {});
  return { path, stop: () => release(janitor) };
}

/** Starts a server on a free loopback port and resolves once it answers. */
export async function startServer(server: ServerCommand): Promise<ServerProcess> {
  await mkdir(server.directory, { recursive: true });
  const log = join(server.directory, `${server.name}.log`);
  for (let attempt = 1; ; attempt += 1) {
    const port = server.port ?? (await freePort());
    const output = openSync(log, 'w');
    const command = ['sh', '-c', WHILE_INPUT_LASTS, 'sh', owner(), ...(await server.command(port))];
    const child = tethered(command, output, server.environment ?? {}, server.directory);
    closeSync(output);
    if (await becomesReady(child, () => (server.ready ?? listens)(port)))
      return { port, log, stop: () => release(child) };
    await release(child);
    const said = readFileSync(log, 'utf8');
    const retries = server.port === undefined ? 3 : 1;
    if (attempt === retries || !/address already in use/i.test(said)) {
      throw new Error(`${server.name} did not start:\n${said.slice(-2000)}`);
    }
  }
}

function owner(): string {
  return process.env[RUN_OWNER] ?? String(process.pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process is running too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function tethered(
  [program = '', ...args]: readonly string[],
  output: number | 'ignore',
  environment: Readonly<Record<string, string>>,
  directory: string = sandboxHome,
): ChildProcess {
  const child = spawn(program, args, {
    detached: true,
    stdio: ['pipe', output, output],
    env: { ...process.env, ...environment },
    // DLRN leaves an empty database where it starts.
    cwd: directory,
  });
  child.unref();
  return child;
}

async function release(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}

async function becomesReady(child: ChildProcess, ready: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if (await ready()) return true;
    await sleep(20);
  }
  return false;
}

/** A free port below the range that outgoing connections take theirs from. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (await isFree(port)) return port;
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}
