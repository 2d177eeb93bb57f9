import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { makeBareRepository } from '../sandbox/git-server.js';
import { ENGINES, PASSWORD, startPlaceWithSsh, type Values, watchProcesses } from './minimal.js';

/** examples/minimal with its store in a repository that is reached over SSH. */

/** Newer than all of the flavor. */
const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const OTHER = 'v6.0.5-stable-6.0-pacific-centos-8';

let place: Awaited<ReturnType<typeof startPlaceWithSsh>>;
beforeAll(async () => {
  place = await startPlaceWithSsh();
});
afterAll(() => place.stop());

/** As docs/how-to/keep-the-store-in-a-branch.md says. */
function storeBySsh(workflow: string): string {
  const line = '          server: git\n';
  expect(workflow).toContain(line);
  return workflow.replace(
    line,
    `          server: \${{ vars.STORE }}
          ssh-private-key: \${{ secrets.STORE_SSH_KEY }}
          ssh-known-hosts: \${{ vars.STORE_KNOWN_HOSTS }}
`,
  );
}

test.each(ENGINES)('with %s it promotes, repeats, forces, rolls back and holds', async (_, short, engine) => {
  const store = await makeBareRepository(place.work, `Store/${short}`);
  const processes = watchProcesses(store);
  const address = `git+ssh://${place.sshd.username}@127.0.0.1:${place.sshd.port}${store}`;
  const [, keyLine = ''] = place.sshd.privateKey.split('\n');
  const hidden = [keyLine, PASSWORD];
  const vars = {
    IMAGE: `${sandbox().source.host}/ceph/daemon`,
    FLAVOR: 'octopus',
    TARGET: `${place.registry.host}/alice/ceph-${short}`,
    ACTORS: 'alice',
    STORE: address,
    STORE_KNOWN_HOSTS: place.sshd.knownHosts,
  };
  const secrets = { REGISTRY_TOKEN: PASSWORD, STORE_SSH_KEY: place.sshd.privateKey };
  const git = (...args: string[]) => execFileSync('git', ['-C', store, ...args], { encoding: 'utf8' });
  const label = () => git('show', 'promotions:current-ceph');
  async function run(inputs: Values = {}): Promise<string> {
    const start = { repository: `Alice/${short}`, vars, secrets, inputs, edit: storeBySsh };
    const { status, log } = await engine(place, start);
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    for (const secret of hidden) expect(log).not.toContain(secret);
    return log;
  }

  expect(await run()).toContain('current-ceph: promoted ');
  const first = label();
  expect(git('show', 'promotions:ledger/current-ceph/1.json')).toContain(`:${first}@${cephDaemonImage(first).digest}`);
  expect(await run()).toContain('current-ceph: nothing changed: ');
  expect(git('ls-tree', '--name-only', 'promotions:ledger/current-ceph')).toBe('1.json\n');

  const reason = { 'force-reason': 'try' };
  await run({ 'force-tag': TAG, 'force-confirm': TAG, ...reason });
  expect(label()).toBe(TAG);
  await run({ 'rollback-to': 'previous', ...reason });
  expect(label()).toBe(first);
  await run({ hold: OTHER, ...reason });
  const kinds = [1, 2, 3, 4].map((n) => JSON.parse(git('show', `promotions:ledger/current-ceph/${n}.json`)).kind);
  expect(kinds).toEqual(['earned', 'forced', 'rollback', 'hold']);

  const verified = await runBundle('verify-ledger', {
    url: address,
    'ssh-private-key': place.sshd.privateKey,
    'ssh-known-hosts': place.sshd.knownHosts,
    'target-username': 'alice',
    'target-password': PASSWORD,
  });
  expect(verified.errors).toEqual([]);
  expect(verified.outputs).toMatchObject({ verified: 'true', records: '4' });
  expect(processes()).toContain('dist/evaluate-and-promote/index.js');
  for (const everything of [git('log', '-p', '--all'), processes()]) {
    for (const secret of hidden) expect(everything).not.toContain(secret);
  }
});
