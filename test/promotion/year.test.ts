import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type Candidate, repositorySchema } from '../../src/candidate/reference.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { promote } from '../../src/promotion/promote.js';
import { publishCandidate } from '../../src/store/publish.js';
import { choose } from '../candidate/policies.js';
import { digestOf, tag } from '../ledger/fixture.js';
import { TESTING } from '../store/fixture.js';
import { createWorld, promotionIn } from './memory-world.js';

/** Builds of one release in the order in which they came: new versions, and rebuilds of the same. */
const BUILDS = [
  'v17.2.5-20221017',
  'v17.2.6-20230410',
  'v17.2.6-20231027',
  'v17.2.7-20231027',
  'v17.2.7-20231207',
  'v17.2.7-20240103',
  'v17.2.8-20241122',
];

test('a year of rebuilds: each is found, tested and promoted, the one before it becomes previous, and nobody edits anything', async () => {
  const repository = v.parse(repositorySchema, 'quay.io/ceph/ceph');
  const imageOf = (name: string): Candidate => ({ repository, tag: tag(name), digest: digestOf(name) });
  const world = createWorld([], 'current-ceph');
  const there = new Set<string>();
  let run = 0;
  /** One nightly run: find, publish, test, promote. */
  const nightly = async () => {
    run += 1;
    const candidate = imageOf(choose([...there], { scheme: ceph, preferDated: true, flavor: 'quincy' }));
    await publishCandidate({
      server: world.store,
      candidate,
      label: TESTING,
      tagsRead: there.size,
      runUrl: undefined,
      createdAt: 0,
      dryRun: false,
    });
    const asked = { request: { kind: 'evaluate' }, candidate, freeze: undefined, onRegression: 'warn' } as const;
    const { outcome } = await promote(promotionIn(world, run, { source: repository }), asked);
    return [outcome.decision, outcome.candidate.tag, outcome.previous?.tag];
  };

  for (const [n, build] of BUILDS.entries()) {
    const [version = ''] = build.split('-');
    const undated = [version, version.replace(/\.\d+$/, ''), version.replace(/\.\d+\.\d+$/, '')];
    for (const name of [build, ...undated]) {
      there.add(name);
      // The undated tags move with each build.
      world.tags.set(`${repository.registry}/${repository.path}:${name}`, digestOf(build));
    }
    expect(await nightly()).toEqual(['promote', build, BUILDS[n - 1]]);
    expect(await nightly()).toEqual(['unchanged', build, BUILDS[n - 1]]);
    expect(world.files.get('current-ceph')).toBe(`-> ${build}`);
    if (n > 0) expect(world.files.get('previous-current-ceph')).toBe(`-> ${BUILDS[n - 1]}`);
  }
  expect(world.appended).toHaveLength(BUILDS.length);
});
