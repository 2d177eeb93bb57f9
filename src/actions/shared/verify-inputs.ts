import * as v from 'valibot';
import { UserError } from '../../base/errors.js';
import { parseUser } from '../../base/schema.js';
import { parseYaml } from '../../criteria/criteria-file.js';
import { type Authority, keysAuthority } from '../../proof/bundle.js';
import { lineSchema, optional, textSchema } from '../../runner/inputs.js';
import { readInputFile } from './input-file.js';

/** The inputs that say who must have signed a promotion. */
export const verifyInputs = {
  verify: optional(
    'Whose signature what is promoted must have: public keys in PEM, or two lines `issuer: <OIDC issuer>` and `identity: <workflow>@<ref>`; or a file with either. Empty: signatures are not checked',
    textSchema,
  ),
  'trusted-root': optional(
    'With an issuer and identity: the trusted root as `cosign trusted-root create` writes it; a file, or JSON',
    textSchema,
  ),
};

const identitySchema = v.strictObject({ issuer: lineSchema, identity: lineSchema });

interface VerifySettings {
  readonly verify: string | undefined;
  readonly 'trusted-root': string | undefined;
}

/** The authority whose signatures count; undefined if signatures are not checked. */
export async function readAuthority(settings: VerifySettings, workspace: string): Promise<Authority | undefined> {
  const { verify } = settings;
  if (verify === undefined) return undefined;
  const isText = verify.includes('-----BEGIN ') || /:\s/.test(verify);
  const text = isText ? verify : await readInputFile('verify', verify, workspace);
  if (text.includes('-----BEGIN ')) return keysAuthority(text);
  const { issuer, identity } = parseUser(identitySchema, parseYaml(text, 'input verify'), 'input verify');
  return { kind: 'identity', issuer, identity, trustedRoot: await readTrustedRoot(settings, workspace) };
}

/** The trusted root in JSON. Throws a UserError if there is none. */
export async function readTrustedRoot(
  { 'trusted-root': root }: Pick<VerifySettings, 'trusted-root'>,
  workspace: string,
): Promise<string> {
  if (root === undefined) throw new UserError('input trusted-root: required if an identity signs');
  return /^\s*\{/.test(root) ? root : readInputFile('trusted-root', root, workspace);
}
