import * as tls from 'node:tls';
import { errorLine, ServiceError } from '../base/errors.js';

/**
 * The certificates to trust: Node's default ones, and `ca` (PEM). Node 22.15 includes those of NODE_EXTRA_CA_CERTS. An
 * older Node has only its own list.
 */
export function trustedCertificates(ca: string): string[] {
  const all = 'getCACertificates' in tls ? (tls.getCACertificates as () => string[])() : tls.rootCertificates;
  return [...all, ca];
}

/**
 * Turns a TLS failure into a ServiceError with a hint, since repeating the request would not help. Returns any other
 * error unchanged. `host` is host:port.
 */
export function explainTlsError(error: unknown, host: string): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (/SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_UNTRUSTED/.test(code)) {
    return new ServiceError('unreachable', `${host}: ${errorLine(error)}`, { hint: 'trust-certificate' });
  }
  return error;
}
