import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/**
 * A person on call, who has only the log and the summary of a run, finds in each of the two what is wrong and what to
 * do.
 */

const [OLDER, OLD, NEXT] = [
  'v6.0.5-stable-6.0-pacific-centos-8',
  'v6.0.6-stable-6.0-pacific-centos-8',
  'v6.0.7-stable-6.0-pacific-centos-stream8',
] as const;
type Inputs = Readonly<Record<string, string>>;

let settings: Settings;
const referenceOf = (tag: string) => `${settings.image}:${tag}@${cephDaemonImage(tag).digest}`;

function needs(tag: string, ovb: string): string {
  const outputs = { reference: referenceOf(tag) };
  return JSON.stringify({ check: { result: 'success', outputs }, ovb: { result: ovb, outputs } });
}

function run(tag: string, ovb: string, inputs: Inputs = {}): Promise<BundleRun> {
  return runBundle(
    'evaluate-and-promote',
    {
      reference: referenceOf(tag),
      image: settings.image,
      evidence: 'needs',
      needs: needs(tag, ovb),
      criteria: 'current-ceph: { required: [check, ovb] }',
      targets: settings.target,
      ...settings.targetLogin,
      ...settings.imageServer,
      workflow: 'promotion.yml',
      'dispatch-inputs': 'branch=master',
      ...inputs,
    },
    { ...DISPATCH, GITHUB_ACTIONS: 'true', GITHUB_SERVER_URL: 'https://github.com' },
  );
}

beforeAll(async () => {
  settings = await freshSettings();
  for (const tag of [OLDER, OLD]) expect((await run(tag, 'success')).outputs.decision).toBe('promote');
});

const START = 'gh workflow run promotion.yml -R storage/promotion -f branch=master';

describe('in the log and in the summary', () => {
  // The last columns are the one line that a red run ends with (a green run has none), and how often the evaluation is
  // told: never if the run ends before it.
  test.each<[string, () => Promise<BundleRun>, readonly (string | RegExp)[], RegExp | undefined, 0 | 1]>([
    [
      'what is promoted has regressed',
      () => run(OLD, 'failure', { 'if-criteria-unmet': 'error' }),
      [
        `${OLD} is promoted, and has regressed`,
        /has regressed: ovb has failed since/,
        `${START} -f rollback-to=previous`,
      ],
      /^current-ceph: .* has regressed: ovb has failed since .*; to roll back to .*, dispatch with rollback-to: previous$/,
      1,
    ],
    [
      'one job blocks',
      () => run(NEXT, 'failure', { 'if-criteria-unmet': 'error' }),
      [
        `${NEXT} is rejected: ovb failed`,
        'would promote if ovb passed',
        `${START} -f force-tag=${NEXT} -f force-confirm=${NEXT} -f skip-jobs=ovb -f force-reason=WHY`,
      ],
      /^current-ceph: reject: ovb failed on this image$/,
      1,
    ],
    [
      'promotion is frozen',
      () => run(NEXT, 'success', { freeze: 'the release' }),
      [
        'frozen: the criteria are met, but promotion is frozen: the release',
        'whoever set the input `freeze` has to clear it',
      ],
      undefined,
      1,
    ],
    [
      'a registry is down',
      () => run(NEXT, 'success', { targets: `${settings.target}\n127.0.0.1:1/ceph/daemon` }),
      ['no server listens at 127.0.0.1:1 (ECONNREFUSED)', 'check the input targets'],
      /listens at .*; check the input targets$/,
      1,
    ],
    [
      'the key is a wrong one',
      () => {
        const { privateKey } = generateKeyPairSync('ed25519');
        return run(NEXT, 'success', {
          'ssh-private-key': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        });
      },
      ['refuses the private key', /authorized_keys must have the line: ssh-ed25519 AAAA/, 'ssh-private-key'],
      /refuses the private key for user .* check the input ssh-private-key/,
      0,
    ],
    [
      'the ledger is not trusted',
      async () => {
        await writeFile(join(settings.directory.path, 'ledger/current-ceph/9.json'), '{}');
        return run(NEXT, 'success');
      },
      ['ledger record 3 not trusted: it is missing, and record 9 is there', 'the input restore-to of verify-ledger'],
      /^ledger record 3 not trusted: /,
      0,
    ],
  ])('%s', async (_, work, expected, line, told) => {
    const { log, summary, errors } = await work();
    expect(errors).toEqual(line === undefined ? [] : [expect.stringMatching(line)]);
    expect(log.match(/^criteria current-ceph, sha256/gm) ?? []).toHaveLength(told);
    for (const text of expected) {
      for (const place of [log, summary])
        expect(place).toEqual(expect.stringMatching(text instanceof RegExp ? text : literal(text)));
    }
  });
});

function literal(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}
