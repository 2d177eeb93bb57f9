import type { Log } from '../base/log.js';
import type { RunContext } from './context.js';
import type { Inputs, ParsedInputs } from './inputs.js';

/** All that a run of an action may touch of its runner. */
export interface Runner {
  readonly log: Log;
  readonly context: RunContext;
  /** Blanks the secrets among the inputs, for text that goes elsewhere than into the log, outputs and summary. */
  redact(text: string): string;
}

export interface Result<O extends string> {
  /** What is not named stays empty. */
  readonly outputs: Readonly<Partial<Record<O, string>>>;
  /** Markdown for the job's summary; the log says the same. */
  readonly summary: string;
  /** A reason to end with exit status 1 although the action did its job; written after the outputs. */
  readonly failure?: string;
}

/** An action: what action.yml says of it, and the one function that it calls. */
export interface Action<I extends Inputs = Inputs, O extends string = string> {
  readonly description: string;
  /** What it needs of the workflow that calls it: triggers, permissions, rights. Opens its README. */
  readonly needs: string;
  readonly inputs: I;
  readonly outputs: Readonly<Record<O, string>>;
  run(inputs: ParsedInputs<I>, runner: Runner): Promise<Result<O>>;
}

/** Keeps the types of an action's inputs and outputs where it is written. */
export function defineAction<I extends Inputs, O extends string>(action: Action<I, O>): Action<I, O> {
  return action;
}
