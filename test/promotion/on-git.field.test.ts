import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import { sandbox } from '../sandbox/current.js';
import { runDirectory } from '../sandbox/process.js';
import { startRegistry } from '../sandbox/registry.js';
import { type Forge, startForge } from '../store/git/support.js';
import { freshGitScene, losesAndRecovers, lossesOf, problemOf, stateOf, withCommit, withRun } from './on-git.js';
import { checkLayout, operate, operations, TAGS } from './operations.js';
import { evenly, publish, runOn, type Wish } from './support.js';

let forge: Forge;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge.stop());

test('a promotion that loses the forge or the registry at any step, or is killed there, is done exactly once in the end', async () => {
  const wrong: string[] = [];
  const { request, answer, registry } = await lossesOf(forge);
  expect(request.length).toBeGreaterThan(6);
  expect(registry.length).toBeGreaterThan(6);
  // The store makes no difference to what is lost at a registry: interruption.field.test.ts has every step of that.
  const losses = [...request, ...answer, ...evenly(registry, 3)].map((loss) => [loss, 'fails'] as const);
  const kills = [...answer, ...evenly(registry, 2)].map((loss) => [loss, 'is killed'] as const);
  for (const [loss, run] of [...losses, ...kills]) {
    await losesAndRecovers(forge, loss, run).catch((error: unknown) =>
      wrong.push(`it ${run} at ${loss.at} ${loss.step}: ${error}`),
    );
    forge.fault = () => false;
  }
  expect(wrong).toEqual([]);
});

test('if several runs promote at once, exactly one writes each record, and readers find the head', async () => {
  // Debian's registry writes files in place: who pushes the same manifest at the same time may be refused.
  const home = await runDirectory();
  const target = await startRegistry({ tools: sandbox().tools, directory: home.path });
  const place = await freshGitScene(forge, { target });
  const { scene, repository } = place;
  let records = 0;
  for (const round of [1, 2, 3, 4, 5]) {
    const images = [await publish(scene, `v${round}.0.1`), await publish(scene, `v${round}.0.2`)];
    const wish = (index: number): Wish =>
      round > 1 && index === 3
        ? { request: { kind: 'rollback', to: 'previous', reason: 'race' } }
        : { candidate: images[index % 2] };
    const decisions = await Promise.all(
      [0, 1, 2, 3].map((index) =>
        withRun(forge, place, (opened) => runOn(scene, opened, wish(index))).then(
          ({ decision }) => decision,
          (error: unknown) => {
            if (error instanceof UserError) return 'refused';
            throw error;
          },
        ),
      ),
    );
    records += decisions.filter((decision) => decision === 'promote' || decision === 'rollback').length;
    const state = await stateOf(place);
    expect(state.records).toBe(records);
    expect(repository.show(`ledger/current-ceph/${records}.json`)).toContain(`:${state.label}@${state.moving}`);
  }
  expect(await problemOf(forge, place)).toBeUndefined();
  await target.stop();
  await home.stop();
});

const OPERATIONS = 30;

test(`every commit has the layout of RDO's image server after ${OPERATIONS} operations of any kind`, async () => {
  await fc.assert(
    fc.asyncProperty(operations(OPERATIONS), async (all) => {
      const place = await freshGitScene(forge);
      const { scene, repository } = place;
      const candidates = await Promise.all(TAGS.map((name) => publish(scene, name)));
      for (const one of all) await withRun(forge, place, (opened) => operate(scene, opened, candidates, one));

      const commits = repository.git('rev-list', 'promotions').split('\n');
      expect(commits.length).toBeGreaterThan(5);
      for (const commit of commits) withCommit(repository, commit, checkLayout);
      const { label, moving, records } = await stateOf(place);
      expect(records).toBeGreaterThan(2);
      const { candidate } = JSON.parse(repository.show(`ledger/current-ceph/${records}.json`));
      expect(candidate).toMatch(new RegExp(`:${label}@${moving}$`));
      expect(await problemOf(forge, place)).toBeUndefined();
    }),
    { numRuns: 1, endOnFailure: true },
  );
});
