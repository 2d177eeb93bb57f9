import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type ImageSet, imageSet } from '../../src/candidate/image-set.js';
import { type Candidate, type Digest, repositorySchema } from '../../src/candidate/reference.js';
import type { DecisionRecord } from '../../src/criteria/decision-record.js';
import { findBack } from '../../src/ledger/history.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { parseTargets } from '../../src/promotion/targets.js';
import { decide } from '../../src/rules/decide.js';
import type { Facts, Setting } from '../../src/rules/facts.js';
import type { Decided, Refused } from '../../src/rules/outcome.js';
import type { Request } from '../../src/rules/request.js';
import { targetOf } from '../../src/rules/targets.js';
import {
  banOn,
  CURRENT,
  chainOf,
  digestOf,
  image,
  readerOf,
  recordOf,
  reportOn,
  SOURCE,
  TARGET,
  tag,
} from '../ledger/fixture.js';

/** The rules, each by a table: no server, no file, no clock. Versions are v1.0.1, v1.0.2 …; `v2` is short for v1.0.2. */

const V = (n: number) => `v1.0.${n}`;
const at = (n: number): Candidate => image(V(n));
type Link = Parameters<typeof chainOf>[0][number];
type Changes = NonNullable<Link[1]>;

interface Situation {
  /** What was promoted, oldest first; each after the one before. */
  readonly ledger?: readonly (readonly [number, Changes?])[];
  readonly candidate?: number;
  readonly setting?: Partial<Setting>;
  /** Jobs that failed, or have not reported, by version. */
  readonly failed?: Readonly<Record<number, readonly string[]>>;
  readonly absent?: Readonly<Record<number, readonly string[]>>;
  /** What tags are now; by default each is the image of its name. */
  readonly moved?: Readonly<Record<string, Digest | undefined>>;
  /** What the store says of tags. */
  readonly published?: Readonly<Record<string, Candidate>>;
  /** The contents of images, by version. */
  readonly contents?: Readonly<Record<number, readonly string[]>>;
  /** Gets the sets that are evaluated. */
  readonly asked?: ImageSet[];
}

const versionOf = (digest: Digest) =>
  Array.from({ length: 12 }, (_, n) => n).find((n) => digestOf(V(n)) === digest) ?? -1;

function reportFor(candidate: ImageSet, { failed = {}, absent = {} }: Situation): DecisionRecord {
  const n = versionOf(candidate.digest);
  return reportOn(candidate, failed[n], absent[n]);
}

async function run(request: Request, situation: Situation): Promise<Decided | Refused> {
  const links = (situation.ledger ?? []).map(([n, changes]): Link => [V(n), changes ?? {}]);
  const bytes = chainOf(links);
  const head: LedgerRecord | undefined = links.length === 0 ? undefined : lastRecord(links, bytes);
  const setting: Setting = {
    label: CURRENT,
    source: SOURCE,
    targets: parseTargets(['quay.io/tripleomastercentos9/daemon']),
    candidate: situation.candidate === undefined ? undefined : at(situation.candidate),
    freeze: undefined,
    onRegression: 'warn',
    supersedes: [],
    who: 'alice',
    run: '8',
    attempt: 1,
    now: '2026-11-24T02:00:00Z',
    ...situation.setting,
  };
  const facts: Facts = {
    report: async (candidate) => {
      situation.asked?.push(candidate);
      return reportFor(candidate, situation);
    },
    resolve: async (repository, name) => {
      const key = `${repository.path}:${name}`;
      const moved = situation.moved ?? {};
      if (key in moved) return moved[key];
      return repository.path === TARGET.path ? undefined : digestOf(name);
    },
    similarTags: async () => ['v1.0.1-x', 'v1.0.2'],
    published: async (name) => situation.published?.[name],
    history: async (isWanted) => head && (await findBack(readerOf(bytes), head, isWanted)),
    contents: async (_, digest) => (situation.contents?.[versionOf(digest)] ?? []).map(digestOf),
  };
  return decide(request, setting, head, facts);
}

function lastRecord(links: readonly Link[], bytes: readonly Buffer[]): LedgerRecord {
  const [name, changes] = links[links.length - 1] ?? ['v'];
  return recordOf(name, links.length, bytes[links.length - 2], changes);
}

/** The outcome in one line: the decision and the image, or the refusal. */
function summary(result: Decided | Refused): string {
  if ('refused' in result) return `refused: ${result.refused}`;
  const { outcome, change } = result;
  const to = change === undefined ? '' : ` -> ${change.kind} ${change.candidate.tag}`;
  const holds =
    change === undefined || change.holds.length === 0 ? '' : ` holding ${change.holds.map(({ tag }) => tag)}`;
  const regressed =
    outcome.regression === undefined ? '' : ` regressed ${outcome.regression.jobs.map(({ job }) => job)}`;
  return `${outcome.decision}${to}${holds}${regressed}`;
}

const evaluating: Request = { kind: 'evaluate' };
const forcing = (n: number, ...skipJobs: string[]): Request => ({
  kind: 'force',
  tag: tag(V(n)),
  reason: 'must',
  skipJobs,
});
const rollingBack = (to: number | 'previous'): Request => ({
  kind: 'rollback',
  to: to === 'previous' ? to : tag(V(to)),
  reason: 'it leaks',
});
const holding = (n: number): Request => ({ kind: 'hold', image: tag(V(n)), reason: 'wait for the lab' });
const lifting = (n: number): Request => ({ kind: 'lift', image: tag(V(n)), reason: 'it was the lab' });
const quarantining = (n: number): Request => ({ kind: 'quarantine', image: tag(V(n)), reason: 'loses data' });
const adopting = (n: number): Request => ({
  kind: 'adopt',
  image: { tag: tag(V(n)), digest: digestOf(V(n)) },
  reason: 'the server was lost',
});
const previous = (n: number): Changes => ({ previous: at(n) });
const ban = (n: number, ...contents: string[]) => banOn(V(n), contents.map(digestOf));
const twoPromoted: Situation['ledger'] = [[1], [2, previous(1)]];

type Row = readonly [what: string, request: Request, situation: Situation, expected: string | RegExp];

function table(rows: readonly Row[]): void {
  test.each(rows.map((row) => [...row] as const))('%s', async (_, request, situation, expected) => {
    const line = summary(await run(request, situation));
    if (typeof expected === 'string') expect(line).toBe(expected);
    else expect(line).toMatch(expected);
  });
}

describe('a candidate', () => {
  table([
    ['that meets the criteria is promoted', evaluating, { candidate: 1 }, `promote -> earned ${V(1)}`],
    [
      'that is newer takes the place of the head',
      evaluating,
      { ledger: [[1]], candidate: 2 },
      `promote -> earned ${V(2)}`,
    ],
    ['with a red job is rejected', evaluating, { candidate: 1, failed: { 1: ['check'] } }, 'reject'],
    ['with a job that has not reported waits', evaluating, { candidate: 1, absent: { 1: ['check'] } }, 'wait'],
    ['that is promoted already changes nothing', evaluating, { ledger: [[1]], candidate: 1 }, 'unchanged'],
    [
      'that is promoted already goes to a target that was added',
      evaluating,
      {
        ledger: [[1]],
        candidate: 1,
        setting: { targets: parseTargets(['quay.io/tripleomastercentos9/daemon', 'quay.io/b/daemon']) },
      },
      `promote -> earned ${V(1)}`,
    ],
    ['is missing', evaluating, {}, 'refused: there is no candidate to evaluate'],
    [
      'would go down',
      evaluating,
      { ledger: [[3]], candidate: 2 },
      /^refused: v1\.0\.2 would take current-ceph down from v1\.0\.3$/,
    ],
    [
      'cannot be compared',
      evaluating,
      { ledger: [[1]], setting: { candidate: image('nightly') } },
      /^refused: nothing says whether nightly is newer than v1\.0\.1/,
    ],
    [
      'would go down, and is red: the verdict comes first',
      evaluating,
      { ledger: [[3]], candidate: 2, failed: { 2: ['check'] } },
      'reject',
    ],
    ['on hold waits', evaluating, { ledger: [[1, { holds: [ban(2)] }]], candidate: 2 }, 'wait'],
    ['in quarantine is rejected', evaluating, { ledger: [[1, { quarantine: [ban(2)] }]], candidate: 2 }, 'reject'],
    [
      'that is newer than a hold ends it',
      evaluating,
      { ledger: [[1, { holds: [ban(2)] }]], candidate: 3 },
      `promote -> earned ${V(3)}`,
    ],
    [
      'that is older than a hold leaves it',
      evaluating,
      { ledger: [[1, { holds: [ban(3)] }]], candidate: 2 },
      `promote -> earned ${V(2)} holding ${V(3)}`,
    ],
    [
      'of which a platform is in quarantine is rejected',
      evaluating,
      {
        ledger: [[1, { quarantine: [ban(2, 'amd64', 'config')] }]],
        candidate: 3,
        contents: { 3: ['config', 'arm64'] },
      },
      'reject',
    ],
    [
      'that shares nothing with what is in quarantine is promoted',
      evaluating,
      { ledger: [[1, { quarantine: [ban(2, 'amd64')] }]], candidate: 3, contents: { 3: ['amd64-fixed'] } },
      `promote -> earned ${V(3)}`,
    ],
    [
      'under a ban of an older record is judged by its digest alone',
      evaluating,
      { ledger: [[1, { quarantine: [ban(2)] }]], candidate: 3, contents: { 3: ['amd64'] } },
      `promote -> earned ${V(3)}`,
    ],
    [
      'whose criteria are met while promotion is frozen',
      evaluating,
      { candidate: 1, setting: { freeze: 'release' } },
      'frozen',
    ],
    [
      'that is rejected while promotion is frozen',
      evaluating,
      { candidate: 1, failed: { 1: ['check'] }, setting: { freeze: 'release' } },
      'reject',
    ],
    [
      'whose tag has moved',
      evaluating,
      { candidate: 1, moved: { [`ceph/daemon:${V(1)}`]: digestOf('rebuilt') } },
      /^refused: .*v1\.0\.1 has moved from sha256:.* to sha256:/,
    ],
    [
      'whose tag is gone',
      evaluating,
      { candidate: 1, moved: { [`ceph/daemon:${V(1)}`]: undefined } },
      /^refused: .* no longer exists; find a candidate again$/,
    ],
    [
      'whose tag was published as another image',
      evaluating,
      { candidate: 1, published: { [V(1)]: { ...at(2), tag: tag(V(1)) } } },
      /^refused: .* was published as .*, and a published tag never changes its meaning$/,
    ],
    [
      'whose tag was published as this image',
      evaluating,
      { candidate: 1, published: { [V(1)]: at(1) } },
      `promote -> earned ${V(1)}`,
    ],
    [
      'evaluated by a re-run is evaluated again',
      evaluating,
      { candidate: 1, setting: { attempt: 2 } },
      `promote -> earned ${V(1)}`,
    ],
  ]);

  test.each([
    ['ledger', /"ledger" is a reserved word/],
    ['v1.json', /ends with \.json/],
    ['x-testing', /is the name of a label/],
    ['current-ceph', /is the name of a label/],
  ])('named %s is refused', async (name, why) => {
    const setting = { candidate: { ...at(1), tag: tag(name) } };
    expect(summary(await run(evaluating, { setting }))).toMatch(why);
  });
});

describe('what is promoted and fails', () => {
  const red: Situation = { ledger: twoPromoted, candidate: 2, failed: { 2: ['deploy'] } };
  table([
    ['is told, and stays', evaluating, red, 'unchanged regressed deploy'],
    [
      'is told beside a candidate that waits',
      evaluating,
      { ...red, candidate: 3, absent: { 3: ['check'] } },
      'wait regressed deploy',
    ],
    [
      'is replaced by a candidate that meets the criteria',
      evaluating,
      { ...red, candidate: 3 },
      `promote -> earned ${V(3)} regressed deploy`,
    ],
    [
      'is told where a guard refuses the candidate',
      evaluating,
      { ...red, candidate: 1 },
      /^refused: .* down from v1\.0\.2; besides, .*, which is promoted, has regressed: deploy has failed since .*$/,
    ],
    [
      'has not regressed where a job is unknown',
      evaluating,
      { ledger: twoPromoted, candidate: 2, absent: { 2: ['deploy'] } },
      'unchanged',
    ],
    [
      'is held where the setting says so',
      evaluating,
      { ...red, setting: { onRegression: 'hold' } },
      `unchanged -> hold ${V(2)} holding ${V(2)} regressed deploy`,
    ],
    [
      'is rolled back where the setting says so',
      evaluating,
      { ...red, setting: { onRegression: 'rollback' } },
      `rollback -> rollback ${V(1)} holding ${V(2)} regressed deploy`,
    ],
    [
      'is not rolled back to an image that is red itself',
      evaluating,
      { ...red, failed: { 1: ['check'], 2: ['deploy'] }, setting: { onRegression: 'rollback' } },
      'unchanged regressed deploy',
    ],
    [
      'is not rolled back where there is no earlier image',
      evaluating,
      { ledger: [[2]], candidate: 2, failed: { 2: ['deploy'] }, setting: { onRegression: 'rollback' } },
      'unchanged regressed deploy',
    ],
    [
      'is not touched while promotion is frozen',
      evaluating,
      { ...red, setting: { onRegression: 'rollback', freeze: 'release' } },
      'unchanged regressed deploy',
    ],
    [
      'is held only once',
      evaluating,
      {
        ...red,
        ledger: [...twoPromoted, [2, { kind: 'hold', ...previous(1), holds: [ban(2)] }]],
        setting: { onRegression: 'hold' },
      },
      'unchanged regressed deploy',
    ],
    [
      'is not held again where a person has lifted the hold',
      evaluating,
      {
        ...red,
        ledger: [
          ...twoPromoted,
          [2, { kind: 'hold', ...previous(1), holds: [ban(2)] }],
          [2, { kind: 'lift', ...previous(1) }],
        ],
        setting: { onRegression: 'hold' },
      },
      'unchanged regressed deploy',
    ],
    [
      'after a rollback stays, whatever the setting says',
      evaluating,
      {
        ledger: [[1], [2, previous(1)], [3, previous(2)], [2, { kind: 'rollback', ...previous(1), holds: [ban(3)] }]],
        candidate: 2,
        failed: { 2: ['deploy'] },
        setting: { onRegression: 'rollback' },
      },
      'unchanged regressed deploy',
    ],
    [
      'by a force is left to people',
      evaluating,
      {
        ledger: [[1], [2, { kind: 'forced', ...previous(1) }]],
        candidate: 2,
        failed: { 2: ['check'] },
        setting: { onRegression: 'rollback' },
      },
      'unchanged regressed check',
    ],
    [
      'only in what it never passed has not regressed',
      evaluating,
      { ledger: [[1], [2, { kind: 'forced', ...previous(1) }]], candidate: 2, failed: { 2: ['deploy'] } },
      'unchanged',
    ],
    [
      'after a rollback is judged by the record that promoted it',
      evaluating,
      {
        ledger: [[1], [2, previous(1)], [1, { kind: 'rollback', holds: [ban(2)] }]],
        candidate: 1,
        failed: { 1: ['check'] },
      },
      'unchanged regressed check',
    ],
  ]);
});

describe('a force', () => {
  table([
    ['promotes what waits', forcing(1, 'check'), { absent: { 1: ['check'] } }, `force -> forced ${V(1)}`],
    [
      'names every unmet job',
      forcing(1),
      { absent: { 1: ['check'] } },
      /^refused: these jobs are unmet, and not named: check$/,
    ],
    ['names no other job', forcing(1, 'check'), {}, /^refused: .* met or not in the criteria: check$/],
    [
      'of a tag that does not exist',
      forcing(1),
      { moved: { [`ceph/daemon:${V(1)}`]: undefined } },
      /^refused: .* does not exist; there are v1\.0\.1-x, v1\.0\.2$/,
    ],
    ['ends a hold', forcing(2), { ledger: [[1, { holds: [ban(2)] }]] }, `force -> forced ${V(2)}`],
    [
      'does not get around a quarantine',
      forcing(2),
      { ledger: [[1, { quarantine: [ban(2)] }]] },
      /^refused: v1\.0\.2 .* is quarantined \(since/,
    ],
    [
      'does not get around a quarantine by another index of the same platform',
      forcing(3),
      { ledger: [[1, { quarantine: [ban(2, 'amd64')] }]], contents: { 3: ['amd64'] } },
      /^refused: v1\.0\.2 .* is quarantined \(since/,
    ],
    ['down holds what it leaves', forcing(1), { ledger: [[2]] }, `force -> forced ${V(1)} holding ${V(2)}`],
    ['of what is promoted changes nothing', forcing(2), { ledger: [[2]] }, 'unchanged'],
    [
      'down to what is promoted, under an older tag and at one target more, holds nothing',
      forcing(1),
      {
        ledger: [[2]],
        moved: { [`ceph/daemon:${V(1)}`]: digestOf(V(2)) },
        setting: { targets: parseTargets(['quay.io/tripleomastercentos9/daemon', 'quay.io/b/daemon']) },
      },
      `force -> forced ${V(1)}`,
    ],
    [
      'further down holds what both leave',
      forcing(1),
      { ledger: [[3], [2, { kind: 'forced', holds: [ban(3)] }]] },
      `force -> forced ${V(1)} holding ${V(3)},${V(2)}`,
    ],
    [
      'up, but not as far as what is on hold, leaves the hold',
      forcing(2),
      { ledger: [[1, { kind: 'forced', holds: [ban(3)] }]] },
      `force -> forced ${V(2)} holding ${V(3)}`,
    ],
    [
      'while promotion is frozen',
      forcing(2),
      { setting: { freeze: 'release' } },
      'refused: promotion is frozen: release',
    ],
    [
      'of a tag that has moved since it was tested',
      forcing(1),
      { candidate: 1, moved: { [`ceph/daemon:${V(1)}`]: digestOf('rebuilt') } },
      /^refused: the candidate is .*, and .* is now sha256:/,
    ],
  ]);

  test('records what it overrides, and the contents of the image it leaves that the new one does not share', async () => {
    const result = await run(forcing(1, 'check'), {
      ledger: [[2, { holds: [ban(1)] }]],
      failed: { 1: ['check'] },
      contents: { 1: ['arm64'], 2: ['amd64', 'arm64'] },
    });
    expect(result).toMatchObject({
      change: {
        kind: 'forced',
        skippedJobs: ['check'],
        overridden: ['reject', 'hold', 'downgrade'],
        holds: [{ tag: V(2), contents: [digestOf('amd64')] }],
      },
    });
  });
});

describe('a rollback', () => {
  table([
    [
      'goes to the image before, and holds what it leaves',
      rollingBack('previous'),
      { ledger: twoPromoted },
      `rollback -> rollback ${V(1)} holding ${V(2)}`,
    ],
    [
      'goes to a tag',
      rollingBack(1),
      { ledger: [[1], [2, previous(1)], [3, previous(2)]] },
      `rollback -> rollback ${V(1)} holding ${V(3)}`,
    ],
    ['to what is promoted changes nothing', rollingBack(2), { ledger: twoPromoted }, 'unchanged'],
    [
      'to what was never promoted',
      rollingBack(5),
      { ledger: twoPromoted },
      /^refused: v1\.0\.5 was never promoted to current-ceph; there are v1\.0\.1$/,
    ],
    [
      'to what was never promoted is offered only what no ban covers',
      rollingBack(5),
      { ledger: [[1], [2, previous(1)], [3, { previous: at(1), holds: [ban(2)] }]] },
      /^refused: v1\.0\.5 was never promoted to current-ceph; there are v1\.0\.1$/,
    ],
    [
      'to what was never promoted is offered nothing if every earlier image is banned',
      rollingBack(5),
      { ledger: [[1], [2, { quarantine: [ban(1)] }]] },
      'refused: v1.0.5 was never promoted to current-ceph',
    ],
    [
      'without an earlier image',
      rollingBack('previous'),
      { ledger: [[1]] },
      /^refused: the ledger of current-ceph has no earlier image/,
    ],
    [
      'without a ledger',
      rollingBack('previous'),
      {},
      /^refused: nothing was ever promoted .* nothing to roll back to$/,
    ],
    [
      'passes over what is on hold',
      rollingBack('previous'),
      { ledger: [[1], [2, previous(1)], [3, { previous: at(1), holds: [ban(2)] }]] },
      `rollback -> rollback ${V(1)} holding ${V(2)},${V(3)}`,
    ],
    [
      'to what is on hold',
      rollingBack(2),
      { ledger: [[1], [2, previous(1)], [3, { previous: at(1), holds: [ban(2)] }]] },
      /^refused: v1\.0\.2 .* is on hold \(since/,
    ],
    [
      'passes over an image of which a platform is in quarantine',
      rollingBack('previous'),
      {
        ledger: [[1], [2, previous(1)], [3, { previous: at(2), quarantine: [ban(9, 'amd64')] }]],
        contents: { 1: ['arm64'], 2: ['amd64'] },
      },
      `rollback -> rollback ${V(1)} holding ${V(3)}`,
    ],
    [
      'while promotion is frozen',
      rollingBack('previous'),
      { ledger: twoPromoted, setting: { freeze: 'release' } },
      'refused: promotion is frozen: release',
    ],
  ]);

  test('bans nothing that the image it leaves shares with the image it goes to', async () => {
    const contents = { 1: ['amd64', 'arm64'], 2: ['amd64-broken', 'arm64'] };
    expect(await run(rollingBack('previous'), { ledger: twoPromoted, contents })).toMatchObject({
      change: { holds: [{ tag: V(2), contents: [digestOf('amd64-broken')] }] },
    });
  });
});

describe('a hold, its end, and a quarantine', () => {
  const held: Situation = { ledger: [[1, { holds: [ban(2)] }]] };
  table([
    [
      'hold a version that was not promoted yet',
      holding(2),
      { ledger: [[1]] },
      `unchanged -> hold ${V(1)} holding ${V(2)}`,
    ],
    ['hold what is promoted', holding(1), { ledger: [[1]] }, `unchanged -> hold ${V(1)} holding ${V(1)}`],
    [
      'hold what is in quarantine',
      holding(2),
      { ledger: [[1, { quarantine: [ban(2)] }]] },
      /^refused: .* is quarantined \(since/,
    ],
    [
      'hold what nobody knows',
      holding(2),
      { ledger: [[1]], moved: { [`ceph/daemon:${V(2)}`]: undefined } },
      /^refused: .* is not known: neither the ledger nor the store nor the source has it/,
    ],
    [
      'hold a digest that nobody knows',
      { kind: 'hold', image: digestOf(V(2)), reason: 'x' },
      { ledger: [[1]] },
      /^refused: .* is not known: a digest must be the candidate's, or in the ledger/,
    ],
    [
      'hold while promotion is frozen',
      holding(2),
      { ledger: [[1]], setting: { freeze: 'x' } },
      'refused: promotion is frozen: x',
    ],
    ['hold without a ledger', holding(2), {}, /nothing was ever promoted .* nothing to hold$/],
    ['lift a hold', lifting(2), held, `unchanged -> lift ${V(1)}`],
    ['lift what is not on hold', lifting(3), held, /^refused: v1\.0\.3 is not on hold; on hold: v1\.0\.2$/],
    ['lift while promotion is frozen', lifting(2), { ...held, setting: { freeze: 'x' } }, `unchanged -> lift ${V(1)}`],
    ['quarantine a version', quarantining(2), { ledger: [[1]] }, `unchanged -> quarantine ${V(1)}`],
    ['quarantine turns a hold into itself', quarantining(2), held, `unchanged -> quarantine ${V(1)}`],
    [
      'quarantine what is promoted',
      quarantining(1),
      { ledger: [[1]] },
      /^refused: v1\.0\.1 is what current-ceph points at; roll back first$/,
    ],
    [
      'quarantine while promotion is frozen',
      quarantining(2),
      { ledger: [[1]], setting: { freeze: 'x' } },
      'refused: promotion is frozen: x',
    ],
  ]);

  // Deleting an image, or encoding it again, must not remove its ban.
  test.each<[string, Request, readonly string[], Changes, 'holds' | 'quarantine', readonly string[]]>([
    [
      'a quarantine keeps what the hold covered',
      quarantining(2),
      [],
      { holds: [ban(2, 'amd64')] },
      'quarantine',
      ['amd64'],
    ],
    [
      'a quarantine keeps what an earlier one covered',
      quarantining(2),
      ['arm64'],
      { quarantine: [ban(2, 'amd64')] },
      'quarantine',
      ['arm64', 'amd64'],
    ],
    ['a hold keeps what an earlier one covered', holding(2), [], { holds: [ban(2, 'amd64')] }, 'holds', ['amd64']],
  ])('%s, whatever can be read of the image now', async (_, request, now, before, where, covered) => {
    const result = await run(request, { ledger: [[1, before]], contents: { 2: now } });
    expect(result).toMatchObject({ change: { [where]: [{ tag: V(2), contents: covered.map(digestOf) }] } });
  });

  test('a tag means what the ledger says, not what the store says now', async () => {
    const published = { [V(1)]: { ...at(9), tag: tag(V(1)) } };
    const result = await run(quarantining(1), { ledger: [[1], [2, previous(1)]], published });
    expect(result).toMatchObject({ change: { quarantine: [{ digest: digestOf(V(1)) }] } });
  });

  // Otherwise whoever publishes candidates could redirect a ban to another image, and publish the bad one again.
  test.each([
    ['hold', holding(3)],
    ['quarantine', quarantining(3)],
  ])('a %s of a tag that is another image in the store than at the source needs a digest', async (_, request) => {
    const published = { [V(3)]: { ...at(9), tag: tag(V(3)) } };
    expect(await run(request, { ledger: [[1]], published })).toEqual({
      refused: expect.stringMatching(
        /^v1\.0\.3 is published as .*, but is sha256:.* at the source: name the one that you mean/,
      ),
      hint: 'reference',
    });
    expect(await run(holding(3), { ledger: [[1]], candidate: 3, published })).toMatchObject({
      change: { holds: [{ digest: digestOf(V(3)) }] },
    });
    const gone = { ledger: [[1]], published, moved: { [`ceph/daemon:${V(3)}`]: undefined } } as const;
    expect(await run(holding(3), gone)).toMatchObject({ change: { holds: [{ digest: digestOf(V(9)) }] } });
  });

  test('previous changes: it never names what is banned', async () => {
    const ledger: Situation['ledger'] = [[1], [2, previous(1)], [3, previous(2)]];
    expect(await run(quarantining(2), { ledger })).toMatchObject({ change: { previous: at(1) } });
  });
});

describe('an adoption', () => {
  const moving = (n: number | undefined) => ({
    [`${TARGET.path}:current-ceph`]: n === undefined ? undefined : digestOf(V(n)),
  });
  table([
    ['of what the moving tags name', adopting(1), { moved: moving(1) }, `adopt -> adopted ${V(1)}`],
    [
      'of another image than a moving tag names',
      adopting(1),
      { moved: moving(2) },
      /^refused: .*:current-ceph is sha256:.*, not sha256:/,
    ],
    ['without a moving tag, of the tag at the source', adopting(1), {}, `adopt -> adopted ${V(1)}`],
    [
      'without a moving tag, of a tag that is another image',
      adopting(1),
      { moved: { [`ceph/daemon:${V(1)}`]: digestOf('x') } },
      /^refused: no target has the tag current-ceph, and .* is sha256:/,
    ],
    [
      'where there is a ledger',
      adopting(1),
      { ledger: [[1]] },
      /^refused: current-ceph already has a ledger, up to record 1:/,
    ],
    ['while promotion is frozen', adopting(1), { setting: { freeze: 'x' } }, 'refused: promotion is frozen: x'],
    ['by a re-run', adopting(1), { setting: { attempt: 2 } }, /^refused: a re-run does not decide for a person again/],
    [
      'whatever a candidate file says',
      adopting(1),
      { moved: moving(1), published: { [V(1)]: { ...at(9), tag: tag(V(1)) } } },
      `adopt -> adopted ${V(1)}`,
    ],
  ]);

  test('names the ledgers that were lost', async () => {
    const supersedes = [{ ledger: 'a'.repeat(64), n: 7 }];
    expect(await run(adopting(1), { setting: { supersedes } })).toMatchObject({ change: { supersedes } });
  });
});

describe('a re-run of a person’s request', () => {
  const own: Changes = { id: '8/1/00000000-0000-4000-8000-000000000000' };
  table([
    [
      'finishes what that run wrote',
      rollingBack('previous'),
      { ledger: [[1], [2, { ...previous(1), ...own }]], setting: { attempt: 2 } },
      'unchanged',
    ],
    [
      'is seen where nobody counts attempts',
      rollingBack('previous'),
      { ledger: [[1], [2, { ...previous(1), ...own }]], setting: { attempt: 0 } },
      'unchanged',
    ],
    [
      'is none where nobody counts attempts, and nothing was decided yet',
      rollingBack('previous'),
      { ledger: [[1], [2, previous(1)]], setting: { attempt: 0 } },
      `rollback -> rollback ${V(1)} holding ${V(2)}`,
    ],
    [
      'finishes it whatever came after',
      forcing(2),
      {
        ledger: [
          [2, own],
          [3, previous(2)],
        ],
        setting: { attempt: 3 },
      },
      'unchanged',
    ],
    [
      'decides nothing where that run wrote nothing',
      forcing(2),
      { ledger: [[1]], setting: { attempt: 2 } },
      /^refused: a re-run does not decide/,
    ],
  ]);
});

describe('companions', () => {
  const targets = parseTargets([
    'quay.io/tripleomastercentos9/daemon',
    'quay.io/prometheus/prometheus:v2.33.4 -> quay.io/tripleomastercentos9/prometheus',
  ]);
  const prometheus = v.parse(repositorySchema, 'quay.io/tripleomastercentos9/prometheus');
  const source = { repository: v.parse(repositorySchema, 'quay.io/prometheus/prometheus'), tag: tag('v2.33.4') };
  const recorded = targetOf(prometheus, { ...source, digest: digestOf('as promoted') });

  test.each([
    ['evaluated', evaluating],
    ['forced', forcing(1)],
  ])('that no job tested and nobody promoted or pinned are refused, where the candidate is %s', async (_, request) => {
    expect(await run(request, { candidate: 1, setting: { targets } })).toEqual({
      refused:
        'companion quay.io/prometheus/prometheus:v2.33.4 was not tested with the candidate, and was never promoted; ' +
        'find a candidate with it, or pin it to a digest',
      hint: 'companions',
    });
  });

  test('stay on the digest that they were promoted with', async () => {
    const before = { targets: [targetOf(TARGET, at(1)), recorded] };
    const result = await run(evaluating, { ledger: [[1, before]], candidate: 2, setting: { targets } });
    expect(result).toMatchObject({ change: { targets: [{ tag: V(2) }, recorded] } });
  });

  test('that are pinned take no other digest', async () => {
    const pinned = parseTargets([
      'quay.io/tripleomastercentos9/daemon',
      `quay.io/prometheus/prometheus:v2.33.4@${digestOf('pinned')} -> quay.io/tripleomastercentos9/prometheus`,
    ]);
    const ledger: Situation['ledger'] = [[1, { targets: [targetOf(TARGET, at(1)), recorded] }]];
    const result = await run(evaluating, { ledger, candidate: 1, setting: { targets: pinned } });
    expect(result).toMatchObject({ change: { targets: [{}, { digest: digestOf('pinned') }] } });
  });

  describe('of a set', () => {
    const tested = { ...source, digest: digestOf('v2.33.4') };
    const other = { ...source, tag: tag('v3'), digest: digestOf('v3') };
    const withSet = (n: number, ...companions: Candidate[]) => ({ candidate: imageSet(at(n), companions), targets });
    const name = 'quay.io/prometheus/prometheus:v2.33.4';
    const record = (companion: Candidate): Changes => ({
      companions: [companion],
      targets: [targetOf(TARGET, at(1)), targetOf(prometheus, companion)],
    });

    test('are promoted as they were tested, and recorded', async () => {
      const result = await run(evaluating, { setting: withSet(1, tested, other) });
      expect(result).toMatchObject({
        change: { candidate: at(1), companions: [tested, other], targets: [{}, { source: tested }] },
      });
      expect('change' in result && result.change?.candidate).not.toHaveProperty('companions');
    });

    test.each<[string, Situation, string]>([
      [
        'has moved',
        { moved: { 'prometheus/prometheus:v2.33.4': digestOf('moved') } },
        `companion ${name} has moved from ${tested.digest}, which was tested, to ${digestOf('moved')}; find a candidate again`,
      ],
      [
        'has moved, although it was promoted before',
        { ledger: [[1, record(tested)]], moved: { 'prometheus/prometheus:v2.33.4': digestOf('moved') } },
        `companion ${name} has moved from ${tested.digest}, which was tested, to ${digestOf('moved')}; find a candidate again`,
      ],
      [
        'is gone',
        { moved: { 'prometheus/prometheus:v2.33.4': undefined } },
        `companion ${name} no longer exists; find a candidate again`,
      ],
      [
        'was not tested',
        { setting: withSet(2, other) },
        `companion ${name} was not tested with the candidate, whose companions are quay.io/prometheus/prometheus:v3@${other.digest}`,
      ],
    ])('are refused where one %s', async (_, situation, problem) => {
      const result = await run(evaluating, { setting: withSet(2, tested), ...situation });
      expect(result).toMatchObject({ refused: problem });
    });

    test('that are pinned must be the tested ones, but their tag may move', async () => {
      const pinned = (digest: Digest) =>
        parseTargets([
          'quay.io/tripleomastercentos9/daemon',
          `${name}@${digest} -> quay.io/tripleomastercentos9/prometheus`,
        ]);
      const moved = { 'prometheus/prometheus:v2.33.4': digestOf('moved') };
      const by = (digest: Digest) =>
        run(evaluating, { moved, setting: { ...withSet(1, tested), targets: pinned(digest) } });
      expect(await by(tested.digest)).toMatchObject({ change: { companions: [tested] } });
      expect(summary(await by(digestOf('x')))).toContain(`was tested as ${tested.digest}, and is pinned to`);
    });

    test('make a promoted candidate a new set if they change', async () => {
      const ledger: Situation['ledger'] = [[1, record({ ...tested, tag: tag('v2.32'), digest: digestOf('before') })]];
      expect(await run(evaluating, { ledger, setting: withSet(1, tested) })).toMatchObject({
        outcome: { decision: 'promote' },
        change: { companions: [tested] },
      });
      const same: Situation['ledger'] = [[1, record(tested)]];
      expect(summary(await run(evaluating, { ledger: same, setting: withSet(1, tested) }))).toBe('unchanged');
    });

    test('that were rebuilt under the tag that is promoted are refused, with the way out', async () => {
      const ledger: Situation['ledger'] = [[1, record({ ...tested, digest: digestOf('before') })]];
      expect(await run(evaluating, { ledger, setting: withSet(2, tested) })).toMatchObject({
        refused: expect.stringContaining(`was promoted as ${digestOf('before')} before, under a tag that never moves`),
        hint: 'companions',
      });
    });

    test('come back with a rollback, and stay with a hold', async () => {
      const former = { ...tested, digest: digestOf('before') };
      const ledger: Situation['ledger'] = [
        [1, record(former)],
        [2, { ...record(tested), targets: [targetOf(TARGET, at(2)), targetOf(prometheus, tested)], ...previous(1) }],
      ];
      const back = await run(rollingBack('previous'), { ledger, setting: { targets } });
      expect(back).toMatchObject({
        change: { candidate: at(1), companions: [former], targets: [{ digest: at(1).digest }, { source: former }] },
      });
      expect(await run(holding(3), { ledger, setting: { targets }, published: { [V(3)]: at(3) } })).toMatchObject({
        change: { kind: 'hold', candidate: at(2), companions: [tested] },
      });
    });

    test('are evaluated as a set, for what is promoted and what is forced too', async () => {
      const asked: ImageSet[] = [];
      const situation = (setting: Partial<Setting>): Situation => ({
        ledger: [[1, record(tested)]],
        setting: { targets, ...setting },
        published: { [V(2)]: imageSet(at(2), [tested]) },
        asked,
      });
      await run(evaluating, situation(withSet(2, tested)));
      await run(forcing(2), situation({}));
      expect(asked.map(({ tag: name, companions }) => [name, companions])).toEqual([
        [V(2), [tested]],
        [V(1), [tested]],
        [V(2), [tested]],
      ]);
    });
  });
});
