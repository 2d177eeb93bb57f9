import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { repositorySchema } from '../../src/candidate/reference.js';
import { httpReader } from '../../src/store/http-reader.js';
import { type Verified, type VerifyOptions, verifyPromotion } from '../../src/upkeep/verify.js';
import { CURRENT, freshScene, lose, open, publish, run, type Scene, tag, tinyImage } from '../promotion/support.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { basicAuthorization } from '../sandbox/registry.js';
import { failure, http } from '../store/fixture.js';

const [V1, V2] = ['v1.0.1', 'v1.0.2'];

async function verify(scene: Scene, changes: Partial<VerifyOptions> = {}): Promise<Verified> {
  const opened = await open(scene);
  try {
    return await verifyPromotion({
      reader: httpReader(http, new URL(scene.directory.url)),
      registry: opened.registry,
      label: CURRENT,
      ledgerKey: undefined,
      repositories: [],
      ...changes,
    });
  } finally {
    await opened.close();
  }
}

/** Two promotions and a rollback, so that there are a decision, a hold and a chain. */
async function history(ledgerKey?: string): Promise<Scene> {
  const scene = await freshScene();
  const options = { with: { ledgerKey } };
  for (const name of [V1, V2]) await run(scene, { candidate: await publish(scene, name), ...options });
  await run(scene, { request: { kind: 'rollback', to: tag(V1), reason: 'it leaks' }, ...options });
  await run(scene, { candidate: await publish(scene, 'v1.0.3'), ...options });
  return scene;
}

let whole: Scene;

beforeAll(async () => {
  whole = await history();
});

test('what was promoted is verified over HTTP alone', async () => {
  const { records, problem } = await verify(whole, {
    repositories: whole.targets.map((line) => v.parse(repositorySchema, line)),
  });
  expect(problem).toBeUndefined();
  expect(records.map(({ kind }) => kind)).toEqual(['earned', 'earned', 'rollback', 'earned']);
});

test('a seal is verified only with its key', async () => {
  const sealed = await history('key');
  expect((await verify(sealed, { ledgerKey: 'key' })).problem).toBeUndefined();
  expect((await verify(sealed)).problem).toBeUndefined();
  expect((await verify(sealed, { ledgerKey: 'other' })).problem).toMatch(/^ledger record 1 not trusted: its HMAC/);
  expect((await verify(whole, { ledgerKey: 'key' })).problem).toMatch(/^ledger record 1 not trusted: it has no HMAC/);
});

describe('what is wrong is named', () => {
  const record = (scene: Scene, n: number) => join(scene.directory.path, `ledger/${CURRENT}/${n}.json`);
  const relink = (scene: Scene, name: string, target: string) => {
    rmSync(join(scene.directory.path, name), { force: true });
    symlinkSync(target, join(scene.directory.path, name));
  };
  const rewrite = (file: string, change: (text: string) => string) =>
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  const push = (scene: Scene, seed: string, tags: string[]) => {
    const { url, login } = sandbox().target;
    const to = { url, repository: scene.targetRepository, authorization: basicAuthorization(login) };
    return pushImage(to, tinyImage(seed), tags);
  };
  const moveTag = (scene: Scene, name: string) => push(scene, 'another', [name]);
  const restore = (scene: Scene, name: string) => push(scene, name, name === V1 ? [V1] : [name, CURRENT]);

  test.each<[string, (scene: Scene) => unknown, RegExp]>([
    [
      'a forged record',
      (scene) => rewrite(record(scene, 2), (text) => text.replace('"who": "alice"', '"who": "eve"')),
      /^ledger record 3 not trusted: its prev-sha256 is not the hash of record 2$/,
    ],
    [
      'a forged head',
      (scene) => rewrite(record(scene, 4), (text) => text.replace('"verdict": "promote"', '"verdict": "wait"')),
      /^ledger record 4 not trusted: its decision evaluates to promote, but says wait$/,
    ],
    [
      'a missing record',
      (scene) => rmSync(record(scene, 2)),
      /^ledger record 2 not trusted: it is missing, and record 3 is there$/,
    ],
    [
      'swapped records',
      (scene) => {
        const [second, third] = [readFileSync(record(scene, 2)), readFileSync(record(scene, 3))];
        writeFileSync(record(scene, 2), third);
        writeFileSync(record(scene, 3), second);
      },
      /^ledger record 2 not trusted: it says that it is record 3$/,
    ],
    [
      'a cut-off end',
      (scene) => rmSync(record(scene, 4)),
      /^the proof at .* contradicts the ledger: it proves record 4, but the newest record in the store is 3$/,
    ],
    [
      'another label',
      (scene) => relink(scene, CURRENT, V1),
      /still to do: move label current-ceph to v1\.0\.3 \(was v1\.0\.1\)$/,
    ],
    [
      'another way back',
      (scene) => relink(scene, `previous-${CURRENT}`, V2),
      /still to do: move label previous-current-ceph to v1\.0\.1 \(was v1\.0\.2\)$/,
    ],
    [
      'no way back',
      (scene) => rmSync(join(scene.directory.path, `previous-${CURRENT}`)),
      /still to do: move label previous-current-ceph to v1\.0\.1$/,
    ],
    [
      'another candidate file',
      (scene) =>
        rewrite(join(scene.directory.path, 'v1.0.3.json'), (text) => text.replaceAll(/[0-9a-f]{8}"/g, '00000000"')),
      /still to do: repair v1\.0\.3\.json, which says .*00000000 instead of /,
    ],
    [
      'another image under the label',
      (scene) => moveTag(scene, CURRENT),
      /still to do: move tag .*:current-ceph to sha256:.* \(was sha256:/,
    ],
    [
      'another image under its tag',
      (scene) => moveTag(scene, 'v1.0.3'),
      /still to do: copy sha256:.*:v1\.0\.3 \(was sha256:/,
    ],
    [
      'an image that is lost',
      (scene) => lose(scene.target, scene.targetRepository, tinyImage('v1.0.3').digest),
      /still to do: copy sha256:.*:v1\.0\.3$/,
    ],
    [
      'a way back that is lost',
      (scene) => lose(scene.target, scene.targetRepository, tinyImage(V1).digest),
      /v1\.0\.1, which a rollback would go back to, is not at /,
    ],
  ])('%s', async (_, harm, problem) => {
    const { path } = whole.directory;
    const saved = `${path}-saved`;
    cpSync(path, saved, { recursive: true, verbatimSymlinks: true });
    try {
      await harm(whole);
      expect((await verify(whole)).problem).toMatch(problem);
    } finally {
      rmSync(path, { recursive: true });
      renameSync(saved, path);
    }
    for (const name of [V1, 'v1.0.3']) await restore(whole, name);
    expect((await verify(whole)).problem).toBeUndefined();
  });

  test('a target that is not configured', async () => {
    const repositories = [v.parse(repositorySchema, 'quay.example/t/daemon')];
    expect((await verify(whole, { repositories })).problem).toMatch(/its target .* is not a configured target$/);
  });

  test('no ledger at all, as at a wrong address', async () => {
    const directory = await freshImageDirectory();
    expect((await verify({ ...whole, directory })).problem).toMatch(/^http.*: there is no ledger of current-ceph$/);
    expect(existsSync(directory.path)).toBe(true);
  });

  test('a server that does not answer is an error, not a verdict', async () => {
    const url = new URL('http://127.0.0.1:1/x');
    expect(await failure(verify(whole, { reader: httpReader(http, url) }))).toMatchObject({ kind: 'unreachable' });
  });
});
