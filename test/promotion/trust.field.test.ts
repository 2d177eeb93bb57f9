import { createHash } from 'node:crypto';
import { chmodSync, chownSync, cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { digestSchema } from '../../src/candidate/reference.js';
import type { Request } from '../../src/rules/request.js';
import { createLines } from '../registry/support.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildIndex, pushImage } from '../sandbox/images.js';
import { failure } from '../store/fixture.js';
import { at, force, promoted, refused, rollback, V1, V2, V3, waiting } from './promoted.js';
import {
  attachedAt,
  CURRENT,
  digestAt,
  freshScene,
  ledger,
  lose,
  loseProofs,
  publish,
  run,
  type Scene,
  seen,
  tag,
  tinyImage,
  verdict,
  type Wish,
} from './support.js';

describe('a ledger that is not trusted stops everything', () => {
  const recordFile = (scene: Scene, n: number) => join(scene.directory.path, `ledger/current-ceph/${n}.json`);
  const forge = (scene: Scene, n: number, change: (record: Record<string, unknown>) => void) => {
    const record = JSON.parse(readFileSync(recordFile(scene, n), 'utf8'));
    change(record);
    writeFileSync(recordFile(scene, n), `${JSON.stringify(record, undefined, 2)}\n`);
  };

  test.each<[string, number, (record: Record<string, unknown>) => void]>([
    ['another record before', 1, (record) => (record.who = 'eve')],
    ['another image', 2, (record) => (record.candidate = String(record.candidate).replace(/[0-9a-f]{8}$/, '00000000'))],
    ['another verdict', 2, (record) => Object.assign(record.decision as object, { evidence: [] })],
    ['another number', 2, (record) => (record.n = 3)],
    ['another chain', 2, (record) => (record['prev-sha256'] = createHash('sha256').digest('hex'))],
  ])('%s', async (_, n, change) => {
    const { scene, candidates } = await promoted(V1, V2);
    forge(scene, n, change);
    const candidate = await publish(scene, V3);
    await refused(scene, { candidate }, /^ledger record 2 not trusted: /, 'bad-answer');
    await refused(scene, { request: rollback('previous') }, /^ledger record 2 not trusted: /);
    await refused(scene, { candidate: at(candidates, 1) }, /^ledger record 2 not trusted: /);
  });

  test('a head that gets round a guard, however well it is written', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    await run(scene, { request: rollback('previous') });
    const candidate = await publish(scene, V3);
    const path = join(scene.directory.path, 'ledger/current-ceph/4.json');
    const [earned, third] = [2, 3].map((n) => readFileSync(path.replace('4.json', `${n}.json`), 'utf8'));
    const prev = createHash('sha256')
      .update(third ?? '')
      .digest('hex');
    const held = { ...JSON.parse(earned ?? ''), n: 4, 'prev-sha256': prev };
    writeFileSync(path, `${JSON.stringify(held, undefined, 2)}\n`);
    await refused(scene, { candidate }, /^ledger record 4 not trusted: it promotes an image on hold$/, 'bad-answer');
    rmSync(path);
    await run(scene, { request: { kind: 'quarantine', image: at(candidates, 1), reason: 'it eats data' } });
    await run(scene, { candidate });
    forge(scene, 5, (record) => (record.quarantine = []));
    await refused(scene, { candidate }, /^ledger record 5 not trusted: it takes v1\.0\.2 out of quarantine/);
  });

  test('an older record is checked if a rollback goes to it', async () => {
    const { scene } = await promoted(V1, V2, V3);
    forge(scene, 1, (record) => (record.who = 'eve'));
    await refused(
      scene,
      { request: rollback(V1) },
      // Record 1 names the ledger: its proofs are of another one now.
      /contradicts the ledger: it proves record 3 of another ledger/,
    );
  });

  test('seals: by the key, by another, by none', async () => {
    const scene = await freshScene();
    const candidate = await publish(scene, V1);
    await run(scene, { candidate, with: { ledgerKey: 'key' } });
    expect(await run(scene, { candidate, with: { ledgerKey: 'key' } })).toMatchObject({ decision: 'unchanged' });
    await refused(
      scene,
      { candidate, with: { ledgerKey: 'other' } },
      /^ledger record 1 not trusted: its HMAC was not made with/,
    );
    const { scene: unsealed, candidates } = await promoted(V1);
    await refused(unsealed, { candidate: at(candidates, 0), with: { ledgerKey: 'key' } }, /has no HMAC/);
  });

  test('a forged source is never contacted, so nobody learns our login', async () => {
    const elsewhere = await startFaultProxy({ upstream: sandbox().source.url });
    const { scene } = await promoted(V1);
    const before = readFileSync(recordFile(scene, 1));
    // As record 2: the proof at the target would contradict another record 1.
    writeFileSync(recordFile(scene, 2), before);
    forge(scene, 2, (record) => {
      record.decision = null;
      const chained = { n: 2, 'prev-sha256': createHash('sha256').update(before).digest('hex') };
      Object.assign(record, { kind: 'rollback', reason: 'x', ...chained });
      record.candidate = String(record.candidate).replace(scene.source.host, elsewhere.host);
      const [target] = record.targets as { source: string }[];
      if (target !== undefined) target.source = String(record.candidate);
    });
    const candidate = await publish(scene, V1);
    for (const [place, repository] of [
      [scene.target, scene.targetRepository],
      [scene.source, scene.repository],
    ] as const) {
      await lose(place, repository, candidate.digest);
    }
    const failed = await failure(run(scene, { candidate, with: waiting }));
    expect(failed.message).toMatch(/is lost/);
    expect(elsewhere.requests).toEqual([]);
    await elsewhere.stop();
  });
});

/** A label with its artifact, as artifact_promoter leaves them, and the image as skopeo copied it. */
async function rdo(digestOf: 'same' | 'platform' | 'other' | 'none' = 'same') {
  const scene = await freshScene();
  const { path } = scene.directory;
  writeFileSync(join(path, V1), V1);
  symlinkSync(V1, join(path, CURRENT));
  const image = tinyImage(V1);
  const index = buildIndex([image, tinyImage('arm')]);
  const source = { url: scene.source.url, repository: scene.repository };
  await pushImage(source, digestOf === 'platform' ? index : image, [V1]);
  const { url, login } = sandbox().target;
  const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const target = { url, repository: scene.targetRepository, authorization };
  if (digestOf !== 'none') await pushImage(target, digestOf === 'other' ? tinyImage('other') : image, [CURRENT]);
  return { scene, digest: image.digest };
}

describe('what was promoted without a ledger', () => {
  const adopting = (name: string, digest: string): Request => ({
    kind: 'adopt',
    image: { tag: tag(name), digest: v.parse(digestSchema, digest) },
    reason: 'RDO promoted it',
  });

  test.each<[string, (scene: Scene) => Promise<Wish>]>([
    ['a candidate that meets the criteria', async (scene) => ({ candidate: await publish(scene, V2) })],
    [
      'a candidate that is red',
      async (scene) => ({ candidate: await publish(scene, V2), with: { evaluate: verdict('reject') } }),
    ],
    ['a force', async (scene) => ({ request: force((await publish(scene, V2)).tag) })],
    ['a rollback', async () => ({ request: rollback('previous') })],
    ['a freeze', async (scene) => ({ candidate: await publish(scene, V2), freeze: 'release' })],
  ])('stops %s, and names the way out', async (_, wish) => {
    const { scene } = await rdo();
    const error = await run(scene, await wish(scene)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: 'UserError',
      hint: 'adopt',
      message: expect.stringMatching(
        /has no ledger, but it was promoted: label current-ceph names v1\.0\.1; .*:current-ceph is sha256:/,
      ),
    });
    expect(readdirSync(scene.directory.path).sort()).toEqual([CURRENT, V1]);
  });

  test('a label that whoever publishes candidates created is never adopted automatically', async () => {
    const scene = await freshScene();
    writeFileSync(join(scene.directory.path, V1), V1);
    symlinkSync(V1, join(scene.directory.path, CURRENT));
    const candidate = await publish(scene, V1);
    await refused(
      scene,
      { candidate, with: { evaluate: verdict('reject') } },
      /has no ledger, but it was promoted: label/,
      'UserError',
    );
    await refused(scene, { candidate }, /has no ledger, but it was promoted: label/, 'UserError');
  });

  test.each(['same', 'platform'] as const)(
    'becomes record 1 by a person: %s digest as at the source',
    async (digestOf) => {
      const { scene, digest } = await rdo(digestOf);
      const log = createLines();
      const request = adopting(V1, digest);
      expect(await run(scene, { request, with: { dryRun: true, log } })).toMatchObject({ decision: 'adopt' });
      expect(log.lines.join('\n')).toContain('would write ledger record 1 of current-ceph: adopted');
      expect(readdirSync(scene.directory.path).sort()).toEqual([CURRENT, V1]);
      expect(await run(scene, { request })).toMatchObject({ decision: 'adopt', candidate: { tag: V1, digest } });
      expect(ledger(scene)).toMatchObject([{ kind: 'adopted', n: 1, who: 'alice', reason: 'RDO promoted it' }]);
      expect(await digestAt(scene.target, scene.targetRepository, V1)).toBe(digest);
      await run(scene, { candidate: await publish(scene, V2) });
      expect(await seen(scene)).toMatchObject({ label: V2, previous: V1 });
      await run(scene, { request: rollback('previous') });
      expect(await seen(scene)).toMatchObject({ label: V1, moving: digest });
    },
  );

  test('is adopted only as the image that the moving tag names', async () => {
    const { scene, digest } = await rdo('other');
    await refused(scene, { request: adopting(V1, digest) }, /:current-ceph is sha256:.*, not sha256:/, 'UserError');
  });

  test('a lost ledger is superseded knowingly, and its proofs no longer stop a run', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    rmSync(join(scene.directory.path, 'ledger'), { recursive: true });
    const candidate = await publish(scene, V3);
    await refused(
      scene,
      { candidate },
      /has no ledger, but it was promoted: .*, and proofs name a ledger up to record 2$/,
    );
    await run(scene, { request: adopting(V2, at(candidates, 1).digest) });
    expect(ledger(scene)).toMatchObject([{ kind: 'adopted', supersedes: [{ n: 2 }] }]);
    expect(await run(scene, { candidate })).toMatchObject({ decision: 'promote' });
    expect(await run(scene, { request: rollback('previous') })).toMatchObject({ decision: 'rollback' });
  });
});

describe('a store that others may write', () => {
  test.each<[string, (path: string) => void, RegExp]>([
    [
      'its directory, without the sticky bit',
      (path) => chmodSync(path, 0o777),
      /and so replace ledger\/ and labels: run chmod \+t on it/,
    ],
    ['its ledgers', (path) => chmodSync(join(path, 'ledger'), 0o777), /\/ledger: group or others may write it/],
    [
      'the ledger',
      (path) => chmodSync(join(path, 'ledger', CURRENT), 0o1777),
      /\/ledger\/current-ceph: group or others/,
    ],
    [
      'a record',
      (path) => chmodSync(join(path, 'ledger', CURRENT, '1.json'), 0o666),
      /1\.json: group or others may write it/,
    ],
    [
      'a record of another account',
      (path) => chownSync(join(path, 'ledger', CURRENT, '1.json'), 65_534, 65_534),
      /belongs to a different account/,
    ],
  ])('is refused before anything changes: %s', async (_, open, message) => {
    const { scene } = await promoted(V1);
    open(scene.directory.path);
    await refused(scene, { candidate: await publish(scene, V2) }, message, 'UserError');
    expect(await digestAt(scene.target, scene.targetRepository, V2)).toBeUndefined();
  });

  test('but whose ledger they may not write is accepted with the sticky bit', async () => {
    const { scene } = await promoted(V1);
    chmodSync(scene.directory.path, 0o1777);
    expect(await run(scene, { candidate: await publish(scene, V2) })).toMatchObject({ decision: 'promote' });
  });
});

describe('a proof at the target', () => {
  const proofsAt = (scene: Scene, digest: string) => attachedAt(scene.target, scene.targetRepository, digest);

  test('says which record promoted the image, one for each record', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    await run(scene, { request: rollback('previous') });
    const [first, second] = [at(candidates, 0), at(candidates, 1)];
    expect((await proofsAt(scene, first.digest)).map((one) => one['vnd.ceph-promotion.n']).sort()).toEqual(['1', '3']);
    expect(await proofsAt(scene, second.digest)).toMatchObject([
      { 'vnd.ceph-promotion.n': '2', 'vnd.ceph-promotion.label': CURRENT },
    ]);
    await run(scene, { candidate: first });
    expect(await proofsAt(scene, first.digest)).toHaveLength(2);
  });

  const cut = (scene: Scene, ...names: string[]) => {
    for (const name of names) rmSync(join(scene.directory.path, 'ledger', CURRENT, name));
  };

  test('stops every run if the newest record was removed: a rollback is not undone', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    await run(scene, { request: rollback('previous') });
    cut(scene, '3.json');
    const told =
      /contradicts the ledger: it proves record 3, but the newest record in the store is 2; nothing was changed$/;
    for (const wish of [
      { candidate: at(candidates, 1) },
      { candidate: at(candidates, 0), with: waiting },
      { request: rollback('previous') },
    ]) {
      await refused(scene, wish, told, 'bad-answer');
    }
  });

  test('stops every run if the ledger was replaced by that of another branch', async () => {
    const { scene, candidates } = await promoted(V1);
    const other = { ...scene, directory: await freshImageDirectory(), targets: scene.targets };
    const { target, targetRepository } = await freshScene();
    const elsewhere = {
      ...other,
      target,
      targetRepository,
      targets: [...scene.targets, `${target.host}/${targetRepository}`],
    };
    const opened = await freshScene({ directory: elsewhere.directory, repository: scene.repository });
    await run(opened, { candidate: at(candidates, 0) });
    cpSync(join(opened.directory.path, 'ledger'), join(scene.directory.path, 'ledger'), { recursive: true });
    await refused(scene, { candidate: at(candidates, 0) }, /none of its targets is configured/);
    const both = { ...scene, targets: [...scene.targets, ...opened.targets] };
    await refused(
      both,
      { candidate: await publish(scene, V2) },
      /contradicts the ledger: it proves record 1 of another ledger/,
    );
  });

  test('is attached again if it was lost, and for a ledger that is older than proofs', async () => {
    const { scene, candidates } = await promoted(V1);
    const { digest } = at(candidates, 0);
    await loseProofs(scene.target, scene.targetRepository, digest);
    expect(await proofsAt(scene, digest)).toEqual([]);
    await run(scene, { candidate: at(candidates, 0) });
    expect(await proofsAt(scene, digest)).toHaveLength(1);
  });
});
