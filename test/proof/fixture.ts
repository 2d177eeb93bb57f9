import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { parseRecord, sha256 } from '../../src/ledger/codec.js';
import { readSigningKey } from '../../src/proof/keys.js';
import { keySigner } from '../../src/proof/signer.js';
import type { Claim } from '../../src/proof/statement.js';
import { CURRENT, TARGET } from '../ledger/fixture.js';

/** A fresh key of a kind that is taken, as PEM. */
export function pemPair(kind: 'ec' | 'ed25519' = 'ec'): { readonly secret: string; readonly open: string } {
  const pair = kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return {
    secret: secretPem(pair.privateKey),
    open: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

export function secretPem(key: KeyObject, passphrase?: string): string {
  const lock = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return key.export({ type: 'pkcs8', format: 'pem', ...lock }).toString();
}

export function signerOf({ secret }: { readonly secret: string }) {
  return keySigner(readSigningKey(secret, undefined));
}

/** What the newest of these records, the first of which names the ledger, says of its image at the first target. */
export function claimOf(records: readonly Buffer[], target = TARGET): Claim {
  const [first, bytes] = [records[0], records.at(-1)];
  if (first === undefined || bytes === undefined) throw new Error('no record');
  const parsed = parseRecord(bytes);
  if ('problem' in parsed) throw new Error(parsed.problem);
  const { record } = parsed.value;
  const position = { ledger: sha256(first), n: record.n, sha256: sha256(bytes) };
  return { label: CURRENT, record, position, target, digest: record.candidate.digest };
}

export const VERIFIER = 'https://forge.example/team/images/.github/workflows/promotion.yml@refs/heads/main';
