import { expect, test } from '@jest/globals';
import { basic, parseChallenge } from '../../src/registry/challenge.js';

const https = new URL('https://registry.test/v2/');
const bearer = (realm: string, service?: string) => ({ scheme: 'bearer', realm: new URL(realm), service });

test.each<[string, object | undefined]>([
  ['Basic realm="x"', { scheme: 'basic' }],
  ['basic', { scheme: 'basic' }],
  ['Bearer realm="https://quay.io/v2/auth",service="quay.io"', bearer('https://quay.io/v2/auth', 'quay.io')],
  ['bearer realm=https://a.test/t, service=s, scope="repository:a:pull"', bearer('https://a.test/t', 's')],
  ['Bearer service="s",realm="/token"', bearer('https://registry.test/token', 's')],
  ['Bearer realm="https://a.test/t",error="invalid_token"', bearer('https://a.test/t')],
  ['Basic realm="x", Bearer realm="https://a.test/t"', bearer('https://a.test/t')],
  ['Bearer realm="https://a.test/t", Basic realm="x"', bearer('https://a.test/t')],
  ['Bearer realm="https://a.test/\\"t",service="a\\"b"', bearer('https://a.test/%22t', 'a"b')],
  ['Negotiate', undefined],
  ['', undefined],
])('%s', (header, challenge) => {
  expect(parseChallenge(header, https)).toEqual(challenge);
});

test('no password leaves TLS', () => {
  expect(() => parseChallenge('Bearer realm="http://a.test/t"', https)).toThrow(/without TLS/);
  expect(parseChallenge('Bearer realm="http://a.test/t"', new URL('http://r.test/'))).toEqual(
    bearer('http://a.test/t'),
  );
});

test('basic is of UTF-8', () => {
  expect(basic({ username: 'a+b', password: 'ö:' })).toBe('Basic YStiOsO2Og==');
});
