import { appendFileSync, closeSync, openSync } from 'node:fs';
import * as core from '@actions/core';
import { errorLine, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Redactor } from './log.js';

/** Forges drop the outputs of a job beyond 1 MB, which GitHub counts in UTF-16. */
const MAX_OUTPUT_BYTES = 1_000_000;
/** GitHub drops the whole summary of a step beyond 1 MiB. */
const MAX_SUMMARY_BYTES = 1_048_576;

/**
 * Throws a UserError if outputs cannot be written, before anything is changed. A summary that cannot be written is only
 * a warning.
 */
export function checkResultFiles(log: Log): void {
  const { GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary } = process.env;
  try {
    if (output) closeSync(openSync(output, 'a'));
  } catch (error) {
    throw new UserError(`the file for outputs cannot be written (GITHUB_OUTPUT): ${errorLine(error)}`);
  }
  try {
    if (summary) closeSync(openSync(summary, 'a'));
  } catch (error) {
    log.warning(
      `there will be no summary, since its file cannot be written (GITHUB_STEP_SUMMARY): ${errorLine(error)}`,
    );
  }
}

/** Throws a UserError if an output would contain a secret. */
export function checkOutputs(outputs: Readonly<Record<string, string>>, redactor: Redactor): void {
  for (const [name, value] of Object.entries(outputs)) {
    const input = redactor.find(value);
    if (input === undefined) continue;
    throw new UserError(
      `output ${name} would contain the value of the secret input ${input}; a forge drops such an output: change that secret`,
    );
  }
}

/**
 * Sets outputs. One that is too large for a forge stays empty, since half an output is useless. Throws a UserError if
 * they cannot be written: the next steps would go on without them.
 */
export function writeOutputs(outputs: Readonly<Record<string, string>>, log: Log): void {
  // Smallest first, so that one large output does not cost the others.
  const sizes = Object.keys(outputs).sort((a, b) => sizeOf(outputs[a]) - sizeOf(outputs[b]));
  let total = 0;
  for (const name of sizes) {
    const size = sizeOf(outputs[name]);
    total += size;
    if (total > MAX_OUTPUT_BYTES) log.warning(`output ${name} is empty: its ${size} bytes are too many for a forge`);
    try {
      core.setOutput(name, total > MAX_OUTPUT_BYTES ? '' : (outputs[name] ?? ''));
    } catch (error) {
      throw new UserError(`everything is done, but the outputs cannot be written (GITHUB_OUTPUT): ${errorLine(error)}`);
    }
  }
}

function sizeOf(text = ''): number {
  return Math.max(Buffer.byteLength(text), text.length * 2);
}

/** Appends to the job's summary, if the runner has one. A failure to write it is a warning. */
export function writeSummary(summary: string, log: Log): void {
  const file = process.env.GITHUB_STEP_SUMMARY;
  if (!file) return;
  try {
    appendFileSync(file, fitSummary(summary));
  } catch (error) {
    log.warning(`the summary was not written: ${errorLine(error)}`);
  }
}

/** A summary that a forge accepts, with a final newline. It is cut at a line's end if it is too long. */
export function fitSummary(summary: string, limit = MAX_SUMMARY_BYTES): string {
  const text = `${summary}\n`;
  if (Buffer.byteLength(text) < limit) return text;
  const note = '\n\nThe rest does not fit into a summary; the log has all of it.\n';
  const kept = Buffer.from(text).subarray(0, limit - Buffer.byteLength(note) - 1);
  const end = kept.lastIndexOf('\n');
  // Without line ends, it is cut before a character that has more than one byte.
  const whole = end > 0 ? kept.subarray(0, end).toString() : kept.toString().replace(/\uFFFD+$/, '');
  return `${whole}${note}`;
}
