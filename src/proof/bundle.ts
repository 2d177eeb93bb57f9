import type { KeyObject } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { TrustMaterial } from '@sigstore/verify';
import { errorLine, oneLine, UserError } from '../base/errors.js';
import { describeKey, readPublicKeys } from './keys.js';
import { parseStatement, STATEMENT_MEDIA_TYPE, type Statement } from './statement.js';

/**
 * Sigstore bundles (github.com/sigstore/protobuf-specs, sigstore_bundle.proto) of media type v0.3 with a DSSE envelope
 * (github.com/secure-systems-lab/dsse), and the check that a trusted authority signed the statement in it.
 */

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
/** In bytes. A record has up to 4 MiB, and base64 makes it a third longer. */
export const MAX_BUNDLE = 8 * 1024 * 1024;

/** The keys, or the identity, whose signatures count. */
export type Authority =
  | { readonly kind: 'keys'; readonly keys: readonly KeyObject[] }
  | {
      readonly kind: 'identity';
      /** The OIDC issuer, such as `https://token.actions.githubusercontent.com`. Compared whole. */
      readonly issuer: string;
      /** The certificate's subject, such as the URL of a workflow with its ref. Compared whole. */
      readonly identity: string;
      /** Fulcio's certificates and the keys of its logs, as `cosign trusted-root create` writes them. */
      readonly trustedRoot: string;
    };

/** The authority of public keys in PEM. */
export function keysAuthority(pem: string): Authority {
  return { kind: 'keys', keys: readPublicKeys(pem) };
}

export type Opened = { readonly statement: Statement; readonly by: string } | { readonly problem: string };

/**
 * Verifies a bundle's signature and returns its statement. Reads nothing but these bytes: the caller must check which
 * image the statement is about.
 *
 * @throws UserError if the authority's trusted root cannot be parsed.
 */
export async function openBundle(bytes: Uint8Array, authority: Authority): Promise<Opened> {
  const [{ bundleFromJSON }, verify] = await Promise.all([import('@sigstore/bundle'), import('@sigstore/verify')]);
  const trust = authority.kind === 'identity' ? await trustIn(authority.trustedRoot) : undefined;
  if (bytes.length > MAX_BUNDLE) return { problem: `it has more than ${MAX_BUNDLE} bytes` };
  let bundle: Bundle;
  try {
    // This also refuses more than one signature.
    bundle = bundleFromJSON(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    return { problem: 'it is not a Sigstore bundle, or it is incomplete' };
  }
  if (bundle.content.$case !== 'dsseEnvelope') return { problem: 'it signs no statement' };
  const { payload, payloadType } = bundle.content.dsseEnvelope;
  if (payloadType !== STATEMENT_MEDIA_TYPE) return { problem: 'what it signs is not an in-toto statement' };
  const by =
    trust === undefined ? verifyByKeys(bundle, authority, verify) : verifyIdentity(bundle, authority, trust, verify);
  if (typeof by !== 'string') return by;
  const statement = parseStatement(payload);
  return statement === undefined ? { problem: 'what it signs is not an in-toto statement' } : { statement, by };
}

type Verify = typeof import('@sigstore/verify');

/** Keys need no log. Log entries in the bundle are ignored, since whoever attached it could have written them. */
function verifyByKeys(bundle: Bundle, authority: Authority, { Verifier, toSignedEntity }: Verify) {
  if (authority.kind !== 'keys') throw new Error('not an authority of keys');
  if (bundle.verificationMaterial.content.$case !== 'publicKey') return { problem: 'it is not signed by a key' };
  for (const key of authority.keys) {
    const material: TrustMaterial = {
      certificateAuthorities: [],
      timestampAuthorities: [],
      tlogs: [],
      ctlogs: [],
      publicKey: () => ({ publicKey: key, validFor: () => true }),
    };
    try {
      const entity = { ...toSignedEntity(bundle), timestamps: [], tlogEntries: [] };
      new Verifier(material, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 }).verify(entity);
      return describeKey(key);
    } catch {
      // Signed by another key, or changed since. The next key may fit.
    }
  }
  return { problem: `it is not signed by ${authority.keys.map(describeKey).join(' or ')}, or was changed` };
}

function verifyIdentity(
  bundle: Bundle,
  authority: Authority,
  trust: TrustMaterial,
  { Verifier, toSignedEntity }: Verify,
) {
  if (authority.kind !== 'identity') throw new Error('not an authority of an identity');
  if (bundle.verificationMaterial.content.$case === 'publicKey') return { problem: 'it has no certificate' };
  let identity:
    | { subjectAlternativeName?: string | undefined; extensions?: { issuer?: string | undefined } }
    | undefined;
  try {
    identity = new Verifier(trust).verify(toSignedEntity(bundle)).identity;
  } catch (error) {
    return { problem: oneLine(errorLine(error), 200) };
  }
  const { subjectAlternativeName: subject = '', extensions: { issuer = '' } = {} } = identity ?? {};
  // Compared here, since the library treats its policy as a regular expression.
  if (subject === authority.identity && issuer === authority.issuer) return subject;
  return { problem: `it is signed by ${oneLine(subject, 200)} (issuer ${oneLine(issuer, 200)})` };
}

async function trustIn(trustedRoot: string): Promise<TrustMaterial> {
  const [{ TrustedRoot }, { toTrustMaterial }] = await Promise.all([
    import('@sigstore/protobuf-specs'),
    import('@sigstore/verify'),
  ]);
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(trustedRoot)));
  } catch {
    throw new UserError('the trusted root is not the JSON that `cosign trusted-root create` writes', {
      hint: 'trusted-root',
    });
  }
}
