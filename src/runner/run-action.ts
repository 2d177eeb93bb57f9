import * as core from '@actions/core';
import { errorLine, type Hint, hintOf, hostOf, ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { parseWith } from '../base/schema.js';
import type { Action, Runner } from './action.js';
import { readRunContext } from './context.js';
import type { Input, Inputs, ParsedInputs } from './inputs.js';
import { createLog, inert, Redactor, runnerMasks } from './log.js';
import { checkOutputs, checkResultFiles, writeOutputs, writeSummary } from './results.js';

/**
 * Runs an action as a runner calls it: secrets masked, inputs parsed, outputs and summary written, one try/catch.
 * Ends the process: a connection that a dead server keeps open must not keep a job running for minutes.
 */
export async function runAction<I extends Inputs, O extends string>(
  action: Action<I, O>,
  wordHint: (hint: Hint, inputs: Inputs) => string,
): Promise<never> {
  const redactor = new Redactor();
  const log = createLog(redactor);
  // Temporary files belong in the runner's own folder: /tmp may be read-only there, and is not emptied after a job.
  if (process.env.RUNNER_TEMP) process.env.TMPDIR = process.env.RUNNER_TEMP;
  try {
    const inputs = readInputs(action.inputs, redactor, log);
    checkResultFiles(log);
    const failure = await run(action, inputs, {
      log,
      context: readRunContext(process.env),
      redact: (text) => redactor.redact(text),
      checkOutputs: (outputs) => checkOutputs(outputs, redactor),
    });
    if (failure !== undefined) fail(failure, redactor);
  } catch (error) {
    if (isOurs(error)) log.info(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const way = wayOut(error, action.inputs, wordHint);
    const line = way === undefined ? errorLine(error) : `${errorLine(error)}; ${way}`;
    fail(line, redactor);
    writeSummary(`### Error\n\n\`\`\`text\n${inert(redactor.redact(line)).replaceAll('`', "'")}\n\`\`\``, log);
  }
  process.exit();
}

/** The reason to end with exit status 1 although the action did its job; undefined if there is none. */
async function run<I extends Inputs, O extends string>(
  action: Action<I, O>,
  inputs: ParsedInputs<I>,
  runner: Runner,
): Promise<string | undefined> {
  const { outputs, summary, failure } = await action.run(inputs, runner);
  const all = Object.fromEntries((Object.keys(action.outputs) as O[]).map((name) => [name, outputs[name] ?? '']));
  runner.checkOutputs(all);
  writeOutputs(all, runner.log);
  runner.log.info(summary);
  writeSummary(runner.redact(summary), runner.log);
  return failure;
}

/** What to check or do about an error: the inputs that name the host that cannot be reached, or else its hint. */
export function wayOut(
  error: unknown,
  inputs: Inputs,
  wordHint: (hint: Hint, inputs: Inputs) => string,
): string | undefined {
  const hint = hintOf(error);
  return wordHost(hostOf(error), inputs) ?? (hint && wordHint(hint, inputs));
}

/** It names hosts, but is not the reason for a connection to them. */
const ONLY_KNOWS = 'ssh-known-hosts';

/** Names the inputs with a host that cannot be reached; undefined if there are none, as for a token server. */
function wordHost(host: string | undefined, inputs: Inputs): string | undefined {
  if (host === undefined) return undefined;
  const isNamed = new RegExp(`(?<![\\w.-])${host.replaceAll(/[^\w-]/g, '\\$&')}(?![\\w.-])`, 'i');
  const names = Object.entries(inputs).flatMap(([name, { secret, default: otherwise }]) =>
    !secret && name !== ONLY_KNOWS && isNamed.test(core.getInput(name) || otherwise) ? [name] : [],
  );
  if (names.length === 0) return undefined;
  return `check the ${names.length === 1 ? 'input' : 'inputs'} ${names.join(', ')}`;
}

/** True for a bug of ours, whose stack is shown: not the user's mistake, a service's, or the system's (a full disk). */
function isOurs(error: unknown): boolean {
  const isOfSystem = error instanceof Error && 'syscall' in error && 'code' in error;
  return !(error instanceof UserError || error instanceof ServiceError || isOfSystem);
}

function fail(reason: string, redactor: Redactor): void {
  core.setFailed(inert(redactor.redact(reason)));
}

function readInputs<I extends Inputs>(inputs: I, redactor: Redactor, log: Log): ParsedInputs<I> {
  const raw = Object.entries(inputs).map(([name, input]) => [name, input, readInput(name, input, log)] as const);
  for (const [name, input, value] of raw) {
    if (!input.secret || value === '') continue;
    redactor.add(name, value);
    // Only a runner understands this command. Anywhere else it would print the secret.
    if (process.env.GITHUB_ACTIONS === 'true') for (const mask of runnerMasks(value)) core.setSecret(mask);
  }
  const parsed = raw.map(([name, input, value]) => [name, parseInput(name, input, value)] as const);
  return Object.fromEntries(parsed) as ParsedInputs<I>;
}

function readInput(name: string, input: Input<unknown>, log: Log): string {
  const value = core.getInput(name);
  const former = input.alias === undefined ? '' : core.getInput(input.alias);
  if (former === '') return value;
  log.warning(`input ${input.alias} is now ${name}; the old name goes away with the next major version`);
  return chooseName(name, input, value, former);
}

/**
 * The value of a renamed input, given by either name. action.yml sets the new name to its default even if a user sets
 * only the old one. Throws a UserError if the two disagree.
 */
export function chooseName(name: string, input: Input<unknown>, value: string, former: string): string {
  if (['', input.default, former].includes(value)) return former;
  throw new UserError(`inputs ${name} and ${input.alias}: two names of one input with two values; set only ${name}`);
}

/** One input's value; throws a UserError that names the input. */
export function parseInput<T>(name: string, input: Input<T>, value: string): T {
  const given = value === '' ? input.default : value;
  if (given !== '') {
    return parseWith(input.schema, given, (problem) => {
      // The path in a list begins with an index.
      const line = problem.replace(/^(\d+)(?=[:.])/, (index) => `line ${Number(index) + 1}`);
      return new UserError(`input ${name}: ${line}`);
    });
  }
  if (input.absent === 'error') throw new UserError(`input ${name}: required and not set: ${input.description}`);
  return input.absent.value;
}
