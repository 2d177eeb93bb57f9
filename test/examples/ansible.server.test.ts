import { readFile, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { readByRole } from './candidate-role.js';

/** The role ceph_candidate, with the real ansible-playbook and the sandbox's image server. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
let directory: ImageDirectory;
let image: string;
let digest: string;

beforeAll(async () => {
  const { imageServer, source } = sandbox();
  directory = await freshImageDirectory();
  image = `${source.host}/ceph/daemon`;
  digest = cephDaemonImage(TAG).digest;
  const published = await runBundle('publish-ci-testing', {
    reference: `${image}:${TAG}@${digest}`,
    server: directory.server,
    'ssh-private-key': imageServer.sshd.privateKey,
    'ssh-known-hosts': imageServer.sshd.knownHosts,
  });
  expect(published.errors).toEqual([]);
});

test('it sets what consume-ci-testing outputs, and notices if another image runs', async () => {
  const file = join(tmpdir(), `ceph-${process.pid}.yml`);
  const show = { 'ansible.builtin.debug': { msg: 'read={{ ceph_candidate_reference }} {{ ceph_candidate_flavor }}' } };
  const verify = { 'ansible.builtin.include_role': { name: 'ceph_candidate', tasks_from: 'verify' } };
  const variables = {
    ceph_candidate_vars_file: file,
    ceph_candidate_images: [image],
    ceph_candidate_running: [`quay.io/ceph/daemon@sha256:${'0'.repeat(64)}`],
  };
  const { status, said } = await readByRole(directory, variables, [show, verify]);
  expect(said).toContain(`read=${image}:${TAG}@${digest} pacific`);
  expect(said).toContain(`runs, and the candidate is ${image}:${TAG}@${digest}`);
  expect(status).toBe(2);
  const ours = join(tmpdir(), `ceph-ours-${process.pid}.yml`);
  const { outputs } = await runBundle('consume-ci-testing', { url: directory.url, 'extra-vars-file': ours });
  const [byRole, byAction] = await Promise.all([readFile(file, 'utf8'), readFile(ours, 'utf8')]);
  expect(parse(byRole)).toMatchObject({
    docker_ceph_digest: digest,
    cephadm_repository: outputs['cephadm-repository'],
    openstack_repository: outputs['openstack-repository'],
  });
  expect(byRole).toBe(byAction);
  await Promise.all([unlink(file), unlink(ours)]);
});

test('a missing label gives one clear line', async () => {
  const { status, said } = await readByRole(directory, { ceph_candidate_label: 'no-such-testing' });
  expect(status).toBe(2);
  expect(said).toContain(`${directory.url}: there is no label no-such-testing; check ceph_candidate_url`);
  expect(said).not.toMatch(/(?<![\w-])404(?![\w-])/);
});
