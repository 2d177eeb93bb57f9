import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { repositorySchema } from '../../src/candidate/reference.js';
import { createLines } from '../registry/support.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { failure } from '../store/fixture.js';
import { at, promoted, refused, rollback, V1, V2, V3, waiting } from './promoted.js';
import { CURRENT, digestAt, lose, publish, run, type Scene, seen, tag, tinyImage, type Wish } from './support.js';

describe('every run makes readers find what the head says', () => {
  const finish = async (scene: Scene) => run(scene, { candidate: await publish(scene, V3), with: waiting });

  test('if the label was moved, is lost, or names a damaged artifact', async () => {
    const { scene } = await promoted(V1, V2);
    const { path } = scene.directory;
    const whole = await seen(scene);
    rmSync(join(path, CURRENT));
    symlinkSync(V1, join(path, CURRENT));
    rmSync(join(path, `previous-${CURRENT}`));
    await finish(scene);
    expect(await seen(scene)).toEqual(whole);
    rmSync(join(path, CURRENT));
    for (const name of [V1, V2, `${V2}.json`]) rmSync(join(path, name));
    await finish(scene);
    expect(await seen(scene)).toEqual(whole);
    expect([V1, V2].map((name) => readFileSync(join(path, name), 'utf8'))).toEqual([V1, V2]);
    writeFileSync(join(path, V2), '');
    await finish(scene);
    expect(readFileSync(join(path, V2), 'utf8')).toBe(V2);
  });

  test('but not if something else has the name of the label', async () => {
    const { scene, candidates } = await promoted(V1);
    const { path } = scene.directory;
    rmSync(join(path, CURRENT));
    mkdirSync(join(path, CURRENT));
    const failed = await failure(run(scene, { candidate: at(candidates, 0) }));
    expect(failed).toEqual({
      kind: 'conflict',
      message: expect.stringMatching(/current-ceph: is a directory, but a label must be a symlink$/),
    });
  });

  test('if the moving tag was moved', async () => {
    const { scene, candidates } = await promoted(V1);
    const { url, login } = sandbox().target;
    const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    await pushImage({ url, repository: scene.targetRepository, authorization }, tinyImage('other'), [CURRENT]);
    await finish(scene);
    expect((await seen(scene)).moving).toBe(at(candidates, 0).digest);
  });

  test('if the target lost the image: from its source, or from wherever it still is', async () => {
    const { scene, candidates } = await promoted(V1);
    const { source, target, repository, targetRepository } = scene;
    const { digest } = at(candidates, 0);
    await lose(target, targetRepository, digest);
    expect(await seen(scene)).toMatchObject({ moving: undefined });
    await finish(scene);
    expect(await digestAt(target, targetRepository, V1)).toBe(digest);
    expect((await seen(scene)).moving).toBe(digest);

    // Its versioned tag alone, and gone at the source: what is left at the target is enough.
    await lose(source, repository, digest);
    const tags = join(sandbox().directory, 'target/storage/docker/registry/v2/repositories', targetRepository);
    rmSync(join(tags, '_manifests/tags', V1), { recursive: true });
    await finish(scene);
    expect(await digestAt(target, targetRepository, V1)).toBe(digest);
  });

  test('if it is gone everywhere the run stops and the head stays, until another image is promoted', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const { source, target, repository, targetRepository } = scene;
    const { digest } = at(candidates, 1);
    await lose(target, targetRepository, digest);
    await lose(source, repository, digest);
    const lost =
      /v1\.0\.2: sha256:.* is lost: no configured repository has it or lets us read it; it came from .*v1\.0\.2@sha256:/;
    await refused(scene, { candidate: at(candidates, 1) }, lost, 'not-found');
    await refused(scene, { candidate: at(candidates, 0), with: waiting }, lost);
    await refused(scene, { request: { kind: 'quarantine', image: tag(V1), reason: 'x' } }, lost);
    expect(await run(scene, { request: rollback('previous') })).toMatchObject({ decision: 'rollback' });
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: at(candidates, 0).digest });
  });

  test('and a newer image replaces a lost one', async () => {
    const { scene, candidates } = await promoted(V1);
    const { digest } = at(candidates, 0);
    await lose(scene.target, scene.targetRepository, digest);
    await lose(scene.source, scene.repository, digest);
    const log = createLines();
    const wish: Wish = { candidate: await publish(scene, V2), with: { log } };
    expect(await run(scene, wish)).toMatchObject({ decision: 'promote' });
    expect(log.lines.join('\n')).toMatch(/the promoted image is incomplete, and is replaced: .* is lost: /);
    expect(await seen(scene)).toMatchObject({ label: V2, previous: V1 });
  });

  test('even if candidates now come from a mirror, which has the image', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const { digest } = at(candidates, 0);
    const mirror = { ...scene, repository: freshRepository() };
    await publish(mirror, V1);
    for (const [place, repository] of [
      [scene.target, scene.targetRepository],
      [scene.source, scene.repository],
    ] as const) {
      await lose(place, repository, digest);
    }
    const source = v.parse(repositorySchema, `${scene.source.host}/${mirror.repository}`);
    await run(scene, { request: rollback(V1), with: { source } });
    expect((await seen(scene)).moving).toBe(digest);
  });
});

describe('what the publishing account can write', () => {
  test('is repaired: the candidate files of what is promoted and of previous', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    for (const [name, other] of [
      [V1, at(candidates, 1)],
      [V2, at(candidates, 0)],
    ] as const) {
      const file = join(scene.directory.path, `${name}.json`);
      const own = at(candidates, name === V1 ? 0 : 1).digest;
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll(own, other.digest));
    }
    await run(scene, { candidate: at(candidates, 1), with: waiting });
    for (const { tag: name, digest } of candidates) {
      expect(JSON.parse(readFileSync(join(scene.directory.path, `${name}.json`), 'utf8'))).toMatchObject({ digest });
    }
  });
});
