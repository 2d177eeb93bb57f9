import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { type Candidate, formatCandidate } from '../../src/candidate/reference.js';
import type { Outcome } from '../../src/rules/outcome.js';
import { openGitStore } from '../../src/store/git/git-store.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { type BundleRun, runBundle } from '../e2e/bundle.js';
import { sandbox } from '../sandbox/current.js';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import type { Stoppable } from '../sandbox/process.js';
import { type Forge, freshRepository, optionsFor, type Repository } from '../store/git/support.js';
import {
  CRITERIA,
  CURRENT,
  digestAt,
  freshScene,
  JOB,
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

/** Lists the files of a commit as a clone has them on disk. */
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

/**
 * Where a server goes away for good: the forge before the n-th request of a promotion, or right after it has carried
 * out the n-th push; the registry before the n-th request.
 */
export interface Loss {
  readonly at: 'request' | 'answer' | 'registry';
  readonly step: number;
}

interface LosablePlace extends GitScene, Stoppable {
  readonly proxy: FaultProxy;
  /** The registry's request that is lost, and a callback for it. */
  readonly lostAt: { request: number; tell: () => void };
  readonly first: Candidate;
  readonly second: Candidate;
}

/** A place where the first candidate is promoted, and the second one can be. */
async function freshLosablePlace(forge: Forge): Promise<LosablePlace> {
  const { target } = sandbox();
  const lostAt = { request: Number.POSITIVE_INFINITY, tell: () => {} };
  const proxy = await startFaultProxy({
    upstream: target.url,
    onRequest: (n) => {
      if (n >= lostAt.request) lostAt.tell();
    },
  });
  const place = await freshGitScene(forge, { target: { ...target, url: proxy.url, host: proxy.host } });
  const [first, second] = [await publish(place.scene, 'v1.0.1'), await publish(place.scene, 'v1.0.2')];
  await withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate: first }));
  return { ...place, proxy, lostAt, first, second, stop: proxy.stop };
}

/** All places where a promotion that nobody interrupts can lose a server. */
export async function lossesOf(forge: Forge): Promise<Record<Loss['at'], Loss[]>> {
  const place = await freshLosablePlace(forge);
  forge.requests.length = 0;
  const before = place.proxy.requests.length;
  await promoteHere(forge, place);
  const pushes = forge.requests.filter(({ kind }) => kind === 'push').length;
  expect(pushes).toBe(2);
  const steps = (at: Loss['at'], count: number) => Array.from({ length: count }, (_, n): Loss => ({ at, step: n + 1 }));
  const registry = place.proxy.requests.length - before;
  await place.stop();
  return {
    request: steps('request', forge.requests.length),
    answer: steps('answer', pushes),
    registry: steps('registry', registry),
  };
}

/** Promotes the second candidate in this process. */
function promoteHere(forge: Forge, place: LosablePlace): Promise<Outcome> {
  return withRun(forge, place, (opened) => runOn(place.scene, opened, { candidate: place.second }));
}

/** Promotes it in a process of its own, which is killed when the server is lost: its status is then null. */
function promoteAndDie(
  forge: Forge,
  { scene, repository, second }: LosablePlace,
  lost: Promise<void>,
): Promise<BundleRun> {
  const reference = formatCandidate(second);
  const { login } = scene.target;
  return runBundle(
    'evaluate-and-promote',
    {
      reference,
      evidence: 'needs',
      needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } }),
      criteria: CRITERIA,
      targets: scene.targets.join('\n'),
      'target-username': login?.username ?? '',
      'target-password': login?.password ?? '',
      referrers: 'off',
      server: `git+${repository.url.href}`,
      'git-token': forge.token,
    },
    {},
    (kill) => void lost.then(kill),
  );
}

/** Loses a server there, and checks that the next runs finish what was begun, or do it once. */
export async function losesAndRecovers(
  forge: Forge,
  { at, step }: Loss,
  run: 'fails' | 'is killed' = 'fails',
): Promise<void> {
  const place = await freshLosablePlace(forge);
  const { scene, repository, proxy, first, second } = place;
  const before = { label: 'v1.0.1', previous: undefined, records: 1, moving: first.digest };
  const after = { label: 'v1.0.2', previous: 'v1.0.1', records: 2, moving: second.digest };

  let requests = 0;
  let pushes = 0;
  let gone = false;
  let lose = () => {};
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  forge.fault = (kind, request) => {
    requests += 1;
    if (kind === 'push') pushes += 1;
    if (at === 'request' && requests >= step) gone = true;
    if (gone) {
      lose();
      return request.socket.destroy() !== undefined;
    }
    if (at === 'answer' && kind === 'push' && pushes === step) {
      gone = true;
      forge.loseNextAnswer = true;
    }
    return false;
  };
  forge.carriedOut = () => gone && lose();
  if (at === 'registry') {
    proxy.rules.push({ fault: { kind: 'reset' }, skip: step - 1 });
    Object.assign(place.lostAt, { request: proxy.requests.length + step, tell: lose });
  }
  if (run === 'fails') await expect(promoteHere(forge, place)).rejects.toThrow();
  else expect(await promoteAndDie(forge, place, lost)).toMatchObject({ status: null });
  forge.fault = () => false;
  forge.carriedOut = () => undefined;
  // A push that was refused before it began must not leave the next one without its answer.
  forge.loseNextAnswer = false;
  proxy.rules.length = 0;

  await withRun(forge, place, (opened) =>
    runOn(scene, opened, { candidate: second, with: { evaluate: verdict('wait') } }),
  );
  expect([before, after]).toContainEqual(await stateOf(place));
  await promoteHere(forge, place);
  expect(await stateOf(place)).toEqual(after);
  expect(repository.show('ledger/current-ceph/2.json')).toContain(formatCandidate(second));
  expect(await problemOf(forge, place)).toBeUndefined();
  await place.stop();
}

/** What verify-ledger says, with the branch's history. */
export async function problemOf(forge: Forge, place: GitScene): Promise<string | undefined> {
  const options = { label: CURRENT, ledgerKey: undefined, repositories: [] };
  return withRun(forge, place, async ({ server, registry }) => {
    const { problem } = await verifyPromotion({ reader: server, registry, ...options });
    return problem;
  });
}
