import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import { formatRecord } from '../../src/ledger/codec.js';
import { movingTag } from '../../src/ledger/names.js';
import { recordPath } from '../../src/ledger/paths.js';
import { type Promoted, promote } from '../../src/promotion/promote.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import { parseTargets } from '../../src/promotion/targets.js';
import type { Request } from '../../src/rules/request.js';
import { targetRepositories } from '../../src/rules/targets.js';
import { CURRENT, image, recordOf } from '../ledger/fixture.js';
import { createWorld, promotionIn, TARGETS, type World } from './memory-world.js';

/** Where proofs are looked for: on what the moving tag and the head name, and on what is about to be promoted. */

const VERSIONS = ['v1.0.1', 'v1.0.2'];
const newWorld = () => createWorld(VERSIONS.map(image), movingTag(CURRENT));

function runIn(
  world: World,
  name: string,
  request: Request = { kind: 'evaluate' },
  changes: Partial<Promotion> = {},
  freeze?: string,
) {
  const candidate = request.kind === 'evaluate' ? image(name) : undefined;
  const promotion = promotionIn(world, world.appended.length, changes);
  return promote(promotion, { request, candidate, freeze, onRegression: 'warn' });
}

async function refusal(work: Promise<Promoted>): Promise<string> {
  return work.then(
    ({ outcome }) => `not refused: ${outcome.decision}`,
    (error: Error) => error.message,
  );
}

const forget = (world: World, ...names: string[]) => {
  for (const name of names) for (const target of TARGETS) world.tags.delete(`${target}:${name}`);
};

test('a proof on the candidate stops a run if neither the ledger nor a label nor a moving tag is left', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  world.files.clear();
  forget(world, CURRENT);
  const [target] = TARGETS;
  expect(await refusal(runIn(world, 'v1.0.1'))).toBe(
    `current-ceph has no ledger, but it was promoted: ${target}@${image('v1.0.1').digest} has a proof of a promotion; ` +
      `${TARGETS[1]}@${image('v1.0.1').digest} has a proof of a promotion, and proofs name a ledger up to record 1`,
  );
  const { tag, digest } = image('v1.0.1');
  const adopted = await runIn(world, 'v1.0.1', { kind: 'adopt', image: { tag, digest }, reason: 'it was lost' });
  expect(adopted.record).toMatchObject({ kind: 'adopted', supersedes: [{ n: 1 }] });
  expect((await runIn(world, 'v1.0.1')).outcome.decision).toBe('unchanged');
});

test('a record that was removed before its tag moved: its image is not promoted again', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  const { registry } = world;
  const failing: Promotion['registry'] = {
    ...registry,
    repository: (repository) => ({
      ...registry.repository(repository),
      moveTag: async () => {
        throw new ServiceError('unreachable', 'down');
      },
    }),
  };
  expect(await refusal(runIn(world, 'v1.0.2', { kind: 'evaluate' }, { registry: failing }))).toMatch(/down/);
  world.files.delete(recordPath(CURRENT, 2));
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(
    /contradicts the ledger: it proves record 2, but the newest record in the store is 1 \(and 1 more\); nothing was changed$/,
  );
  expect(world.appended).toHaveLength(2);

  // Nor when the ledger has grown past it, also if the store does not answer when the record is compared.
  for (const reason of ['one', 'two', 'three']) {
    await runIn(world, '', { kind: 'hold', image: image('v1.0.1').tag, reason });
  }
  world.moves.length = 0;
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(/it proves a different record 2 than the store has/);
  const { store } = promotionIn(world, 0);
  let reads = 0;
  const readRecord: typeof store.readRecord = async (label, n) => {
    // The history of what was promoted is read first.
    reads += n === 2 ? 1 : 0;
    if (n === 2 && reads === 2) throw new ServiceError('server-error', 'images.example: no answer');
    return store.readRecord(label, n);
  };
  expect(await refusal(runIn(world, 'v1.0.2', undefined, { store: { ...store, readRecord } }))).toBe(
    'images.example: no answer',
  );
  expect(world.moves).toEqual([]);
});

test('a record that was removed right after it was appended is noticed by its own run', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  world.moves.length = 0;
  world.between = () => {
    if (world.appended.length === 2) world.files.delete(recordPath(CURRENT, 2));
  };
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(/^ledger record 2 not trusted: it was there, but is gone$/);
  expect(world.moves).toEqual([]);
});

describe('what happens at a target between the append and the moves', () => {
  const [target = ''] = TARGETS;
  /** Promotes v1.0.2 after v1.0.1, with a change at the target once the record is written. */
  async function promoteWhile(change: (world: World) => void): Promise<[World, string]> {
    const world = newWorld();
    await runIn(world, 'v1.0.1');
    world.moves.length = 0;
    let isDone = false;
    world.between = () => {
      if (isDone || world.appended.length < 2) return;
      isDone = true;
      change(world);
    };
    return [world, await refusal(runIn(world, 'v1.0.2'))];
  }
  /** A proof like the one that the first run left, of a record that the store does not have. */
  const prove = ({ attached }: World, name: string) => {
    const [[, [proof] = []] = []] = [...attached].filter(([where]) => where.startsWith(target));
    if (proof === undefined) throw new Error('no proof');
    const annotations = { ...proof.annotations, 'vnd.ceph-promotion.n': '3' };
    const where = `${target}:${image(name).digest}`;
    attached.set(where, [...(attached.get(where) ?? []), { ...proof, annotations }]);
  };

  test('a newer proof on what the moving tag names stops every move', async () => {
    const [world, said] = await promoteWhile((now) => prove(now, 'v1.0.1'));
    expect(said).toMatch(/contradicts the ledger: it proves record 3/);
    expect(world.moves).toEqual([]);
  });

  test('a newer proof on what another run moves the tag to stops every move', async () => {
    const [world, said] = await promoteWhile((now) => {
      prove(now, 'v1.0.2');
      now.tags.set(`${target}:${CURRENT}`, image('v1.0.2').digest);
    });
    expect(said).toMatch(/contradicts the ledger: it proves record 3/);
    expect(world.moves).toEqual([]);
  });

  test('a newer proof on the same image stops every move', async () => {
    const [world, said] = await promoteWhile((now) => prove(now, 'v1.0.2'));
    expect(said).toMatch(/contradicts the ledger: it proves record 3.*; no tag or label was moved$/);
    expect(world.moves).toEqual([]);
  });

  test('a versioned tag that is lost is set again', async () => {
    const [world, said] = await promoteWhile(({ tags }) => tags.delete(`${target}:v1.0.2`));
    expect(said).toBe('not refused: promote');
    expect(world.tags.get(`${target}:v1.0.2`)).toBe(image('v1.0.2').digest);
  });
});

// MorganKryze/cairn#66
test('a registry that lists a proof some seconds later is waited for', async () => {
  const world = newWorld();
  const waits: number[] = [];
  const clock = { ...systemClock, sleep: async (milliseconds: number) => void waits.push(milliseconds) };
  const { registry } = world;
  let attached = 0;
  const late: Promotion['registry'] = {
    ...registry,
    repository: (repository) => ({
      ...registry.repository(repository),
      attach: (...args) => {
        attached += 1;
        return registry.repository(repository).attach(...args);
      },
      listAttached: (subject, type) =>
        waits.length < 5 ? Promise.resolve([]) : registry.repository(repository).listAttached(subject, type),
    }),
  };
  const { outcome } = await runIn(world, 'v1.0.1', undefined, { registry: late, clock });
  expect(outcome.decision).toBe('promote');
  expect(waits).toHaveLength(5);
  expect((waits.at(-1) ?? 0) > (waits[0] ?? 0)).toBe(true);
  expect(attached).toBe(TARGETS.length);
});

test("a proof on the head's image counts even if its tags are gone", async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  await runIn(world, '', { kind: 'hold', image: image('v1.0.1').digest, reason: 'it leaks' });
  world.files.delete(recordPath(CURRENT, 2));
  forget(world, CURRENT, 'v1.0.1');
  world.moves.length = 0;
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(/contradicts the ledger: it proves record 2/);
  expect(world.moves).toEqual([]);
});

test('a target that is down does not stop a rollback at the others', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  await runIn(world, 'v1.0.2');
  const { registry } = world;
  const oneDown: Promotion['registry'] = {
    ...registry,
    repository: (repository) => {
      if (repository.path.startsWith('b/')) {
        const down = async () => {
          throw new ServiceError('unreachable', 'down');
        };
        return { ...registry.repository(repository), resolve: down, listAttached: down, moveTag: down };
      }
      return registry.repository(repository);
    },
  };
  const back: Request = { kind: 'rollback', to: 'previous', reason: 'it leaks' };
  expect(await refusal(runIn(world, '', back, { registry: oneDown }))).toMatch(/not finished at one target/);
  expect(world.tags.get(`${TARGETS[0]}:${CURRENT}`)).toBe(image('v1.0.1').digest);
});

describe('a ledger that is not the one of these targets', () => {
  const OTHERS = ['quay.example/c/daemon'];

  /** The files of another branch, whose ledger has the same label and the same key. */
  async function filesOfOther(world: World): Promise<Map<string, string>> {
    const other = newWorld();
    await runIn(other, 'v1.0.1', undefined, { targets: parseTargets(OTHERS), ledgerKey: 'key' });
    world.files.clear();
    for (const [name, text] of other.files) world.files.set(name, text);
    return world.files;
  }

  test('is refused if no target of its head is configured, even if nothing was promoted there yet', async () => {
    const world = newWorld();
    await filesOfOther(world);
    expect(await refusal(runIn(world, 'v1.0.1', undefined, { ledgerKey: 'key' }))).toMatch(
      /none of its targets is configured: quay.example\/c\/daemon$/,
    );
    expect(world.moves).toEqual([]);
  });

  test('is refused if only the target of a companion is in both', async () => {
    const world = newWorld();
    await filesOfOther(world);
    const { digest } = image('v1.0.2');
    const line = `quay.io/prometheus/prometheus:v2@${digest} -> ${OTHERS[0]}`;
    const targets = parseTargets([...TARGETS, line]);
    expect(await refusal(runIn(world, 'v1.0.1', undefined, { ledgerKey: 'key', targets }))).toMatch(
      /ledger record 1 not trusted: none of its targets is/,
    );
    expect(world.moves).toEqual([]);
  });

  test('is refused by the proofs if it was lost and has been superseded since', async () => {
    const world = newWorld();
    await runIn(world, 'v1.0.1');
    const lost = new Map(world.files);
    world.files.clear();
    const { tag, digest } = image('v1.0.1');
    await runIn(world, '', { kind: 'adopt', image: { tag, digest }, reason: 'it was lost' });
    for (const [name, text] of lost) world.files.set(name, text);
    world.moves.length = 0;
    expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(
      /contradicts the ledger: it proves record 1 of another ledger/,
    );
    expect(world.moves).toEqual([]);
  });

  test('is refused by the proofs if both have a target in common', async () => {
    const world = newWorld();
    await runIn(world, 'v1.0.2', undefined, { ledgerKey: 'key' });
    await filesOfOther(world);
    world.moves.length = 0;
    const targets = parseTargets([...TARGETS, ...OTHERS]);
    expect(await refusal(runIn(world, 'v1.0.1', undefined, { ledgerKey: 'key', targets }))).toMatch(
      /contradicts the ledger: it proves record 1 of another ledger/,
    );
    expect(world.moves).toEqual([]);
  });
});

describe('a label without a ledger stops a run', () => {
  const freeze = 'a release';
  test.each<[string, (world: World) => void, RegExp]>([
    ['that the store has', ({ files }) => files.set(CURRENT, '-> v1.0.2'), /label current-ceph names v1.0.2$/],
    [
      'that one target has as a moving tag',
      ({ tags }) => tags.set(`${TARGETS[1]}:${CURRENT}`, image('v1.0.2').digest),
      /quay.example\/b\/daemon:current-ceph is sha256:/,
    ],
  ])('%s, for any request', async (_, prepare, message) => {
    const world = newWorld();
    prepare(world);
    const requests: Request[] = [
      { kind: 'evaluate' },
      { kind: 'force', tag: image('v1.0.1').tag, reason: 'must', skipJobs: [] },
      { kind: 'rollback', to: 'previous', reason: 'it leaks' },
      { kind: 'hold', image: image('v1.0.1').tag, reason: 'wait' },
      { kind: 'quarantine', image: image('v1.0.1'), reason: 'evil' },
    ];
    for (const request of requests) expect(await refusal(runIn(world, 'v1.0.1', request))).toMatch(message);
    expect(world.moves).toEqual([]);
    expect(world.appended).toEqual([]);
  });

  test("that a companion's target has as a moving tag", async () => {
    const world = newWorld();
    const { digest } = image('v1.0.2');
    const repository = 'quay.example/a/prometheus';
    world.tags.set(`${repository}:${CURRENT}`, digest);
    const targets = parseTargets([...TARGETS, `quay.io/prometheus/prometheus:v2@${digest} -> ${repository}`]);
    expect(await refusal(runIn(world, 'v1.0.1', undefined, { targets }))).toMatch(
      /a\/prometheus:current-ceph is sha256:/,
    );
    expect(world.appended).toEqual([]);
  });

  test('and is adopted neither while promotion is frozen nor as another image than a moving tag names', async () => {
    const world = newWorld();
    world.tags.set(`${TARGETS[1]}:${CURRENT}`, image('v1.0.2').digest);
    const { tag, digest } = image('v1.0.1');
    const adopt: Request = { kind: 'adopt', image: { tag, digest }, reason: 'RDO promoted it' };
    expect(await refusal(runIn(world, '', adopt))).toMatch(/:current-ceph is sha256:.*, not sha256:/);
    const right: Request = { ...adopt, image: image('v1.0.2') };
    expect(await refusal(runIn(world, '', right, {}, freeze))).toMatch(/a release/);
    expect(world.appended).toEqual([]);
    expect((await runIn(world, '', right)).outcome.decision).toBe('adopt');
  });
});

test('a ledger that was cut while a target was down, and has grown since, stops the run that reads that target again', async () => {
  const [, down = ''] = TARGETS;
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  await runIn(world, '', { kind: 'quarantine', image: image('v1.0.2'), reason: 'evil' });
  world.files.delete(recordPath(CURRENT, 2));
  const others = { targets: parseTargets(TARGETS.filter((target) => target !== down)) };
  // Somebody else may write to the other target, and removed the proof there.
  for (const name of [...world.attached.keys()].filter((one) => !one.startsWith(down))) world.attached.delete(name);
  for (const reason of ['one', 'two']) {
    await runIn(world, '', { kind: 'hold', image: image('v1.0.1').tag, reason }, others);
  }
  world.moves.length = 0;
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(
    /b\/daemon@.* contradicts the ledger: it proves a different record 2 than the store has/,
  );
  expect(world.moves).toEqual([]);
});

const back: Request = { kind: 'rollback', to: 'previous', reason: 'nobody asked for it' };

describe('a whole record that somebody wrote into the store', () => {
  /** Record 2: a force of v1.0.2 that nobody asked for, well-formed in every way. */
  async function forged(ledgerKey: string | undefined): Promise<World> {
    const world = newWorld();
    await runIn(world, 'v1.0.1', undefined, { ledgerKey });
    const { tag, digest } = image('v1.0.2');
    const targets = targetRepositories(parseTargets(TARGETS)).map((repository) => ({
      repository,
      tag,
      digest,
      source: image('v1.0.2'),
    }));
    const before = Buffer.from(world.files.get(recordPath(CURRENT, 1)) ?? '');
    const record = recordOf('v1.0.2', 2, before, { kind: 'forced', targets, previous: image('v1.0.1') });
    world.files.set(recordPath(CURRENT, 2), formatRecord(record, undefined).toString());
    world.moves.length = 0;
    return world;
  }

  test('stops every run with the key', async () => {
    const world = await forged('key');
    expect(await refusal(runIn(world, 'v1.0.1', undefined, { ledgerKey: 'key' }))).toMatch(/has no HMAC/);
    expect(world.moves).toEqual([]);
  });

  // The threat model says so: whoever can write the ledger can promote, where there is no key.
  test('is promoted without the key, and has a proof from then on', async () => {
    const world = await forged(undefined);
    expect(await refusal(runIn(world, 'v1.0.1'))).toMatch(/would take current-ceph down from v1.0.2/);
    expect(world.tags.get(`${TARGETS[0]}:${CURRENT}`)).toBe(image('v1.0.2').digest);
    const record = world.files.get(recordPath(CURRENT, 2)) ?? '';
    world.files.delete(recordPath(CURRENT, 2));
    for (const request of [undefined, back]) {
      expect(await refusal(runIn(world, 'v1.0.1', request))).toMatch(/contradicts the ledger: it proves record 2/);
    }
    world.files.set(recordPath(CURRENT, 2), record);
    expect((await runIn(world, '', back)).outcome).toMatchObject({ decision: 'rollback', candidate: image('v1.0.1') });
    expect(world.tags.get(`${TARGETS[0]}:${CURRENT}`)).toBe(image('v1.0.1').digest);
  });

  test('leaves no trace where it is deleted before a run has acted on it', async () => {
    const world = await forged(undefined);
    world.files.delete(recordPath(CURRENT, 2));
    expect((await runIn(world, 'v1.0.1')).outcome.decision).toBe('unchanged');
    expect(world.moves).toEqual([]);
    expect([...world.attached.keys()].filter((name) => name.includes(image('v1.0.2').digest))).toEqual([]);
  });
});
