import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatCandidate } from '../../src/candidate/reference.js';
import { httpLedger } from '../../src/image-server/http-reader.js';
import { verifyLedger } from '../../src/image-server/ledger.js';
import { replayRecord } from '../../src/promotion/replay.js';
import { http } from '../image-server/fixture.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { keepReading, readAsConsumer } from './consumer.js';
import { type Interruption, type Lane, NEW, OLD, type Start, startLane } from './lane.js';
import { bundleMortalPromotion } from './process.js';
import { CURRENT, digestAt, ledger, runOn, verdict } from './support.js';

const LANES = 3;
const MINUTES = 60_000;

let home: Stoppable & { readonly path: string };
let lanes: Lane[] = [];

beforeAll(async () => {
  home = await runDirectory();
  const bundle = await bundleMortalPromotion(home.path);
  lanes = await Promise.all(Array.from({ length: LANES }, () => startLane(bundle)));
}, 2 * MINUTES);

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
  await home.stop();
});

/** What a promotion that nobody interrupts asks of registries, and of the SFTP server. */
async function rehearse(start: Start): Promise<{ registrySteps: number; sftp: readonly string[] }> {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('no lane');
  lane.reset(start);
  const promotion = lane.start();
  const { status, log } = await promotion.ended;
  await promotion.settled();
  expect(log).not.toContain('::error::');
  expect(status).toBe(0);
  return { registrySteps: lane.sent(), sftp: /^answered: (.*)$/m.exec(log)?.[1]?.split(' ') ?? [] };
}

/** Does something at each interruption, several lanes at once; what went wrong, and where. */
async function atEach(
  interruptions: readonly Interruption[],
  work: (lane: Lane, one: Interruption) => Promise<void>,
): Promise<string[]> {
  const wrong: string[] = [];
  const rest = interruptions.values();
  await Promise.all(
    lanes.map(async (lane) => {
      for (const one of rest) {
        try {
          await work(lane, one);
        } catch (error) {
          wrong.push(`${one.signal} at ${one.at} ${one.step}: ${error}`);
        }
      }
    }),
  );
  return wrong;
}

function steps(at: Interruption['at'], count: number): Interruption[] {
  return Array.from({ length: count }, (_, index) => ({ at, step: index + 1, signal: 'SIGKILL' }));
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
    records: hasLedger ? ledger(lane.scene).map(({ candidate }) => candidate) : [],
  };
}

/**
 * Whatever a kill leaves, readers find an image; a run that promotes nothing finishes what was begun, or leaves what was
 * not; and a promotion afterwards finds it done, or does it once.
 */
async function killed(lane: Lane, start: Start, kill: Interruption): Promise<void> {
  const { scene, opened, old, candidate } = lane;
  const [first, second] = [formatCandidate(old), formatCandidate(candidate)];
  const isEarlier = start !== 'nothing';
  const before = { label: isEarlier ? OLD : undefined, previous: '', records: isEarlier ? [first] : [] };
  const after = { label: NEW, previous: isEarlier ? OLD : '', records: [...before.records, second] };
  lane.reset(start);
  const reader = keepReading(lane, start);
  const promotion = lane.start(kill);
  await promotion.ended;
  await promotion.settled();
  await readAsConsumer(lane);
  await runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } });
  expect([before, after]).toContainEqual(await stateOf(lane));
  await runOn(scene, opened, { candidate });
  expect(await stateOf(lane)).toEqual(after);
  await reader.stop();
  const { problem } = await verifyLedger(httpLedger(http, new URL(scene.directory.url), CURRENT), {
    label: CURRENT,
    replay: replayRecord,
  });
  expect(problem).toBeUndefined();
}

describe('a promotion of two images that is killed', () => {
  test.each<Start>(['nothing', 'an earlier promotion'])(
    'at any step, from %s on',
    async (start) => {
      const { registrySteps, sftp } = await rehearse(start);
      expect(registrySteps).toBeGreaterThan(15);
      expect(sftp.length).toBeGreaterThan(50);
      const kills = [...steps('registry', registrySteps), ...steps('sftp', sftp.length)];
      expect(await atEach(kills, (lane, kill) => killed(lane, start, kill))).toEqual([]);
    },
    15 * MINUTES,
  );
});

/**
 * It is stopped between its append and its moves, another run rolls back, and it goes on: it must see that, and leave
 * the label alone. `mayFlicker` where it had looked, and the very next request is the move.
 */
async function stalled(lane: Lane, stop: Interruption, mayFlicker: boolean): Promise<void> {
  const { scene, opened, old } = lane;
  lane.reset('an earlier promotion');
  const promotion = lane.start(stop);
  await promotion.says('SIGSTOP after');
  await runOn(scene, opened, { request: { kind: 'rollback', to: 'previous', reason: 'it leaks' } });
  expect(readlinkSync(join(scene.directory.path, CURRENT))).toBe(OLD);

  const labels = new Set<string>();
  const watching = setInterval(() => labels.add(readlinkSync(join(scene.directory.path, CURRENT))), 1);
  promotion.child.kill('SIGCONT');
  const { status, log } = await promotion.ended;
  clearInterval(watching);
  expect(log).not.toContain('::error::');
  expect(status).toBe(0);
  if (!mayFlicker) expect([...labels]).toEqual([OLD]);
  expect(await stateOf(lane)).toMatchObject({ label: OLD, previous: '', records: { length: 3 } });
  expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(old.digest);
}

test(
  'a promotion that stalls at any step after its append, and wakes after a rollback, does not move the label back',
  async () => {
    const { sftp } = await rehearse('an earlier promotion');
    const append = sftp.lastIndexOf('ext_openssh_hardlink');
    const lastMove = sftp.lastIndexOf('symlink') + 2;
    expect(sftp.slice(lastMove - 2, lastMove + 1)).toEqual(['symlink', 'open', 'ext_openssh_rename']);
    const stops = sftp.map((_, index): Interruption => ({ at: 'sftp', step: index + 1, signal: 'SIGSTOP' }));
    const looked = (step: number) => sftp[step] === 'ext_openssh_rename';
    const wrong = await atEach(stops.slice(append, lastMove + 1), (lane, stop) =>
      stalled(lane, stop, looked(stop.step)),
    );
    expect(wrong).toEqual([]);
  },
  10 * MINUTES,
);
