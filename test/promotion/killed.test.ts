import { expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { parseRecord } from '../../src/ledger/codec.js';
import { movingTag } from '../../src/ledger/names.js';
import { promote } from '../../src/promotion/promote.js';
import type { Request } from '../../src/rules/request.js';
import { CURRENT, image, reportOn } from '../ledger/fixture.js';
import { copyOf, createWorld, promotionIn, TARGETS, type World } from './memory-world.js';

/**
 * Each kind of run is killed before each of its requests, those that attach proofs included. Then a run that promotes
 * nothing must finish what was begun or change nothing, and the same request again must lead to the same end. Killed on
 * real servers: interruption.field.test.ts.
 */

const VERSIONS = ['v1.0.1', 'v1.0.2'];
const { tag, digest } = image('v1.0.1');
const ADOPT: Request = { kind: 'adopt', image: { tag, digest }, reason: 'it is what runs' };
const BACK: Request = { kind: 'rollback', to: 'previous', reason: 'it leaks' };
const HOLD: Request = { kind: 'hold', image: digest, reason: 'wait' };
const EVALUATE: Request = { kind: 'evaluate' };

class Killed extends Error {}

/** The number of a run is its own, so that a person's decision is not taken for a re-run. */
let runs = 0;

async function runIn(world: World, request: Request, name: string, jobs: readonly string[] = []) {
  runs += 1;
  const promotion = promotionIn(world, runs, { evaluate: async (of) => reportOn(of, [], jobs) });
  const candidate = request.kind === 'evaluate' ? image(name) : undefined;
  return promote(promotion, { request, candidate, freeze: undefined, onRegression: 'warn' });
}

/** Runs it until it is about to send request number `step`, from which on it reaches nothing. True if it was killed. */
async function killAt(world: World, step: number, request: Request, name: string): Promise<boolean> {
  let sent = 0;
  world.between = () => {
    sent += 1;
    if (sent > step) throw new Killed();
  };
  try {
    await runIn(world, request, name);
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    world.between = () => undefined;
  }
}

/** All that readers find, without what differs from run to run. */
function stateOf(world: World) {
  const records = [...world.files].filter(([name]) => name.startsWith('ledger/'));
  return {
    records: records.map(([name, text]) => {
      const parsed = parseRecord(Buffer.from(text));
      return [
        name,
        'problem' in parsed ? parsed.problem : [parsed.value.record.kind, parsed.value.record.candidate.tag],
      ];
    }),
    links: [...world.files].filter(([, text]) => text.startsWith('-> ')).sort(),
    files: [...world.files.keys()].sort(),
    tags: [...world.tags].sort(),
    proofs: [...world.attached]
      .map(([name, all]) => [name, ...all.map(({ annotations }) => annotations['vnd.ceph-promotion.n'])])
      .sort(),
  };
}

const promoted = (world: World, ...names: string[]) =>
  names.reduce(async (before, name) => void (await before.then(() => runIn(world, EVALUATE, name))), Promise.resolve());

async function lost(world: World, ...names: string[]): Promise<void> {
  await promoted(world, ...names);
  for (const name of world.files.keys()) if (name.startsWith('ledger/')) world.files.delete(name);
}

test.each<[string, Request, string, (world: World) => Promise<void>]>([
  ['a first promotion', EVALUATE, 'v1.0.1', async () => undefined],
  ['a promotion', EVALUATE, 'v1.0.2', (world) => promoted(world, 'v1.0.1')],
  ['a rollback', BACK, '', (world) => promoted(world, 'v1.0.1', 'v1.0.2')],
  ['a hold', HOLD, '', (world) => promoted(world, 'v1.0.1')],
  [
    'an adoption of what was promoted without a ledger',
    ADOPT,
    '',
    async ({ tags }) => TARGETS.forEach((target) => void tags.set(`${target}:${CURRENT}`, digest)),
  ],
  ['an adoption that supersedes a lost ledger', ADOPT, '', (world) => lost(world, 'v1.0.1')],
])('%s that is killed at any step is finished by the next runs', async (_, request, name, prepare) => {
  const moving = movingTag(CURRENT);
  const start = createWorld(VERSIONS.map(image), moving);
  await prepare(start);
  const whole = copyOf(start, moving);
  await runIn(whole, request, name);
  const end = stateOf(whole);

  const seen = new Set<string>();
  let step = 0;
  for (let isKilled = true; isKilled; step += 1) {
    const world = copyOf(start, moving);
    isKilled = await killAt(world, step, request, name);
    const left = stateOf(world);
    if (seen.has(JSON.stringify(left))) continue;
    seen.add(JSON.stringify(left));
    // Its jobs have not reported, so this run promotes nothing itself.
    const stopped = await runIn(world, EVALUATE, name || 'v1.0.2', ['check']).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (world.appended.length > start.appended.length) {
      expect({ step, stopped, state: stateOf(world) }).toEqual({ step, stopped: undefined, state: end });
    } else {
      if (stopped !== undefined) expect(stopped).toBeInstanceOf(UserError);
      const { links, records } = stateOf(world);
      expect({ step, links, records }).toEqual({ step, links: left.links, records: left.records });
      await runIn(world, request, name);
      expect({ step, state: stateOf(world) }).toEqual({ step, state: end });
    }
  }
  expect(step).toBeGreaterThan(20);
  expect(seen.size).toBeGreaterThan(3);
});
