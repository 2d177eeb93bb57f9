import { execFileSync } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { type BundleRun, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** Decisions by a person without a forge: from a command line, and from a build of Zuul. */

const OLDER = 'v6.0.6-stable-6.0-pacific-centos-8';
const NEWER = 'v6.0.7-stable-6.0-pacific-centos-stream8';
let settings: Settings;

const COMMAND_LINE = { OPERATOR: 'alice', OPERATOR_URL: 'https://bugs.example/1' };
const BUILD = {
  ZUUL_BUILD: 'b1',
  ZUUL_PIPELINE: 'ceph-decision',
  ZUUL_CHANGE: '12345,2',
  ZUUL_USER: 'bob@example.org',
  ZUUL_BUILD_URL: 'https://zuul.example/t/storage/build/b1',
};

const NEXT = { ...BUILD, ZUUL_BUILD: 'b2', ZUUL_CHANGE: '12346,1' };

beforeAll(async () => {
  settings = await freshSettings();
});

function decide(inputs: Readonly<Record<string, string>>, env: Readonly<Record<string, string>>): Promise<BundleRun> {
  return runBundle(
    'evaluate-and-promote',
    {
      'force-reason': 'why',
      'allowed-actors': 'alice bob@example.org',
      'manual-pipelines': 'ceph-decision',
      image: settings.image,
      criteria: 'current-ceph: { required: [scenario001] }',
      evidence: 'needs',
      needs: '{}',
      targets: settings.target,
      'managed-images-for': 'master centos9',
      ...settings.targetLogin,
      ...settings.imageServer,
      ...inputs,
    },
    env,
  );
}

const force = (tag: string, env: Readonly<Record<string, string>>) => {
  const reference = `${settings.image}:${tag}@${cephDaemonImage(tag).digest}`;
  return decide({ reference, 'force-tag': tag, 'force-confirm': tag, 'skip-jobs': 'scenario001' }, env);
};

/** What RDO's promoter goes through, and what the distro's list is, by the YAML parser that RDO uses. */
function excludedInPython(file: string): unknown {
  const program =
    'import json, sys, yaml; master = yaml.safe_load(open(sys.argv[1]))["exclude_containers"]["master"]; ' +
    'print(json.dumps([[name for name in master], master["centos9"]]))';
  return JSON.parse(execFileSync(sandbox().tools.python, ['-c', program, file], { encoding: 'utf8' }));
}

async function record(n: number) {
  const text = await readFile(join(settings.directory.path, `ledger/current-ceph/${n}.json`), 'utf8');
  return v.parse(ledgerRecordSchema, JSON.parse(text));
}

test('an operator forces, a person in Zuul rolls back and holds, and the ledger says who and where', async () => {
  for (const [done, errors] of [
    [await force(OLDER, COMMAND_LINE), []],
    [await force(NEWER, BUILD), []],
    [await decide({ 'rollback-to': 'previous' }, NEXT), []],
    // Zuul may run the change again, and then nothing is rolled back twice.
    [await decide({ 'rollback-to': 'previous' }, { ...NEXT, ZUUL_BUILD: 'b3' }), []],
    [await decide({ 'lift-hold': NEWER }, { OPERATOR: 'alice' }), []],
  ] as const) {
    expect(done.errors).toEqual(errors);
  }
  const zuul = { who: BUILD.ZUUL_USER, event: 'zuul/ceph-decision/12345,2', 'run-url': BUILD.ZUUL_BUILD_URL };
  expect(await record(1)).toMatchObject({
    kind: 'forced',
    who: 'alice',
    event: 'command-line',
    'run-url': COMMAND_LINE.OPERATOR_URL,
  });
  expect(await record(2)).toMatchObject({ kind: 'forced', ...zuul });
  expect(await record(3)).toMatchObject({ kind: 'rollback', ...zuul, event: 'zuul/ceph-decision/12346,1' });
  expect(await record(4)).toMatchObject({ kind: 'lift', who: 'alice', 'run-url': null });
  expect(await readlink(join(settings.directory.path, 'current-ceph'))).toBe(OLDER);
  expect(excludedInPython(join(settings.directory.path, 'managed-images.yaml'))).toEqual([
    ['centos9', 'daemon'],
    ['daemon'],
  ]);
});

test.each<[string, Readonly<Record<string, string>>, string]>([
  ['a periodic build', { ...BUILD, ZUUL_PIPELINE: 'periodic' }, 'this build is in periodic'],
  ['a build that nobody is named for', { ...BUILD, ZUUL_USER: '' }, 'nobody is not in allowed-actors'],
  ['nobody at a command line', {}, 'nothing says what started this run'],
])('%s decides nothing', async (_, env, message) => {
  const { status, errors } = await decide({ hold: NEWER }, env);
  expect(status).toBe(1);
  expect(errors.join()).toContain(message);
});
