import { expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { explainTlsError } from '../../src/http/tls.js';

const HOST = 'dlrn.example:8443';
const failed = (code: string, message: string) => Object.assign(new Error(message), { code });

test.each<[string, string, string, Partial<ServiceError>]>([
  [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'self-signed certificate in certificate chain',
    'its certificate is from an authority that is not trusted (SELF_SIGNED_CERT_IN_CHAIN)',
    { hint: 'trust-certificate', host: undefined },
  ],
  [
    'CERT_HAS_EXPIRED',
    'certificate has expired',
    'its certificate has expired (CERT_HAS_EXPIRED)',
    { hint: undefined, host: HOST },
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    "Hostname/IP does not match certificate's altnames: Host: dlrn.example. is not in the cert's altnames: DNS:other",
    "its certificate is for another name: Hostname/IP does not match certificate's altnames: " +
      "Host: dlrn.example. is not in the cert's altnames: DNS:other",
    { hint: undefined, host: HOST },
  ],
  [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    '80BC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number',
    'does not speak TLS, which https:// needs',
    { hint: 'use-plain-http', host: undefined },
  ],
  [
    'EPROTO',
    'write EPROTO 80BC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number',
    'does not speak TLS, which https:// needs',
    { hint: 'use-plain-http', host: undefined },
  ],
])('%s', (code, message, line, named) => {
  const explained = explainTlsError(failed(code, message), HOST, 'use-plain-http');
  expect(explained).toBeInstanceOf(ServiceError);
  expect(explained).toMatchObject({ kind: 'unreachable', message: `${HOST}: ${line}`, ...named });
});

test('a server without TLS is named by its host if there is no other way out', () => {
  expect(explainTlsError(failed('EPROTO', 'wrong version number'), HOST)).toMatchObject({
    hint: undefined,
    host: HOST,
  });
});

test('any other error stays as it is', () => {
  const error = failed('ECONNRESET', 'socket hang up');
  expect(explainTlsError(error, HOST)).toBe(error);
});
