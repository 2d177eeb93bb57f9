import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../sandbox/project.js';

export interface BundleRun {
  readonly status: number | null;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  /** Standard output and error, as a runner's log has them. */
  readonly log: string;
  /** The messages of `::error::` commands. */
  readonly errors: readonly string[];
}

/** What a forge sets for a person's dispatch of a workflow. */
export const DISPATCH = {
  GITHUB_EVENT_NAME: 'workflow_dispatch',
  GITHUB_ACTOR: 'alice',
  GITHUB_TRIGGERING_ACTOR: 'alice',
  GITHUB_SERVER_URL: 'https://forge.example',
  GITHUB_REPOSITORY: 'storage/promotion',
  GITHUB_RUN_ATTEMPT: '1',
} as const;

type Inputs = Readonly<Record<string, string>>;

/**
 * Runs a committed bundle as its action.yml does: by node, with the inputs in the environment and nothing in argv.
 * `started` gets a function that kills it and all that it started, as a runner does; the status is then null.
 */
export async function runBundle(
  action: string,
  inputs: Inputs,
  env: Inputs = {},
  started?: (kill: () => void) => void,
): Promise<BundleRun> {
  const directory = await mkdtemp(join(tmpdir(), 'bundle-'));
  const [output, summary] = [join(directory, 'output'), join(directory, 'summary')];
  await Promise.all([writeFile(output, ''), writeFile(summary, '')]);
  const variables = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value] as const);
  const child = spawn(process.execPath, [join(projectRoot, 'dist', action, 'index.js')], {
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      RUNNER_TEMP: directory,
      GITHUB_WORKSPACE: directory,
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
      GITHUB_RUN_ID: randomUUID(),
      ...env,
      ...Object.fromEntries(variables),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that all of it can be killed.
    detached: started !== undefined,
  });
  const { pid } = child;
  if (pid !== undefined) started?.(() => process.kill(-pid, 'SIGKILL'));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const run = {
    status,
    outputs: parseOutputs(await readFile(output, 'utf8')),
    summary: await readFile(summary, 'utf8'),
    log,
    errors: [...log.matchAll(/^::error::(.*)$/gm)].map(([, message = '']) => message),
  };
  // What was killed may still be ending, and writing.
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  return run;
}

/** The file at GITHUB_OUTPUT: `name<<delimiter`, lines, `delimiter`. */
function parseOutputs(text: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  for (const [, name = '', , value = ''] of text.matchAll(/^([^\n<]+)<<([^\n]+)\n([\s\S]*?)\n?\2$/gm)) {
    outputs[name] = value;
  }
  return outputs;
}
