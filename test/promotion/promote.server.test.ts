import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import * as v from 'valibot';
import { type Candidate, formatCandidate, repositorySchema } from '../../src/candidate/reference.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import type { Request } from '../../src/rules/request.js';
import { createLines } from '../registry/support.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildIndex, pushImage } from '../sandbox/images.js';
import { failure } from '../store/fixture.js';
import {
  CURRENT,
  digestAt,
  freshScene,
  JOB,
  ledger,
  lose,
  open,
  publish,
  run,
  runOn,
  type Scene,
  seen,
  tag,
  tinyImage,
  verdict,
  type Wish,
} from './support.js';

jest.setTimeout(120_000);

const [V1, V2, V3] = ['v1.0.1', 'v1.0.2', 'v1.0.3'];

/** A scene in which the candidates of these tags are there, and were promoted one after the other. */
async function promoted(...tags: string[]): Promise<{ scene: Scene; candidates: Candidate[] }> {
  const scene = await freshScene();
  const candidates = [];
  for (const name of tags) candidates.push(await publish(scene, name));
  const opened = await open(scene);
  for (const candidate of candidates) await runOn(scene, opened, { candidate });
  await opened.close();
  return { scene, candidates };
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}

const force = (name: string, skipJobs: string[] = []): Request => ({
  kind: 'force',
  tag: tag(name),
  reason: 'because',
  skipJobs,
});
const rollback = (to: string): Request => ({
  kind: 'rollback',
  to: to === 'previous' ? to : tag(to),
  reason: 'it leaks',
});
const waiting: Partial<Promotion> = { evaluate: verdict('wait') };

async function refused(scene: Scene, wish: Wish, message: string | RegExp, kind?: string): Promise<void> {
  const folder = join(scene.directory.path, 'ledger/current-ceph');
  const records = () => (existsSync(folder) ? readdirSync(folder).length : 0);
  const [before, n] = [await seen(scene), records()];
  const failed = await failure(run(scene, wish));
  expect(failed.message).toMatch(message);
  expect(failed.message).not.toContain('\n');
  if (kind !== undefined) expect(failed.kind).toBe(kind);
  expect(await seen(scene)).toEqual(before);
  expect(records()).toBe(n);
}

describe('an image that earned it', () => {
  test('is promoted once, and the one before is the way back', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const [first, second] = [at(candidates, 0), at(candidates, 1)];
    expect(await seen(scene)).toEqual({ label: V2, previous: V1, moving: second.digest });
    expect(await digestAt(scene.target, scene.targetRepository, V2)).toBe(second.digest);
    expect(await run(scene, { candidate: second })).toMatchObject({
      decision: 'unchanged',
      previous: first,
      lastPromotion: expect.any(String),
    });
    expect(ledger(scene).map(({ n, kind, candidate, previous }) => [n, kind, candidate, previous])).toEqual([
      [1, 'earned', formatCandidate(first), null],
      [2, 'earned', formatCandidate(second), formatCandidate(first)],
    ]);
    const left = readdirSync(scene.directory.path).filter((name) => name.startsWith('.'));
    expect(left).toEqual([]);
  });

  test.each(['wait', 'reject'] as const)('or not: %s', async (says) => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    const outcome = await run(scene, { candidate, with: { evaluate: verdict(says) } });
    expect(outcome).toMatchObject({ decision: says, candidate, report: { verdict: says } });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: undefined });
  });

  test.each<[string, string, RegExp]>([
    ['a lower version', 'v1.0.0', /v1\.0\.0 would take current-ceph down from v1\.0\.1; roll back, or force it/],
    ['a version that cannot be compared', 'nightly', /nothing says whether nightly is newer than v1\.0\.1/],
    ['a name of ours', 'ceph-ci-testing', /"ceph-ci-testing" is the name of a label/],
    ['the name of the promoted label', 'current-ceph', /"current-ceph" is the name of a label/],
    ['no name', 'null', /"null" is a reserved word/],
    ['a name of a candidate file', 'v1.json', /ends with \.json/],
  ])('is refused: %s', async (_, name, message) => {
    const { scene } = await promoted(V1);
    await refused(scene, { candidate: await publish(scene, name) }, message, 'UserError');
  });

  test('is refused where the promoted label is another and the tag has its name', async () => {
    const scene = await freshScene();
    const { label } = { label: `stable-${CURRENT}` as typeof CURRENT };
    const candidate = await publish(scene, label);
    const failed = await failure(run(scene, { candidate, with: { label } }));
    expect(failed).toMatchObject({ message: expect.stringMatching(/its tag is the name of the promoted label/) });
  });

  test('is refused where its tag moved, is gone, or meant another image', async () => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    await publish(scene, V2, 'rebuilt');
    await refused(scene, { candidate }, /v1\.0\.2 has moved from sha256:.* to sha256:/, 'UserError');
    const { scene: other, candidates } = await promoted(V1);
    const gone = await publish(other, V2);
    await lose(other.source, other.repository, gone.digest);
    await refused(other, { candidate: gone }, /v1\.0\.2 does not exist any more/, 'UserError');
    const file = join(other.directory.path, `${V1}.json`);
    writeFileSync(join(other.directory.path, V3), V3);
    writeFileSync(
      join(other.directory.path, `${V3}.json`),
      readFileSync(file, 'utf8').replaceAll(V1, V3).replaceAll(at(candidates, 0).digest, gone.digest),
    );
    const later = await publish(other, V3);
    await refused(other, { candidate: later }, /was published as .*, and a tag does not change its meaning/);
  });
});

describe('a force', () => {
  test('records what it overrides: the verdict, a hold, a downgrade', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    await run(scene, { request: rollback('previous') });
    expect(ledger(scene).at(-1)?.holds).toMatchObject([{ tag: V2, reason: 'it leaks', who: 'alice' }]);
    const outcome = await run(scene, { request: force(V2, [JOB]), with: waiting });
    expect(outcome).toMatchObject({ decision: 'force', candidate: at(candidates, 1), previous: at(candidates, 0) });
    expect(ledger(scene).at(-1)).toMatchObject({
      kind: 'forced',
      'skipped-jobs': [JOB],
      overridden: ['wait', 'hold'],
      holds: [],
    });
    await publish(scene, 'v1.0.0');
    await run(scene, { request: force('v1.0.0', [JOB]), with: { evaluate: verdict('reject') } });
    expect(ledger(scene).at(-1)).toMatchObject({ overridden: ['reject', 'downgrade'] });
    expect(await run(scene, { request: force('v1.0.0', [JOB]), with: waiting })).toMatchObject({
      decision: 'unchanged',
    });
  });

  test.each<[string, Wish, RegExp]>([
    ['a tag that is not there', { request: force('v9') }, /input force-tag: .*:v9 does not exist/],
    ['a job that is not named', { request: force(V2), with: waiting }, /input skip-jobs: does not name scenario001/],
    ['a job that is met', { request: force(V2, [JOB]) }, /input skip-jobs: names scenario001: met/],
    ['a freeze', { request: force(V2), freeze: 'release' }, /input force-tag: promotion is frozen \(release\)/],
    ['a name of ours', { request: force('ledger') }, /"ledger" is a reserved word/],
    [
      'a re-run',
      { request: force(V2), with: { author: { id: rerunId(), who: 'alice', runUrl: undefined, event: '' } } },
      /a re-run decides nothing for a person/,
    ],
  ])('is refused: %s', async (_, wish, message) => {
    const { scene } = await promoted(V1);
    for (const name of [V2, 'ledger']) await publish(scene, name);
    await refused(scene, wish, message, 'UserError');
  });

  test('is refused where the reference says another digest', async () => {
    const { scene } = await promoted(V1);
    const tested = await publish(scene, V2);
    await publish(scene, V2, 'rebuilt');
    await refused(scene, { request: force(V2), candidate: tested }, /input reference: .* has another digest than/);
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

function rerunId(): string {
  return '77/2/00000000-0000-0000-0000-000000000000';
}

describe('a re-run', () => {
  const author = (id: string) => ({ author: { id, who: 'alice', runUrl: undefined, event: 'workflow_dispatch' } });

  test('of a force finishes it and decides nothing, whatever came after', async () => {
    const { scene, candidates } = await promoted(V1);
    await publish(scene, V2);
    const first = author('77/1/00000000-0000-0000-0000-000000000000');
    await run(scene, { request: force(V2), with: first });
    rmSync(join(scene.directory.path, CURRENT));
    const again: Wish = { request: force(V2), with: author(rerunId()) };
    expect(await run(scene, again)).toMatchObject({
      decision: 'unchanged',
      reason: "ledger record 2 is this run's: nothing is left to do",
    });
    expect(await seen(scene)).toMatchObject({ label: V2 });
    await run(scene, { request: rollback('previous') });
    expect(await run(scene, again)).toMatchObject({ decision: 'unchanged', candidate: at(candidates, 0) });
    expect(ledger(scene)).toHaveLength(3);
    expect(await seen(scene)).toMatchObject({ label: V1 });
  });

  test('of a force that was refused is refused, though the run wrote what was promoted before', async () => {
    const { scene } = await rdo();
    await publish(scene, V2);
    const wish = (id: string): Wish => ({ request: force(V2), with: { ...waiting, ...author(id) } });
    const failed = await failure(run(scene, wish('77/1/00000000-0000-0000-0000-000000000000')));
    expect(failed.message).toMatch(/input skip-jobs/);
    expect(ledger(scene)).toMatchObject([{ kind: 'adopted' }]);
    await refused(scene, wish(rerunId()), /has no record of this run/);
  });

  test('of a scheduled run evaluates again', async () => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    expect(await run(scene, { candidate, with: author(rerunId()) })).toMatchObject({ decision: 'promote' });
  });
});

describe('a rollback', () => {
  test('goes to the recorded image, holds what it leaves, and sticks', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const [first, second] = [at(candidates, 0), at(candidates, 1)];
    const outcome = await run(scene, { request: rollback('previous') });
    expect(outcome).toMatchObject({ decision: 'rollback', candidate: first, previous: undefined });
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: first.digest });
    expect(await run(scene, { candidate: second })).toMatchObject({
      decision: 'wait',
      reason: expect.stringMatching(/v1\.0\.2 .* is on hold since .* by alice: it leaks; a newer version/),
    });
    await refused(scene, { request: rollback('previous') }, /has no earlier image that is neither on hold nor/);
    await refused(scene, { request: rollback(V2) }, /input rollback-to: v1\.0\.2 .* is on hold/);
    await refused(scene, { request: rollback('v0') }, /input rollback-to: v0 was never promoted/);
    expect(await run(scene, { request: rollback(V1) })).toMatchObject({ decision: 'unchanged' });
  });

  test('to a tag; the way back is then the newest that is not on hold', async () => {
    const { scene } = await promoted(V1, V2, V3);
    await run(scene, { request: rollback(V1) });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: V2 });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'rollback', reason: 'it leaks', decision: null });
  });

  test('is held until a newer version is promoted, or until somebody lifts it', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    await run(scene, { request: rollback('previous') });
    const lift: Request = { kind: 'lift', image: tag(V2), reason: 'mended' };
    expect(await run(scene, { request: lift })).toMatchObject({
      decision: 'unchanged',
      reason: 'v1.0.2 is no longer on hold: mended',
      previous: at(candidates, 1),
    });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: V2 });
    await refused(scene, { request: lift }, /input lift-hold: v1\.0\.2 is not on hold; on hold is nothing/);
    expect(await run(scene, { candidate: at(candidates, 1) })).toMatchObject({ decision: 'promote' });
    await run(scene, { request: rollback('previous') });
    await run(scene, { candidate: await publish(scene, V3) });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'earned', holds: [] });
    expect(await seen(scene)).toMatchObject({ label: V3, previous: V1 });
  });

  test('is refused where there is nothing, and while promotion is frozen', async () => {
    await refused(await freshScene(), { request: rollback('previous') }, /nothing was ever promoted to current-ceph/);
    const { scene } = await promoted(V1, V2);
    await refused(
      scene,
      { request: rollback('previous'), freeze: 'release' },
      /input rollback-to: promotion is frozen/,
    );
  });

  test('takes a target back that was added since', async () => {
    const { scene, candidates } = await promoted(V1);
    const added = freshRepository();
    const wider = { ...scene, targets: [...scene.targets, `${scene.target.host}/${added}`] };
    await run(wider, { candidate: await publish(scene, V2) });
    await run(wider, { request: rollback('previous') });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(at(candidates, 0).digest);
    expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(at(candidates, 0).digest);
  });
});

describe('a quarantine', () => {
  const quarantine = (image: Candidate | string): Request => ({
    kind: 'quarantine',
    image: typeof image === 'string' ? tag(image) : image,
    reason: 'it eats data',
  });

  test('needs none of the targets that were configured before', async () => {
    const { scene, candidates } = await promoted(V1);
    const bad = await publish(scene, V2);
    const moved = { ...scene, targets: [`${scene.target.host}/${freshRepository()}`] };
    expect(await run(moved, { request: quarantine(bad) })).toMatchObject({ decision: 'unchanged' });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'quarantine', candidate: formatCandidate(at(candidates, 0)) });
  });

  test('is for good: not earned, not forced, not gone back to', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const second = at(candidates, 1);
    await refused(scene, { request: quarantine(V2) }, /v1\.0\.2 is what current-ceph points at; roll back first/);
    await run(scene, { request: rollback('previous') });
    expect(await run(scene, { request: quarantine(V2) })).toMatchObject({
      decision: 'unchanged',
      reason: expect.stringMatching(/^v1\.0\.2 \(sha256:.*\) is quarantined: it eats data$/),
    });
    expect(ledger(scene).at(-1)).toMatchObject({ holds: [], quarantine: [{ tag: V2, reason: 'it eats data' }] });
    const evaluated = await run(scene, { candidate: second });
    expect(evaluated).toMatchObject({ decision: 'reject', reason: expect.stringMatching(/is quarantined since/) });
    await refused(scene, { request: force(V2) }, /input force-tag: v1\.0\.2 .* is quarantined since/, 'UserError');
    await refused(scene, { request: rollback(V2) }, /input rollback-to: v1\.0\.2 .* is quarantined since/, 'UserError');
    // Under another tag it is the same image.
    await publish(scene, V3, V2);
    await refused(scene, { request: force(V3) }, /input force-tag: v1\.0\.2 .* is quarantined since/);
  });

  test('takes what is not promoted yet, and leaves the way back right', async () => {
    const { scene, candidates } = await promoted(V1, V2, V3);
    await run(scene, { request: quarantine(at(candidates, 1)), freeze: 'release' });
    expect(await seen(scene)).toMatchObject({ label: V3, previous: V1 });
    await refused(scene, { request: quarantine('v9') }, /input quarantine: v9 is not known here/);
    const unseen = await publish(scene, 'v1.0.4');
    await run(scene, { request: quarantine(unseen) });
    expect(await run(scene, { candidate: unseen })).toMatchObject({ decision: 'reject' });
  });
});

describe('a freeze', () => {
  test('is told where the criteria are met, and promotes nothing', async () => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    expect(await run(scene, { candidate, freeze: 'release week' })).toMatchObject({
      decision: 'frozen',
      reason: 'the criteria are met, but promotion is frozen: release week',
    });
    expect(await run(scene, { candidate, freeze: 'release week', with: waiting })).toMatchObject({ decision: 'wait' });
    expect(await seen(scene)).toMatchObject({ label: V1 });
  });
});

describe('every run makes readers find what the head says', () => {
  const finish = async (scene: Scene) => run(scene, { candidate: await publish(scene, V3), with: waiting });

  test('where the label was moved, lost, or names nothing whole', async () => {
    const { scene } = await promoted(V1, V2);
    const { path } = scene.directory;
    const whole = await seen(scene);
    rmSync(join(path, CURRENT));
    symlinkSync(V1, join(path, CURRENT));
    rmSync(join(path, `previous-${CURRENT}`));
    await finish(scene);
    expect(await seen(scene)).toEqual(whole);
    rmSync(join(path, CURRENT));
    for (const name of [V1, V2, `${V2}.json`]) rmSync(join(path, name));
    await finish(scene);
    expect(await seen(scene)).toEqual(whole);
    expect([V1, V2].map((name) => readFileSync(join(path, name), 'utf8'))).toEqual([V1, V2]);
    writeFileSync(join(path, V2), '');
    await finish(scene);
    expect(readFileSync(join(path, V2), 'utf8')).toBe(V2);
  });

  test('not where something else has the name of the label', async () => {
    const { scene, candidates } = await promoted(V1);
    const { path } = scene.directory;
    rmSync(join(path, CURRENT));
    mkdirSync(join(path, CURRENT));
    const failed = await failure(run(scene, { candidate: at(candidates, 0) }));
    expect(failed).toEqual({
      kind: 'conflict',
      message: expect.stringMatching(/current-ceph: is a directory, where the label's symlink should be$/),
    });
  });

  test('where the moving tag was moved', async () => {
    const { scene, candidates } = await promoted(V1);
    const { url, login } = sandbox().target;
    const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    await pushImage({ url, repository: scene.targetRepository, authorization }, tinyImage('other'), [CURRENT]);
    await finish(scene);
    expect((await seen(scene)).moving).toBe(at(candidates, 0).digest);
  });

  test('where the target lost the image: from its source, or from wherever it still is', async () => {
    const { scene, candidates } = await promoted(V1);
    const { source, target, repository, targetRepository } = scene;
    const { digest } = at(candidates, 0);
    await lose(target, targetRepository, digest);
    expect(await seen(scene)).toMatchObject({ moving: undefined });
    await finish(scene);
    expect(await digestAt(target, targetRepository, V1)).toBe(digest);
    expect((await seen(scene)).moving).toBe(digest);

    // Its versioned tag alone, and gone at the source: what is left at the target is enough.
    await lose(source, repository, digest);
    const tags = join(sandbox().directory, 'target/storage/docker/registry/v2/repositories', targetRepository);
    rmSync(join(tags, '_manifests/tags', V1), { recursive: true });
    await finish(scene);
    expect(await digestAt(target, targetRepository, V1)).toBe(digest);
  });

  test('where it is gone in both places it stops and the head stays, until another image takes its place', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const { source, target, repository, targetRepository } = scene;
    const { digest } = at(candidates, 1);
    await lose(target, targetRepository, digest);
    await lose(source, repository, digest);
    const lost =
      /v1\.0\.2: sha256:.* is lost: no repository that is configured has it, .*: push it again, or roll back$/;
    await refused(scene, { candidate: at(candidates, 1) }, lost, 'not-found');
    await refused(scene, { candidate: at(candidates, 0), with: waiting }, lost);
    await refused(scene, { request: { kind: 'quarantine', image: tag(V1), reason: 'x' } }, lost);
    expect(await run(scene, { request: rollback('previous') })).toMatchObject({ decision: 'rollback' });
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: at(candidates, 0).digest });
  });

  test('and a newer one takes the place of a lost one', async () => {
    const { scene, candidates } = await promoted(V1);
    const { digest } = at(candidates, 0);
    await lose(scene.target, scene.targetRepository, digest);
    await lose(scene.source, scene.repository, digest);
    const log = createLines();
    const wish: Wish = { candidate: await publish(scene, V2), with: { log } };
    expect(await run(scene, wish)).toMatchObject({ decision: 'promote' });
    expect(log.lines.join('\n')).toMatch(/what is promoted is not whole, and replaced: .* is lost: /);
    expect(await seen(scene)).toMatchObject({ label: V2, previous: V1 });
  });

  test('also where candidates come from a mirror by now, which has the image', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const { digest } = at(candidates, 0);
    const mirror = { ...scene, repository: freshRepository() };
    await publish(mirror, V1);
    for (const [place, repository] of [
      [scene.target, scene.targetRepository],
      [scene.source, scene.repository],
    ] as const) {
      await lose(place, repository, digest);
    }
    const source = v.parse(repositorySchema, `${scene.source.host}/${mirror.repository}`);
    await run(scene, { request: rollback(V1), with: { source } });
    expect((await seen(scene)).moving).toBe(digest);
  });
});

describe('conflicts at the targets', () => {
  test('are never overwritten, and then nothing at all is copied', async () => {
    const { scene } = await promoted(V1);
    const companion = freshRepository();
    await pushImage({ url: scene.source.url, repository: companion }, tinyImage('companion'), ['2.3']);
    const [kept, other] = [freshRepository(), tinyImage('another').digest];
    const line = `${scene.source.host}/${companion}:2.3 -> ${scene.target.host}/${kept}`;
    const { url, login } = sandbox().target;
    const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    await pushImage({ url, repository: kept, authorization }, tinyImage('another'), ['2.3']);
    const wider = { ...scene, targets: [...scene.targets, line] };
    await refused(wider, { candidate: await publish(scene, V2) }, /:2\.3: is sha256:.* never overwritten/, 'conflict');
    expect(await digestAt(scene.target, scene.targetRepository, V2)).toBeUndefined();
    expect(await digestAt(scene.target, kept, '2.3')).toBe(other);
    expect(existsSync(join(scene.directory.path, V2))).toBe(false);
  });
});

describe('companions', () => {
  async function withCompanion() {
    const scene = await freshScene();
    const source = freshRepository();
    const target = freshRepository();
    const push = (seed: string, ...tags: string[]) =>
      pushImage({ url: scene.source.url, repository: source }, tinyImage(seed), tags);
    await push('first', '2.3');
    const line = (name: string) => `${scene.source.host}/${source}:${name} -> ${scene.target.host}/${target}`;
    const wider: Scene = { ...scene, targets: [...scene.targets, line('2.3')] };
    const at = (name: string) => digestAt(scene.target, target, name);
    return { scene: wider, push, line, at };
  }

  test('go with the candidate, under their own tag and under the label', async () => {
    const { scene, at } = await withCompanion();
    await run(scene, { candidate: await publish(scene, V1) });
    expect([await at('2.3'), await at(CURRENT)]).toEqual(Array(2).fill(tinyImage('first').digest));
    expect(ledger(scene)[0]?.targets).toHaveLength(2);
  });

  test('stay on the digest that their tag was promoted with, until another tag is configured', async () => {
    const { scene, push, line, at } = await withCompanion();
    await run(scene, { candidate: await publish(scene, V1) });
    await push('rebuilt', '2.3', '2.4');
    const candidate = await publish(scene, V2);
    await run(scene, { candidate });
    expect(await at(CURRENT)).toBe(tinyImage('first').digest);
    const newer = { ...scene, targets: [at0(scene.targets), line('2.4')] };
    expect(await run(newer, { candidate })).toMatchObject({ decision: 'promote' });
    expect(await at(CURRENT)).toBe(tinyImage('rebuilt').digest);
    expect(await run(newer, { candidate })).toMatchObject({ decision: 'unchanged' });
    await run(newer, { request: rollback('previous') });
    expect(await at(CURRENT)).toBe(tinyImage('first').digest);
    // Also where the newest record does not name it.
    await push('rebuilt once more', '2.4');
    await run(newer, { candidate: await publish(scene, V3) });
    expect(await at(CURRENT)).toBe(tinyImage('rebuilt').digest);
  });

  test('that do not exist are named', async () => {
    const { scene, line } = await withCompanion();
    const wrong = { ...scene, targets: [at0(scene.targets), line('9')] };
    await refused(wrong, { candidate: await publish(scene, V1) }, /input targets: companion .*:9 does not exist/);
  });
});

function at0<T>(items: readonly T[]): T {
  return at(items, 0);
}

describe('targets', () => {
  test('that are added get the image that is promoted; those that are dropped are left as they are', async () => {
    const { scene, candidates } = await promoted(V1);
    const added = freshRepository();
    const other = { ...scene, targets: [`${scene.target.host}/${added}`] };
    const candidate = at(candidates, 0);
    expect(await run(other, { candidate, with: waiting })).toMatchObject({ decision: 'wait' });
    expect(await run(other, { candidate })).toMatchObject({ decision: 'promote' });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(candidate.digest);
    expect(ledger(scene).at(-1)?.targets).toMatchObject([{ repository: `${scene.target.host}/${added}` }]);
    await run(other, { candidate: await publish(scene, V2) });
    expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(candidate.digest);
    // What was promoted to the old target can be gone back to at the new one.
    await run(other, { request: rollback(V1) });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(candidate.digest);
  });

  test('that are added get nothing by a lift or a quarantine, which promote nothing', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const added = freshRepository();
    const wider = { ...scene, targets: [...scene.targets, `${scene.target.host}/${added}`] };
    const request: Request = { kind: 'quarantine', image: tag(V1), reason: 'x' };
    await run(wider, { request, freeze: 'release' });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'quarantine', targets: { length: 1 } });
    expect(await digestAt(scene.target, added, V2)).toBeUndefined();
    expect(await run(wider, { candidate: at(candidates, 1) })).toMatchObject({ decision: 'promote' });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(at(candidates, 1).digest);
  });

  test('that are dropped are not even asked, and a head that names one is not finished', async () => {
    const { scene, candidates } = await promoted(V1);
    const gone = { ...scene, targets: ['127.0.0.1:1/t/daemon', ...scene.targets] };
    const path = join(scene.directory.path, 'ledger/current-ceph/1.json');
    const text = readFileSync(path, 'utf8');
    const record = JSON.parse(text);
    record.targets.push({ ...record.targets[0], repository: '127.0.0.1:1/t/daemon' });
    writeFileSync(path, `${JSON.stringify(record, undefined, 2)}\n`);
    expect(gone.targets).toHaveLength(2);
    expect(await run(scene, { candidate: at(candidates, 0), with: waiting })).toMatchObject({ decision: 'wait' });
    rmSync(join(scene.directory.path, CURRENT));
    await refused(
      scene,
      { candidate: at(candidates, 0) },
      /^ledger record 1 not trusted: its target 127\.0\.0\.1:1\/t\/daemon is none that is configured/,
    );
  });
});

describe('a ledger that is not trusted stops everything', () => {
  const forge = (scene: Scene, n: number, change: (record: Record<string, unknown>) => void) => {
    const path = join(scene.directory.path, `ledger/current-ceph/${n}.json`);
    const record = JSON.parse(readFileSync(path, 'utf8'));
    change(record);
    writeFileSync(path, `${JSON.stringify(record, undefined, 2)}\n`);
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
    await refused(scene, { candidate }, /^ledger record 4 not trusted: it promotes what is on hold$/, 'bad-answer');
    rmSync(path);
    await run(scene, { request: { kind: 'quarantine', image: at(candidates, 1), reason: 'it eats data' } });
    await run(scene, { candidate });
    forge(scene, 5, (record) => (record.quarantine = []));
    await refused(scene, { candidate }, /^ledger record 5 not trusted: it takes v1\.0\.2 out of quarantine/);
  });

  test('an older record is found where it is gone back to', async () => {
    const { scene } = await promoted(V1, V2, V3);
    forge(scene, 1, (record) => (record.who = 'eve'));
    await refused(
      scene,
      { request: rollback(V1) },
      /^ledger record 1 not trusted: it is not what record 2 was written/,
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
      /^ledger record 1 not trusted: its HMAC is not by/,
    );
    const { scene: unsealed, candidates } = await promoted(V1);
    await refused(unsealed, { candidate: at(candidates, 0), with: { ledgerKey: 'key' } }, /has no HMAC/);
  });

  test('a forged source is never asked, so that nobody learns our login', async () => {
    const elsewhere = await startFaultProxy({ upstream: sandbox().source.url });
    const { scene } = await promoted(V1);
    forge(scene, 1, (record) => {
      record.decision = null;
      Object.assign(record, { kind: 'forced', reason: 'x' });
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

describe('adoption of what RDO left', () => {
  test.each(['same', 'platform'] as const)('becomes record 1: %s digest as at the source', async (digestOf) => {
    const { scene, digest } = await rdo(digestOf);
    const candidate = await publish(scene, V2);
    const dry = createLines();
    const outcome = await run(scene, { candidate, with: { dryRun: true, log: dry } });
    expect(outcome).toMatchObject({ decision: 'promote', previous: { tag: V1, digest } });
    const told = dry.lines.join('\n');
    expect(told).toContain(
      `would adopt current-ceph as it is: ${scene.source.host}/${scene.repository}:${V1}@${digest}`,
    );
    expect(told).toContain('would write ledger record 2 of current-ceph: earned');
    expect(readdirSync(scene.directory.path).sort()).toEqual([CURRENT, V1]);

    const adopted = { candidate: outcome.previous };
    const would = await run(scene, { ...adopted, with: { dryRun: true } });
    expect(would.reason).toMatch(/already, by the label as it is; without dry-run .* adopted as ledger record 1$/);

    await run(scene, { candidate, with: waiting });
    const is = await run(scene, { ...adopted, with: { dryRun: true } });
    expect(is.reason).toMatch(/already, by ledger record 1$/);
    expect(ledger(scene)).toMatchObject([{ kind: 'adopted', n: 1, previous: null, decision: null }]);
    expect(await digestAt(scene.target, scene.targetRepository, V1)).toBe(digest);
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: digest });
    await run(scene, { candidate });
    expect(await seen(scene)).toMatchObject({ label: V2, previous: V1 });
    await run(scene, { request: rollback('previous') });
    expect(await seen(scene)).toMatchObject({ label: V1, moving: digest });
  });

  test('is refused where more of it was published since, and the way out is named', async () => {
    const { scene } = await rdo('platform');
    const candidate = await publish(scene, V2);
    const index = await digestAt(scene.source, scene.repository, V1);
    const reference = `${scene.source.host}/${scene.repository}:${V1}@${index}`;
    const file = { reference, tag: V1, digest: index, created: '2026-01-01T00:00:00Z', 'run-url': null };
    writeFileSync(join(scene.directory.path, `${V1}.json`), JSON.stringify({ ...file, 'tags-read': 1 }));
    await refused(scene, { candidate }, /they disagree: .*; delete v1\.0\.1\.json, .* in input exclude of find/);
    rmSync(join(scene.directory.path, `${V1}.json`));
    expect(await run(scene, { candidate })).toMatchObject({ decision: 'promote' });
  });

  test('is refused where they disagree, or where nothing says which image it is', async () => {
    const { scene } = await rdo('other');
    const candidate = await publish(scene, V2);
    await refused(scene, { candidate }, /there is no ledger, and they disagree: .* is sha256:.*; make them equal/);
    const { scene: empty } = await rdo('none');
    await refused(empty, { candidate: await publish(empty, V2) }, /no target has current-ceph or v1\.0\.1/);
    await refused(empty, { request: rollback('previous') }, /no target has current-ceph or v1\.0\.1/);
  });
});

describe('a dry run', () => {
  test('only reads, asks for no right to push, and shows what it would do', async () => {
    const { scene } = await promoted(V1);
    const front = await startFaultProxy({ upstream: scene.target.url });
    const aside: Scene = {
      ...scene,
      target: { ...scene.target, url: front.url, host: front.host },
      targets: [`${front.host}/${freshRepository()}`],
    };
    const list = () => readdirSync(scene.directory.path, { recursive: true }).sort();
    const before = list();
    const log = createLines();
    const candidate = await publish(scene, V2);
    expect(await run(aside, { candidate, with: { dryRun: true, log } })).toMatchObject({ decision: 'promote' });
    const told = log.lines.join('\n');
    expect(told).toMatch(/would upload sha256:.* to 127.*:v1\.0\.2: .*1 manifests, 2 blobs/);
    expect(told).toContain('would write ledger record 2 of current-ceph: earned');
    expect(told).toMatch(/would move tag 127.*:current-ceph to sha256:/);
    expect(told).toContain('would move label current-ceph to v1.0.2 (was v1.0.1)');
    expect(told).toContain('would move label previous-current-ceph to v1.0.1');
    expect(list()).toEqual(before);
    expect(front.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
    await front.stop();
  });
});

test('what killed runs left is swept, a day after', async () => {
  const scene = await freshScene();
  const names = ['a', 'b'].map((digit) => `.promotion-${digit.repeat(8)}-0000-0000-0000-000000000000.tmp`);
  for (const name of names) writeFileSync(join(scene.directory.path, name), '');
  utimesSync(join(scene.directory.path, at(names, 0)), 0, 0);
  await run(scene, { candidate: await publish(scene, V1) });
  const left = readdirSync(scene.directory.path).filter((name) => name.startsWith('.'));
  expect(left).toEqual([at(names, 1)]);
});

describe('a signature that came after the promotion', () => {
  async function signed(target = sandbox().target) {
    const scene = await freshScene({ target });
    const candidate = await publish(scene, V1);
    await run(scene, { candidate });
    const name = `${candidate.digest.replace(':', '-')}.sig`;
    const signature = tinyImage('signature');
    await pushImage({ url: scene.source.url, repository: scene.repository }, signature, [name]);
    return { scene, candidate, signature, there: () => digestAt(scene.target, scene.targetRepository, name) };
  }

  test('follows with the next run, though nothing is promoted', async () => {
    const { scene, candidate, signature, there } = await signed();
    await run(scene, { candidate, with: { dryRun: true, referrers: true } });
    expect(await there()).toBeUndefined();
    expect(await run(scene, { candidate, with: { referrers: true } })).toMatchObject({ decision: 'unchanged' });
    expect(await there()).toBe(signature.digest);
  });

  test('is no reason to fail, where it cannot follow', async () => {
    const { target } = sandbox();
    const front = await startFaultProxy({ upstream: target.url });
    const { scene, candidate, there } = await signed({ ...target, url: front.url, host: front.host });
    front.rules.push({ method: 'PUT', path: /manifests/, fault: { kind: 'answer', status: 403 } });
    const log = createLines();
    expect(await run(scene, { candidate, with: { referrers: true, log } })).toMatchObject({ decision: 'unchanged' });
    expect(await there()).toBeUndefined();
    expect(log.lines).toContainEqual(expect.stringMatching(/signatures that came since .* not copied: .*403/));
    await front.stop();
  });
});
