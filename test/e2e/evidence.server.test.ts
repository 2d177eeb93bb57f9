import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { decisionRecordSchema } from '../../src/criteria/decision-record.js';
import { replay } from '../../src/criteria/evaluate.js';
import { cephDaemonImage } from '../sandbox/ceph-daemon.js';
import { sandbox } from '../sandbox/current.js';
import { type FaultProxy, type Rule, startFaultProxy } from '../sandbox/fault-proxy.js';
import { runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** The whole action with evidence that is bad, or does not meet the criteria. */

const TAG = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const HTML = { 'content-type': 'text/html' };
const job = `scenario001-${randomUUID()}`;
let settings: Settings;
let reference: string;
let proxy: FaultProxy | undefined;

beforeAll(async () => {
  settings = await freshSettings();
  reference = `${settings.image}:${TAG}@${cephDaemonImage(TAG).digest}`;
  const [hash = ''] = sandbox().dlrn.branches.master.hashes;
  const vote = { 'job-id': job, 'job-url': 'https://ci.example/1', outcome: 'success', 'aggregate-hash': hash };
  const reported = await runBundle('report-dlrn', { ...settings.dlrn, ...vote, reference });
  expect(reported.outputs.reported).toBe('true');
});

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

/** With the criteria of one job; it has passed, so that it would promote. */
const evaluate = (inputs: Readonly<Record<string, string>>) =>
  runBundle('evaluate-and-promote', {
    reference,
    image: settings.image,
    criteria: `current-ceph: { required: [${job}] }`,
    'dlrn-url': settings.dlrn['dlrn-url'],
    targets: settings.target,
    ...settings.targetLogin,
    ...settings.imageServer,
    ...inputs,
  });

async function dlrnBehind(...rules: readonly Rule[]): Promise<string> {
  const { origin, pathname } = new URL(settings.dlrn['dlrn-url']);
  proxy = await startFaultProxy({ upstream: origin, rules: [...rules] });
  return new URL(pathname, proxy.url).href;
}

describe('a DLRN that fails promotes nothing', () => {
  test.each<[string, Rule['fault'], RegExp]>([
    [
      'with HTML',
      { kind: 'answer', status: 200, headers: HTML, body: '<title>Hi</title>' },
      /HTML instead of JSON: Hi; this is not a DLRN API/,
    ],
    [
      'with 401',
      { kind: 'answer', status: 401, headers: HTML, body: 'no' },
      /answered 401; DLRN asks for a login; set the inputs username and password/,
    ],
    ['with 500', { kind: 'answer', status: 500, headers: HTML, body: '<title>Oh</title>' }, /answered 500: Oh$/],
    [
      'with half a JSON',
      { kind: 'answer', status: 200, body: '[{"aggregate_hash": "' },
      /not JSON: .*; this is not a DLRN API/,
    ],
    ['with nothing', { kind: 'answer', status: 200, body: '[]' }, /DLRN has no aggregate hash that was promoted to/],
    [
      'by resetting connections',
      { kind: 'reset' },
      /(?:promotions|graphql): the server ended the connection \(ECONNRESET\); check the input dlrn-url$/,
    ],
  ])(
    '%s',
    async (_, fault, message) => {
      const done = await evaluate({ 'dlrn-url': await dlrnBehind({ fault }) });
      expect(done).toMatchObject({ status: 1, errors: [expect.stringMatching(message)], outputs: {} });
      expect(await readdir(settings.directory.path)).not.toContain('current-ceph');
    },
    60_000,
  );
});

describe('criteria that are not met', () => {
  const unmet = { criteria: `current-ceph: { required: [${job}, missing-${job}] }` };

  test.each([
    ['warn', 0, true],
    ['error', 1, false],
    ['ignore', 0, false],
  ])('if-criteria-unmet %s', async (mode, status, warns) => {
    const done = await evaluate({ ...unmet, 'if-criteria-unmet': mode });
    const line = `current-ceph: wait: not met`;
    expect(done).toMatchObject({ status, outputs: { decision: 'wait', promoted: 'false' } });
    expect(done.log.includes(`::warning::${line}`)).toBe(warns);
    expect(done.errors).toEqual(status === 0 ? [] : [expect.stringContaining(line)]);
    for (const text of [done.log, done.summary]) expect(text).toContain(`would promote if missing-${job} passed`);
  });

  test('the output report is the decision record, which evaluates again to its verdict', async () => {
    const { outputs } = await evaluate(unmet);
    const record = v.parse(decisionRecordSchema, JSON.parse(outputs.report ?? ''));
    expect(replay(record)).toBe('wait');
    expect(record['blocked-by'][0]?.jobs).toEqual([[`missing-${job}`]]);
  });
});

test('a DLRN that fails three times and then answers is waited for', async () => {
  const url = await dlrnBehind({ times: 3, fault: { kind: 'answer', status: 500, headers: HTML, body: 'no' } });
  const done = await evaluate({ 'dlrn-url': url });
  expect(done).toMatchObject({ status: 0, errors: [], outputs: { decision: 'promote', promoted: 'true' } });
});

test('a job that fails on the candidate says nothing about what is promoted', async () => {
  const fresh = await freshSettings();
  const referenceOf = (tag: string) => `${fresh.image}:${tag}@${cephDaemonImage(tag).digest}`;
  const run = (tag: string, result: string) =>
    evaluate({
      targets: fresh.target,
      ...fresh.imageServer,
      reference: referenceOf(tag),
      evidence: 'needs',
      needs: JSON.stringify({ [job]: { result, outputs: { reference: referenceOf(tag) } } }),
      'on-regression': 'rollback',
    });
  const [older, old, next] = ['v6.0.5-stable-6.0-pacific-centos-8', 'v6.0.6-stable-6.0-pacific-centos-8', TAG] as const;
  for (const tag of [older, old]) expect((await run(tag, 'success')).outputs.decision).toBe('promote');
  const failed = await run(next, 'failure');
  expect(failed).toMatchObject({ status: 0, outputs: { decision: 'reject', regressed: 'false', record: '2' } });
  const regressed = await run(old, 'failure');
  expect(regressed).toMatchObject({ status: 0, outputs: { decision: 'rollback', regressed: 'true', record: '3' } });
});
