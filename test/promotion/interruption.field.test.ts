import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { keepReading } from './consumer.js';
import {
  inLanes,
  killAt,
  killsOf,
  problemAt,
  recovers,
  rehearse,
  type Steps,
  startLanes,
  stateOf,
  steps,
} from './interruption.js';
import { type Interruption, type Lane, OLD, type Start } from './lane.js';
import { bundleMortalPromotion, startPromotions } from './process.js';
import { CURRENT, digestAt, evenly, runOn } from './support.js';

/**
 * A promotion is killed at every step. Most run in this process, since a process of its own takes longer to start than to
 * promote: to kill such a promotion means that it sends nothing any more, and gets no answer. A few are real processes.
 * What a killed process leaves must be what a kill in this process left.
 */

let home: Stoppable & { readonly path: string };
let bundle: string;
let lanes: readonly [Lane, ...Lane[]];

beforeAll(async () => {
  home = await runDirectory();
  bundle = await bundleMortalPromotion(home.path);
  lanes = await startLanes();
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
  await home.stop();
});

test.each<Start>(['nothing', 'an earlier promotion'])(
  'a promotion of two images that is killed at any step or as a process, from %s on',
  async (start) => {
    const { registry, sftp } = await rehearse(lanes[0], start);
    const recovered = await killAt(lanes, start, killsOf({ registry, sftp }));

    const process = await rehearseProcess(start);
    // A process has to log in, and then looks at the directory.
    const all = ['stat', ...sftp];
    const seen = { requests: process.registry.requests, sftp: [...process.sftp].sort() };
    expect(seen).toEqual({ requests: registry.requests, sftp: all.sort() });
    for (const [at, count] of [['registry', process.registry.pieces] as const, ['sftp', all.length] as const]) {
      expect(await killProcess(start, evenly(steps(at, count), lanes.length), recovered)).toEqual([]);
    }
  },
);

/** The steps of a promotion in a process of its own, while consumers read. */
async function rehearseProcess(start: Start): Promise<Steps> {
  const [lane] = lanes;
  lane.reset(start);
  const watched = lane.watch();
  const reading = keepReading(lane, start);
  const { status, log } = await startPromotions(bundle, [{ inputs: lane.inputs }]).ended;
  await watched.settled();
  await reading.stop();
  expect({ status, log }).toMatchObject({ status: 0 });
  return { registry: lane.sent(), sftp: /^ended 0: (.*)$/m.exec(log)?.[1]?.split(' ') ?? [] };
}

/**
 * Kills a process that promotes in each lane, while consumers read. What is left after a kill at an SFTP step must have
 * been left by a kill in this process, too. That is not compared at a registry's steps: a copy sends several things at
 * once, so what the registry has differs from run to run.
 */
async function killProcess(start: Start, places: readonly Interruption[], recovered: Set<string>): Promise<string[]> {
  const all = places.flatMap((place, index) => {
    const lane = lanes[index];
    if (lane === undefined) throw new Error('no lane');
    lane.reset(start);
    return [{ lane, place, watched: lane.watch(place), reading: keepReading(lane, start) }];
  });
  const promoting = startPromotions(
    bundle,
    all.map(({ lane, place }) => ({ inputs: lane.inputs, ...(place.at === 'sftp' && { after: place.step }) })),
  );
  const areThere = all.map(({ watched }, index) =>
    Promise.race([watched.reached, promoting.says(`reached ${index}\n`), promoting.says(`ended ${index}:`)]),
  );
  await Promise.all(areThere);
  promoting.child.kill('SIGKILL');
  await promoting.ended;
  const work = all.map(async ({ lane, place, watched, reading }) => {
    watched.ended();
    await watched.settled();
    await reading.stop();
    return problemAt(place, async () => {
      if (place.at === 'sftp') expect([...recovered]).toContain(lane.state());
      await recovers(lane, start, recovered);
    });
  });
  return (await Promise.all(work)).flat();
}

/**
 * Each promotion is stopped between its append and its last move. Another run rolls back. Then the promotion goes on. It
 * must see the rollback, and leave the label alone. Only if it had already looked, and its next request is the move, may
 * the label change for a moment.
 */
test('a promotion that stalls at any step after its append, and wakes after a rollback, does not move the label back', async () => {
  const start = 'an earlier promotion';
  const { sftp } = await rehearse(lanes[0], start);
  const append = sftp.lastIndexOf('ext_openssh_hardlink');
  // The last look at the ledger comes between the link and the rename that shows it.
  const lastMove = sftp.lastIndexOf('ext_openssh_rename');
  expect(sftp.slice(sftp.lastIndexOf('symlink'), lastMove)).toContain('open');
  const mayFlicker = (step: number) => sftp[step] === 'ext_openssh_rename';
  const stalls = steps('sftp', sftp.length).slice(append, lastMove + 1);
  const wrong = await inLanes(lanes, start, stalls, async (lane, place) => {
    const { scene, opened, old } = lane;
    const label = () => readlinkSync(join(scene.directory.path, CURRENT));
    const promoting = lane.promote(place);
    await promoting.reached;
    await runOn(scene, opened, { request: { kind: 'rollback', to: 'previous', reason: 'it leaks' } });
    expect(label()).toBe(OLD);

    const labels = new Set<string>();
    const watching = setInterval(() => labels.add(label()), 1);
    promoting.goOn();
    await promoting.ended;
    clearInterval(watching);
    labels.add(label());
    if (!mayFlicker(place.step)) expect([...labels]).toEqual([OLD]);
    expect(await stateOf(lane)).toMatchObject({ label: OLD, previous: '', records: { length: 3 } });
    expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(old.digest);
  });
  expect(wrong).toEqual([]);
});
