import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { imageSet } from '../../src/candidate/image-set.js';
import { type Candidate, candidateSchema } from '../../src/candidate/reference.js';
import { replayProblem } from '../../src/ledger/replay.js';
import { companionKeys } from '../../src/store/candidate-file.js';
import { readCandidate } from '../../src/store/consume.js';
import { freshRepository } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { candidateFile, withServer } from '../store/fixture.js';
import { CURRENT, digestAt, freshScene, ledger, publish, run, type Scene, tinyImage } from './support.js';

/** A set of three images, promoted on real servers. */

interface Companion {
  readonly target: string;
  push(seed: string): Promise<Candidate>;
}

async function withCompanions(): Promise<{ scene: Scene; companions: readonly [Companion, Companion] }> {
  const scene = await freshScene();
  const companion = (tag: string) => {
    const [source, target] = [freshRepository(), freshRepository()];
    const push = async (seed: string) => {
      const image = tinyImage(seed);
      await pushImage({ url: scene.source.url, repository: source }, image, [tag]);
      return v.parse(candidateSchema, `${scene.source.host}/${source}:${tag}@${image.digest}`);
    };
    return { target, push, line: `${scene.source.host}/${source}:${tag} -> ${scene.target.host}/${target}` };
  };
  const companions = [companion('2.3'), companion('9.4.7')] as const;
  const targets = [...scene.targets, ...companions.map(({ line }) => line)];
  return { scene: { ...scene, targets }, companions };
}

describe('a set of three images', () => {
  test('is promoted as it was tested, is refused if one image has moved, and comes back as a whole', async () => {
    const { scene, companions } = await withCompanions();
    const [first, second] = companions;
    const promoted = () =>
      Promise.all([
        digestAt(scene.target, scene.targetRepository, CURRENT),
        ...companions.map(({ target }) => digestAt(scene.target, target, CURRENT)),
      ]);
    const pushed = await Promise.all([first.push('first'), second.push('second')]);
    const old = imageSet(await publish(scene, 'v1.0.1'), pushed);
    expect(await run(scene, { candidate: old })).toMatchObject({ decision: 'promote' });
    const before = [old, ...pushed].map(({ digest }) => digest);
    expect(await promoted()).toEqual(before);
    expect(ledger(scene)[0]).toMatchObject({ companions: old.companions });
    expect(ledger(scene).map(replayProblem)).toEqual([undefined]);
    expect(await run(scene, { candidate: old })).toMatchObject({ decision: 'unchanged' });

    const candidate = await publish(scene, 'v1.0.2');
    const tested = imageSet(candidate, pushed);
    const moved = await second.push('second, rebuilt');
    await expect(run(scene, { candidate: tested })).rejects.toThrow(
      `:9.4.7 has moved from ${pushed[1]?.digest}, which was tested, to ${moved.digest}`,
    );
    expect(await promoted()).toEqual(before);
    expect(ledger(scene)).toHaveLength(1);

    await second.push('second');
    expect(await run(scene, { candidate: tested })).toMatchObject({ decision: 'promote' });
    expect(await promoted()).toEqual([candidate, ...pushed].map(({ digest }) => digest));
    const rollback = { kind: 'rollback', to: 'previous', reason: 'it leaks' } as const;
    expect(await run(scene, { request: rollback })).toMatchObject({ decision: 'rollback' });
    expect(await promoted()).toEqual(before);
    expect(ledger(scene)[2]).toMatchObject({ kind: 'rollback', companions: old.companions });
    await withServer(scene.directory.server, async (store) => {
      const consumed = await readCandidate({ store, label: CURRENT, unpinnedRepository: undefined });
      expect(consumed).toEqual({ ...old, tagsRead: 0 });
      expect(await store.readCandidateFile(old.tag)).toHaveProperty('companions');
    });
  });

  test('is read from the store if only the reference of its candidate is given', async () => {
    const { scene, companions } = await withCompanions();
    const [first, second] = companions;
    const pushed = await Promise.all([first.push('first'), second.push('second')]);
    const { repository, tag, digest } = await publish(scene, 'v1.0.1');
    const set = imageSet({ repository, tag, digest }, pushed);
    await withServer(scene.directory.server, async (store) => {
      const reference = `${scene.source.host}/${scene.repository}:${tag}@${digest}`;
      await store.writeArtifact({ ...candidateFile(tag), reference, digest, ...companionKeys(set) });
    });
    expect(await run(scene, { candidate: { repository, tag, digest } })).toMatchObject({ decision: 'promote' });
    expect(ledger(scene)[0]).toMatchObject({ companions: set.companions });
  });
});
