import { expect, test } from '@jest/globals';
import { ServiceError } from '../../src/base/errors.js';
import { movingTag } from '../../src/ledger/names.js';
import { recordPath } from '../../src/ledger/paths.js';
import { type Promoted, promote } from '../../src/promotion/promote.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import type { Request } from '../../src/rules/request.js';
import { CURRENT, image } from '../ledger/fixture.js';
import { createWorld, promotionIn, TARGETS, type World } from './memory-world.js';

/** Where proofs are looked for: on what the moving tag and the head name, and on what is about to be promoted. */

const VERSIONS = ['v1.0.1', 'v1.0.2'];
const newWorld = () => createWorld(VERSIONS.map(image), movingTag(CURRENT));

function runIn(world: World, name: string, request: Request = { kind: 'evaluate' }, changes: Partial<Promotion> = {}) {
  const candidate = request.kind === 'evaluate' ? image(name) : undefined;
  const promotion = promotionIn(world, world.appended.length, changes);
  return promote(promotion, { request, candidate, freeze: undefined, onRegression: 'warn' });
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

test('a proof on the candidate stops a run where neither the ledger nor a label nor a moving tag is left', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  world.files.clear();
  forget(world, CURRENT);
  const [target] = TARGETS;
  expect(await refusal(runIn(world, 'v1.0.1'))).toBe(
    `current-ceph has no ledger, but it was promoted: ${target}@${image('v1.0.1').digest} has a proof of it; ` +
      `${TARGETS[1]}@${image('v1.0.1').digest} has a proof of it, and proofs name a ledger of 1 records`,
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
    /contradicts the ledger: it proves record 2, and the newest record in the store is 1 \(and 1 more\); nothing was changed$/,
  );
  expect(world.appended).toHaveLength(2);
});

test('a proof on the image of the head counts where its tags are gone', async () => {
  const world = newWorld();
  await runIn(world, 'v1.0.1');
  await runIn(world, '', { kind: 'hold', image: image('v1.0.1').digest, reason: 'it leaks' });
  world.files.delete(recordPath(CURRENT, 2));
  forget(world, CURRENT, 'v1.0.1');
  world.moves.length = 0;
  expect(await refusal(runIn(world, 'v1.0.2'))).toMatch(/contradicts the ledger: it proves record 2/);
  expect(world.moves).toEqual([]);
});

test('a target that is down does not keep a rollback from the others', async () => {
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
