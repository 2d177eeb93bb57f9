import { createPrivateKey, type KeyObject } from 'node:crypto';
import { UserError } from '../../base/errors.js';

const INPUT = 'input ssh-private-key';
const FORMS = 'a private key as ssh-keygen writes it (ed25519, ecdsa or rsa)';

/** The key in a form that ssh2 reads. All that ssh-keygen writes is taken, but for keys on hardware and encrypted ones. */
export async function readPrivateKey(text: string): Promise<string> {
  const { default: ssh2 } = await import('ssh2');
  const pem = openSshForm(`${text.replaceAll('\r\n', '\n').trim()}\n`);
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) {
    if (/encrypted/i.test(parsed.message)) throw encrypted();
    throw new UserError(`${INPUT}: is not ${FORMS}`);
  }
  const [key] = [parsed].flat();
  if (!key?.isPrivateKey()) throw new UserError(`${INPUT}: is a public key; it takes ${FORMS}`);
  return pem;
}

function encrypted(): UserError {
  return new UserError(
    `${INPUT}: is encrypted; remove its passphrase (ssh-keygen -p) or leave the input empty and run an agent`,
  );
}

/** PKCS #8 (`ssh-keygen -m PKCS8`), which ssh2 does not read, in a form that it does; anything else as it is. */
function openSshForm(pem: string): string {
  if (pem.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----')) throw encrypted();
  if (!pem.startsWith('-----BEGIN PRIVATE KEY-----')) return pem;
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return pem;
  }
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return key.export({ type: 'pkcs1', format: 'pem' }).toString();
    case 'ec':
      return key.export({ type: 'sec1', format: 'pem' }).toString();
    case 'ed25519':
      return openSshEd25519(key);
    default:
      return pem;
  }
}

/** openssh-key-v1, unencrypted (OpenSSH's PROTOCOL.key). */
function openSshEd25519(key: KeyObject): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const publicKey = Buffer.from(x, 'base64url');
  const type = field('ssh-ed25519');
  const check = Buffer.alloc(8);
  const secret = Buffer.concat([Buffer.from(d, 'base64url'), publicKey]);
  const section = Buffer.concat([check, type, field(publicKey), field(secret), field('')]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, -section.length & 7);
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[field('none'), field('none'), field('')],
    uint32(1),
    field(Buffer.concat([type, field(publicKey)])),
    field(Buffer.concat([section, padding])),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(value: string | Buffer): Buffer {
  return Buffer.concat([uint32(value.length), Buffer.from(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
