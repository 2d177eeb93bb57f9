import { readFile, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { runBundle } from '../e2e/bundle.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { runPlaybook } from './playbook.js';

/** The role ceph_candidate, by the real ansible-playbook, from the sandbox's image server. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
let directory: ImageDirectory;
let image: string;
let digest: string;

const READ = { name: 'Read the candidate', 'ansible.builtin.include_role': { name: 'ceph_candidate' } };
const run = (rest: readonly unknown[] = [], variables: Readonly<Record<string, unknown>> = {}) =>
  runPlaybook([READ, ...rest], { ceph_candidate_url: directory.url, ceph_candidate_retries: 1, ...variables });

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

test('it sets the variables, and writes the file that consume-ci-testing writes', async () => {
  const file = join(tmpdir(), `ceph-${process.pid}.yml`);
  const show = { 'ansible.builtin.debug': { msg: 'candidate={{ ceph_candidate_reference }}' } };
  const { status, said } = await run([show], { ceph_candidate_vars_file: file });
  expect(said).toContain(`candidate=${image}:${TAG}@${digest}`);
  expect(status).toBe(0);
  const ours = join(tmpdir(), `ceph-ours-${process.pid}.yml`);
  await runBundle('consume-ci-testing', { url: directory.url, 'extra-vars-file': ours });
  const [byRole, byAction] = await Promise.all([readFile(file, 'utf8'), readFile(ours, 'utf8')]);
  expect(parse(byRole)).toMatchObject({ docker_ceph_digest: digest, docker_ceph_image: 'daemon' });
  expect(byRole).toBe(byAction);
  await Promise.all([unlink(file), unlink(ours)]);
});

describe('what runs', () => {
  const verify = { 'ansible.builtin.include_role': { name: 'ceph_candidate', tasks_from: 'verify' } };
  const other = `quay.io/ceph/daemon@sha256:${'0'.repeat(64)}`;

  test.each<[string, () => string[], number]>([
    ['is the candidate', () => [other, `${image}@${digest}`], 0],
    ['is another image: the job fails', () => [other], 2],
    ['is nobody knows what: the job fails', () => [], 2],
  ])(
    '%s',
    async (_, running, status) => {
      expect((await run([verify], { ceph_candidate_running: running() })).status).toBe(status);
    },
    60_000,
  );
});

test.each<[string, string, string, string | undefined]>([
  ['a label that is not there', 'no-label', '', undefined],
  ['a label that leads elsewhere', 'no-tag', '../evil', undefined],
  ['a candidate file of another tag', 'other-tag', 'v1', `{"tag": "v2", "digest": "sha256:${'0'.repeat(64)}"}`],
  ['a candidate file without a digest', 'no-digest', 'v3', '{"tag": "v3", "reference": "a/b:v3"}'],
])(
  '%s fails the job',
  async (_, label, tag, file) => {
    if (tag !== '') await writeFile(join(directory.path, `${label}.content`), tag);
    if (tag !== '') await symlink(`${label}.content`, join(directory.path, label));
    if (file !== undefined) await writeFile(join(directory.path, `${tag}.json`), file);
    const { status, said } = await run([], { ceph_candidate_label: label });
    expect(status).toBe(2);
    expect(said).toContain('failed=1');
    expect(said).not.toContain('docker_ceph_tag');
  },
  60_000,
);
