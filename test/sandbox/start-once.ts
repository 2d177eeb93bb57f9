import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SANDBOX_FILE } from './current.js';
import { RUN_OWNER } from './process.js';
import { type Sandbox, startSandbox } from './sandbox.js';

let running: Sandbox | undefined;

/** Starts one sandbox for the whole run, unless it runs already: two jest projects ask for it. */
export async function startOnce(): Promise<void> {
  if (running !== undefined) return;
  process.env[RUN_OWNER] = String(process.pid);
  running = await startSandbox((line) => process.stderr.write(`${line}\n`));
  const file = join(running.info.directory, 'sandbox.json');
  await writeFile(file, JSON.stringify(running.info, null, 2), { mode: 0o600 });
  process.env[SANDBOX_FILE] = file;
}

/** Stops it. A second call does nothing. */
export async function stopRunning(): Promise<void> {
  await running?.stop();
  running = undefined;
}
