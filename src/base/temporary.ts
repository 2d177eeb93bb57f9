import { mkdtemp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errorLine, UserError } from './errors.js';

/**
 * Creates a directory whose name begins with `prefix`, with these files in it, by name. The caller removes it.
 */
export async function makeTemporary(
  parent: string,
  prefix: string,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const directory = await mkdtemp(join(resolve(parent), prefix));
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text, { mode: 0o600 });
    return directory;
  } catch (error) {
    throw new UserError(`no temporary file can be written (RUNNER_TEMP, TMPDIR): ${errorLine(error)}`);
  }
}
