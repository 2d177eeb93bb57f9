import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { keepReading, readAsConsumer } from './consumer.js';
import { type Interruption, type Lane, NEW, OLD, type Start, startLane } from './lane.js';
import { CURRENT, ledger, ledgerProblem, runOn, verdict } from './support.js';

/** Promotions that are interrupted at any step, several at once. */

/** How many promotions run at once. */
const LANES = 6;

export async function startLanes(): Promise<readonly [Lane, ...Lane[]]> {
  return [await startLane(), ...(await Promise.all(Array.from({ length: LANES - 1 }, startLane)))];
}

/** The steps of a promotion that nobody interrupts: what it sends to registries, and its requests to the SFTP server. */
export interface Steps {
  readonly registry: ReturnType<Lane['sent']>;
  readonly sftp: readonly string[];
}

/** Promotes in this process, without an interruption, while consumers read. */
export async function rehearse(lane: Lane, start: Start): Promise<Steps> {
  lane.reset(start);
  const reading = keepReading(lane, start);
  const sftp = await lane.promote().ended;
  await reading.stop();
  return { registry: lane.sent(), sftp };
}

export function steps(at: Interruption['at'], count: number): Interruption[] {
  return Array.from({ length: count }, (_, index) => ({ at, step: index + 1 }));
}

/**
 * Does the work at each place. All lanes work at the same time, and each is reset before each place. Returns a line for
 * each problem, with its place.
 */
export async function inLanes(
  lanes: readonly Lane[],
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

export async function problemAt({ at, step }: Interruption, work: () => Promise<void>): Promise<string[]> {
  try {
    await work();
    return [];
  } catch (error) {
    return [`at ${at} ${step}: ${error}`];
  }
}

/** Everything that a promotion left on both servers. */
export async function stateOf(lane: Lane) {
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
 * Checks that the next runs recover from what a kill left. First comes a run that promotes nothing: the killed promotion
 * must then be either complete or absent. A promotion after that must leave it complete, and in the ledger once. A state
 * in `recovered` was checked before, and is not checked again.
 */
export async function recovers(lane: Lane, start: Start, recovered: Set<string>): Promise<void> {
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
  expect(await ledgerProblem(scene, opened.registry)).toBeUndefined();
}

/** All places at which a promotion can be killed. */
export function killsOf({ registry, sftp }: Steps): Interruption[] {
  expect(registry.pieces).toBeGreaterThan(15);
  expect(sftp.length).toBeGreaterThan(50);
  return [...steps('registry', registry.pieces), ...steps('sftp', sftp.length)];
}

/**
 * Kills a promotion in this process at each of these steps, while consumers read, and checks that the next runs recover.
 * Returns the states that the kills left.
 */
export async function killAt(lanes: readonly Lane[], start: Start, kills: readonly Interruption[]) {
  const recovered = new Set<string>();
  const wrong = await inLanes(lanes, start, kills, async (lane, place) => {
    const promoting = lane.promote(place);
    await promoting.reached;
    await promoting.kill();
    await recovers(lane, start, recovered);
  });
  expect(wrong).toEqual([]);
  return recovered;
}
