import type { Log } from '../base/log.js';
import type { RunContext } from './context.js';
import type { Inputs, ParsedInputs } from './inputs.js';

/** The parts of its runner that an action may use. */
export interface Runner {
  readonly log: Log;
  readonly context: RunContext;
  /** Removes the inputs' secrets from text that goes anywhere but the log and the summary. */
  redact(text: string): string;
  /**
   * Throws a UserError if an output would contain an input's secret, since a forge drops such an output. The runner
   * checks all outputs at the end. An action that changes something first checks those that it already knows.
   */
  checkOutputs(outputs: Readonly<Record<string, string>>): void;
}

export interface Result<O extends string> {
  /** An output that is not named stays empty. */
  readonly outputs: Readonly<Partial<Record<O, string>>>;
  /** Markdown for the job's summary; the log says the same. */
  readonly summary: string;
  /** A reason to end with exit status 1 although the action did its job; written after the outputs. */
  readonly failure?: string;
}

/** An action: the contents of its action.yml, and the function that does its job. */
export interface Action<I extends Inputs = Inputs, O extends string = string> {
  readonly description: string;
  /** The triggers, permissions and rights that the calling workflow must have. Begins the action's README. */
  readonly needs: string;
  readonly inputs: I;
  readonly outputs: Readonly<Record<O, string>>;
  run(inputs: ParsedInputs<I>, runner: Runner): Promise<Result<O>>;
}

/** Lets TypeScript infer the types of an action's inputs and outputs from its declaration. */
export function defineAction<I extends Inputs, O extends string>(action: Action<I, O>): Action<I, O> {
  return action;
}
