import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { type Opened, openBundle } from './bundle.js';
import { describeKey, fingerprint } from './keys.js';
import { STATEMENT_MEDIA_TYPE } from './statement.js';

/** Signs statements. */
export interface Signer {
  /** The name of the signer, for logs. */
  readonly who: string;
  /** Throws a UserError or ServiceError if it cannot sign now. Called before a record is appended. */
  ready(): Promise<void>;
  /** Signs a statement and returns the bundle, as JSON. */
  sign(statement: Buffer): Promise<Buffer>;
  /** The statement in a bundle that this signer made; a problem if another one made it. */
  open(bundle: Uint8Array): Promise<Opened>;
}

/** The signer of a run's statements, and the URI of the workflow that they name. */
export interface Signing {
  readonly signer: Signer;
  readonly verifier: string;
}

/** Signs with a key that `readSigningKey` read. */
export function keySigner(key: KeyObject): Signer {
  const publicKey = createPublicKey(key);
  return {
    who: describeKey(publicKey),
    ready: async () => undefined,
    async sign(statement) {
      const { toDSSEBundle, bundleToJSON } = await import('@sigstore/bundle');
      const signature = sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', preAuthEncoding(statement), key);
      const keyHint = fingerprint(publicKey).toString('base64');
      const bundle = toDSSEBundle({ artifact: statement, artifactType: STATEMENT_MEDIA_TYPE, signature, keyHint });
      // cosign ignores a signature whose key id it does not know, and it knows none. The key hint stays in the bundle.
      for (const one of bundle.content.dsseEnvelope.signatures) one.keyid = '';
      return Buffer.from(JSON.stringify(bundleToJSON(bundle)));
    },
    open: (bundle) => openBundle(bundle, { kind: 'keys', keys: [publicKey] }),
  };
}

/** The bytes that a DSSE signature covers (dsse, protocol.md, "PAE"). */
export function preAuthEncoding(payload: Buffer): Buffer {
  const head = `DSSEv1 ${STATEMENT_MEDIA_TYPE.length} ${STATEMENT_MEDIA_TYPE} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
