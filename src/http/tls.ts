import * as tls from 'node:tls';
import { errorLine, ServiceError } from '../base/errors.js';

/**
 * The certificates to trust: those that Node trusts by default, and `ca` (PEM). Node 22.15 knows those of
 * NODE_EXTRA_CA_CERTS too; an older one has only its own list.
 */
export function trustedCertificates(ca: string): string[] {
  const all = 'getCACertificates' in tls ? (tls.getCACertificates as () => string[])() : tls.rootCertificates;
  return [...all, ca];
}

/**
 * A failure of TLS as a ServiceError with the way out, since it fails again however often one asks; any other error as
 * it is. `host` is host:port.
 */
export function explainTlsError(error: unknown, host: string): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (/SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_UNTRUSTED/.test(code)) {
    return new ServiceError('unreachable', `${host}: ${errorLine(error)}`, { hint: 'trust-certificate' });
  }
  return error;
}
