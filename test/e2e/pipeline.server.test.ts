import { randomUUID } from 'node:crypto';
import { readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { sandbox } from '../sandbox/current.js';
import { basicAuthorization } from '../sandbox/registry.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** The whole chain by the committed bundles, as the workflow calls them. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const JOBS = ['scenario001', 'scenario004'].map((name) => `${name}-${randomUUID()}`);
const CRITERIA = `current-ceph:\n  required:\n${JOBS.map((job) => `    - ${job}\n`).join('')}`;

let settings: Settings;
let found: BundleRun;

function succeeded(run: BundleRun): BundleRun {
  expect(run.errors).toEqual([]);
  expect(run.status).toBe(0);
  return run;
}

async function evaluate(inputs: Readonly<Record<string, string>> = {}, env = {}): Promise<BundleRun> {
  return runBundle(
    'evaluate-and-promote',
    {
      reference: found.outputs.reference ?? '',
      image: settings.image,
      criteria: CRITERIA,
      'dlrn-url': settings.dlrn['dlrn-url'],
      targets: settings.target,
      ...settings.targetLogin,
      ...settings.imageServer,
      ...inputs,
    },
    env,
  );
}

async function targetDigest(tag: string): Promise<string | null> {
  const { target } = sandbox();
  const response = await fetch(`${target.url}/v2/${settings.targetPath}/manifests/${tag}`, {
    method: 'HEAD',
    headers: {
      authorization: basicAuthorization(target.login),
      accept: 'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json',
    },
  });
  return response.ok ? response.headers.get('docker-content-digest') : null;
}

async function ledgerRecord(n: number) {
  const text = await readFile(join(settings.directory.path, 'ledger/current-ceph', `${n}.json`), 'utf8');
  return v.parse(ledgerRecordSchema, JSON.parse(text));
}

beforeAll(async () => {
  settings = await freshSettings();
});

describe('from a tag to a promotion', () => {
  test('find-stable-tag picks the newest stable pacific', async () => {
    found = succeeded(await runBundle('find-stable-tag', { image: settings.image, flavor: 'pacific' }));
    expect(found.outputs).toMatchObject({
      tag: TAG,
      version: '6.0.7',
      flavor: 'pacific',
      image: settings.image,
      'tags-read': '606',
      reference: `${settings.image}:${TAG}@${found.outputs.digest}`,
    });
  });

  test('publish-ci-testing names it, and changes nothing the second time', async () => {
    const publish = () =>
      runBundle('publish-ci-testing', {
        reference: found.outputs.reference ?? '',
        'tags-read': found.outputs['tags-read'] ?? '',
        ...settings.imageServer,
      });
    expect(succeeded(await publish()).outputs).toEqual({
      set: found.outputs.reference,
      'set-digest': '',
      changed: 'true',
      'previous-tag': '',
      label: 'ceph-ci-testing',
    });
    expect(succeeded(await publish()).outputs).toMatchObject({ changed: 'false', 'previous-tag': TAG });
    expect(await readlink(join(settings.directory.path, 'ceph-ci-testing'))).toBe(TAG);
  });

  test('consume-ci-testing reads it over HTTP', async () => {
    const consumed = succeeded(await runBundle('consume-ci-testing', { url: settings.directory.url }));
    expect(consumed.outputs).toMatchObject({
      reference: found.outputs.reference,
      'image-name': 'daemon',
      flavor: 'pacific',
      'tags-read': '606',
      'cephadm-repository': 'https://buildlogs.centos.org/centos/9-stream/storage/x86_64/ceph-pacific/',
      'openstack-repository': 'https://trunk.rdoproject.org/centos9-master/current-tripleo/',
    });
  });

  test('a label that does not exist yet can be ignored', async () => {
    const ignored = { url: settings.directory.url, label: 'no-such-label', 'if-missing': 'ignore' };
    expect(succeeded(await runBundle('consume-ci-testing', ignored)).outputs).toMatchObject({
      reference: '',
      'tags-read': '',
    });
  });

  test('check-image proves which image it checked', async () => {
    const checked = succeeded(await runBundle('check-image', { reference: found.outputs.reference ?? '' }));
    expect(checked.outputs).toEqual({ outcome: 'success', 'tested-digest': found.outputs.digest });
  });

  test('without votes it waits, and says what for', async () => {
    const report = join(settings.directory.path, 'report.json');
    const waiting = succeeded(await evaluate({ 'report-file': report }));
    expect(JSON.parse(await readFile(report, 'utf8'))).toEqual(JSON.parse(waiting.outputs.report ?? ''));
    await rm(report);
    expect(waiting.outputs).toMatchObject({ decision: 'wait', promoted: 'false' });
    for (const job of JOBS) expect(waiting.summary).toContain(job);
    expect(await targetDigest('current-ceph')).toBeNull();
  });

  test('report-dlrn votes with the candidate in notes', async () => {
    const { hashes } = sandbox().dlrn.branches.master;
    for (const job of JOBS) {
      const report = () =>
        runBundle('report-dlrn', {
          ...settings.dlrn,
          'aggregate-hash': hashes[0] ?? '',
          'job-id': job,
          'job-url': `https://forge.example/${job}`,
          outcome: 'success',
          reference: found.outputs.reference ?? '',
        });
      expect(succeeded(await report()).outputs).toEqual({
        notes: `${TAG}@${found.outputs.digest}`,
        reported: 'true',
        'aggregate-hash': hashes[0],
      });
      // The same again is the same vote.
      succeeded(await report());
    }
    const url = new URL(`${settings.dlrn['dlrn-url']}/api/agg_status`);
    url.searchParams.set('aggregate_hash', hashes[0] ?? '');
    const votes = v.parse(
      v.array(v.object({ job_id: v.string(), notes: v.string(), success: v.boolean() })),
      await (await fetch(url)).json(),
    );
    expect(votes.filter((vote) => JOBS.includes(vote.job_id))).toEqual(
      JOBS.map((job) =>
        expect.objectContaining({ job_id: job, notes: `${TAG}@${found.outputs.digest}`, success: true }),
      ),
    );
  });

  test('a dry run shows the plan and changes nothing', async () => {
    const dry = succeeded(await evaluate({ 'dry-run': 'true' }));
    expect(dry.outputs).toMatchObject({ decision: 'promote', promoted: 'false' });
    expect(dry.log).toContain(`would move label current-ceph to ${TAG}`);
    expect(await targetDigest(TAG)).toBeNull();
    await expect(ledgerRecord(1)).rejects.toThrow('ENOENT');
  });

  test('evaluate-and-promote promotes exactly that image', async () => {
    const promoted = succeeded(await evaluate({}, { ...DISPATCH, GITHUB_EVENT_NAME: 'schedule' }));
    expect(promoted.outputs).toMatchObject({
      decision: 'promote',
      promoted: 'true',
      reference: found.outputs.reference,
      previous: '',
      'managed-images': settings.target,
    });
    expect(await targetDigest(TAG)).toBe(found.outputs.digest);
    expect(await targetDigest('current-ceph')).toBe(found.outputs.digest);
    expect(await (await fetch(`${settings.directory.url}/current-ceph`)).text()).toBe(TAG);
    expect(await ledgerRecord(1)).toMatchObject({ kind: 'earned', event: 'schedule', who: 'alice', previous: null });
  });

  test('a second run changes nothing', async () => {
    expect(succeeded(await evaluate()).outputs).toMatchObject({ decision: 'unchanged', promoted: 'false' });
    await expect(ledgerRecord(2)).rejects.toThrow('ENOENT');
  });
});

describe('by hand', () => {
  const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
  const force = {
    'force-tag': OLDER,
    'force-confirm': OLDER,
    'force-reason': 'v6.0.7 leaks',
    'skip-jobs': JOBS.join('\n'),
    'allowed-actors': 'alice',
    reference: '',
  };

  test.each<[string, Record<string, string>, Record<string, string>, string]>([
    ['from schedule', {}, { GITHUB_EVENT_NAME: 'schedule' }, 'input force-tag: needs workflow_dispatch'],
    ['mistyped', { 'force-confirm': TAG }, {}, 'input force-confirm: '],
    ['no reason', { 'force-reason': '' }, {}, 'input force-reason: '],
    [
      'a job not named',
      { 'skip-jobs': JOBS[0] ?? '' },
      {},
      `these jobs are unmet, and not named: ${JOBS[1]}; name every unmet job, and no other, in the input skip-jobs`,
    ],
    [
      'a job too many',
      { 'skip-jobs': [...JOBS, 'x'].join('\n') },
      {},
      'these jobs are named, but they are met or not in the criteria: x; name every unmet job, and no other, in the input skip-jobs',
    ],
    ['not allowed', { 'allowed-actors': 'bob' }, {}, 'input force-tag: alice is not in allowed-actors'],
    ['started by another', {}, { GITHUB_TRIGGERING_ACTOR: 'eve' }, 'input force-tag: eve is not in allowed-actors'],
    ['on a re-run', {}, { GITHUB_RUN_ATTEMPT: '2' }, 'a re-run does not decide for a person again'],
    ['frozen', { freeze: 'release week' }, {}, 'promotion is frozen: release week; clear the input freeze first'],
    ['no such tag', { 'force-tag': 'v9', 'force-confirm': 'v9' }, {}, 'v9 does not exist'],
    ['a path', { 'force-tag': '../evil', 'force-confirm': '../evil' }, {}, 'input force-tag: "../evil" is not a tag'],
  ])('a force is refused: %s', async (_, inputs, env, message) => {
    const run = await evaluate({ ...force, ...inputs }, { ...DISPATCH, ...env });
    expect(run.status).toBe(1);
    expect(run.errors).toEqual([expect.stringContaining(message)]);
    await expect(ledgerRecord(2)).rejects.toThrow('ENOENT');
  });

  test('a force is recorded with all that it overrides, and holds the image that it leaves', async () => {
    const forced = succeeded(await evaluate(force, DISPATCH));
    expect(forced.outputs).toMatchObject({ decision: 'force', promoted: 'true', record: '2' });
    for (const job of JOBS) expect(forced.summary).toMatch(new RegExp(`^\\| Skipped \\| .*\`${job}\``, 'm'));
    expect(forced.summary).toContain('| Overridden | wait, downgrade |');
    expect(await ledgerRecord(2)).toMatchObject({
      kind: 'forced',
      reason: 'v6.0.7 leaks',
      'skipped-jobs': JOBS,
      overridden: ['wait', 'downgrade'],
      holds: [{ tag: TAG, who: 'alice', reason: 'v6.0.7 leaks' }],
    });
  });

  test('a rollback goes to the recorded digest once its hold is lifted, and holds what it leaves', async () => {
    const rollback = {
      'rollback-to': 'previous',
      'force-reason': 'v6.0.6 is worse',
      'allowed-actors': 'alice',
      reference: '',
    };
    const held = await evaluate(rollback, DISPATCH);
    expect(held.errors).toEqual([expect.stringContaining('neither on hold nor quarantined')]);
    const lift = { ...rollback, 'rollback-to': '', 'lift-hold': TAG };
    succeeded(await evaluate(lift, DISPATCH));
    const rolledBack = succeeded(await evaluate({ ...rollback, 'rollback-to': TAG }, DISPATCH));
    expect(rolledBack.outputs).toMatchObject({
      decision: 'rollback',
      promoted: 'true',
      reference: found.outputs.reference,
    });
    expect(await ledgerRecord(4)).toMatchObject({
      kind: 'rollback',
      candidate: found.outputs.reference,
      holds: [{ tag: OLDER, who: 'alice', reason: 'v6.0.6 is worse' }],
    });
    expect(await targetDigest('current-ceph')).toBe(found.outputs.digest);
    const again = await evaluate(rollback, DISPATCH);
    expect(again.errors).toEqual([expect.stringContaining('neither on hold nor quarantined')]);
  });
});
