import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runBundle } from '../e2e/bundle.js';
import { CURRENT, freshScene, publish, run, type Scene, tag } from '../promotion/support.js';
import { sandbox } from '../sandbox/current.js';

const scratch = mkdtempSync(join(tmpdir(), 'restore-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let scene: Scene;
let lost: readonly Buffer[];
const ledger = () => join(scene.directory.path, `ledger/${CURRENT}`);
const bytesIn = (directory: string) =>
  readdirSync(directory)
    .sort()
    .map((name) => readFileSync(join(directory, name)));

function restore(name: string, label: string = CURRENT) {
  const { login } = sandbox().target;
  return runBundle('verify-ledger', {
    url: scene.directory.url,
    targets: scene.targets.join('\n'),
    'target-username': login.username,
    'target-password': login.password,
    'promoted-label': label,
    'restore-to': join(scratch, name),
  });
}

beforeAll(async () => {
  scene = await freshScene();
  for (const name of ['v1.0.1', 'v1.0.2']) await run(scene, { candidate: await publish(scene, name) });
  await run(scene, { request: { kind: 'rollback', to: tag('v1.0.1'), reason: 'it leaks' } });
  await run(scene, { request: { kind: 'lift', image: tag('v1.0.2'), reason: 'it does not' } });
  lost = bytesIn(ledger());
});

test('a lost ledger is restored from the proofs, byte for byte, and continues', async () => {
  rmSync(ledger(), { recursive: true });
  const { status, outputs, errors } = await restore('whole');
  expect({ status, errors, outputs }).toMatchObject({
    status: 0,
    errors: [],
    outputs: { verified: 'true', records: '4' },
  });
  const found = join(scratch, 'whole/ledger', CURRENT);
  expect(bytesIn(found)).toEqual(lost);
  await cp(found, ledger(), { recursive: true });
  await run(scene, { candidate: await publish(scene, 'v1.0.3') });
  expect(readdirSync(ledger())).toHaveLength(5);
});

test('existing files are not overwritten', async () => {
  const { status, errors } = await restore('whole');
  expect(status).toBe(1);
  expect(errors).toEqual([expect.stringContaining('EEXIST')]);
});

test('records that no proof has are taken from the store', async () => {
  const found = join(scratch, 'part/ledger', CURRENT);
  rmSync(join(ledger(), '5.json'));
  rmSync(join(ledger(), '2.json'));
  const { outputs } = await restore('part');
  expect(outputs).toMatchObject({ verified: 'true', records: '5' });
  expect(readdirSync(found)).toContain('2.json');
});

test('if the targets have no proof, there is nothing to restore', async () => {
  const { status, outputs } = await restore('none', 'other-ceph');
  expect(status).toBe(1);
  expect(outputs.problem).toMatch(/no proof of a record of other-ceph/);
});
