import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { httpReader } from '../../src/store/http-reader.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { http } from '../store/fixture.js';
import { keepReading, readAsConsumer } from './consumer.js';
import { type Interruption, type Lane, NEW, OLD, type Start, startLane } from './lane.js';
import { bundleMortalPromotion, startPromotions } from './process.js';
import { CURRENT, digestAt, ledger, runOn, verdict } from './support.js';

/**
 * A promotion is killed at every step: in this process, where from then on it sends nothing and sees no answer, since a
 * process takes longer to start than to promote. Some are killed as processes, which must leave the same.
 */

/** How many promotions run at once. */
const LANES = 6;

let home: Stoppable & { readonly path: string };
let bundle: string;
let lanes: Lane[] = [];

beforeAll(async () => {
  home = await runDirectory();
  bundle = await bundleMortalPromotion(home.path);
  lanes = await Promise.all(Array.from({ length: LANES }, startLane));
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
  await home.stop();
});

/** How many pieces a promotion that nobody interrupts sends to registries, and what it asks of the SFTP server. */
interface Steps {
  readonly registry: number;
  readonly sftp: readonly string[];
}

/** Promotes while consumers read, in this process. */
async function rehearse(start: Start): Promise<Steps> {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('no lane');
  lane.reset(start);
  const reading = keepReading(lane, start);
  const sftp = await lane.promote().ended;
  await reading.stop();
  return { registry: lane.sent(), sftp };
}

function steps(at: Interruption['at'], count: number): Interruption[] {
  return Array.from({ length: count }, (_, index) => ({ at, step: index + 1 }));
}

/** Takes the places by as many as there are lanes, each on servers that are as at the start. What went wrong where. */
async function inLanes(
  start: Start,
  places: readonly Interruption[],
  work: (lane: Lane, place: Interruption) => Promise<void>,
): Promise<string[]> {
  const rest = places.values();
  const problems: string[] = [];
  const take = async (lane: Lane) => {
    for (const place of rest) {
      lane.reset(start);
      problems.push(...(await problemAt(place, () => work(lane, place))));
    }
  };
  await Promise.all(lanes.map(take));
  return problems;
}

async function problemAt({ at, step }: Interruption, work: () => Promise<void>): Promise<string[]> {
  try {
    await work();
    return [];
  } catch (error) {
    return [`at ${at} ${step}: ${error}`];
  }
}

/** Everything that there is of a promotion, on both servers. */
async function stateOf(lane: Lane) {
  const label = await readAsConsumer(lane);
  const { directory } = lane.scene;
  const names = readdirSync(directory.path);
  const hasLedger = names.includes('ledger') && readdirSync(join(directory.path, 'ledger')).includes(CURRENT);
  return {
    label,
    previous: names.includes(`previous-${CURRENT}`) ? readlinkSync(join(directory.path, `previous-${CURRENT}`)) : '',
    records: hasLedger ? ledger(lane.scene).map(({ candidate }) => formatCandidate(candidate)) : [],
  };
}

/**
 * Whatever a kill leaves, a run that promotes nothing finishes what was begun, or leaves what was not; and a promotion
 * afterwards finds it done, or does it once. What was left before was seen recovered before.
 */
async function recovers(lane: Lane, start: Start, recovered: Set<string>): Promise<void> {
  const left = lane.state();
  const reading = keepReading(lane, start);
  if (!recovered.has(left)) {
    recovered.add(left);
    await finishes(lane, start);
  }
  await reading.stop();
  await readAsConsumer(lane);
}

async function finishes(lane: Lane, start: Start): Promise<void> {
  const { scene, opened, old, candidate } = lane;
  const [first, second] = [formatCandidate(old), formatCandidate(candidate)];
  const isEarlier = start !== 'nothing';
  const before = { label: isEarlier ? OLD : undefined, previous: '', records: isEarlier ? [first] : [] };
  const after = { label: NEW, previous: isEarlier ? OLD : '', records: [...before.records, second] };
  await runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } });
  expect([before, after]).toContainEqual(await stateOf(lane));
  await runOn(scene, opened, { candidate });
  expect(await stateOf(lane)).toEqual(after);
  const { problem } = await verifyPromotion({
    reader: httpReader(http, new URL(scene.directory.url)),
    registry: opened.registry,
    label: CURRENT,
    ledgerKey: undefined,
    repositories: [],
  });
  expect(problem).toBeUndefined();
}

describe('a promotion of two images that is killed', () => {
  test.each<Start>(['nothing', 'an earlier promotion'])('at any step, from %s on', async (start) => {
    const { registry, sftp } = await rehearse(start);
    expect(registry).toBeGreaterThan(15);
    expect(sftp.length).toBeGreaterThan(50);
    const kills = [...steps('registry', registry), ...steps('sftp', sftp.length)];
    const recovered = new Set<string>();
    const wrong = await inLanes(start, kills, async (lane, place) => {
      const promoting = lane.promote(place);
      await promoting.reached;
      await promoting.kill();
      await recovers(lane, start, recovered);
    });
    expect(wrong).toEqual([]);

    const process = await rehearseProcess(start);
    // A process has to log in, and then looks at the directory.
    const all = ['stat', ...sftp];
    expect({ registry: process.registry, sftp: [...process.sftp].sort() }).toEqual({ registry, sftp: all.sort() });
    for (const [at, count] of [['registry', registry] as const, ['sftp', all.length] as const]) {
      expect(await killProcess(start, evenly(steps(at, count), lanes.length), recovered)).toEqual([]);
    }
  });
});

/** What a promotion in a process of its own asks for, while consumers read. */
async function rehearseProcess(start: Start): Promise<Steps> {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('no lane');
  lane.reset(start);
  const watched = lane.watch();
  const reading = keepReading(lane, start);
  const { status, log } = await startPromotions(bundle, [{ inputs: lane.inputs }]).ended;
  await watched.settled();
  await reading.stop();
  expect({ status, log }).toMatchObject({ status: 0 });
  return { registry: lane.sent(), sftp: /^ended 0: (.*)$/m.exec(log)?.[1]?.split(' ') ?? [] };
}

/** So many of all, as far from each other as can be, with the first and the last. */
function evenly<T>(all: readonly T[], count: number): T[] {
  const wanted = Array.from({ length: count }, (_, index) => Math.round((index * (all.length - 1)) / (count - 1)));
  return all.filter((_, index) => wanted.includes(index));
}

/**
 * Kills one process in the middle of a promotion in each lane, while consumers read. What that leaves was left by an end
 * in this process too; but what a registry has, where a copy sends several things at once, differs from run to run.
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
 * They are stopped between their append and their moves, other runs roll back, and they go on: they must see that, and
 * leave the label alone; unless they had looked, and their very next request is the move.
 */
test('a promotion that stalls at any step after its append, and wakes after a rollback, does not move the label back', async () => {
  const start = 'an earlier promotion';
  const { sftp } = await rehearse(start);
  const append = sftp.lastIndexOf('ext_openssh_hardlink');
  // The last look at the ledger comes between the link and the rename that shows it.
  const lastMove = sftp.lastIndexOf('ext_openssh_rename');
  expect(sftp.slice(sftp.lastIndexOf('symlink'), lastMove)).toContain('open');
  const mayFlicker = (step: number) => sftp[step] === 'ext_openssh_rename';
  const stalls = steps('sftp', sftp.length).slice(append, lastMove + 1);
  const wrong = await inLanes(start, stalls, async (lane, place) => {
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
