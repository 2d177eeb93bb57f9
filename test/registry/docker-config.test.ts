import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { parseDockerConfig, readDockerLogins } from '../../src/registry/docker-config.js';
import { repository } from './support.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const user = (username: string) => ({ username, password: `pw-${username}` });
const auth = (username: string) => ({ auth: base64(`${username}:pw-${username}`) });

const config = JSON.stringify({
  auths: {
    'quay.io': auth('host'),
    'quay.io/ceph': auth('ceph'),
    'quay.io/ceph/daemon': auth('daemon'),
    'quay.io/tripleo/': auth('tripleo'),
    'https://registry.test:5000/v2/': { auth: base64('user:a:b') },
    'https://index.docker.io/v1/': auth('hub'),
    'only-path.test/a': auth('a'),
    'both.test/v1/': auth('old'),
    'both.test': auth('new'),
    'plain.test': { username: 'plain', password: 'secret' },
    'padded.test': { auth: base64('padded:secret\0\0') },
    'azure.test': { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 'refresh' },
    'helper-style.test': { username: '<token>', password: 'refresh' },
    'podman.test': { registrytoken: 'access' },
    'empty.test': {},
    'null.test': null,
    'null-auth.test': { auth: null },
    'odd.test': { auth: 12 },
    'not a host/x': auth('odd'),
    'broken.test': { auth: base64('no colon') },
    '127.0.0.1:5000': auth('loopback'),
  },
  credHelpers: { 'helped.test': 'ecr-login' },
});

test.each<[string, object]>([
  ['quay.io/x', { login: user('host') }],
  ['quay.io/ceph/ceph', { login: user('ceph') }],
  ['quay.io/ceph/daemon', { login: user('daemon') }],
  ['quay.io/ceph/daemon/sub', { login: user('daemon') }],
  ['quay.io/ceph/daemon-base', { login: user('ceph') }],
  ['quay.io/cephadm/x', { login: user('host') }],
  ['quay.io/tripleo/x', { login: user('tripleo') }],
  ['QUAY.io:443/ceph/x', { login: user('ceph') }],
  ['registry.test:5000/x', { login: { username: 'user', password: 'a:b' } }],
  ['docker.io/x/y', { login: user('hub') }],
  ['registry-1.docker.io/x/y', { login: user('hub') }],
  ['only-path.test/a', { login: user('a') }],
  ['only-path.test/b', {}],
  ['both.test/x', { login: user('new') }],
  ['plain.test/x', { login: { username: 'plain', password: 'secret' } }],
  ['padded.test/x', { login: { username: 'padded', password: 'secret' } }],
  ['azure.test/x', { login: { identityToken: 'refresh' } }],
  ['helper-style.test/x', { login: { identityToken: 'refresh' } }],
  ['podman.test/x', { login: { registryToken: 'access' } }],
  ['empty.test/x', {}],
  ['null.test/x', {}],
  ['null-auth.test/x', {}],
  ['localhost:5000/x', { login: user('loopback') }],
  ['unknown.test/x', {}],
])('%s', (name, found) => {
  expect(parseDockerConfig(config, 'config.json')(repository(name))).toEqual(found);
});

test.each(['', ' \n', '{}', '\ufeff{}', '{"auths": null}', '{"auths": {}, "credsStore": ""}', '{"credHelpers": null}'])(
  'no logins in %j',
  (content) => {
    expect(parseDockerConfig(content, 'config.json')(repository('quay.io/x'))).toEqual({});
  },
);

test('a login in a credential helper is named, and not used', () => {
  const helped = parseDockerConfig(config, '/x/config.json')(repository('helped.test/x'));
  expect(helped).toEqual({
    note: '/x/config.json leaves its login to the credential helper "ecr-login", which is not run',
  });
  const stored = parseDockerConfig('{"auths": {"quay.io": {}}, "credsStore": "desktop"}', 'config.json');
  expect(stored(repository('quay.io/x')).note).toContain('"desktop"');
  expect(stored(repository('other.test/x'))).toEqual({});
});

test.each([
  ['odd.test/x', /^config.json: the login for odd.test: auth/],
  ['broken.test/x', /^config.json: the login for broken.test: its auth is not base64 of user:password$/],
])('a wrong entry fails only what needs it: %s', (name, message) => {
  const logins = parseDockerConfig(config, 'config.json');
  expect(() => logins(repository(name))).toThrow(UserError);
  expect(() => logins(repository(name))).toThrow(message);
  expect(logins(repository('quay.io/x'))).toEqual({ login: user('host') });
});

test('a file that is broken is named', () => {
  expect(() => parseDockerConfig('{', '/x/config.json')).toThrow(/^\/x\/config.json: not JSON/);
});

test('the file of DOCKER_CONFIG, or none', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'docker-config-'));
  try {
    expect((await readDockerLogins({ DOCKER_CONFIG: directory }))(repository('quay.io/x'))).toEqual({});
    await writeFile(join(directory, 'config.json'), config);
    expect((await readDockerLogins({ DOCKER_CONFIG: directory }))(repository('quay.io/x')).login).toEqual(user('host'));
  } finally {
    await rm(directory, { recursive: true });
  }
});
