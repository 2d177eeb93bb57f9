import { describe, expect, test } from '@jest/globals';
import { keysAuthority, MAX_BUNDLE, openBundle } from '../../src/proof/bundle.js';
import { formatStatement, PROMOTION_TYPE } from '../../src/proof/statement.js';
import { chainOf } from '../ledger/fixture.js';
import { claimOf, pemPair, signerOf, VERIFIER } from './fixture.js';

const EC = pemPair('ec');
const ED = pemPair('ed25519');
const OTHER = pemPair('ec');
const LEDGER = chainOf([['v1']]);
const STATEMENT = formatStatement(claimOf(LEDGER), PROMOTION_TYPE, LEDGER[0] as Buffer, VERIFIER);
const SIGNED = await signerOf(EC).sign(STATEMENT);

interface Document {
  mediaType: string;
  verificationMaterial: { publicKey?: { hint: string } };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid: string }[] };
}

/** The bundle after a change by somebody who has no key. */
function forged(change: (document: Document) => void): Buffer {
  const document: Document = JSON.parse(SIGNED.toString());
  change(document);
  return Buffer.from(JSON.stringify(document));
}

test.each([
  ['EC P-256', EC],
  ['Ed25519', ED],
])('what %s signed is verified with its public half', async (_, pair) => {
  const opened = await openBundle(await signerOf(pair).sign(STATEMENT), keysAuthority(pair.open));
  expect(opened).toMatchObject({
    statement: { predicateType: PROMOTION_TYPE },
    by: expect.stringMatching(/^key [0-9a-f]{16}$/),
  });
});

test('the bundle has the form that cosign accepts: version 0.3, without a key id', () => {
  const { mediaType, dsseEnvelope } = JSON.parse(SIGNED.toString());
  expect(mediaType).toBe('application/vnd.dev.sigstore.bundle.v0.3+json');
  expect(dsseEnvelope.payloadType).toBe('application/vnd.in-toto+json');
  expect(dsseEnvelope.signatures[0].keyid ?? '').toBe('');
});

test('one of several keys is enough, as while a key is rotated', async () => {
  expect(await openBundle(SIGNED, keysAuthority(OTHER.open + EC.open))).toHaveProperty('statement');
});

describe('refused', () => {
  const flip = (text: string) => (text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`);
  test.each([
    [
      'a tampered payload',
      forged(({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payload: flip(dsseEnvelope.payload) })),
      /was changed/,
    ],
    [
      'another type of payload',
      forged(({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payloadType: 'text/plain' })),
      /not an in-toto/,
    ],
    ['a truncated bundle', SIGNED.subarray(0, SIGNED.length / 2), /it is incomplete/],
    ['nothing', Buffer.alloc(0), /not a Sigstore bundle/],
    [
      'two signatures, of which one is bad',
      forged(({ dsseEnvelope: { signatures } }) => void signatures.push({ sig: 'AAAA', keyid: '' })),
      /not a Sigstore bundle/,
    ],
    [
      'no signature',
      forged(({ dsseEnvelope }) => Object.assign(dsseEnvelope, { signatures: [] })),
      /not a Sigstore bundle/,
    ],
    ['no key', forged((document) => Object.assign(document, { verificationMaterial: {} })), /not a Sigstore bundle/],
    ['an older version', forged((document) => Object.assign(document, { mediaType: 'x' })), /not a Sigstore bundle/],
    ['too much', Buffer.alloc(MAX_BUNDLE + 1, ' '), /more than/],
  ])('%s', async (_, bytes, said) => {
    const opened = await openBundle(bytes, keysAuthority(EC.open));
    expect('problem' in opened ? opened.problem : 'accepted').toMatch(said);
  });

  test('a wrong key', async () => {
    const opened = await openBundle(SIGNED, keysAuthority(OTHER.open + ED.open));
    expect('problem' in opened ? opened.problem : 'accepted').toMatch(/not signed by key [0-9a-f]{16} or key/);
  });

  test('a signature by a key if an identity must have signed', async () => {
    const opened = await openBundle(SIGNED, {
      kind: 'identity',
      issuer: 'https://issuer.example',
      identity: VERIFIER,
      trustedRoot: '{}',
    });
    expect(opened).toEqual({ problem: 'it has no certificate' });
  });

  test('an invalid trusted root', async () => {
    const authority = { kind: 'identity', issuer: '', identity: '', trustedRoot: 'PEM' } as const;
    await expect(openBundle(SIGNED, authority)).rejects.toMatchObject({ hint: 'trusted-root' });
  });
});
