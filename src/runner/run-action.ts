import * as core from '@actions/core';
import { errorLine, type Hint, hintOf, ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { parseWith } from '../base/schema.js';
import type { Action, Result } from './action.js';
import { readRunContext } from './context.js';
import type { Input, Inputs, ParsedInputs } from './inputs.js';
import { createLog, inert, Redactor, secretLines } from './log.js';

/**
 * Runs an action as a runner calls it: secrets masked, inputs parsed, outputs and summary written, one try/catch.
 * Ends the process: a connection that a dead server keeps open must not hold a job for minutes.
 */
export async function runAction<I extends Inputs, O extends string>(
  action: Action<I, O>,
  wordHint: (hint: Hint, inputs: Inputs) => string,
): Promise<never> {
  const redactor = new Redactor();
  const log = createLog(redactor);
  try {
    const inputs = readInputs(action.inputs, redactor, log);
    const context = readRunContext(process.env);
    const result = await action.run(inputs, { log, context, redact: (text) => redactor.redact(text) });
    await write(action, result, redactor);
    if (result.failure !== undefined) fail(result.failure, redactor);
  } catch (error) {
    if (!(error instanceof UserError || error instanceof ServiceError)) {
      // Neither a user's mistake nor a service's: ours, so say where.
      log.info(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    const hint = hintOf(error);
    fail(hint === undefined ? errorLine(error) : `${errorLine(error)}; ${wordHint(hint, action.inputs)}`, redactor);
  }
  process.exit();
}

function fail(reason: string, redactor: Redactor): void {
  core.setFailed(inert(redactor.redact(reason)));
}

function readInputs<I extends Inputs>(inputs: I, redactor: Redactor, log: Log): ParsedInputs<I> {
  const raw = Object.entries(inputs).map(([name, input]) => [name, input, readInput(name, input, log)] as const);
  for (const [, input, value] of raw) {
    if (!input.secret || value === '') continue;
    redactor.add(value);
    // Only a runner takes this for a command; by hand it would print the secret.
    if (process.env.GITHUB_ACTIONS === 'true') for (const line of secretLines(value)) core.setSecret(line);
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
 * The value of a renamed input, given by either name. action.yml sets the new name to its default where a user sets
 * only the old one. Throws a UserError where the two disagree.
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

async function write<O extends string>(action: Action<Inputs, O>, result: Result<O>, redactor: Redactor) {
  for (const name of Object.keys(action.outputs) as O[]) {
    core.setOutput(name, redactor.redact(result.outputs[name] ?? ''));
  }
  const summary = redactor.redact(result.summary);
  core.info(inert(summary));
  // The toolkit throws where the runner has no place for a summary.
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(summary, true).write();
}
