import { expect, test } from '@jest/globals';
import { isTrustedRealm, parseChallenge } from '../../src/registry/challenge.js';
import { basic } from '../../src/registry/login.js';

const https = new URL('https://registry.test/v2/');
const bearer = (realm: string, service?: string, ...scopes: string[]) => ({
  scheme: 'bearer',
  realm: new URL(realm),
  service,
  scopes,
});

test.each<[string, object | undefined]>([
  ['Basic realm="x"', { scheme: 'basic' }],
  ['basic', { scheme: 'basic' }],
  ['Bearer realm="https://quay.io/v2/auth",service="quay.io"', bearer('https://quay.io/v2/auth', 'quay.io')],
  [
    'bearer realm=https://a.test/t, service=s, scope="repository:a:pull"',
    bearer('https://a.test/t', 's', 'repository:a:pull'),
  ],
  [
    'Bearer realm="https://a.test/t",scope="repository:x/y:pull,push registry:catalog:* junk"',
    bearer('https://a.test/t', undefined, 'repository:x/y:pull,push', 'registry:catalog:*'),
  ],
  ["Bearer realm='https://a.test/t',service='s'", bearer('https://a.test/t', 's')],
  // apple/container#454
  ['Bearer  realm = "https://a.test/t" , service="s",scope="*",', bearer('https://a.test/t', 's')],
  ['Bearer service="s",realm="/token"', bearer('https://registry.test/token', 's')],
  ['Bearer realm="https://a.test/t",error="invalid_token"', bearer('https://a.test/t')],
  ['Basic realm="x", Bearer realm="https://a.test/t"', bearer('https://a.test/t')],
  ['Bearer realm="https://a.test/t", Basic realm="x"', bearer('https://a.test/t')],
  ['Bearer realm="https://a.test/\\"t",service="a\\"b"', bearer('https://a.test/%22t', 'a"b')],
  ['Negotiate', { scheme: 'unknown', name: 'Negotiate' }],
  ['Bearer service="s"', { scheme: 'unknown', name: 'Bearer without a realm' }],
  ['', undefined],
])('%s', (header, challenge) => {
  expect(parseChallenge(header, https)).toEqual(challenge);
});

test('no password is sent without TLS', () => {
  expect(() => parseChallenge('Bearer realm="http://a.test/t"', https)).toThrow(/without TLS/);
  expect(parseChallenge('Bearer realm="http://a.test/t"', new URL('http://r.test/'))).toEqual(
    bearer('http://a.test/t'),
  );
});

test('basic authentication is encoded in UTF-8', () => {
  expect(basic({ username: 'a+b', password: 'ö:' })).toBe('Basic YStiOsO2Og==');
});

test.each<[string, string, readonly string[], boolean]>([
  ['https://quay.io/v2/auth', 'https://quay.io', [], true],
  ['https://auth.docker.io/token', 'https://registry-1.docker.io', [], true],
  ['https://gitlab.com/jwt/auth', 'https://registry.gitlab.com', [], true],
  ['http://127.0.0.1:5001/token', 'http://127.0.0.1:5000', [], true],
  ['https://evil.test/token', 'https://quay.io', [], false],
  ['https://quay.io.evil.test/token', 'https://quay.io', [], false],
  ['https://evilquay.io/token', 'https://quay.io', [], false],
  ['https://quay.io@evil.test/token', 'https://quay.io', [], false],
  ['https://quay.io./token', 'https://quay.io', [], false],
  ['https://10.0.0.1/token', 'https://10.1.0.1', [], false],
  ['https://auth/token', 'https://registry', [], false],
  ['https://authn.nvidia.com/token', 'https://nvcr.io', ['authn.nvidia.com'], true],
  ['https://authn.nvidia.com:8443/token', 'https://nvcr.io', ['authn.nvidia.com:8443'], true],
  ['https://authn.nvidia.com/token', 'https://nvcr.io', ['nvidia.com'], false],
])('a login goes to %s from %s, with %j listed: %s', (realm, registry, listed, isTrusted) => {
  expect(isTrustedRealm(new URL(realm), new URL(registry), listed)).toBe(isTrusted);
});
