import { writeSync } from 'node:fs';
import { action } from '../../src/actions/evaluate-and-promote.js';
import { readRunContext } from '../../src/runner/context.js';
import type { Inputs, ParsedInputs } from '../../src/runner/inputs.js';
import { createLog, Redactor } from '../../src/runner/log.js';
import { parseInput } from '../../src/runner/run-action.js';
import type { MortalPromotion } from './process.js';
import { countSftp } from './sftp-steps.js';

/**
 * The action evaluate-and-promote as its bundle runs it, several at once: one process is killed in the middle of all.
 * Each says when it is where it is to be interrupted, and waits there; and which SFTP requests were answered when it
 * ends.
 */
const promotions: readonly MortalPromotion[] = JSON.parse(process.env.PROMOTIONS ?? '[]');

function say(text: string): void {
  writeSync(1, `${text}\n`);
}

function parse(inputs: Readonly<Record<string, string>>): ParsedInputs<typeof action.inputs> {
  const declared: Inputs = action.inputs;
  const parsed = Object.entries(declared).map(([name, input]) => [name, parseInput(name, input, inputs[name] ?? '')]);
  return Object.fromEntries(parsed);
}

async function run({ inputs, after }: MortalPromotion, index: number): Promise<void> {
  const sftp = countSftp(after);
  sftp.reached.then(() => say(`reached ${index}`));
  const log = createLog(new Redactor());
  const runner = {
    log,
    context: readRunContext(process.env),
    redact: (text: string) => text,
    checkOutputs: () => undefined,
  };
  await sftp.within(() => action.run(parse(inputs), runner));
  say(`ended ${index}: ${sftp.answered.join(' ')}`);
}

await Promise.all(promotions.map(run));
process.exit();
