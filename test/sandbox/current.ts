import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ImageDirectory, makeImageDirectory, type SandboxInfo } from './sandbox.js';

/** The environment variable that names the file with the running sandbox's SandboxInfo. */
export const SANDBOX_FILE = 'SANDBOX_FILE';

/** The sandbox that jest's global set-up started. */
export function sandbox(): SandboxInfo {
  const file = process.env[SANDBOX_FILE];
  if (file === undefined) throw new Error('no sandbox: jest runs this test without its globalSetup');
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** A fresh directory on the sandbox's image server for one test. */
export function freshImageDirectory(): Promise<ImageDirectory> {
  return makeImageDirectory(sandbox().imageServer, `test-${randomUUID()}`);
}

/** A fresh repository name for one test: `test-<uuid>/daemon`. */
export function freshRepository(): string {
  return `test-${randomUUID()}/daemon`;
}
