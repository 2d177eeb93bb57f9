import { systemClock, unixSeconds } from '../../base/clock.js';
import { UserError } from '../../base/errors.js';
import { fetchForgeToken, keylessSigner } from '../../proof/keyless.js';
import { readSigningKey } from '../../proof/keys.js';
import { keySigner, type Signer, type Signing } from '../../proof/signer.js';
import type { RunContext } from '../../runner/context.js';
import { choice, type ParsedInputs, secret, urlSchema, withDefault } from '../../runner/inputs.js';

/** The inputs that say who signs promotions. */
export const signingInputs = {
  'signing-key': secret(
    'Private key that signs what is promoted: PKCS #8 in PEM, EC P-256 or Ed25519; empty: nothing is signed with a key',
  ),
  'signing-key-password': secret('Its password; empty: it has none'),
  sign: choice(
    'How what is promoted is signed: with `signing-key`, if it is set; keyless, with the identity of the run (permission `id-token: write`); or not at all, as for a rollback while Fulcio is down.',
    ['key', 'keyless', 'off'],
    'key',
  ),
  'fulcio-url': withDefault(
    'With `sign: keyless`: the service that issues certificates',
    'https://fulcio.sigstore.dev',
    urlSchema,
  ),
  'rekor-url': withDefault('With `sign: keyless`: the log of signatures', 'https://rekor.sigstore.dev', urlSchema),
};

type SigningSettings = ParsedInputs<typeof signingInputs>;

/** The project's page, for runs in which no forge names a workflow. */
const NO_WORKFLOW = 'https://github.com/rdo-infra/ceph-promotion-actions';

/** The signer of this run; undefined if nothing is signed. The key is read here, and nowhere else. */
export function readSigning(settings: SigningSettings, { workflowUrl, runUrl }: RunContext): Signing | undefined {
  const signer = readSigner(settings);
  return signer && { signer, verifier: workflowUrl ?? runUrl ?? NO_WORKFLOW };
}

function readSigner(settings: SigningSettings): Signer | undefined {
  const { 'signing-key': key, 'signing-key-password': password, sign } = settings;
  if (key === undefined && password !== undefined) {
    throw new UserError('input signing-key-password: set, but signing-key is not');
  }
  switch (sign) {
    case 'off':
      return undefined;
    case 'key':
      return key === undefined ? undefined : keySigner(readSigningKey(key, password));
    case 'keyless':
      if (key !== undefined) throw new UserError('input signing-key: set, but sign is keyless; set one of them');
      return keylessSigner({
        fulcioUrl: settings['fulcio-url'],
        rekorUrl: settings['rekor-url'],
        fetchToken: fetchForgeToken,
        now: () => unixSeconds(systemClock),
      });
  }
}
