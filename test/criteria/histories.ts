import fc from 'fast-check';
import { type ImageSet, imageSet, setDigest } from '../../src/candidate/image-set.js';
import { image } from '../ledger/fixture.js';
import type { Build, Criteria, Needed, Report, Statement, Stay, Vote } from './document-evaluator.js';
import { CANDIDATE, DAY, DIGEST, digestOf, NOW, tagOf } from './fixtures.js';

/** Random histories of a candidate, as DLRN, needs, Zuul, a registry and a ledger report them. */

export const LABEL = 'current-ceph';

/** What was reported about a candidate until a time, in unix seconds. */
export interface History {
  /** The criteria file. */
  readonly file: string;
  readonly set: ImageSet;
  readonly reports: Report[];
  readonly now: number;
}

/** Few values, so that they coincide. */
const weighted = <T>(...choices: readonly (readonly [number, T])[]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

// ---- Criteria files ----

/** The type of the only attestation, and its name if it has no other. */
export const BUILT = 'https://slsa.dev/provenance/v1';
const SIGNED = { type: BUILT, issuer: 'https://token.example', identity: 'https://forge.example/build.yml' };

const someJobs = fc
  .record({
    required: fc.subarray(['a', 'b']),
    'any-of': fc.constantFrom<string[][]>([], [['c', 'd']], [['c', 'd'], ['e']], [['c', 'd', 'e']]),
  })
  .filter((jobs) => jobs.required.length + jobs['any-of'].length > 0);

const options = fc.record(
  {
    attestations: fc.constantFrom<Criteria['attestations'][]>([SIGNED], [{ ...SIGNED, name: 'built' }]),
    'promoted-in': fc.constant({ label: 'staging', for: '2 days' }),
    'max-age': fc.constantFrom('30 minutes', '1 hour', '2 days'),
    'trusted-users': fc.constantFrom<string[][]>(['ciuser'], ['ciuser', 'zuul']),
    'across-hashes': fc.boolean(),
    'bare-tags': fc.boolean(),
  },
  { requiredKeys: [] },
);

/** Waivers of some of these jobs, never of all. */
function waiversOf({ required = [], 'any-of': groups = [], ...others }: Criteria) {
  const attestations = (others.attestations ?? []).map(({ type, name = type }) => name);
  const names = [...required, ...groups.flat(), ...attestations, ...('promoted-in' in others ? [SOAKED] : [])];
  return (
    fc
      // The second is the day of the evaluation. The third has ended.
      .tuple(fc.subarray(names), weighted([12, '2026-12-31'], [4, '2026-11-24'], [1, '2026-11-23']))
      .map(([waived, until]) => waived.slice(0, names.length - 1).map((job) => ({ job, until, reason: 'x' })))
  );
}

const SOAKED = 'promoted-in:staging';

const criteria: fc.Arbitrary<Criteria> = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(someJobs, options).map(([jobs, rest]) => ({ ...jobs, ...rest })) },
  { weight: 1, arbitrary: fc.constant<Criteria>({ attestations: [SIGNED] }) },
);

/** The file, and the file some time later, with other waivers. */
const files: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  {
    weight: 6,
    arbitrary: criteria.chain((own) =>
      fc
        .tuple(fc.option(waiversOf(own)), fc.option(waiversOf(own)))
        .map(([some, later]): [string, string] => [
          fileWith({ ...own, waivers: some ?? [] }),
          fileWith({ ...own, waivers: later ?? [] }),
        ]),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .oneof(fc.constantFrom<string[][]>(['a'], ['a', 'b']).map(fileWith), someJobs.map(rdoFile))
      .map((file): [string, string] => [file, file]),
  },
);

export function fileWith(own: Criteria | string[]): string {
  return JSON.stringify({ [LABEL]: own });
}

function rdoFile({ required, 'any-of': groups }: { required: string[]; 'any-of': string[][] }): string {
  const [singles, others] = [groups.filter(({ length }) => length === 1), groups.filter(({ length }) => length > 1)];
  const alternatives = Object.fromEntries(others.map(([first = '', ...rest]) => [first, rest]));
  const jobs = [...required, ...singles.flat(), ...Object.keys(alternatives)];
  return JSON.stringify({ promotions: { [LABEL]: { criteria: jobs, alternative_criteria: alternatives } } });
}

// ---- Reports ----

const jobs = weighted(
  ...[...'abcde'].map((job) => [5, job] as const),
  ...['a-b', 'built', BUILT, SOAKED].map((job) => [1, job] as const),
);

/** Whole steps, so that times are sometimes equal; and each boundary. */
const times = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 12 }).map((step) => NOW - 600 * step) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[NOW + 300, NOW + 300.9, NOW + 301, NOW + 10 * DAY, -DAY, -1, -0.5, 0, 0.5],
      ...[NOW - 1800, NOW - 1800.5, NOW - 1801, NOW - 3600, NOW - 3601, NOW - 2 * DAY, NOW - 2 * DAY - 1, NOW - 0.5],
    ),
  },
);

const OTHER_DIGEST = digestOf('9');
const OTHER_SET = digestOf('5');
const REPOSITORY = 'quay.io/ceph/daemon';

/** The notes of votes: `TAG` is the candidate's tag, and `OWN` what its own set needs. */
const notes = weighted<string | undefined>(
  [60, 'OWN'],
  [3, `TAG@${DIGEST}`],
  [3, `TAG@${DIGEST} set=${OTHER_SET}`],
  [4, 'TAG'],
  [2, `TAG@${OTHER_DIGEST}`],
  ...[
    `TAG@${OTHER_DIGEST} set=${OTHER_SET}`,
    `v6.0.1@${DIGEST}`,
    `v6.0.1@${DIGEST} set=${OTHER_SET}`,
    'v6.0.1',
    ' OWN\n',
    ' TAG ',
    `${REPOSITORY}:OWN`,
    `quay.io:443/ceph/daemon:TAG`,
    `${REPOSITORY}:v6.0.1`,
    `TAG@${DIGEST.toUpperCase()}`,
    'TAG@sha256:aaaa',
    'TAG@',
    'OWN set=',
    `TAG set=${OTHER_SET}`,
    `TAG@${DIGEST}  set=${OTHER_SET}`,
    `@${DIGEST}`,
    DIGEST,
    'TAG failed',
    'see the log of host 7',
    'failed',
    'failed@host1',
    '-1',
    '',
    undefined,
  ].map((text) => [1, text] as const),
);

const votes: fc.Arbitrary<Vote> = fc.record({
  source: fc.constant('dlrn' as const),
  job: jobs,
  success: weighted<boolean | undefined>([6, true], [3, false], [1, undefined]),
  inProgress: weighted<boolean | undefined>([12, false], [1, true], [1, undefined]),
  notes,
  user: weighted<string | undefined>([8, 'ciuser'], [1, 'zuul'], [1, 'mallory'], [1, undefined]),
  aggregateHash: weighted<string | undefined>([6, 'h1'], [2, 'h2'], [1, 'h3'], [1, undefined]),
  time: times,
});

/** What jobs pass on, in the same words; `SET` is the candidate's set, if it has companions. */
type Tested = Pick<Needed, 'reference' | 'setDigest'>;
const OWN: Tested = { reference: `${REPOSITORY}:TAG@${DIGEST}`, setDigest: 'SET' };

const readable = weighted<Tested>(
  [24, OWN],
  ...[
    { ...OWN, setDigest: undefined },
    { ...OWN, setDigest: '' },
    { ...OWN, setDigest: OTHER_SET },
    { ...OWN, reference: `mirror.example/ceph/daemon:TAG@${DIGEST}` },
    { ...OWN, reference: `${REPOSITORY}:TAG@${OTHER_DIGEST}` },
    { ...OWN, reference: `${REPOSITORY}:v6.0.1@${DIGEST}` },
    { reference: `${REPOSITORY}:v6.0.1@${DIGEST}`, setDigest: OTHER_SET },
  ].map((tested) => [1, tested] as const),
);

const unreadable = fc.constantFrom<Tested>(
  { ...OWN, setDigest: 'sha256:0' },
  { ...OWN, reference: `ceph/daemon:TAG@${DIGEST}` },
  { ...OWN, reference: `${REPOSITORY}:TAG` },
  { ...OWN, reference: `${REPOSITORY}@${DIGEST}` },
  { ...OWN, reference: `${REPOSITORY}:TAG@${DIGEST.toUpperCase()}` },
  { reference: '' },
  {},
);

const tested = fc.oneof({ weight: 6, arbitrary: readable }, { weight: 1, arbitrary: unreadable });

/** Each job of a workflow once, in one attempt. */
const needs: fc.Arbitrary<Needed[]> = fc
  .tuple(
    weighted([2, 1], [1, 2]),
    fc.uniqueArray(
      fc.record({
        job: jobs,
        result: weighted([6, 'success'], [2, 'failure'], [1, 'skipped'], [1, 'cancelled']),
        what: tested,
      }),
      { selector: ({ job }) => job, maxLength: 4 },
    ),
  )
  .map(([attempt, some]) =>
    some.map(({ job, result, what }) => ({ source: 'needs', job, result, attempt, ...what }) as const),
  );

const builds: fc.Arbitrary<Build> = fc
  .record({
    source: fc.constant('zuul' as const),
    job: jobs,
    result: weighted<string | undefined>(
      [16, 'SUCCESS'],
      ...['FAILURE', 'POST_FAILURE', 'TIMED_OUT', 'DISK_FULL'].map((result) => [1, result] as const),
      ...['SKIPPED', 'ABORTED', 'CANCELED', 'NODE_FAILURE', 'RETRY_LIMIT'].map((result) => [1, result] as const),
      [3, undefined],
    ),
    artifacts: fc.oneof(
      { weight: 8, arbitrary: tested.map((one): Tested[] => [one]) },
      { weight: 1, arbitrary: fc.array(tested, { minLength: 2, maxLength: 2 }) },
      { weight: 1, arbitrary: fc.constant<Tested[]>([]) },
    ),
    start: fc.option(times, { freq: 9, nil: undefined }),
    end: fc.option(times, { freq: 9, nil: undefined }),
  })
  // What runs has no end.
  .map((build) => (build.result === undefined ? { ...build, end: undefined } : build));

const statements: fc.Arbitrary<Statement> = fc.record({
  source: fc.constant('attestation' as const),
  name: fc.constantFrom('built', BUILT),
});

const stays: fc.Arbitrary<Stay> = fc.record({
  source: fc.constant('ledger' as const),
  promoted: fc.constantFrom(...[1, 2, 3, 9].map((days) => NOW - days * DAY), NOW - 2 * DAY + 1),
  replaced: fc.option(fc.constantFrom(NOW - DAY, NOW - 60), { freq: 2, nil: undefined }),
  setDigest: fc.constant('SET'),
  banned: weighted([5, false], [1, true]),
});

/** Reports, with at most `votes` votes. */
const anything = (most: number): fc.Arbitrary<Report[]> =>
  fc
    .tuple(
      fc.array(votes, { maxLength: most }),
      fc.array(builds, { maxLength: Math.ceil(most / 4) }),
      fc.option(needs, { freq: 1, nil: [] }),
      fc.array(statements, { maxLength: 2 }),
      fc.array(stays, { maxLength: 1 }),
    )
    .map((some) => some.flat());

/** Everything green, some time ago. */
const green: fc.Arbitrary<Report[]> = fc.integer({ min: 0, max: 12 }).map((step) => [
  ...['a', 'b', 'c', 'e'].map((job) => ({
    source: 'dlrn' as const,
    job,
    success: true,
    notes: 'OWN',
    user: 'ciuser',
    aggregateHash: 'h1',
    time: NOW - 600 * step,
  })),
  { source: 'attestation', name: 'built' },
  { source: 'attestation', name: BUILT },
]);

/** Some failures of the candidate. */
const red: fc.Arbitrary<Report[]> = fc.array(
  votes.map((vote) => ({ ...vote, success: false, inProgress: false, notes: 'OWN' })),
  { minLength: 1, maxLength: 4 },
);

/** Some begin with everything green, and some have failures, so that all verdicts are common. */
const reports = fc.oneof(
  anything(16),
  ...[anything(4), red].map((more) => fc.tuple(green, more).map((both) => both.flat())),
);

// ---- Histories ----

export const ALONE = imageSet(CANDIDATE, []);
export const WITH_COMPANIONS = imageSet(CANDIDATE, [image('9.4.7'), image('2.3')]);
/** Its tag could be any word. */
export const BY_A_WORD = imageSet({ ...CANDIDATE, tag: tagOf('main') }, []);
const sets = weighted([3, ALONE], [3, WITH_COMPANIONS], [1, BY_A_WORD]);

/** The reports on this candidate: what they name as `TAG`, `OWN` and `SET` is its own. */
export function reportsOn(set: ImageSet, some: readonly Report[]): Report[] {
  const own = setDigest(set);
  const named = (text: string | undefined) =>
    text?.replace('OWN', own === undefined ? `TAG@${DIGEST}` : `TAG@${DIGEST} set=${own}`).replace('TAG', set.tag);
  const testedBy = ({ reference, setDigest: digest }: Tested) => ({
    reference: named(reference),
    setDigest: digest === 'SET' ? own : digest,
  });
  const onSet = (report: Report): Report => {
    switch (report.source) {
      case 'dlrn':
        return { ...report, notes: named(report.notes) };
      case 'needs':
        return { ...report, ...testedBy(report) };
      case 'zuul':
        return { ...report, artifacts: report.artifacts.map(testedBy) };
      case 'ledger':
        return { ...report, setDigest: own };
      case 'attestation':
        return report;
    }
  };
  return some.map(onSet);
}

/** When it is looked at again. */
const LATER = NOW + 3000;

/** Votes and builds, some time later. */
function moved(report: Report): Report {
  const by = (time: number | undefined) => (time === undefined ? undefined : time + LATER - NOW);
  if (report.source === 'dlrn') return { ...report, time: report.time + LATER - NOW };
  return report.source === 'zuul' ? { ...report, start: by(report.start), end: by(report.end) } : report;
}

const drawn = (seed: number, numberOfFiles: number) =>
  fc.constantFrom(...fc.sample(files, { numRuns: numberOfFiles, seed }));

/**
 * Histories with this many criteria files: enough that each option meets each other, and few enough to be parsed once.
 * They are drawn with the seed of the property, which a failure reports: give it here to see that failure again.
 */
export function histories(seed: number, numberOfFiles: number): fc.Arbitrary<History> {
  return fc
    .record({ files: drawn(seed, numberOfFiles), set: sets, some: reports })
    .map(({ files: [file], set, some }) => ({ file, set, reports: reportsOn(set, some), now: NOW }));
}

/** A history, and the same one some time later. */
export function pairs(seed: number, numberOfFiles: number): fc.Arbitrary<[History, History]> {
  return fc
    .record({ files: drawn(seed, numberOfFiles), set: sets, before: reports, since: fc.oneof(anything(6), red) })
    .map(({ files: [file, laterFile], set, before, since }) => {
      // A later run has needs and statements of its own, and the ledger says what it says then.
      const lasting = before.filter(({ source }) => source === 'dlrn' || source === 'zuul');
      return [
        { file, set, reports: reportsOn(set, before), now: NOW },
        { file: laterFile, set, reports: reportsOn(set, [...lasting, ...since.map(moved)]), now: LATER },
      ];
    });
}
