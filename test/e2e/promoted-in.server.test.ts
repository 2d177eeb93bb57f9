import { beforeAll, expect, test } from '@jest/globals';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { DISPATCH, runBundle } from './bundle.js';
import { freshSettings, type Settings } from './settings.js';

/** Two labels of one store: what has been promoted under `staging` may be promoted under `current-ceph`. */

let settings: Settings;
let reference: string;

beforeAll(async () => {
  settings = await freshSettings();
  const found = await runBundle('find-stable-tag', { image: settings.image, flavor: 'pacific' });
  reference = found.outputs.reference ?? '';
});

function promote(label: string, criteria: string) {
  const needs = JSON.stringify({ test: { result: 'success', outputs: { reference } } });
  const inputs = {
    reference,
    image: settings.image,
    evidence: 'needs',
    needs,
    criteria: `${label}: ${criteria}`,
    'promoted-label': label,
    targets: label === 'staging' ? `${sandbox().target.host}/${freshRepository()}` : settings.target,
    ...settings.targetLogin,
    ...settings.imageServer,
  };
  return runBundle('evaluate-and-promote', inputs, DISPATCH);
}

test('a candidate waits for its time under another label, read from this store or from another', async () => {
  const soak = (more: string) => `{required: [test], promoted-in: {label: staging, ${more}}}`;
  const url = `url: "${settings.directory.url}"`;
  const waiting = await promote('current-ceph', soak('for: 1 minutes'));
  expect(waiting).toMatchObject({ status: 0, outputs: { decision: 'wait' } });
  expect(waiting.log).toContain('promoted-in:staging is not promoted under staging');

  expect(await promote('staging', '[test]')).toMatchObject({ status: 0, outputs: { decision: 'promote' } });
  for (const where of ['', `, ${url}`]) {
    const early = await promote('current-ceph', soak(`for: 7 days${where}`));
    expect(early).toMatchObject({ status: 0, outputs: { decision: 'wait' } });
    expect(early.summary).toContain('promoted under staging for 0 days, and 7 days are required');
  }
  const waiver = 'waivers: [{job: "promoted-in:staging", until: 2999-12-31, reason: urgent}]';
  const waived = soak('for: 7 days').replace(/\}$/, `, ${waiver}}`);
  expect(await promote('current-ceph', waived)).toMatchObject({ status: 0, outputs: { decision: 'promote' } });
});

test('what is not a ledger promotes nothing', async () => {
  const criteria = `{promoted-in: {label: staging, for: 1 days, url: "${settings.directory.url}/nowhere:"}}`;
  const run = await promote('current-ceph', criteria);
  expect(run.outputs.decision ?? '').not.toBe('promote');
  expect((await promote('current-ceph', '{promoted-in: {label: x-testing, for: 1 days}}')).errors.join()).toContain(
    'promoted-in.label',
  );
});
