import { expect, test } from '@jest/globals';
import { accountFor, type GivenLogins } from '../../src/registry/accounts.js';

const at = (registry: string, path: string) => ({ registry, path });
const login = (username: string) => ({ username, password: `${username}-password` });

const LOGINS: GivenLogins = {
  source: at('quay.io', 'ceph/daemon'),
  sourceLogin: login('reader'),
  targets: [at('target.example', 't/daemon'), at('quay.io', 't/daemon')],
  targetLogin: login('writer'),
  others: (registry) => (registry === 'kept.example' ? login('kept') : undefined),
};
const noTargetLogin = { ...LOGINS, targetLogin: undefined };

test.each<[string, GivenLogins, string, string, string | undefined, string]>([
  ['the source', LOGINS, 'quay.io', 'ceph/daemon', 'reader', 'registry-username'],
  ['another image there', LOGINS, 'quay.io', 'prometheus/prometheus', 'reader', 'registry-username'],
  ['a target', LOGINS, 'target.example', 't/daemon', 'writer', 'target-username'],
  ["a target on the source's registry", LOGINS, 'quay.io', 't/daemon', 'writer', 'target-username'],
  ['such a target without a login of its own', noTargetLogin, 'quay.io', 't/daemon', 'reader', 'target-username'],
  [
    'another target without a login of its own',
    noTargetLogin,
    'target.example',
    't/daemon',
    undefined,
    'target-username',
  ],
  ["another image on a target's registry", LOGINS, 'target.example', 'x/y', undefined, 'docker login target.example'],
  ['a companion from elsewhere', LOGINS, 'docker.io', 'library/haproxy', undefined, 'docker login docker.io'],
  ['a companion from where docker is logged in', LOGINS, 'kept.example', 'a/b', 'kept', 'docker login kept.example'],
])('%s', (_, logins, registry, path, username, inputs) => {
  const account = accountFor(at(registry, path), logins);
  expect(account.login?.username).toBe(username);
  expect(account.inputs).toContain(inputs);
});
