import { UserError } from '../../base/errors.js';
import { lineSchema, optional, type ParsedInputs } from '../../runner/inputs.js';
import { readInputFile } from './input-file.js';

/** The input of every action that connects to anything over TLS. */
export const caInput = {
  'ca-file': optional("PEM file with certificates to trust in addition to the system's", lineSchema),
};

/** The PEM text of `ca-file`; undefined if it is not set. Throws a UserError if there is no certificate in it. */
export async function readCertificates({ 'ca-file': file }: ParsedInputs<typeof caInput>): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const text = await readInputFile('ca-file', file, process.env.GITHUB_WORKSPACE || '.');
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new UserError(`input ca-file: ${file} contains no PEM certificate`);
}
