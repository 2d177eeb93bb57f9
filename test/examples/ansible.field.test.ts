import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CEPH_RELEASES } from '../../src/candidate/ceph-releases.js';
import { freshImageDirectory } from '../sandbox/current.js';
import { projectRoot, toolsHome } from '../sandbox/project.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { leaveLabel, readByRole } from './candidate-role.js';

/** The role ceph_candidate on labels of all kinds and on the versions of ansible-core in use, and both roles by ansible-lint. */

const DIGEST = `sha256:${'1'.repeat(64)}`;
const TAG = 'v19.2.3-20250717';
const REFERENCE = `quay.io/ceph/ceph:${TAG}@${DIGEST}`;
const COMPANIONS = [`quay.io/ceph/grafana:9.4.7@sha256:${'2'.repeat(64)}`, `quay.io/x/y:1@sha256:${'3'.repeat(64)}`];
const SET = [REFERENCE, ...COMPANIONS].join('\n');
const setDigest = (set: string) => `sha256:${createHash('sha256').update(set).digest('hex')}`;
const FILE = { reference: REFERENCE, tag: TAG, digest: DIGEST };

let directory: ImageDirectory;

beforeAll(async () => {
  directory = await freshImageDirectory();
});

const names = ['docker_ceph_namespace', 'docker_ceph_image', 'docker_ceph_tag', 'docker_ceph_digest'];
const more = ['ceph_candidate_flavor', 'cephadm_repository', 'openstack_repository', 'ceph_set_digest'];
const show = {
  'ansible.builtin.debug': { msg: [...names, ...more].map((name) => `${name}=<{{ ${name} }}>`).join(' ') },
};

describe('what it sets', () => {
  test('of a set', async () => {
    await leaveLabel(directory, 'set-testing', TAG, { ...FILE, companions: COMPANIONS, 'set-digest': setDigest(SET) });
    const file = join(directory.path, 'vars.yml');
    const variables = { ceph_candidate_label: 'set-testing', ceph_candidate_vars_file: file };
    const { said } = await readByRole(directory, variables, [show]);
    expect(said).toContain(`ceph_candidate_flavor=<squid>`);
    expect(said).toContain(`ceph_set_digest=<${setDigest(SET)}>`);
    expect(parse(await readFile(file, 'utf8'))).toMatchObject({ ceph_set: SET, ceph_set_digest: setDigest(SET) });
  });

  test("for a label of RDO's, whose tag has no digest", async () => {
    await leaveLabel(directory, 'bare-testing', 'v6.0.7-stable-6.0-pacific-centos-stream8');
    const label = { ceph_candidate_label: 'bare-testing' };
    const { said } = await readByRole(directory, { ...label, ceph_candidate_allow_unpinned: true }, [show]);
    expect(said).toContain('docker_ceph_namespace=<quay.io/ceph> docker_ceph_image=<daemon>');
    expect(said).toContain('docker_ceph_digest=<>');
    expect(said).toContain('ceph-pacific/>');
    const refused = await readByRole(directory, label);
    expect(refused.said).toContain('is not known; set ceph_candidate_allow_unpinned to accept the tag');
  });

  test('releases are named as the actions name them', async () => {
    const text = await readFile(join(projectRoot, 'roles/ceph_candidate/vars/main.yml'), 'utf8');
    expect(parse(text).ceph_candidate_releases).toEqual(CEPH_RELEASES);
  });
});

describe('what it refuses, in one line', () => {
  const none = 'is not a candidate file';
  test.each<[string, string, object | undefined, object, string]>([
    ['a promoted label', 'v1', undefined, { ceph_candidate_label: 'current-ceph' }, 'is not a label of candidates'],
    ['a label that leads elsewhere', '../evil', undefined, {}, 'names no tag'],
    ["an empty label of RDO's", '', undefined, {}, 'is empty: publish its tag again'],
    ['a candidate file of another tag', 'v1', { ...FILE, tag: 'v2' }, {}, none],
    ['a candidate file without a digest', 'v3', { tag: 'v3', reference: 'a/b:v3' }, {}, none],
    ['a set that is not whole', 'v4', { ...FILE, tag: 'v4', companions: COMPANIONS }, {}, none],
    [
      'another repository',
      'v5',
      { reference: `quay.io/eve/x:v5@${DIGEST}`, tag: 'v5', digest: DIGEST },
      { ceph_candidate_images: ['quay.io/ceph/ceph'] },
      'only those of quay.io/ceph/ceph are accepted',
    ],
    [
      'a server that is not there',
      'v6',
      undefined,
      { ceph_candidate_url: 'http://127.0.0.1:9' },
      'http://127.0.0.1:9/',
    ],
  ])('%s', async (name, tag, file, variables, message) => {
    const label = `${name.replaceAll(/[^a-z]/g, '')}-testing`;
    await leaveLabel(directory, label, tag, file);
    const { status, said } = await readByRole(directory, { ceph_candidate_label: label, ...variables }, [show]);
    expect({ status, said }).toEqual({ status: 2, said: expect.stringContaining(message) });
    expect(said).not.toContain('docker_ceph_tag=');
  });
});

/** A virtual environment of its own with a package, made once. */
async function environment(name: string, version: string): Promise<string> {
  const folder = join(toolsHome, `${name}-${version}`);
  const complete = join(folder, 'complete');
  if (!existsSync(complete)) {
    const run = promisify(execFile);
    await rm(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder]);
    await run(join(folder, 'bin/pip'), ['install', '--quiet', `${name}==${version}`]);
    await writeFile(complete, '');
  }
  return folder;
}

const program = async (name: string, version: string, module: string): Promise<string[]> => [
  join(await environment(name, version), 'bin/python'),
  '-m',
  module,
];

test.each(['2.13.13', '2.15.13', '2.17.14'])('ansible-core %s reads a candidate', async (version) => {
  const folder = await freshImageDirectory();
  await leaveLabel(folder, 'ceph-ci-testing', TAG, FILE);
  const ansible = await program('ansible-core', version, 'ansible.cli.playbook');
  const { status, said } = await readByRole(folder, {}, [show], { ansible });
  expect(said).toContain(`docker_ceph_tag=<${TAG}> docker_ceph_digest=<${DIGEST}>`);
  expect(status).toBe(0);
  const missing = await readByRole(folder, { ceph_candidate_label: 'x-testing' }, [], { ansible });
  expect(missing.said).toContain('there is no label x-testing');
});

test('ansible-lint finds nothing in the roles, with its profile production', async () => {
  const lint = await program('ansible-lint', '26.10.1', 'ansiblelint');
  const copy = await mkdtemp(join(tmpdir(), 'lint-'));
  for (const part of ['roles', '.ansible-lint']) {
    await cp(join(projectRoot, part), join(copy, part), { recursive: true });
  }
  const args = [...lint.slice(1), '-q', '--strict', '--nocolor', 'roles'];
  const env = { ...process.env, PATH: `${dirname(lint[0] ?? '')}:${process.env.PATH}`, HOME: copy };
  const said = await promisify(execFile)(lint[0] ?? '', args, { cwd: copy, env }).then(
    () => '',
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  );
  expect(said).toBe('');
  await rm(copy, { recursive: true });
});
