import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Authority, openBundle } from '../../src/proof/bundle.js';
import { keylessSigner } from '../../src/proof/keyless.js';
import { formatStatement, isOfClaim, PROMOTION_TYPE } from '../../src/proof/statement.js';
import { chainOf } from '../ledger/fixture.js';
import { claimOf, pemPair, signerOf, VERIFIER } from './fixture.js';
import { type Sigstore, startSigstore, tokenOf } from './sigstore.js';

/** Keyless signatures, by the mock of sigstore-js. */

const ISSUER = 'https://token.actions.example';
const LEDGER = chainOf([['v1']]);
const CLAIM = claimOf(LEDGER);
const STATEMENT = formatStatement(CLAIM, PROMOTION_TYPE, LEDGER[0] as Buffer, VERIFIER);

let sigstore: Sigstore;
let signed: Buffer;
beforeAll(async () => {
  sigstore = await startSigstore();
  signed = await signer(sigstore).sign(STATEMENT);
});
afterAll(() => sigstore.stop());

function signer({ url }: Sigstore, now = () => 0, fetchToken = async () => tokenOf(VERIFIER, ISSUER)) {
  return keylessSigner({ fulcioUrl: url, rekorUrl: url, fetchToken, now });
}

const authority = (changes: Partial<Extract<Authority, { kind: 'identity' }>> = {}): Authority => ({
  kind: 'identity',
  issuer: ISSUER,
  identity: VERIFIER,
  trustedRoot: sigstore.trustedRoot,
  ...changes,
});
const verdict = async (bytes: Uint8Array, by: Authority) => {
  const opened = await openBundle(bytes, by);
  return 'by' in opened ? `by ${opened.by}` : opened.problem;
};

test('what a workflow signed is verified by its identity and the trusted root', async () => {
  expect(await verdict(signed, authority())).toBe(`by ${VERIFIER}`);
});

test('a run recognises its own signature, but not a changed one', async () => {
  const opened = await signer(sigstore).open(signed);
  expect('statement' in opened && isOfClaim(opened.statement, CLAIM, PROMOTION_TYPE)).toBe(true);
  const document = JSON.parse(signed.toString());
  document.dsseEnvelope.payload = Buffer.from('{}').toString('base64');
  expect(await signer(sigstore).open(Buffer.from(JSON.stringify(document)))).toHaveProperty('problem');
  const byKey = await signerOf(pemPair()).sign(STATEMENT);
  expect(await signer(sigstore).open(byKey)).toHaveProperty('problem');
});

describe('refused', () => {
  test.each([
    ['another identity', { identity: `${VERIFIER}x` }, /is signed by/],
    ['a part of the identity, or a pattern', { identity: '.*' }, /is signed by/],
    ['another issuer', { issuer: 'https://other.example' }, /is signed by/],
  ])('%s', async (_, changes, said) => {
    expect(await verdict(signed, authority(changes))).toMatch(said);
  });

  test('another root', async () => {
    const other = await startSigstore();
    other.stop();
    expect(await verdict(signed, authority({ trustedRoot: other.trustedRoot }))).not.toMatch(/^by /);
  });

  test('a certificate that had expired when it signed', async () => {
    const late = await startSigstore(new Date(Date.now() - 24 * 3600 * 1000));
    const expired = await signer(late).sign(STATEMENT);
    late.stop();
    expect(await verdict(expired, authority({ trustedRoot: late.trustedRoot }))).not.toMatch(/^by /);
  });

  test('a tampered payload', async () => {
    const document = JSON.parse(signed.toString());
    document.dsseEnvelope.payload = Buffer.from('{}').toString('base64');
    expect(await verdict(Buffer.from(JSON.stringify(document)), authority())).not.toMatch(/^by /);
  });

  test('no entry in the log', async () => {
    const document = JSON.parse(signed.toString());
    document.verificationMaterial.tlogEntries = [];
    expect(await verdict(Buffer.from(JSON.stringify(document)), authority())).not.toMatch(/^by /);
  });

  test('a certificate if a key must have signed', async () => {
    const opened = await openBundle(signed, { kind: 'keys', keys: [] });
    expect(opened).toEqual({ problem: 'it is not signed by a key' });
  });
});

test('a token is fetched before the record is written, and again if it has become old', async () => {
  let fetched = 0;
  let time = 0;
  const fetchToken = async () => {
    fetched += 1;
    return tokenOf(VERIFIER, ISSUER);
  };
  const own = signer(sigstore, () => time, fetchToken);
  await own.ready();
  await own.sign(STATEMENT);
  expect(fetched).toBe(1);
  time += 300;
  await own.sign(STATEMENT);
  expect(fetched).toBe(2);
});

test('a Fulcio that is down is a failure of a service, and quotes no token', async () => {
  const down = await startSigstore();
  down.stop();
  const token = tokenOf(VERIFIER, ISSUER);
  const failure: Error = await signer(down, undefined, async () => token)
    .sign(STATEMENT)
    .then(
      () => new Error('signed'),
      (error: Error) => error,
    );
  expect(failure).toMatchObject({ kind: 'server-error', hint: 'sign-off' });
  expect(failure.message).not.toContain(token);
});
