import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writePins } from '../../scripts/pin.js';
import { repositorySettings } from '../demo/act.js';
import { downstreamVariables } from '../demo/downstream.js';
import { makeRepository } from '../demo/git.js';
import { DISPATCH, runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { makeBareRepository } from '../sandbox/git-server.js';
import { projectRoot } from '../sandbox/project.js';
import { startGitea, startPlaceWithSsh, UPSTREAM, type Values } from './minimal.js';

/** mirror.yml of examples/downstream, whose upstream keeps its store in a private repository. */

const WORKFLOW = '.github/workflows/mirror.yml';
const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';

let place: Awaited<ReturnType<typeof startPlaceWithSsh>>;
beforeAll(async () => {
  place = await startPlaceWithSsh();
});
afterAll(() => place.stop());

/** Promotes as upstream does, into a branch, and returns the repository. */
async function promoteUpstream(image: string): Promise<string> {
  const repository = await makeBareRepository(place.work, 'upstream/store');
  const reference = `${image}:${TAG}@${cephDaemonImage(TAG).digest}`;
  const { target } = sandbox();
  const { errors } = await runBundle(
    'evaluate-and-promote',
    {
      reference,
      evidence: 'needs',
      needs: JSON.stringify({ test: { result: 'success', outputs: { reference } } }),
      criteria: 'current-ceph: [test]',
      targets: `${target.host}/upstream-${randomUUID()}/ceph`,
      'target-username': target.login.username,
      'target-password': target.login.password,
      server: `git+${place.forge.url}/upstream/store`,
      'git-token': place.forge.token,
    },
    // As in action.yml, for a token that the workflow names.
    { ...DISPATCH, 'INPUT_GIT-TOKEN-IS-DEFAULT': 'false' },
  );
  expect(errors).toEqual([]);
  return repository;
}

test('the mirror reads what upstream has promoted over HTTP with a token, and over SSH with a key', async () => {
  const folder = path.join(place.work, 'mirror');
  cpSync(path.join(projectRoot, 'examples/downstream'), folder, { recursive: true });
  const commit = execFileSync('git', ['-C', path.join(place.work, UPSTREAM), 'rev-parse', 'HEAD'], {
    encoding: 'utf8',
  });
  const file = path.join(folder, WORKFLOW);
  writeFileSync(file, writePins(readFileSync(file, 'utf8'), commit.trim(), 'main'));
  const sha = await makeRepository(folder);

  const directory = await freshImageDirectory();
  const { servers, own } = downstreamVariables(sandbox(), 'wallaby', directory, `test-${randomUUID()}/daemon`);
  const repository = await promoteUpstream(servers.CEPH_IMAGE);
  const run = async (vars: Values, login: Values): Promise<string> => {
    const secrets = { ...repositorySettings(sandbox()).secrets, ...login };
    const start = { repository: 'Alice/mirror', workflow: WORKFLOW, inputs: {}, secrets };
    const { status, log } = await startGitea(place, folder, sha, { ...start, vars: { ...servers, ...own, ...vars } });
    expect({ status, log: status === 0 ? '' : log }).toEqual({ status: 0, log: '' });
    return log;
  };

  const byHttp = { UPSTREAM_URL: `git+${place.forge.url}/upstream/store` };
  const log = await run(byHttp, { UPSTREAM_TOKEN: place.forge.readingToken });
  expect(log).toContain('mirrored-ceph: promoted ');
  expect(log).not.toContain(place.forge.readingToken);
  const record = JSON.parse(readFileSync(path.join(directory.path, 'ledger/mirrored-ceph/1.json'), 'utf8'));
  expect(record.candidate).toContain(`:${TAG}@${cephDaemonImage(TAG).digest}`);

  const bySsh = {
    UPSTREAM_URL: `git+ssh://${place.sshd.username}@127.0.0.1:${place.sshd.port}${repository}`,
    UPSTREAM_KNOWN_HOSTS: place.sshd.knownHosts,
  };
  expect(await run(bySsh, { UPSTREAM_SSH_KEY: place.sshd.privateKey })).toContain('mirrored-ceph: nothing changed: ');
});
