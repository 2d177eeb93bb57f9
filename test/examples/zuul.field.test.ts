import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { parseUser } from '../../src/base/schema.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import { labelSchema } from '../../src/ledger/names.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { projectRoot } from '../sandbox/project.js';
import { runPlaybook } from './playbook.js';

/** The role ceph_promotion, by the real ansible-playbook and Zuul's own zuul_return. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const PLAYBOOKS = join(projectRoot, 'examples/zuul/playbooks/ceph-promotion');
const { digest } = cephDaemonImage(TAG);
const project = { ceph_promotion_project: projectRoot };
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
  });
});

test('outputs of many lines, and empty ones, come whole; lists and booleans are inputs', async () => {
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
  expect(said).not.toContain('secret-of-the-test');
});

test('an action that fails fails the job, and says why', async () => {
  const inputs = { ceph_promotion_action: 'find-stable-tag', ceph_promotion_inputs: { scheme: 'none' } };
  const { status, said } = await role(inputs);
  expect(status).toBe(2);
  expect(said).toContain('::error::input scheme: ');
  expect(said).toContain('find-stable-tag ended with exit status 1');
});

describe('the artifact by which a build is evidence', () => {
  test('names what is proved', async () => {
    const { status, returned } = await role({ ceph_promotion_tested: reference() }, 'tested');
    expect(status).toBe(0);
    const artifact = {
      name: 'ceph candidate',
      url: `docker://${reference()}`,
      metadata: { type: 'ceph_candidate', reference: reference() },
    };
    expect(returned).toEqual({ zuul: { artifacts: [artifact] } });
  });

  test.each(['', 'a@sha256:0', `quay.io/ceph/daemon:${TAG}`])(
    'is refused for %j',
    async (tested) => {
      const { status, returned } = await role({ ceph_promotion_tested: tested }, 'tested');
      expect({ status, returned }).toEqual({ status: 2, returned: undefined });
    },
    60_000,
  );
});

test.each(['find', 'scenario', 'promote'])(
  '%s.yaml is a playbook',
  async (name) => {
    const { status, said } = await runPlaybook(join(PLAYBOOKS, `${name}.yaml`), project, ['--syntax-check']);
    expect({ status, said }).toEqual({ status: 0, said: expect.stringContaining(`${name}.yaml`) });
  },
  60_000,
);

const itemsSchema = v.array(
  v.object({
    job: v.optional(
      v.object({
        name: v.string(),
        run: v.optional(v.string()),
        vars: v.optional(v.object({ ceph_evaluate_and_promote: v.optional(v.object({ criteria: v.string() })) })),
      }),
    ),
  }),
);

describe('zuul.d', () => {
  const file = join(projectRoot, 'examples/zuul/zuul.d/ceph-promotion.yaml');
  const bySchemas = (content: string) =>
    promisify(execFile)(sandbox().tools.python, [join(projectRoot, 'test/examples/zuul-schemas.py'), content]).then(
      () => '',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );

  test("is what Zuul's own schemas take", async () => {
    expect(await bySchemas(file)).toBe('');
  });

  test('they do not take what Zuul does not know', async () => {
    const other = join(tmpdir(), `zuul-${process.pid}.yaml`);
    await writeFile(other, readFileSync(file, 'utf8').replace('post-review:', 'after-review:'));
    expect(await bySchemas(other)).toMatch(/^job ceph-evaluate-and-promote-master: .*extra keys not allowed/);
    await unlink(other);
  });

  test('its playbooks are there, and its criteria are met by its scenario', async () => {
    const items = v.parse(itemsSchema, parse(readFileSync(file, 'utf8')));
    const jobs = items.flatMap(({ job }) => job ?? []);
    const runs = jobs.flatMap(({ run }) => run ?? []);
    expect(runs).toHaveLength(3);
    for (const run of runs)
      expect(readFileSync(join(projectRoot, 'examples/zuul', run), 'utf8')).toContain('hosts: all');
    const criteria = jobs.flatMap(({ vars }) => vars?.ceph_evaluate_and_promote?.criteria ?? []);
    const { requirements } = parseCriteria(criteria.join(), parseUser(labelSchema, 'current-ceph', 'label'));
    expect(requirements).toEqual([['ceph-scenario001-master']]);
    expect(jobs.map(({ name }) => name)).toContain('ceph-scenario001-master');
  });
});
