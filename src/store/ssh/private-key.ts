import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { UserError } from '../../base/errors.js';

/** A private key that can log in. */
export interface PrivateKey {
  /** The key as it is offered to a server, one attempt each. */
  readonly offers: readonly ParsedKey[];
  /** Its public half, as a line of authorized_keys. */
  readonly publicLine: string;
}

const FORMS = 'a private key as ssh-keygen writes it (ed25519, ecdsa or rsa)';

/**
 * Reads a private key in any form that ssh-keygen writes, except encrypted ones and those on hardware.
 *
 * @throws UserError that names the unsupported form, but never quotes the key.
 */
export async function readPrivateKey(text: string): Promise<PrivateKey> {
  const { default: ssh2 } = await import('ssh2');
  const parsed = ssh2.utils.parseKey(repairPrivateKey(text));
  if (parsed instanceof Error) {
    if (/encrypted/i.test(parsed.message)) throw encrypted();
    if (/-----BEGIN /.test(text) && !/-----END /.test(text))
      throw refuse('is cut off: it has no line -----END … PRIVATE KEY-----');
    throw refuse(`is not ${FORMS}, or it is incomplete`);
  }
  const [key] = [parsed].flat();
  if (!key?.isPrivateKey()) throw refuse(`is a public key: give ${FORMS}`);
  return {
    // ssh2 signs with SHA-256 even if a server accepts only SHA-512.
    offers: key.type === 'ssh-rsa' ? [signingBySha512(key), key] : [key],
    publicLine: `${key.type} ${key.getPublicSSH().toString('base64')}`,
  };
}

/**
 * The key as a file that OpenSSH reads. Repairs unambiguous damage that web forms and shells do to secrets: wrong or
 * missing line ends, `\n` as two characters, indentation, quotes, base64 of the file.
 *
 * @throws UserError that names the unsupported form, but never quotes the key.
 */
export function repairPrivateKey(text: string): string {
  return openSshForm(toPem(text));
}

function refuse(problem: string): UserError {
  return new UserError(`the SSH private key ${problem}`, { hint: 'private-key' });
}

function encrypted(): UserError {
  return refuse('is encrypted: remove its passphrase (ssh-keygen -p), or run an agent');
}

/** The key under the name of the algorithm that it signs with (RFC 8332). */
function signingBySha512(key: ParsedKey): ParsedKey {
  return new Proxy(key, {
    get(target, name) {
      if (name === 'type') return 'rsa-sha2-512';
      if (name === 'sign') return (data: Buffer) => target.sign(data, 'sha512');
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const FRAME = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----([\s\S]*?)(?:-----END |$)/;
/** The beginning of a body in OpenSSH's format: `openssh-key-v1` in base64. */
const OPENSSH_BODY = /^b3BlbnNzaC1rZXktdj[EF]/;

/** The key as a PEM file with lines of its own. */
function toPem(text: string, isDecoded = false): string {
  const plain = text
    .replace(/^\ufeff/, '')
    .replaceAll(/\\r|\\n/g, '\n')
    .trim()
    .replace(/^(["'])([\s\S]*)\1$/, '$2')
    .trim();
  const [, type, body = ''] = FRAME.exec(plain) ?? [];
  if (type !== undefined) return frame(type, body);
  const packed = plain.replaceAll(/\s+/g, '');
  const isBase64 = /^[A-Za-z0-9+/]{40,}={0,2}$/.test(packed);
  if (isBase64 && OPENSSH_BODY.test(packed)) return frame('OPENSSH PRIVATE KEY', packed);
  const decoded = isBase64 && !isDecoded ? Buffer.from(packed, 'base64').toString('latin1') : '';
  if (decoded.includes('-----BEGIN ')) return toPem(decoded, true);
  throw refuse(whatItIs(plain));
}

/** Body and frame, each on lines of their own. */
function frame(type: string, body: string): string {
  if (type.startsWith('ENCRYPTED') || /Proc-Type:.*ENCRYPTED/.test(body)) throw encrypted();
  const packed = body.replaceAll(/\s+/g, '').replace(/["'\\]+$/, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) throw refuse('has characters between BEGIN and END that no key has');
  const lines = packed.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}

function whatItIs(text: string): string {
  if (text.startsWith('PuTTY-User-Key-File')) {
    return "is in PuTTY's format: convert it with `puttygen key.ppk -O private-openssh-new -o key`";
  }
  if (/^\*+$/.test(text)) return 'is only asterisks: a masked value was stored in its place';
  if (/^(?:ssh-|ecdsa-sha2-|sk-)\S+\s+AAAA/.test(text) || text.startsWith('---- BEGIN SSH2 PUBLIC KEY')) {
    return `is a public key: give ${FORMS}`;
  }
  if (/-----BEGIN [A-Z0-9 ]*PUBLIC KEY-----/.test(text)) return `is a public key: give ${FORMS}`;
  if (/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(text)) return `is a certificate: give ${FORMS}`;
  if (/^(?:~|\.{0,2}\/|[A-Za-z]:\\)[^\n]*$/.test(text)) return 'is a path: give the content of that file';
  return `has no line -----BEGIN … PRIVATE KEY-----: give ${FORMS}, with its first and last line`;
}

/** Converts PKCS #8 (`ssh-keygen -m PKCS8`), which ssh2 cannot read, to a form that it can. Keeps any other form. */
function openSshForm(pem: string): string {
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
