import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { imageSet } from '../../src/candidate/image-set.js';
import { type Candidate, candidateSchema } from '../../src/candidate/reference.js';
import type { Request } from '../../src/rules/request.js';
import { createLines } from '../registry/support.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { pushImage } from '../sandbox/images.js';
import { failure } from '../store/fixture.js';
import { at, force, promoted, refused, rollback, V1, V2, V3, waiting } from './promoted.js';
import {
  CURRENT,
  digestAt,
  freshScene,
  JOB,
  ledger,
  lose,
  publish,
  run,
  type Scene,
  seen,
  tag,
  tinyImage,
  verdict,
  type Wish,
} from './support.js';

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
    [
      'a job that is not named',
      { request: force(V2), with: waiting },
      /^these jobs are unmet, and not named: scenario001$/,
    ],
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
    expect(log.lines.join('\n')).toMatch(
      /also promoted to repositories that are not configured, and are left alone: 127\.0\.0\.1:/,
    );
    expect(await seen(scene)).toMatchObject({ label: V1, moving: candidate.digest });
    expect(front.requests).toHaveLength(asked);
    await front.stop();
  });

  test('that are down do not stop a rollback at the others; the run ends red and names them', async () => {
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
