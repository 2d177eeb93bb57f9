import { expect, test } from '@jest/globals';
import { lastDecision } from '../../src/actions/shared/promotion-result.js';
import { ServiceError } from '../../src/base/errors.js';
import { movingTag } from '../../src/ledger/names.js';
import { promote } from '../../src/promotion/promote.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import type { Store } from '../../src/store/store.js';
import { checkSetup } from '../../src/upkeep/setup.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { CURRENT, image } from '../ledger/fixture.js';
import { createWorld, promotionIn, TARGETS, type World } from '../promotion/memory-world.js';
import { setupWith } from './fixture.js';

/** A registry that lists referrers, of which it has none, and refuses to keep one. Only a run can find that out. */

const [A = '', B = ''] = TARGETS;
const NOTHING = 'keeps no referrers, so nothing there would show if the ledger were cut or replaced';

function refusing({ registry }: World, ...names: string[]): Promotion['registry'] {
  return {
    ...registry,
    repository: (repository) => ({
      ...registry.repository(repository),
      listTags: async () => ({ tags: [], listing: 'distribution', narrowed: false }),
      ...(names.includes(`${repository.registry}/${repository.path}`) && {
        attach: async () => {
          throw new ServiceError('unsupported', 'only images are accepted');
        },
      }),
    }),
  };
}

/** One promotion with these registries refusing proofs, and then what is reported about it. */
async function promotedWhere(...names: string[]) {
  const world = createWorld([image('v1.0.1')], movingTag(CURRENT));
  const promotion = promotionIn(world, 0, { registry: refusing(world, ...names) });
  const request = { kind: 'evaluate' } as const;
  const wish = { request, candidate: image('v1.0.1'), freeze: undefined, onRegression: 'warn' } as const;
  const last = lastDecision(await promote(promotion, wish), undefined);
  return { world, promotion, last };
}

const leaving = (store: Store, last: ReturnType<typeof lastDecision> | undefined): Store => ({
  ...store,
  readLastDecision: async () => last,
});

function verify({ registry, targets }: Promotion, reader: Store) {
  return verifyPromotion({ reader, registry, label: CURRENT, ledgerKey: undefined, repositories: targets.candidate });
}

async function checkLedger({ registry, targets }: Promotion, store: Store) {
  const setup = setupWith(registry, { targets: targets.candidate, withServer: (work) => work(store) });
  const checks = await checkSetup(setup);
  return checks.find(({ what }) => what === 'label current-ceph and its ledger');
}

test('if the last run could not attach the proof, nobody is told to attach it', async () => {
  const { world, promotion, last } = await promotedWhere(B);
  expect(last).toMatchObject({ 'without-referrers': [B] });
  const store = leaving(world.store, last);
  expect(await verify(promotion, store)).toMatchObject({ problem: undefined, withoutReferrers: [B] });
  expect(await checkLedger(promotion, store)).toEqual({
    what: 'label current-ceph and its ledger',
    state: 'ok',
    line: expect.stringMatching(new RegExp(`^ledger record 1 .*; ${B} ${NOTHING}$`)),
  });
});

test.each<[string, string[], (world: World) => void]>([
  ['no run has tried', [], ({ attached }) => attached.clear()],
  ['the last run could attach one', [B], ({ attached }) => attached.clear()],
])('where %s, the missing proof is still to do', async (_, names, harm) => {
  const { world, promotion, last } = await promotedWhere(...names);
  harm(world);
  const store = leaving(world.store, names.length === 0 ? undefined : last);
  const todo = new RegExp(`attach the proof to ${A}@sha256:`);
  expect((await verify(promotion, store)).problem).toMatch(todo);
  expect(await checkLedger(promotion, store)).toMatchObject({ state: 'wrong', line: expect.stringMatching(todo) });
});

test('what the last run left excuses nothing but a proof', async () => {
  const { world, promotion, last } = await promotedWhere(B);
  world.tags.delete(`${B}:${CURRENT}`);
  const { problem } = await verify(promotion, leaving(world.store, last));
  expect(problem).toMatch(new RegExp(`still to do: move tag ${B}:current-ceph to sha256:`));
});
