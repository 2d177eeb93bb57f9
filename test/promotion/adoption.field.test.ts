import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import type { Request } from '../../src/rules/request.js';
import { keepReading, readAsConsumer } from './consumer.js';
import { type Interruption, type Lane, OLD, startLane } from './lane.js';
import { CURRENT, ledger, ledgerProblem, runOn, verdict } from './support.js';

/**
 * An adoption after a lost ledger is killed at every step on real servers, as promotions are in
 * interruption.field.test.ts: what it leaves is finished by the next run, or by the same adoption again.
 */

const START = 'a lost ledger';
let lanes: Lane[] = [];

beforeAll(async () => {
  lanes = await Promise.all(Array.from({ length: 6 }, startLane));
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
});

const adoptionIn = ({ old: { tag, digest } }: Lane): { request: Request } => ({
  request: { kind: 'adopt', image: { tag, digest }, reason: 'its ledger was lost' },
});

const hasLedger = ({ scene }: Lane) =>
  readdirSync(scene.directory.path).includes('ledger') && records(scene).length > 0;
const records = (scene: Lane['scene']) =>
  readdirSync(join(scene.directory.path, 'ledger')).includes(CURRENT) ? ledger(scene) : [];

async function finishes(lane: Lane): Promise<void> {
  const { scene, opened, candidate, old } = lane;
  const waiting = runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } });
  if (hasLedger(lane)) {
    await waiting;
  } else {
    await expect(waiting).rejects.toThrow(UserError);
    await runOn(scene, opened, adoptionIn(lane));
  }
  expect(await readAsConsumer(lane)).toBe(OLD);
  expect(ledger(scene)).toMatchObject([{ kind: 'adopted', candidate: { digest: old.digest }, supersedes: [{ n: 1 }] }]);
  expect(await ledgerProblem(scene, opened.registry)).toBeUndefined();
}

test('an adoption that is killed at any step is finished by the next runs', async () => {
  const [first] = lanes;
  if (first === undefined) throw new Error('no lane');
  first.reset(START);
  const sftp = await first.promote(undefined, adoptionIn(first)).ended;
  const registry = first.sent().pieces;
  const steps = (at: Interruption['at'], count: number) =>
    Array.from({ length: count }, (_, index): Interruption => ({ at, step: index + 1 }));
  const places = [...steps('registry', registry), ...steps('sftp', sftp.length)].values();
  expect(Math.min(registry, sftp.length)).toBeGreaterThan(10);
  const recovered = new Set<string>();
  const wrong: string[] = [];
  const take = async (lane: Lane) => {
    for (const place of places) {
      lane.reset(START);
      try {
        const adopting = lane.promote(place, adoptionIn(lane));
        await adopting.reached;
        await adopting.kill();
        const left = lane.state();
        if (recovered.has(left)) continue;
        recovered.add(left);
        const reading = keepReading(lane, START);
        await finishes(lane);
        await reading.stop();
      } catch (error) {
        wrong.push(`at ${place.at} ${place.step}: ${error}`);
      }
    }
  };
  await Promise.all(lanes.map(take));
  expect(wrong).toEqual([]);
  expect(recovered.size).toBeGreaterThan(3);
});
