import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SANDBOX_FILE } from './current.js';
import { type Sandbox, startSandbox } from './sandbox.js';

let running: Sandbox | undefined;

/** jest's globalSetup: one sandbox for the whole run. */
export default async function startOnce(): Promise<void> {
  running = await startSandbox((line) => process.stderr.write(`${line}\n`));
  const file = join(running.info.directory, 'sandbox.json');
  await writeFile(file, JSON.stringify(running.info, null, 2), { mode: 0o600 });
  process.env[SANDBOX_FILE] = file;
}

export async function stopRunning(): Promise<void> {
  await running?.stop();
}
