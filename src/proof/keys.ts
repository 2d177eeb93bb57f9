import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { UserError } from '../base/errors.js';

/**
 * Keys that sign and verify statements: EC P-256 or Ed25519, which cosign supports too. No error quotes a key.
 */

const KINDS = 'EC P-256 or Ed25519';

/**
 * Reads a private key in PKCS #8 (RFC 5958), as `openssl genpkey` writes it, with or without a password.
 *
 * @throws UserError that says what the text is instead.
 */
export function readSigningKey(text: string, password: string | undefined): KeyObject {
  const pem = text.trim();
  const type = /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n/.exec(pem)?.[1];
  if (type !== 'PRIVATE KEY' && type !== 'ENCRYPTED PRIVATE KEY') throw refuseSigning(whatInstead(type));
  if (type === 'ENCRYPTED PRIVATE KEY' && password === undefined) throw refuseSigning('is encrypted: set its password');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(password !== undefined && { passphrase: password }) });
  } catch {
    // OpenSSL's message is left out, since it might quote the key.
    throw refuseSigning(type === 'PRIVATE KEY' ? 'is damaged or incomplete' : 'is damaged, or its password is wrong');
  }
  if (!isSuitable(key)) throw refuseSigning(`is not ${KINDS}`);
  return key;
}

function refuseSigning(problem: string): UserError {
  return new UserError(`the signing key ${problem}`, { hint: 'signing-key' });
}

function whatInstead(type: string | undefined): string {
  if (type === undefined) return 'has no line -----BEGIN PRIVATE KEY-----: it must be PKCS #8 in PEM';
  if (type.includes('PUBLIC KEY')) return 'is a public key';
  if (/(?:SIGSTORE|COSIGN) PRIVATE KEY/.test(type))
    return "is in cosign's own format: create a key with `openssl genpkey`";
  if (type.includes('PRIVATE KEY')) return 'is not in PKCS #8: convert it with `openssl pkcs8 -topk8`';
  return 'is not a private key in PKCS #8';
}

/** The number of keys that may be trusted at once: the old one and the new one, and some of other signers. */
const MAX_KEYS = 8;
const PUBLIC_KEY = /-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]{1,2000}-----END PUBLIC KEY-----/g;

/**
 * Reads public keys in PEM (SubjectPublicKeyInfo, RFC 5280): several in a row while a key is rotated.
 *
 * @throws UserError if the text has anything else, or no key.
 */
export function readPublicKeys(text: string): readonly KeyObject[] {
  const blocks = text.match(PUBLIC_KEY) ?? [];
  if (blocks.length === 0 || text.replace(PUBLIC_KEY, '').trim() !== '') {
    throw refusePublic(
      /PRIVATE KEY-----/.test(text)
        ? 'is a private key'
        : 'must be -----BEGIN PUBLIC KEY----- in PEM, and nothing else',
    );
  }
  if (blocks.length > MAX_KEYS) throw refusePublic(`is a list of more than ${MAX_KEYS} keys`);
  return blocks.map((block) => {
    let key: KeyObject;
    try {
      key = createPublicKey(block);
    } catch {
      throw refusePublic('is damaged or incomplete');
    }
    if (!isSuitable(key)) throw refusePublic(`is not ${KINDS}`);
    return key;
  });
}

function refusePublic(problem: string): UserError {
  return new UserError(`the public key ${problem}`);
}

function isSuitable({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  return type === 'ed25519' || (type === 'ec' && details?.namedCurve === 'prime256v1');
}

/** The SHA-256 of a public key's DER, as `openssl pkey -pubin -outform DER | sha256sum` shows it. */
export function fingerprint(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** A short name of a key, for people. */
export function describeKey(key: KeyObject): string {
  return `key ${fingerprint(key).toString('hex').slice(0, 16)}`;
}
