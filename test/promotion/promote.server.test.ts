import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
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
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { imageSet } from '../../src/candidate/image-set.js';
import { type Candidate, candidateSchema, digestSchema, repositorySchema } from '../../src/candidate/reference.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import type { Request } from '../../src/rules/request.js';
import { createLines } from '../registry/support.js';
import { freshImageDirectory, freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildIndex, pushImage } from '../sandbox/images.js';
import { failure } from '../store/fixture.js';
import {
  attachedAt,
  CURRENT,
  digestAt,
  freshScene,
  JOB,
  ledger,
  lose,
  loseProofs,
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
  test('is promoted once, and the image before it becomes previous', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const [first, second] = [at(candidates, 0), at(candidates, 1)];
    expect(await seen(scene)).toEqual({ label: V2, previous: V1, moving: second.digest });
    expect(await digestAt(scene.target, scene.targetRepository, V2)).toBe(second.digest);
    expect(await run(scene, { candidate: second })).toMatchObject({
      decision: 'unchanged',
      previous: first,
    });
    expect(ledger(scene).map(({ n, kind, candidate, previous }) => [n, kind, candidate, previous])).toEqual([
      [1, 'earned', first, undefined],
      [2, 'earned', second, first],
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
    ['a lower version', 'v1.0.0', /v1\.0\.0 would take current-ceph down from v1\.0\.1$/],
    ['a version that cannot be compared', 'nightly', /nothing says whether nightly is newer than v1\.0\.1/],
    ['a name of ours', 'ceph-ci-testing', /"ceph-ci-testing" is the name of a label/],
    ['the name of the promoted label', 'current-ceph', /"current-ceph" is the name of a label/],
    ['no name', 'null', /"null" is a reserved word/],
    ['a name of a candidate file', 'v1.json', /ends with \.json/],
  ])('is refused: %s', async (_, name, message) => {
    const { scene } = await promoted(V1);
    await refused(scene, { candidate: await publish(scene, name) }, message, 'UserError');
  });

  test('is refused if its tag has the name of the promoted label', async () => {
    const scene = await freshScene();
    const { label } = { label: `stable-${CURRENT}` as typeof CURRENT };
    const candidate = await publish(scene, label);
    const failed = await failure(run(scene, { candidate, with: { label } }));
    expect(failed).toMatchObject({ message: expect.stringMatching(/its tag is the name of the promoted label/) });
  });

  test('is refused if its tag has moved, is gone, or was published for another image', async () => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    await publish(scene, V2, 'rebuilt');
    await refused(scene, { candidate }, /v1\.0\.2 has moved from sha256:.* to sha256:/, 'UserError');
    const { scene: other, candidates } = await promoted(V1);
    const gone = await publish(other, V2);
    await lose(other.source, other.repository, gone.digest);
    await refused(other, { candidate: gone }, /v1\.0\.2 no longer exists/, 'UserError');
    const file = join(other.directory.path, `${V1}.json`);
    writeFileSync(join(other.directory.path, V3), V3);
    writeFileSync(
      join(other.directory.path, `${V3}.json`),
      readFileSync(file, 'utf8').replaceAll(V1, V3).replaceAll(at(candidates, 0).digest, gone.digest),
    );
    const later = await publish(other, V3);
    await refused(other, { candidate: later }, /was published as .*, and a published tag never changes its meaning/);
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
      skippedJobs: [JOB],
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
    ['a tag that is not there', { request: force('v9') }, /:v9 does not exist/],
    ['a job that is not named', { request: force(V2), with: waiting }, /without being named: scenario001$/],
    ['a job that is met', { request: force(V2, [JOB]) }, /met or not in the criteria: scenario001$/],
    ['a freeze', { request: force(V2), freeze: 'release' }, /^promotion is frozen: release$/],
    ['a name of ours', { request: force('ledger') }, /"ledger" is a reserved word/],
    [
      'a re-run',
      { request: force(V2), with: { author: { id: rerunId(), who: 'alice', runUrl: undefined, event: '' } } },
      /a re-run does not decide for a person again/,
    ],
  ])('is refused: %s', async (_, wish, message) => {
    const { scene } = await promoted(V1);
    for (const name of [V2, 'ledger']) await publish(scene, name);
    await refused(scene, wish, message, 'UserError');
  });

  test('is refused if the reference has another digest', async () => {
    const { scene } = await promoted(V1);
    const tested = await publish(scene, V2);
    await publish(scene, V2, 'rebuilt');
    await refused(scene, { request: force(V2), candidate: tested }, /^the candidate is .*, and .* is now sha256:/);
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

  test('of a force finishes it and decides nothing, whatever happened since', async () => {
    const { scene, candidates } = await promoted(V1);
    await publish(scene, V2);
    const first = author('77/1/00000000-0000-0000-0000-000000000000');
    await run(scene, { request: force(V2), with: first });
    rmSync(join(scene.directory.path, CURRENT));
    const again: Wish = { request: force(V2), with: author(rerunId()) };
    expect(await run(scene, again)).toMatchObject({
      decision: 'unchanged',
      reason: 'this run wrote ledger record 2; nothing is left to do',
    });
    expect(await seen(scene)).toMatchObject({ label: V2 });
    await run(scene, { request: rollback('previous') });
    expect(await run(scene, again)).toMatchObject({ decision: 'unchanged', candidate: at(candidates, 0) });
    expect(ledger(scene)).toHaveLength(3);
    expect(await seen(scene)).toMatchObject({ label: V1 });
  });

  test('of a scheduled run evaluates again', async () => {
    const { scene } = await promoted(V1);
    const candidate = await publish(scene, V2);
    expect(await run(scene, { candidate, with: author(rerunId()) })).toMatchObject({ decision: 'promote' });
  });
});

describe('a rollback', () => {
  test('goes to the recorded image, holds what it leaves, and is not undone by later runs', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const [first, second] = [at(candidates, 0), at(candidates, 1)];
    const outcome = await run(scene, { request: rollback('previous') });
    expect(outcome).toMatchObject({ decision: 'rollback', candidate: first, previous: undefined });
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: first.digest });
    expect(await run(scene, { candidate: second })).toMatchObject({
      decision: 'wait',
      reason: expect.stringMatching(
        /v1\.0\.2 .* is on hold \(since .*, by alice\): it leaks; the hold ends with a newer version, or when a person lifts it$/,
      ),
    });
    await refused(scene, { request: rollback('previous') }, /has no earlier image that is neither on hold nor/);
    await refused(scene, { request: rollback(V2) }, /^v1\.0\.2 .* is on hold/);
    await refused(scene, { request: rollback('v0') }, /^v0 was never promoted/);
    expect(await run(scene, { request: rollback(V1) })).toMatchObject({ decision: 'unchanged' });
  });

  test('to a tag; previous is then the newest that is not on hold', async () => {
    const { scene } = await promoted(V1, V2, V3);
    await run(scene, { request: rollback(V1) });
    expect(await seen(scene)).toMatchObject({ label: V1, previous: V2 });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'rollback', reason: 'it leaks' });
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
    await refused(scene, { request: lift }, /^v1\.0\.2 is not on hold; on hold: nothing$/);
    expect(await run(scene, { candidate: at(candidates, 1) })).toMatchObject({ decision: 'promote' });
    await run(scene, { request: rollback('previous') });
    await run(scene, { candidate: await publish(scene, V3) });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'earned', holds: [] });
    expect(await seen(scene)).toMatchObject({ label: V3, previous: V1 });
  });

  test('is refused if there is nothing to go back to, and while promotion is frozen', async () => {
    await refused(await freshScene(), { request: rollback('previous') }, /nothing was ever promoted to current-ceph/);
    const { scene } = await promoted(V1, V2);
    await refused(scene, { request: rollback('previous'), freeze: 'release' }, /^promotion is frozen: release$/);
  });

  test('also goes to a target that was added since', async () => {
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

  test('is refused if no target of the head is configured: it may be the ledger of another branch', async () => {
    const { scene } = await promoted(V1);
    const bad = await publish(scene, V2);
    const moved = { ...scene, targets: [`${scene.target.host}/${freshRepository()}`] };
    await refused(
      moved,
      { request: quarantine(bad) },
      /^ledger record 1 not trusted: none of its targets is configured: /,
    );
  });

  test('is for good: the image is neither earned, nor forced, nor rolled back to', async () => {
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
    expect(evaluated).toMatchObject({ decision: 'reject', reason: expect.stringMatching(/is quarantined \(since/) });
    await refused(scene, { request: force(V2) }, /^v1\.0\.2 .* is quarantined \(since/, 'UserError');
    await refused(scene, { request: rollback(V2) }, /^v1\.0\.2 .* is quarantined \(since/, 'UserError');
    // Under another tag it is the same image.
    await publish(scene, V3, V2);
    await refused(scene, { request: force(V3) }, /^v1\.0\.2 .* is quarantined \(since/);
  });

  test('can name an image that was never promoted, and keeps previous right', async () => {
    const { scene, candidates } = await promoted(V1, V2, V3);
    await run(scene, { request: quarantine(at(candidates, 1)) });
    expect(await seen(scene)).toMatchObject({ label: V3, previous: V1 });
    await refused(scene, { request: quarantine('v9') }, /^v9 is not known; name it as <image>:<tag>@<digest>$/);
    const unseen = await publish(scene, 'v1.0.4');
    await run(scene, { request: quarantine(unseen) });
    expect(await run(scene, { candidate: unseen })).toMatchObject({ decision: 'reject' });
  });
});

describe('a freeze', () => {
  test('promotes nothing, and says that the criteria are met', async () => {
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

  test('if the label was moved, is lost, or names a damaged artifact', async () => {
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

  test('but not if something else has the name of the label', async () => {
    const { scene, candidates } = await promoted(V1);
    const { path } = scene.directory;
    rmSync(join(path, CURRENT));
    mkdirSync(join(path, CURRENT));
    const failed = await failure(run(scene, { candidate: at(candidates, 0) }));
    expect(failed).toEqual({
      kind: 'conflict',
      message: expect.stringMatching(/current-ceph: is a directory, but a label must be a symlink$/),
    });
  });

  test('if the moving tag was moved', async () => {
    const { scene, candidates } = await promoted(V1);
    const { url, login } = sandbox().target;
    const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    await pushImage({ url, repository: scene.targetRepository, authorization }, tinyImage('other'), [CURRENT]);
    await finish(scene);
    expect((await seen(scene)).moving).toBe(at(candidates, 0).digest);
  });

  test('if the target lost the image: from its source, or from wherever it still is', async () => {
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

  test('if it is gone everywhere the run stops and the head stays, until another image is promoted', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const { source, target, repository, targetRepository } = scene;
    const { digest } = at(candidates, 1);
    await lose(target, targetRepository, digest);
    await lose(source, repository, digest);
    const lost =
      /v1\.0\.2: sha256:.* is lost: no configured repository has it or lets us read it; it came from .*v1\.0\.2@sha256:/;
    await refused(scene, { candidate: at(candidates, 1) }, lost, 'not-found');
    await refused(scene, { candidate: at(candidates, 0), with: waiting }, lost);
    await refused(scene, { request: { kind: 'quarantine', image: tag(V1), reason: 'x' } }, lost);
    expect(await run(scene, { request: rollback('previous') })).toMatchObject({ decision: 'rollback' });
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: at(candidates, 0).digest });
  });

  test('and a newer image replaces a lost one', async () => {
    const { scene, candidates } = await promoted(V1);
    const { digest } = at(candidates, 0);
    await lose(scene.target, scene.targetRepository, digest);
    await lose(scene.source, scene.repository, digest);
    const log = createLines();
    const wish: Wish = { candidate: await publish(scene, V2), with: { log } };
    expect(await run(scene, wish)).toMatchObject({ decision: 'promote' });
    expect(log.lines.join('\n')).toMatch(/the promoted image is incomplete, and is replaced: .* is lost: /);
    expect(await seen(scene)).toMatchObject({ label: V2, previous: V1 });
  });

  test('even if candidates now come from a mirror, which has the image', async () => {
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
  test('are never overwritten, and nothing at all is copied', async () => {
    const { scene } = await promoted(V1);
    const companion = freshRepository();
    await pushImage({ url: scene.source.url, repository: companion }, tinyImage('companion'), ['2.3']);
    const [kept, other] = [freshRepository(), tinyImage('another').digest];
    const { digest } = tinyImage('companion');
    const line = `${scene.source.host}/${companion}:2.3@${digest} -> ${scene.target.host}/${kept}`;
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
    const image = (name: string, seed: string) =>
      v.parse(candidateSchema, `${scene.source.host}/${source}:${name}@${tinyImage(seed).digest}`);
    const wider: Scene = { ...scene, targets: [...scene.targets, line('2.3')] };
    const at = (name: string) => digestAt(scene.target, target, name);
    return { scene: wider, push, line, image, at };
  }

  test('go with the candidate that they were tested with, under their own tag and under the label', async () => {
    const { scene, image, at } = await withCompanion();
    await run(scene, { candidate: imageSet(await publish(scene, V1), [image('2.3', 'first')]) });
    expect([await at('2.3'), await at(CURRENT)]).toEqual(Array(2).fill(tinyImage('first').digest));
    expect(ledger(scene)[0]?.targets).toHaveLength(2);
  });

  test('stay on the digest that their tag was promoted with, until another tag is configured', async () => {
    const { scene, push, line, image, at } = await withCompanion();
    await run(scene, { candidate: imageSet(await publish(scene, V1), [image('2.3', 'first')]) });
    await push('rebuilt', '2.3', '2.4');
    const candidate = await publish(scene, V2);
    await run(scene, { candidate });
    expect(await at(CURRENT)).toBe(tinyImage('first').digest);
    const newer = { ...scene, targets: [at0(scene.targets), line('2.4')] };
    await refused(newer, { candidate }, /^companion .*:2\.4 was not tested with the candidate/);
    expect(await at('2.4')).toBeUndefined();
    const set = imageSet(candidate, [image('2.4', 'rebuilt')]);
    expect(await run(newer, { candidate: set })).toMatchObject({ decision: 'promote' });
    expect(await at(CURRENT)).toBe(tinyImage('rebuilt').digest);
    expect(await run(newer, { candidate: set })).toMatchObject({ decision: 'unchanged' });
    await run(newer, { request: rollback('previous') });
    expect(await at(CURRENT)).toBe(tinyImage('first').digest);
    // Also where the newest record does not name it.
    await push('rebuilt once more', '2.4');
    await run(newer, { candidate: await publish(scene, V3) });
    expect(await at(CURRENT)).toBe(tinyImage('rebuilt').digest);
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
    const both = { ...scene, targets: [...scene.targets, ...other.targets] };
    const candidate = at(candidates, 0);
    expect(await run(both, { candidate, with: waiting })).toMatchObject({ decision: 'wait' });
    expect(await run(both, { candidate })).toMatchObject({ decision: 'promote' });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(candidate.digest);
    await run(other, { candidate: await publish(scene, V2) });
    expect(ledger(scene).at(-1)?.targets).toHaveLength(1);
    expect(await digestAt(scene.target, scene.targetRepository, CURRENT)).toBe(candidate.digest);
    // An image that was promoted to the old target can be rolled back to at the new one.
    await run(other, { request: rollback(V1) });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(candidate.digest);
  });

  test('that are added get nothing by a lift or a quarantine, which promote nothing', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    const added = freshRepository();
    const wider = { ...scene, targets: [...scene.targets, `${scene.target.host}/${added}`] };
    const request: Request = { kind: 'quarantine', image: tag(V1), reason: 'x' };
    await run(wider, { request });
    expect(ledger(scene).at(-1)).toMatchObject({ kind: 'quarantine', targets: { length: 1 } });
    expect(await digestAt(scene.target, added, V2)).toBeUndefined();
    expect(await run(wider, { candidate: at(candidates, 1) })).toMatchObject({ decision: 'promote' });
    expect(await digestAt(scene.target, added, CURRENT)).toBe(at(candidates, 1).digest);
  });

  test('that are dropped are not contacted, and the others are finished', async () => {
    const front = await startFaultProxy({ upstream: sandbox().source.url });
    const scene = await freshScene();
    const both = { ...scene, targets: [...scene.targets, `${front.host}/${freshRepository()}`] };
    const candidate = await publish(scene, V1);
    await run(both, { candidate });
    const asked = front.requests.length;
    await lose(scene.target, scene.targetRepository, candidate.digest);
    rmSync(join(scene.directory.path, CURRENT));
    const log = createLines();
    await run(scene, { candidate, with: { ...waiting, log } });
    expect(log.lines.join('\n')).toMatch(/also promoted to 127\.0\.0\.1:.*, which is not configured/);
    expect(await seen(scene)).toMatchObject({ label: V1, moving: candidate.digest });
    expect(front.requests).toHaveLength(asked);
    await front.stop();
  });

  test('that are down do not keep a rollback from the others; the run ends red and names them', async () => {
    const front = await startFaultProxy({ upstream: sandbox().source.url });
    const scene = await freshScene();
    const second = freshRepository();
    const both = { ...scene, targets: [...scene.targets, `${front.host}/${second}`] };
    const candidates = [await publish(scene, V1), await publish(scene, V2)];
    for (const candidate of candidates) await run(both, { candidate });
    front.rules.push({ path: /^/, fault: { kind: 'answer', status: 503 } });
    const failed = await failure(run(both, { request: rollback('previous') }));
    expect(failed.message).toMatch(new RegExp(`^not finished at one target: ${front.host}/${second}: `));
    expect(await seen(scene)).toEqual({ label: V1, previous: undefined, moving: at(candidates, 0).digest });
    front.rules.length = 0;
    expect(await run(both, { request: rollback(V1) })).toMatchObject({ decision: 'unchanged' });
    expect(await digestAt(sandbox().source, second, CURRENT)).toBe(at(candidates, 0).digest);
    await front.stop();
  });
});

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
      /has no ledger, but it was promoted: .*, and proofs name a ledger of 2 records$/,
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

describe('what the publishing account can write', () => {
  test('is repaired: the candidate files of what is promoted and of previous', async () => {
    const { scene, candidates } = await promoted(V1, V2);
    for (const [name, other] of [
      [V1, at(candidates, 1)],
      [V2, at(candidates, 0)],
    ] as const) {
      const file = join(scene.directory.path, `${name}.json`);
      const own = at(candidates, name === V1 ? 0 : 1).digest;
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll(own, other.digest));
    }
    await run(scene, { candidate: at(candidates, 1), with: waiting });
    for (const { tag: name, digest } of candidates) {
      expect(JSON.parse(readFileSync(join(scene.directory.path, `${name}.json`), 'utf8'))).toMatchObject({ digest });
    }
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

describe('a dry run', () => {
  test('only reads, does not request the right to push, and shows what it would do', async () => {
    const { target } = sandbox();
    const front = await startFaultProxy({ upstream: target.url });
    const scene = await freshScene({ target: { ...target, url: front.url, host: front.host } });
    await run(scene, { candidate: await publish(scene, V1) });
    const asked = front.requests.length;
    const list = () => readdirSync(scene.directory.path, { recursive: true }).sort();
    const before = list();
    const log = createLines();
    const candidate = await publish(scene, V2);
    expect(await run(scene, { candidate, with: { dryRun: true, log } })).toMatchObject({ decision: 'promote' });
    const told = log.lines.join('\n');
    expect(told).toMatch(/would upload sha256:.* to 127.*:v1\.0\.2: .*1 manifests, 2 blobs/);
    expect(told).toContain('would write ledger record 2 of current-ceph: earned');
    expect(told).toMatch(/would move tag 127.*:current-ceph to sha256:/);
    expect(told).toContain('would move label current-ceph to v1.0.2 (was v1.0.1)');
    expect(told).toContain('would move label previous-current-ceph to v1.0.1');
    expect(list()).toEqual(before);
    expect(front.requests.slice(asked).filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
    await front.stop();
  });
});

test('what killed runs left is removed after a day', async () => {
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

  test('does not fail the run if it cannot be copied', async () => {
    const { target } = sandbox();
    const front = await startFaultProxy({ upstream: target.url });
    const { scene, candidate, there } = await signed({ ...target, url: front.url, host: front.host });
    front.rules.push({ method: 'PUT', path: /manifests/, fault: { kind: 'answer', status: 403 } });
    expect(await run(scene, { candidate, with: { referrers: true } })).toMatchObject({ decision: 'unchanged' });
    expect(await there()).toBeUndefined();
    await front.stop();
  });
});
