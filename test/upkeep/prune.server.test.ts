import { existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { digestSchema, repositorySchema } from '../../src/candidate/reference.js';
import { findProofs } from '../../src/proof/record-proof.js';
import type { Registry } from '../../src/registry/registry.js';
import { publishCandidate } from '../../src/store/publish.js';
import { type Pruned, type PruneOptions, prune } from '../../src/upkeep/prune.js';
import { CURRENT, digestAt, freshScene, open, publish, run, type Scene, seen, tag } from '../promotion/support.js';
import { createLines } from '../registry/support.js';
import { sandbox } from '../sandbox/current.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { type Registry as RegistryServer, startRegistry } from '../sandbox/registry.js';
import { failure, label, silent, TESTING } from '../store/fixture.js';

let home: Stoppable & { readonly path: string };
let target: RegistryServer;

beforeAll(async () => {
  home = await runDirectory();
  // Debian's registry deletes no tags.
  target = await startRegistry({ tools: sandbox().tools, directory: home.path });
});

afterAll(async () => {
  await target.stop();
  await home.stop();
});

async function pruneIn(scene: Scene, changes: Partial<PruneOptions> = {}): Promise<Pruned> {
  const opened = await open(scene);
  try {
    return await prune({
      ...opened,
      repositories: scene.targets.map((line) => v.parse(repositorySchema, line)),
      ledgerKey: undefined,
      keep: 2,
      delete: false,
      log: silent,
      ...changes,
    });
  } finally {
    await opened.close();
  }
}

/** Five promotions; the fourth is held, the fifth is what is promoted. */
async function history(changes: Partial<Scene> = {}): Promise<Scene> {
  const scene = await freshScene({ target, ...changes });
  const names = ['v1.0.1', 'v1.0.2', 'v1.0.3', 'v1.0.4'];
  for (const name of names) await run(scene, { candidate: await publish(scene, name) });
  await run(scene, { request: { kind: 'rollback', to: tag('v1.0.2'), reason: 'x' } });
  await run(scene, {
    request: { kind: 'force', tag: tag('v1.0.0'), reason: 'x', skipJobs: [] },
    candidate: await publish(scene, 'v1.0.0'),
  });
  // The force held it, and it is to be the way back.
  await run(scene, { request: { kind: 'lift', image: tag('v1.0.2'), reason: 'x' } });
  return scene;
}

/** The numbers of the records that are proved on an image. */
async function proofsOf(scene: Scene, digest: string | undefined): Promise<number[]> {
  const opened = await open(scene);
  const repository = v.parse(repositorySchema, scene.targets[0]);
  const { proofs } = await findProofs(opened.registry, repository, v.parse(digestSchema, digest), CURRENT);
  await opened.close();
  return proofs.map(({ n }) => n).sort();
}

const tagsAt = async (scene: Scene, ...names: string[]) => {
  const found = await Promise.all(names.map((name) => digestAt(scene.target, scene.targetRepository, name)));
  return names.filter((_, index) => found[index] !== undefined);
};
const ALL = ['v1.0.0', 'v1.0.1', 'v1.0.2', 'v1.0.3', 'v1.0.4'];

test('what is promoted, previous, the newest and what is on hold stay; the rest is listed', async () => {
  const scene = await history();
  const image = (name: string) =>
    expect.objectContaining({ repository: v.parse(repositorySchema, scene.targets[0]), tag: name });
  expect(await pruneIn(scene)).toEqual({
    artifacts: ['v1.0.1', 'v1.0.3'],
    images: [image('v1.0.1'), image('v1.0.3')],
    removed: [],
  });
  expect((await pruneIn(scene, { keep: 5 })).artifacts).toEqual([]);
  expect(await tagsAt(scene, ...ALL)).toEqual(ALL);
});

test('it is deleted on request, and a rollback copies it again', async () => {
  const scene = await history();
  const before = await seen(scene);
  const [gone, kept] = await Promise.all(
    ['v1.0.1', 'v1.0.2'].map((name) => digestAt(target, scene.targetRepository, name)),
  );
  expect(await proofsOf(scene, gone)).toEqual([1]);
  const { removed } = await pruneIn(scene, { delete: true });
  expect(await proofsOf(scene, gone)).toEqual([]);
  expect(await proofsOf(scene, kept)).not.toEqual([]);
  expect(removed).toEqual([
    `${scene.targets[0]}:v1.0.1`,
    `${scene.targets[0]}:v1.0.3`,
    `${scene.directory.server}/v1.0.1`,
    `${scene.directory.server}/v1.0.3`,
  ]);
  expect(await tagsAt(scene, ...ALL)).toEqual(['v1.0.0', 'v1.0.2', 'v1.0.4']);
  expect(readdirSync(scene.directory.path).filter((name) => /v1\.0\.[13]/.test(name))).toEqual([]);
  expect(await seen(scene)).toEqual(before);
  expect(await pruneIn(scene, { delete: true })).toEqual({ artifacts: [], images: [], removed: [] });
  await run(scene, { request: { kind: 'rollback', to: tag('v1.0.3'), reason: 'x' } });
  expect(await seen(scene)).toMatchObject({
    label: 'v1.0.3',
    moving: await digestAt(target, scene.targetRepository, 'v1.0.3'),
  });
});

describe('what is not ours stays', () => {
  test("RDO's artifacts, what any label points at, and candidates under test", async () => {
    const scene = await history();
    const { path } = scene.directory;
    writeFileSync(join(path, 'v0.0.9'), 'v0.0.9');
    symlinkSync('v1.0.1', join(path, 'my-label'));
    const opened = await open(scene);
    const options = { server: opened.server, label: TESTING, tagsRead: 1, runUrl: undefined, dryRun: false };
    const now = Math.floor(Date.now() / 1000) + 10;
    for (const [name, createdAt] of [
      ['v0.0.1', 0],
      ['v2.0.0', now],
      ['v0.0.2', 0],
    ] as const) {
      await publishCandidate({ ...options, candidate: await publish(scene, name), createdAt });
    }
    await opened.close();
    expect(await pruneIn(scene)).toMatchObject({ artifacts: ['v0.0.1', 'v1.0.3'], images: [{ tag: 'v1.0.3' }] });
  });

  test('tags in other repositories, and those that are another image now', async () => {
    const scene = await history();
    expect((await pruneIn(scene, { repositories: [] })).images).toEqual([]);
    await publish({ ...scene, source: target, repository: scene.targetRepository }, 'v1.0.3', 'another');
    expect((await pruneIn(scene)).images).toMatchObject([{ tag: 'v1.0.1' }]);
  });

  test('what another label of the directory needs', async () => {
    const scene = await history();
    const other = label('stable');
    const opened = await open(scene);
    const candidate = await publish(scene, 'v1.0.3');
    await run(scene, { candidate, with: { label: other } });
    await opened.close();
    expect((await pruneIn(scene)).artifacts).toEqual(['v1.0.1']);
  });

  test('anything if there is no ledger', async () => {
    const scene = await freshScene({ target });
    const opened = await open(scene);
    const candidate = await publish(scene, 'v1.0.0');
    const options = { label: TESTING, tagsRead: 1, runUrl: undefined, createdAt: 0, dryRun: false };
    await publishCandidate({ ...options, server: opened.server, candidate });
    await publishCandidate({ ...options, server: opened.server, candidate: await publish(scene, 'v1.0.1') });
    await opened.close();
    expect(await pruneIn(scene)).toEqual({ artifacts: [], images: [], removed: [] });
  });
});

test('a registry that deletes no tags is named', async () => {
  const scene = await history({ target: sandbox().target });
  const log = createLines();
  const { removed } = await pruneIn(scene, { delete: true, log });
  expect(removed).toEqual([`${scene.directory.server}/v1.0.1`, `${scene.directory.server}/v1.0.3`]);
  expect(log.lines.join('\n')).toMatch(/:v1\.0\.1: the registry does not delete tags, or not for this account/);
  expect(await tagsAt(scene, ...ALL)).toEqual(ALL);
});

test('a first promotion to another label stops it, too', async () => {
  const scene = await history();
  const opened = await open(scene);
  const candidate = await publish(scene, 'v1.0.3');
  const server = {
    ...opened.server,
    listArtifacts: async () => {
      await run(scene, { candidate, with: { label: label('stable') } });
      return opened.server.listArtifacts();
    },
    // As it was before that run moved its label.
    listLinks: async () => new Map<string, string>(),
  };
  const failed = await failure(pruneIn(scene, { server, delete: true }));
  expect(failed.message).toMatch(/^the ledger of stable has a new record/);
  expect(await tagsAt(scene, ...ALL)).toEqual(ALL);
  await opened.close();
});

test('a ledger whose newest record was removed stops it', async () => {
  const scene = await history();
  const numbers = readdirSync(join(scene.directory.path, 'ledger', CURRENT)).map((name) => Number.parseInt(name, 10));
  rmSync(join(scene.directory.path, 'ledger', CURRENT, `${Math.max(...numbers)}.json`));
  expect(await failure(pruneIn(scene, { delete: true }))).toMatchObject({
    message: expect.stringMatching(
      /^ledger of current-ceph: the proof at .* contradicts the ledger: it proves record 7/,
    ),
  });
  expect(await tagsAt(scene, ...ALL)).toEqual(ALL);
});

test('a ledger that is not trusted, or that grows meanwhile, stops it', async () => {
  const scene = await history();
  const { path } = scene.directory;
  const opened = await open(scene);
  const candidate = await publish(scene, 'v1.0.9');
  const registry: Registry = {
    ...opened.registry,
    repository: (name) => {
      const client = opened.registry.repository(name);
      return {
        ...client,
        resolve: async (tag) => {
          if (tag === 'v1.0.3') await run(scene, { candidate });
          return client.resolve(tag);
        },
      };
    },
  };
  const failed = await failure(pruneIn(scene, { registry, delete: true }));
  expect(failed).toEqual({
    kind: 'conflict',
    message: expect.stringMatching(/ledger of current-ceph has a new record/),
  });
  expect(await tagsAt(scene, ...ALL)).toEqual(ALL);
  writeFileSync(join(path, 'ledger', CURRENT, '3.json'), 'garbage');
  expect(await failure(pruneIn(scene))).toMatchObject({
    message: expect.stringMatching(/^ledger of current-ceph: ledger record 3 not trusted/),
  });
  expect(existsSync(join(path, 'v1.0.1'))).toBe(true);
  await opened.close();
});
