import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import { httpReader } from '../../src/store/http-reader.js';
import { ledgerOf } from '../../src/store/reader.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { http } from '../store/fixture.js';
import { keepReading, readAsConsumer } from './consumer.js';
import { type Interruption, type Lane, NEW, OLD, type Prepared, type Start, startLane } from './lane.js';
import { type ActionProcess, bundleMortalPromotion, startPromotions } from './process.js';
import { CURRENT, digestAt, ledger, runOn, verdict } from './support.js';

/** How many promotions one process is killed in the middle of: to start it takes longer than a promotion. */
const LANES = 8;

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

/** What a promotion that nobody interrupts asks of registries, and of the SFTP server. */
async function rehearse(start: Start): Promise<{ registrySteps: number; sftp: readonly string[] }> {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('no lane');
  lane.reset(start);
  const { promotion, settled } = lane.prepare();
  const { status, log } = await startPromotions(bundle, [promotion]).ended;
  await settled();
  expect({ status, log }).toMatchObject({ status: 0 });
  return { registrySteps: lane.sent(), sftp: /^ended 0: (.*)$/m.exec(log)?.[1]?.split(' ') ?? [] };
}

interface Interrupted {
  readonly lane: Lane;
  readonly where: Interruption;
  readonly prepared: Prepared;
}

/** The places of interruptions by as many as there are lanes, one a lane, each on servers that are as at the start. */
function* batches(start: Start, places: readonly Interruption[]): Generator<readonly Interrupted[]> {
  for (let first = 0; first < places.length; first += LANES) {
    yield places.slice(first, first + LANES).flatMap((where, index): Interrupted[] => {
      const lane = lanes[index];
      if (lane === undefined) throw new Error('no lane');
      lane.reset(start);
      return [{ lane, where, prepared: lane.prepare(where) }];
    });
  }
}

/** Promotes in all these lanes, by one process. Resolves when each is where it is to be interrupted. */
async function promoteIn(batch: readonly Interrupted[]): Promise<ActionProcess> {
  const promoting = startPromotions(
    bundle,
    batch.map(({ prepared }) => prepared.promotion),
  );
  // Or at its end, where chunks of a stream fell together.
  const isThere = ({ prepared }: Interrupted, index: number) =>
    Promise.race([prepared.reached, promoting.says(`reached ${index} after`), promoting.says(`ended ${index}:`)]);
  await Promise.all(batch.map(isThere));
  return promoting;
}

/** What went wrong in which of the lanes. */
async function problemsOf(batch: readonly Interrupted[], work: (one: Interrupted, index: number) => Promise<void>) {
  const problems = batch.map(async (one, index) => {
    try {
      await work(one, index);
      return [];
    } catch (error) {
      return [`at ${one.where.at} ${one.where.step}: ${error}`];
    }
  });
  return (await Promise.all(problems)).flat();
}

function steps(at: Interruption['at'], count: number): Interruption[] {
  return Array.from({ length: count }, (_, index) => ({ at, step: index + 1 }));
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

/** Kills promotions while consumers read, and sees what is left recovered, unless the same was left before. */
async function killed(start: Start, batch: readonly Interrupted[], recovered: Set<string>): Promise<string[]> {
  const readers = batch.map(({ lane }) => keepReading(lane, start));
  const promoting = await promoteIn(batch);
  promoting.child.kill('SIGKILL');
  await promoting.ended;
  return problemsOf(batch, async ({ lane, prepared }, index) => {
    prepared.ended();
    await prepared.settled();
    const left = lane.state();
    const isNew = !recovered.has(left);
    recovered.add(left);
    if (isNew) await recovers(lane, start);
    await readers[index]?.stop();
    await readAsConsumer(lane);
  });
}

/**
 * Whatever a kill leaves, a run that promotes nothing finishes what was begun, or leaves what was not; and a promotion
 * afterwards finds it done, or does it once.
 */
async function recovers(lane: Lane, start: Start): Promise<void> {
  const { scene, opened, old, candidate } = lane;
  const [first, second] = [formatCandidate(old), formatCandidate(candidate)];
  const isEarlier = start !== 'nothing';
  const before = { label: isEarlier ? OLD : undefined, previous: '', records: isEarlier ? [first] : [] };
  const after = { label: NEW, previous: isEarlier ? OLD : '', records: [...before.records, second] };
  await runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } });
  expect([before, after]).toContainEqual(await stateOf(lane));
  await runOn(scene, opened, { candidate });
  expect(await stateOf(lane)).toEqual(after);
  const { problem } = await verifyLedger(ledgerOf(httpReader(http, new URL(scene.directory.url)), CURRENT), {
    label: CURRENT,
  });
  expect(problem).toBeUndefined();
}

describe('a promotion of two images that is killed', () => {
  test.each<Start>(['nothing', 'an earlier promotion'])('at any step, from %s on', async (start) => {
    const { registrySteps, sftp } = await rehearse(start);
    expect(registrySteps).toBeGreaterThan(15);
    expect(sftp.length).toBeGreaterThan(50);
    const kills = [...steps('registry', registrySteps), ...steps('sftp', sftp.length)];
    const recovered = new Set<string>();
    const wrong: string[] = [];
    for (const batch of batches(start, kills)) wrong.push(...(await killed(start, batch, recovered)));
    expect(wrong).toEqual([]);
  });
});

/**
 * They are stopped between their append and their moves, other runs roll back, and they go on: they must see that, and
 * leave the label alone; unless they had looked, and their very next request is the move (`mayFlicker`).
 */
async function stalled(batch: readonly Interrupted[], mayFlicker: (step: number) => boolean): Promise<string[]> {
  const promoting = await promoteIn(batch);
  promoting.child.kill('SIGSTOP');
  const label = ({ scene }: Lane) => readlinkSync(join(scene.directory.path, CURRENT));
  const rolledBack = await problemsOf(batch, async ({ lane }) => {
    await runOn(lane.scene, lane.opened, { request: { kind: 'rollback', to: 'previous', reason: 'it leaks' } });
    expect(label(lane)).toBe(OLD);
  });

  const labels = batch.map(() => new Set<string>());
  const watching = setInterval(() => {
    for (const [index, { lane }] of batch.entries()) labels[index]?.add(label(lane));
  }, 1);
  promoting.child.kill('SIGCONT');
  const { status, log } = await promoting.ended;
  clearInterval(watching);
  expect({ status, log }).toMatchObject({ status: 0 });
  const awake = await problemsOf(batch, async ({ lane, where }, index) => {
    const { scene, old } = lane;
    if (!mayFlicker(where.step)) expect([...(labels[index] ?? [])]).toEqual([OLD]);
    expect(await stateOf(lane)).toMatchObject({ label: OLD, previous: '', records: { length: 3 } });
    expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(old.digest);
  });
  return [...rolledBack, ...awake];
}

test('a promotion that stalls at any step after its append, and wakes after a rollback, does not move the label back', async () => {
  const start = 'an earlier promotion';
  const { sftp } = await rehearse(start);
  const append = sftp.lastIndexOf('ext_openssh_hardlink');
  // The last look at the ledger comes between the link and the rename that shows it.
  const lastMove = sftp.lastIndexOf('ext_openssh_rename');
  expect(sftp.slice(sftp.lastIndexOf('symlink'), lastMove)).toContain('open');
  const looked = (step: number) => sftp[step] === 'ext_openssh_rename';
  const wrong: string[] = [];
  for (const batch of batches(start, steps('sftp', sftp.length).slice(append, lastMove + 1))) {
    wrong.push(...(await stalled(batch, looked)));
  }
  expect(wrong).toEqual([]);
});
