import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { openGitStore } from '../../src/store/git/git-store.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { type Forge, freshRepository, optionsFor, type Repository } from '../store/git/support.js';
import {
  CURRENT,
  digestAt,
  freshScene,
  type Open,
  openRegistry,
  publish,
  runOn,
  type Scene,
  verdict,
} from './support.js';

/** Promotions whose store is a branch. */

export interface GitScene {
  readonly scene: Scene;
  readonly repository: Repository;
}

export async function freshGitScene(forge: Forge, changes: Partial<Scene> = {}): Promise<GitScene> {
  return { scene: await freshScene(changes), repository: await freshRepository(forge) };
}

/** One run, on a clone of its own, as the action does it. */
export async function withRun<T>(forge: Forge, { scene, repository }: GitScene, work: (opened: Open) => Promise<T>) {
  const server = await openGitStore(optionsFor(forge, repository));
  const registry = openRegistry(scene);
  const close = async () => {
    server.close();
    await registry.close();
  };
  try {
    const result = await work({ server, registry, close });
    await server.flush();
    return result;
  } finally {
    await close();
  }
}

/** What readers find. */
export async function stateOf({ scene, repository }: GitScene) {
  const files = repository.git('for-each-ref', 'refs/heads/promotions') === '' ? [] : repository.files();
  const link = (name: string) => (files.includes(`120000 ${name}`) ? repository.show(name) : undefined);
  return {
    label: link(CURRENT),
    previous: link(`previous-${CURRENT}`),
    records: files.filter((file) => /ledger\/current-ceph\/\d+\.json$/.test(file)).length,
    moving: await digestAt(scene.target, scene.targetRepository, CURRENT),
  };
}

/** Shows the files of a commit as they lie on disk, as a clone has them. */
export function withCommit({ git }: Repository, commit: string, look: (path: string) => void): void {
  const path = mkdtempSync(join(tmpdir(), 'commit-'));
  const archive = `${path}.tar`;
  try {
    git('archive', '--output', archive, commit);
    execFileSync('tar', ['-xf', archive, '-C', path]);
    look(path);
  } finally {
    for (const one of [path, archive]) rmSync(one, { recursive: true, force: true });
  }
}

/** Where the forge goes away for good: before the n-th request of a promotion, or right after it has carried out the n-th push. */
export interface Loss {
  readonly at: 'request' | 'answer';
  readonly step: number;
}

/** All places where a promotion that nobody interrupts can lose its forge. */
export async function lossesOf(forge: Forge): Promise<Loss[]> {
  const place = await freshGitScene(forge);
  const [first, second] = [await publish(place.scene, 'v1.0.1'), await publish(place.scene, 'v1.0.2')];
  await withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate: first }));
  forge.requests.length = 0;
  await withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate: second }));
  const pushes = forge.requests.filter(({ kind }) => kind === 'push').length;
  expect(pushes).toBe(2);
  const steps = (at: Loss['at'], count: number) => Array.from({ length: count }, (_, n): Loss => ({ at, step: n + 1 }));
  return [...steps('request', forge.requests.length), ...steps('answer', pushes)];
}

/** Loses the forge there, and sees that the next runs finish what was begun, or do it once. */
export async function losesAndRecovers(forge: Forge, { at, step }: Loss): Promise<void> {
  const place = await freshGitScene(forge);
  const { scene, repository } = place;
  const [first, second] = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2')];
  await withRun(forge, place, (opened) => runOn(scene, opened, { candidate: first }));
  const before = { label: 'v1.0.1', previous: undefined, records: 1, moving: first.digest };
  const after = { label: 'v1.0.2', previous: 'v1.0.1', records: 2, moving: second.digest };

  let requests = 0;
  let pushes = 0;
  let gone = false;
  forge.fault = (kind, request) => {
    requests += 1;
    if (kind === 'push') pushes += 1;
    if (gone || (at === 'request' && requests >= step)) return request.socket.destroy() !== undefined;
    if (at === 'answer' && kind === 'push' && pushes === step) {
      gone = true;
      forge.loseNextAnswer = true;
    }
    return false;
  };
  await expect(withRun(forge, place, (opened) => runOn(scene, opened, { candidate: second }))).rejects.toThrow();
  forge.fault = () => false;
  // A push that was refused before it began must not leave the next one without its answer.
  forge.loseNextAnswer = false;

  await withRun(forge, place, (opened) =>
    runOn(scene, opened, { candidate: second, with: { evaluate: verdict('wait') } }),
  );
  expect([before, after]).toContainEqual(await stateOf(place));
  await withRun(forge, place, (opened) => runOn(scene, opened, { candidate: second }));
  expect(await stateOf(place)).toEqual(after);
  expect(repository.show('ledger/current-ceph/2.json')).toContain(formatCandidate(second));
  expect(await problemOf(forge, place)).toBeUndefined();
}

/** What verify-ledger says, with the branch's history. */
export async function problemOf(forge: Forge, place: GitScene): Promise<string | undefined> {
  const options = { label: CURRENT, ledgerKey: undefined, repositories: [] };
  return withRun(forge, place, async ({ server, registry }) => {
    const { problem } = await verifyPromotion({ reader: server, registry, ...options });
    return problem;
  });
}
