import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { runPlaybook } from './playbook.js';

/** The role ceph_promotion, by the real ansible-playbook and Zuul's own zuul_return. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const PLAYBOOKS = join(projectRoot, 'examples/zuul/playbooks/ceph-promotion');
const { digest } = cephDaemonImage(TAG);
const project = { ceph_promotion_project: projectRoot, ceph_promotion_pin: '' };
const reference = () => `${sandbox().source.host}/ceph/daemon:${TAG}@${digest}`;

const role = (variables: Readonly<Record<string, unknown>>, tasksFrom = 'main') =>
  runPlaybook([{ 'ansible.builtin.include_role': { name: 'ceph_promotion', tasks_from: tasksFrom } }], {
    ...project,
    ...variables,
  });

test('the outputs of find-stable-tag are returned to the jobs that depend on it', async () => {
  const variables = {
    ...project,
    ceph_find_stable_tag: { image: `${sandbox().source.host}/ceph/daemon`, flavor: 'pacific' },
  };
  const { status, returned, said } = await runPlaybook(join(PLAYBOOKS, 'find.yaml'), variables);
  expect(said).toContain('failed=0');
  expect(status).toBe(0);
  expect(returned).toEqual({
    ceph_promotion: {
      find_stable_tag: expect.objectContaining({ reference: reference(), tag: TAG, flavor: 'pacific' }),
    },
    zuul: {
      warnings: [],
      artifacts: [
        {
          name: expect.stringContaining('find-stable-tag'),
          url: `docker://${reference()}`,
          metadata: { type: 'ceph_promotion', action: 'find-stable-tag', decision: '', reference: reference() },
        },
      ],
    },
  });
});

test('outputs with many lines, and empty ones, are passed on unchanged; lists and booleans can be inputs', async () => {
  const { returned, said } = await role({
    ceph_promotion_action: 'evaluate-and-promote',
    ceph_promotion_inputs: {
      reference: reference(),
      evidence: 'needs',
      needs: '{}',
      criteria: 'current-ceph: { required: [a] }',
      targets: [`${sandbox().target.host}/one/daemon`, `${sandbox().target.host}/two/daemon`],
      'dry-run': true,
    },
    ceph_promotion_secret_inputs: { 'target-username': 'nobody', 'target-password': 'secret-of-the-test' },
  });
  expect(returned).toMatchObject({
    ceph_promotion: {
      evaluate_and_promote: {
        decision: 'wait',
        previous: '',
        'managed-images': `${sandbox().target.host}/one/daemon\n${sandbox().target.host}/two/daemon`,
      },
    },
  });
  // What a person has to see is on the build's page too.
  expect(returned).toMatchObject({
    zuul: {
      warnings: [expect.stringContaining('input server: not set'), expect.stringContaining('current-ceph: wait')],
      artifacts: [{ metadata: { action: 'evaluate-and-promote', decision: 'wait', reference: reference() } }],
    },
  });
  expect(said).not.toContain('secret-of-the-test');
});

test('an action that fails fails the job, and says why', async () => {
  const inputs = { ceph_promotion_action: 'find-stable-tag', ceph_promotion_inputs: { scheme: 'none' } };
  const { status, said } = await role(inputs);
  expect(status).toBe(2);
  expect(said).toContain('::error::input scheme: ');
  expect(said).toContain('find-stable-tag ended with exit status 1');
});

test('the pre-run accepts a Node.js that is new enough, and otherwise names the version', async () => {
  expect((await role({}, 'node')).status).toBe(0);
  const folder = await mkdtemp(join(tmpdir(), 'node-'));
  await writeFile(join(folder, 'node'), '#!/bin/sh\necho v16.20.2\n', { mode: 0o755 });
  const { status, said } = await runPlaybook(
    [
      {
        'ansible.builtin.include_role': {
          name: 'ceph_promotion',
          tasks_from: 'node',
          apply: { environment: { PATH: `${folder}:/usr/bin:/bin` } },
        },
      },
    ],
    project,
  );
  expect(status).toBe(2);
  expect(said).toContain('the node has v16.20.2; install Node.js 20 or newer');
  await rm(folder, { recursive: true });
});

/** A stand-in for podman, as far as the example's deployment uses it: no container can run here. */
const PODMAN = `#!/bin/sh
case "$1 $2" in
  'run --detach') case "$*" in *"daemon@sha256:"*) echo c1 ;; *) exit 125 ;; esac ;;
  'container inspect') [ "$4" = '{{ .Image }}' ] && echo i1 ;;
  'image inspect') [ "$4 $5" = '{{ json .RepoDigests }} i1' ] && echo '["x/daemon@${digest}"]' ;;
  'exec ceph-candidate') echo 'ceph version' ;;
  *) exit 1 ;;
esac
`;

test("the scenario's own deployment runs the digest, and asks which digest runs", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'podman-'));
  await writeFile(join(folder, 'podman'), PODMAN, { mode: 0o755 });
  const found = { ceph_promotion: { find_stable_tag: { reference: reference() } } };
  const run = (more: object) =>
    runPlaybook(join(PLAYBOOKS, 'scenario.yaml'), { ...project, ...found, ...more }, [], { programs: folder });
  const { status, returned, said } = await run({});
  expect({ status, said: status === 0 ? '' : said }).toEqual({ status: 0, said: '' });
  expect(returned).toMatchObject({ zuul: { artifacts: [{ metadata: { reference: reference() } }] } });
  const other = reference().replace(/[0-9a-f]{64}$/, '0'.repeat(64));
  const wrong = await run({ ceph_promotion: { find_stable_tag: { reference: other } } });
  expect(wrong).toMatchObject({ status: 2, returned: undefined });
  expect(wrong.said).toContain('this build does not count');
  await rm(folder, { recursive: true });
});

test('DLRN is told what was proved, and not what was to be tested', async () => {
  const proved = `sha256:${'1'.repeat(64)}`;
  const { status, returned, said } = await runPlaybook(join(PLAYBOOKS, 'report.yaml'), {
    ...project,
    ceph_promotion: { find_stable_tag: { 'set-digest': `sha256:${'2'.repeat(64)}` } },
    ceph_promotion_proved: reference(),
    ceph_promotion_proved_set: proved,
    ceph_promotion_zuul_url: 'https://zuul.example',
    ceph_dlrn: sandbox().dlrn.login,
    ceph_report_dlrn: {
      'dlrn-url': sandbox().dlrn.branches.master.url,
      'aggregate-hash': sandbox().dlrn.branches.master.hashes[0],
      'dry-run': true,
    },
    zuul: { job: 'scenario001', tenant: 'storage', build: 'b1', pipeline: 'periodic' },
    zuul_success: true,
  });
  expect({ status, said: status === 0 ? '' : said }).toEqual({ status: 0, said: '' });
  expect(returned).toMatchObject({ ceph_promotion: { report_dlrn: { notes: `${TAG}@${digest} set=${proved}` } } });
});

describe('the artifact that makes a build count', () => {
  test.each([
    ['', {}],
    [`sha256:${'1'.repeat(64)}`, { 'set-digest': `sha256:${'1'.repeat(64)}` }],
  ])('names what is proved, and its set where there is one: %j', async (set, more) => {
    const variables = { ceph_promotion_tested: reference(), ceph_promotion_tested_set: set };
    const { status, returned } = await role(variables, 'tested');
    expect(status).toBe(0);
    const artifact = {
      name: 'ceph candidate',
      url: `docker://${reference()}`,
      metadata: { type: 'ceph_candidate', reference: reference(), ...more },
    };
    expect(returned).toEqual({ zuul: { artifacts: [artifact] } });
  });

  test.each(['', 'a@sha256:0', `quay.io/ceph/daemon:${TAG}`])('is refused for %j', async (tested) => {
    const { status, returned } = await role({ ceph_promotion_tested: tested }, 'tested');
    expect({ status, returned }).toEqual({ status: 2, returned: undefined });
  });
});

test.each(['pre', 'find', 'publish', 'scenario', 'report', 'promote', 'decide'])(
  '%s.yaml is a playbook',
  async (name) => {
    const { status, said } = await runPlaybook(join(PLAYBOOKS, `${name}.yaml`), project, ['--syntax-check']);
    expect({ status, said }).toEqual({ status: 0, said: expect.stringContaining(`${name}.yaml`) });
  },
);
