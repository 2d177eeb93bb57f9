import * as tls from 'node:tls';
import { errorLine, type Hint, ServiceError } from '../base/errors.js';

/**
 * The certificates to trust: Node's default ones, and `ca` (PEM). From Node 22.15 on, those of NODE_EXTRA_CA_CERTS are
 * among the default ones; an older Node gives only its own list.
 */
export function trustedCertificates(ca: string): string[] {
  const all = 'getCACertificates' in tls ? (tls.getCACertificates as () => string[])() : tls.rootCertificates;
  return [...all, ca];
}

/** OpenSSL's codes for a certificate from an authority that Node does not know. */
const UNTRUSTED = /SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_UNTRUSTED/;

/** What is wrong with a certificate from a trusted authority, by Node's code. */
const BAD_CERTIFICATES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: "its certificate is not valid yet: is the runner's clock right?",
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

/**
 * Turns a TLS failure into a ServiceError, since repeating the request would not help. Returns any other error
 * unchanged. `host` is host:port, or the name of a proxy. `withoutTls` is the way out if the server speaks no TLS.
 */
export function explainTlsError(error: unknown, host: string, withoutTls?: Hint): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const fail = (what: string, hint?: Hint) =>
    new ServiceError('unreachable', `${host}: ${what}`, { hint, ...(hint === undefined && { host }) });
  if (UNTRUSTED.test(code))
    return fail(`its certificate is from an authority that is not trusted (${code})`, 'trust-certificate');
  const isPlain =
    code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || /wrong.version.number/i.test(`${code} ${errorLine(error)}`);
  if (isPlain) return fail('does not speak TLS, which https:// needs', withoutTls);
  const bad = BAD_CERTIFICATES[code];
  if (bad === undefined) return error;
  // Node's message has both names.
  return fail(code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? `${bad}: ${errorLine(error)}` : `${bad} (${code})`);
}
