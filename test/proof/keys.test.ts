import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { describeKey, readPublicKeys, readSigningKey } from '../../src/proof/keys.js';
import { pemPair, secretPem } from './fixture.js';

const EC = pemPair('ec');
const ED = pemPair('ed25519');
const LOCKED = secretPem(createPrivateKey(EC.secret), 'open sesame');
const P384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const RSA = generateKeyPairSync('rsa', { modulusLength: 1024 });

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return String(error);
  }
  return 'accepted';
}

describe('a signing key', () => {
  test.each([
    ['EC P-256', EC.secret, undefined],
    ['Ed25519', ED.secret, undefined],
    ['one with blank lines around it', `\n${EC.secret}\n\n`, undefined],
    ['one with its password', LOCKED, 'open sesame'],
    ['one without a password, where a password is set', EC.secret, 'open sesame'],
  ])('%s is read', (_, text, password) => {
    expect(readSigningKey(text, password).type).toBe('private');
  });

  test.each([
    ['no password', LOCKED, undefined, /is encrypted: set its password/],
    ['a wrong password', LOCKED, 'open barley', /its password is wrong/],
    ['half a key', EC.secret.slice(0, 100), undefined, /damaged or incomplete/],
    ['a public key', EC.open, undefined, /is a public key/],
    ['another curve', secretPem(P384.privateKey), undefined, /is not EC P-256/],
    ['RSA', secretPem(RSA.privateKey), undefined, /is not EC P-256/],
    [
      'SEC 1',
      createPrivateKey(EC.secret).export({ type: 'sec1', format: 'pem' }).toString(),
      undefined,
      /pkcs8 -topk8/,
    ],
    ["cosign's form", EC.secret.replaceAll('PRIVATE', 'ENCRYPTED SIGSTORE PRIVATE'), undefined, /cosign's own format/],
    ['a path', 'keys/signing.pem', undefined, /no line -----BEGIN PRIVATE KEY-----/],
  ])('%s is refused, and not quoted', (_, text, password, said) => {
    const line = refusal(() => readSigningKey(text, password));
    expect(line).toMatch(said);
    const body = text.split('\n')[1] ?? text;
    expect(line).not.toContain(body.slice(0, 20));
    expect(line).not.toContain(password ?? 'never');
  });
});

describe('public keys', () => {
  test('several are read, with any blanks between them', () => {
    const keys = readPublicKeys(`\n${EC.open}\n\n${ED.open}`);
    expect(keys.map(({ asymmetricKeyType }) => asymmetricKeyType)).toEqual(['ec', 'ed25519']);
  });

  test.each([
    ['nothing', '', /must be -----BEGIN PUBLIC KEY/],
    ['a private key', EC.secret, /is a private key/],
    ['a key and more text', `${EC.open}and more`, /and nothing else/],
    ['half a key', EC.open.replace(/\n.*\n-----END/, '\n-----END'), /damaged/],
    ['RSA', RSA.publicKey.export({ type: 'spki', format: 'pem' }).toString(), /is not EC P-256/],
    ['too many', EC.open.repeat(9), /more than 8 keys/],
  ])('%s is refused', (_, text, said) => {
    expect(refusal(() => readPublicKeys(text))).toMatch(said);
  });

  test('a key has the same name for both of its halves', () => {
    const [open] = readPublicKeys(EC.open);
    if (open === undefined) throw new Error('no key');
    expect(describeKey(readSigningKey(EC.secret, undefined))).toBe(describeKey(open));
  });
});
