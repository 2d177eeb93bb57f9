import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import type { Candidate } from '../../src/candidate/reference.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import type { Outcome } from '../../src/rules/outcome.js';
import { httpReader } from '../../src/store/http-reader.js';
import { ledgerOf } from '../../src/store/reader.js';
import { sandbox } from '../sandbox/current.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { type Registry, startRegistry } from '../sandbox/registry.js';
import { http } from '../store/fixture.js';
import {
  CURRENT,
  freshScene,
  ledger,
  type Open,
  open,
  publish,
  runOn,
  type Scene,
  seen,
  type Wish,
} from './support.js';

/** Eight runs at once on one label, each with sessions of its own. */

const RUNS = 8;

let home: Stoppable & { readonly path: string };
let target: Registry;
let scene: Scene;
let sessions: Open[];

/** What the runs of a round want; `images` are that round's, newer than all before, in order. */
const wishes: readonly ((index: number, images: readonly Candidate[]) => Wish)[] = [
  (_, images) => ({ candidate: images[0] }),
  (index, images) => ({ candidate: images[index % images.length] }),
  (index, images) =>
    index < 2
      ? { request: { kind: 'rollback', to: 'previous', reason: 'race' } }
      : { candidate: images[index % images.length] },
];

/** A run may be refused, since others were first: its image would be a downgrade, or there is no way back. */
async function outcomeOf(work: Promise<Outcome>): Promise<Outcome['decision'] | 'refused'> {
  try {
    return (await work).decision;
  } catch (error) {
    if (error instanceof UserError) return 'refused';
    throw error;
  }
}

/** This many rounds on one ledger. */
export function testRace(rounds: number): void {
  beforeAll(async () => {
    home = await runDirectory();
    // Debian's registry writes files in place: who pushes the same manifest at the same time may be refused.
    target = await startRegistry({ tools: sandbox().tools, directory: home.path });
    scene = await freshScene({ target });
    sessions = await Promise.all(Array.from({ length: RUNS }, () => open(scene)));
  });

  afterAll(async () => {
    await Promise.all(sessions.map((session) => session.close()));
    await target.stop();
    await home.stop();
  });

  test('each number has exactly one record, and readers find the head when all runs have ended', () => race(rounds));
}

async function race(rounds: number): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    const images: Candidate[] = [];
    for (const patch of [1, 2, 3]) images.push(await publish(scene, `v${round}.0.${patch}`));
    const wish = wishes[round % wishes.length];
    if (wish === undefined) throw new Error('no wish');
    const before = round === 1 ? 0 : ledger(scene).length;
    const decisions = await Promise.all(
      sessions.map((session, index) => outcomeOf(runOn(scene, session, wish(index, images)))),
    );
    const records = ledger(scene);
    const written = decisions.filter((decision) => decision === 'promote' || decision === 'rollback');
    expect(records.length - before).toBe(written.length);
    expect(written.length).toBeGreaterThan(0);
    const head = records.at(-1);
    if (head === undefined) throw new Error('no head');
    expect(await seen(scene)).toEqual({
      label: head.candidate.tag,
      previous: head.previous?.tag,
      moving: head.candidate.digest,
    });
  }
  const reader = ledgerOf(httpReader(http, new URL(scene.directory.url)), CURRENT);
  const { records, problem } = await verifyLedger(reader, { label: CURRENT });
  expect(problem).toBeUndefined();
  expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
}
