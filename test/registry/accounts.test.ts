import { expect, test } from '@jest/globals';
import { accountFor, type GivenLogins } from '../../src/registry/accounts.js';

const at = (registry: string, path: string) => ({ registry, path });
const login = (username: string) => ({ username, password: `${username}-password` });

const LOGINS: GivenLogins = {
  source: at('quay.io', 'ceph/daemon'),
  sourceLogin: login('reader'),
  targets: [at('target.example', 't/daemon'), at('quay.io', 't/daemon')],
  targetLogin: login('writer'),
  docker: ({ registry }) => (registry === 'kept.example' ? { login: login('kept') } : {}),
};
const noTargetLogin = { ...LOGINS, targetLogin: undefined };

test.each<[string, GivenLogins, string, string, string | undefined, string]>([
  ['the source', LOGINS, 'quay.io', 'ceph/daemon', 'reader', 'log-in-to-source'],
  ['another image there', LOGINS, 'quay.io', 'prometheus/prometheus', 'reader', 'log-in-to-source'],
  ["the source's registry under another name", LOGINS, 'QUAY.io:443', 'a/b', 'reader', 'log-in-to-source'],
  ['a target', LOGINS, 'target.example', 't/daemon', 'writer', 'log-in-to-target'],
  ["a target on the source's registry", LOGINS, 'quay.io', 't/daemon', 'writer', 'log-in-to-target'],
  ['such a target without a login of its own', noTargetLogin, 'quay.io', 't/daemon', 'reader', 'log-in-to-target'],
  [
    'another target without a login of its own',
    noTargetLogin,
    'target.example',
    't/daemon',
    undefined,
    'log-in-to-target',
  ],
  ["another image on a target's registry", LOGINS, 'target.example', 'x/y', undefined, 'log-in-with-docker'],
  ['a companion from elsewhere', LOGINS, 'docker.io', 'library/haproxy', undefined, 'log-in-with-docker'],
  ["a companion from where Docker's login is kept", LOGINS, 'kept.example', 'a/b', 'kept', 'log-in-with-docker'],
])('%s', (_, logins, registry, path, username, hint) => {
  const account = accountFor(at(registry, path), logins);
  expect(account.login).toEqual(username === undefined ? undefined : login(username));
  expect(account.hint).toBe(hint);
});
