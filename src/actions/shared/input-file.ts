import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { errorLine, oneLine, UserError } from '../../base/errors.js';

/** Reads a file that an input names, relative to the working directory. Throws a UserError that names both. */
export async function readInputFile(input: string, file: string, workspace: string): Promise<string> {
  try {
    return await readFile(path.resolve(workspace, file), 'utf8');
  } catch (error) {
    const line = errorLine(error);
    const missing = `there is no file ${oneLine(file, 200)} in the working directory; is a checkout missing?`;
    throw new UserError(`input ${input}: ${line.startsWith('ENOENT') ? missing : line}`);
  }
}
