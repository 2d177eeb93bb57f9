import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { ledgerRecordSchema } from '../../src/ledger/codec.js';
import { digestAt, tinyImage } from '../promotion/support.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { type BundleRun, DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** A set of three images, with the actions alone: found, published, read, reported to DLRN, promoted, rolled back. */

const JOB = `set-${Date.now()}`;
const FLAVORS = ['octopus', 'pacific'] as const;

let settings: Settings;
let names: readonly string[];
let sources: readonly string[];
let goals: readonly string[];

const push = (index: number, seed: string) =>
  pushImage({ url: sandbox().source.url, repository: sources[index] ?? '' }, tinyImage(seed), ['1.0']);

function succeeded(run: BundleRun): BundleRun {
  expect(run).toMatchObject({ status: 0, errors: [] });
  return run;
}

/** Finds a set and publishes it. */
async function publish(flavor: (typeof FLAVORS)[number]): Promise<Readonly<Record<string, string>>> {
  const find = { image: settings.image, flavor, companions: names.join('\n') };
  const found = succeeded(await runBundle('find-stable-tag', find)).outputs;
  const published = { set: found.set ?? '', ...settings.imageServer };
  expect(succeeded(await runBundle('publish-ci-testing', published)).outputs).toMatchObject({ set: found.set });
  return found;
}

const evaluate = (inputs: Readonly<Record<string, string>>) =>
  runBundle(
    'evaluate-and-promote',
    {
      image: settings.image,
      criteria: `current-ceph: [${JOB}]`,
      'aggregate-hash': sandbox().dlrn.branches.master.hashes[0] ?? '',
      ...settings.dlrn,
      ...settings.targetLogin,
      ...settings.imageServer,
      targets: [settings.target, ...names.map((name, n) => `${name} -> ${sandbox().target.host}/${goals[n]}`)].join(
        '\n',
      ),
      'allowed-actors': 'alice',
      ...inputs,
    },
    DISPATCH,
  );

async function record(n: number) {
  const text = await readFile(join(settings.directory.path, 'ledger/current-ceph', `${n}.json`), 'utf8');
  return v.parse(ledgerRecordSchema, JSON.parse(text));
}

const report = (reference: string, set: string) =>
  runBundle('report-dlrn', {
    ...settings.dlrn,
    'aggregate-hash': sandbox().dlrn.branches.master.hashes[0] ?? '',
    'job-id': JOB,
    'job-url': 'https://forge.example/1',
    outcome: 'success',
    reference,
    'set-digest': set,
  });

const promoted = () =>
  Promise.all([settings.targetPath, ...goals].map((path) => digestAt(sandbox().target, path, 'current-ceph')));

beforeAll(async () => {
  settings = await freshSettings();
  sources = [freshRepository(), freshRepository()];
  goals = [freshRepository(), freshRepository()];
  names = sources.map((source) => `${sandbox().source.host}/${source}:1.0`);
  await Promise.all([push(0, 'one'), push(1, 'two')]);
});

test('a set is tested and promoted as it was found', async () => {
  const found = await publish('octopus');
  const images = [tinyImage('one').digest, tinyImage('two').digest];
  const companions = names.map((name, n) => `${name}@${images[n]}`).sort();
  expect(found.set).toBe([found.reference, ...companions].join('\n'));
  const reference = found.reference ?? '';
  const set = found['set-digest'] ?? '';

  const file = join(settings.directory.path, 'vars.yml');
  const consume = { url: settings.directory.url, 'extra-vars-file': file };
  const consumed = succeeded(await runBundle('consume-ci-testing', consume)).outputs;
  expect(consumed).toMatchObject({ reference, set: found.set, 'set-digest': set });
  expect(parse(await readFile(file, 'utf8'))).toMatchObject({ ceph_set: found.set, ceph_set_digest: set });

  // A vote on the candidate alone is not a vote on the set.
  succeeded(await report(reference, ''));
  const waiting = succeeded(await evaluate({ set: found.set ?? '' }));
  expect(waiting.outputs).toMatchObject({ decision: 'wait' });
  expect(waiting.log).toContain('it does not say which set it tested');

  const { tag, digest } = found;
  expect(succeeded(await report(reference, set)).outputs).toMatchObject({ notes: `${tag}@${digest} set=${set}` });
  expect(succeeded(await evaluate({ url: settings.directory.url })).outputs).toMatchObject({ decision: 'promote' });
  expect(await promoted()).toEqual([digest, ...images]);
  expect(await record(1)).toMatchObject({ companions, decision: { companions } });
  const targets = goals.map((goal, n) => `${names[n]} -> ${sandbox().target.host}/${goal}`);
  const verify = {
    url: settings.directory.url,
    targets: [settings.target, ...targets].join('\n'),
    ...settings.targetLogin,
  };
  succeeded(await runBundle('verify-ledger', verify));
});

test('a companion that moved after the test is refused, and a rollback brings back the whole set', async () => {
  const before = await promoted();
  const found = await publish('pacific');
  const set = found['set-digest'] ?? '';
  const reference = found.reference ?? '';
  const needs = JSON.stringify({ [JOB]: { result: 'success', outputs: { reference, 'set-digest': set } } });
  const bySet = { evidence: 'needs', needs, reference };
  await push(1, 'two, rebuilt');
  const refused = await evaluate(bySet);
  expect(refused.status).toBe(1);
  expect(refused.errors.join()).toContain(`companion ${names[1]} has moved from ${tinyImage('two').digest}`);
  expect(await promoted()).toEqual(before);

  await push(1, 'two');
  const other = needs.replace(set, `sha256:${'0'.repeat(64)}`);
  expect(succeeded(await evaluate({ ...bySet, needs: other })).outputs).toMatchObject({ decision: 'wait' });
  expect(succeeded(await evaluate(bySet)).outputs).toMatchObject({ decision: 'promote' });
  expect(await promoted()).toEqual([found.digest, ...before.slice(1)]);
  const back = await evaluate({ 'rollback-to': 'previous', 'force-reason': 'it leaks' });
  expect(succeeded(back).outputs).toMatchObject({ decision: 'rollback' });
  expect(await promoted()).toEqual(before);
  expect(await record(3)).toMatchObject({ kind: 'rollback', companions: (await record(1)).companions });
});

test('a build in Zuul counts for the set that its artifact names, and for no other', async () => {
  const found = await publish('octopus');
  const set = found['set-digest'] ?? '';
  let named = '';
  const zuul = createServer((_, response) => {
    const metadata = { type: 'ceph_candidate', reference: found.reference, 'set-digest': named };
    const build = {
      job_name: JOB,
      result: 'SUCCESS',
      pipeline: 'periodic',
      start_time: '2026-11-24T01:00:00',
      end_time: '2026-11-24T02:00:00',
      log_url: 'https://logs.example/1/',
      artifacts: [{ name: 'candidate', url: 'https://logs.example/1/c', metadata }],
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify([build]));
  });
  zuul.listen(0, '127.0.0.1').unref();
  await once(zuul, 'listening');
  const address = zuul.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const byZuul = {
    evidence: 'zuul',
    'zuul-url': `http://127.0.0.1:${address.port}`,
    'zuul-tenant': 'rdo',
    'zuul-pipelines': 'periodic',
    set: found.set ?? '',
    // A ledger of its own, without the records of the tests before.
    targets: `${sandbox().target.host}/${freshRepository()}`,
    server: (await freshSettings()).imageServer.server,
  };
  expect(succeeded(await evaluate(byZuul)).outputs).toMatchObject({ decision: 'wait' });
  named = set;
  expect(succeeded(await evaluate(byZuul)).outputs).toMatchObject({ decision: 'promote', promoted: 'true' });
  zuul.close();
});
