import { access, readFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { parse } from 'yaml';
import { rfc3339 } from '../../src/base/clock.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { type BranchModel, type DashboardModel, dashboardSchema } from '../../src/monitoring/model.js';
import type { BranchHistory, Failure } from '../../src/monitoring/read-branch.js';
import { summarize } from '../../src/monitoring/summarize.js';
import type { LastDecision } from '../../src/store/last-decision.js';
import {
  ban,
  busyHistory,
  candidate,
  candidateFile,
  criteriaOf,
  DAY,
  decide,
  emptyHistory,
  HOUR,
  lastDecision,
  NOW,
  type RecordChanges,
  record,
  result,
  SETTINGS,
} from './fixture.js';
import { SCENES, sceneOf } from './scenes.js';

const workflowSchema = v.object({
  on: v.object({ workflow_dispatch: v.object({ inputs: v.record(v.string(), v.unknown()) }) }),
});

const [A, B, C] = ['v6.0.1-a', 'v6.0.2-b', 'v6.0.3-c'].map((name) => candidate(name)) as [
  ReturnType<typeof candidate>,
  ReturnType<typeof candidate>,
  ReturnType<typeof candidate>,
];
const JOBS = ['job-1', 'job-2'];
const CRITERIA = criteriaOf(JOBS);
const GREEN = (image: typeof A, at: number) => JOBS.map((job) => result(job, image, 'success', at));

function branchOf(history: Partial<BranchHistory>): BranchModel {
  const { branches } = summarize([emptyHistory('master', history)], SETTINGS, NOW);
  const [branch] = branches;
  if (branch === undefined) throw new Error('no branch');
  return branch;
}

/** A ledger, newest first, of steps, oldest first: each has its image, its age and what it changes. */
function ledger(...steps: [image: typeof A, age: number, changes?: RecordChanges][]): LedgerRecord[] {
  const records: LedgerRecord[] = [];
  for (const [image, age, changes] of steps) records.unshift(record(records, image, NOW - age, changes));
  return records;
}

function earned(image: typeof A, age: number): [typeof A, number, RecordChanges] {
  const decision = decide(image, CRITERIA, GREEN(image, NOW - age - HOUR), NOW - age);
  return [image, age, { kind: 'earned', reason: decision.reason, decision }];
}

const failed = (source: Failure['source'], why = 'no answer') => ({ failures: [{ source, why }] });

describe('state', () => {
  const decidedAgo = (age: number) => lastDecision({ reference: formatCandidate(A), 'decided-at': rfc3339(NOW - age) });
  test.each<[BranchModel['state'], string, Partial<BranchHistory>]>([
    ['empty', 'no ledger', {}],
    ['ok', 'promoted at the target age', { records: ledger(earned(A, 14 * DAY)) }],
    ['late', 'promoted before the target age', { records: ledger(earned(A, 14 * DAY + 1)) }],
    ['ok', 'ran lately', { records: ledger(earned(A, DAY)), lastDecision: decidedAgo(4 * DAY) }],
    ['silent', 'ran long ago', { records: ledger(earned(A, DAY)), lastDecision: decidedAgo(4 * DAY + 1) }],
    [
      'silent',
      'ran long ago, and is late',
      { records: ledger(earned(A, 20 * DAY)), lastDecision: decidedAgo(5 * DAY) },
    ],
    ['broken', 'no ledger to read', { ...failed('ledger'), lastDecision: decidedAgo(HOUR) }],
    ['broken', 'a record that is not trusted', { ...failed('ledger'), records: ledger(earned(A, DAY)) }],
    ['broken', 'nobody knows when it last ran', { ...failed('last decision'), records: ledger(earned(A, DAY)) }],
    ['broken', 'a server that is down', failed('image server')],
    ['ok', 'DLRN is down', { ...failed('DLRN'), records: ledger(earned(A, DAY)), labelTag: A.tag }],
    [
      'late',
      'a rollback is no success',
      { records: ledger(earned(A, 30 * DAY), earned(B, 20 * DAY), [A, DAY, { kind: 'rollback', reason: 'bad' }]) },
    ],
  ])('%s: %s', (state, _, history) => {
    expect(branchOf(history).state).toBe(state);
  });
});

describe('what the newest run says has failed', () => {
  const jobs = [{ job: 'deploy', since: rfc3339(NOW - DAY), url: 'https://ci.example/9' }];
  const decision = (image: typeof A) =>
    lastDecision({ reference: formatCandidate(image), regressed: { reference: formatCandidate(image), jobs } });

  test('is a regression, without a vote of DLRN', () => {
    const branch = branchOf({ records: ledger(earned(A, 2 * DAY)), labelTag: A.tag, lastDecision: decision(A) });
    expect(branch).toMatchObject({ state: 'regressed', health: { state: 'regressed', jobs: [{ job: 'deploy' }] } });
  });

  test('is not a regression if it was about another image than what is promoted', () => {
    const records = ledger(earned(A, 3 * DAY), earned(B, 2 * DAY));
    expect(branchOf({ records, labelTag: B.tag, lastDecision: decision(A) }).health.state).toBe('passing');
  });
});

describe('what is promoted', () => {
  test('is the image of the newest record that changed it; holds and lifts do not', () => {
    const records = ledger(
      earned(A, 9 * DAY),
      earned(B, 5 * DAY),
      [A, 3 * DAY, { kind: 'rollback', reason: 'bad', holds: [ban(B, NOW - 3 * DAY)] }],
      [A, 2 * DAY, { kind: 'lift', reason: 'good again', holds: [] }],
      [A, DAY, { kind: 'quarantine', reason: 'C is evil', holds: [], quarantine: [ban(C, NOW - DAY)] }],
    );
    const branch = branchOf({ records, labelTag: A.tag });
    expect(branch.current).toMatchObject({ n: 3, kind: 'rollback', tag: A.tag, digest: A.digest });
    expect(branch['last-success']).toBe(rfc3339(NOW - 5 * DAY));
    expect(branch.head).toBe(5);
    expect(branch.promotions.map(({ n }) => n)).toEqual([3, 2, 1]);
    expect(branch.holds).toEqual([]);
    expect(branch.quarantine.map(({ tag }) => tag)).toEqual([C.tag]);
    expect(branch.problems).toEqual([]);
  });

  const next = (step: string) => [['label', `the store does not show record 2 yet: the next run will ${step}`]];
  test.each<[string, Partial<BranchHistory>, string[][]]>([
    ['another tag', { labelTag: A.tag }, next(`move label current-ceph to ${B.tag} (was ${A.tag})`)],
    ['no label', { labelTag: undefined }, next(`move label current-ceph to ${B.tag}`)],
    [
      'another previous image',
      { previousTag: C.tag },
      next(`move label previous-current-ceph to ${A.tag} (was ${C.tag})`),
    ],
    [
      "another image in the candidate's file",
      { candidateFiles: new Map([[B.tag, { ...candidateFile(C, NOW), tag: B.tag }]]) },
      next(`repair ${B.tag}.json, which says ${formatCandidate(C)} instead of ${formatCandidate(B)}`),
    ],
    ['labels that cannot be read', { ...failed('label'), labelTag: undefined }, [['label', 'no answer']]],
    ['what the ledger says', {}, []],
  ])('a store that shows %s', (_, changes, problems) => {
    const records = ledger(earned(A, 2 * DAY), earned(B, DAY));
    const branch = branchOf({ records, labelTag: B.tag, ...changes });
    expect(branch.problems.map(({ source, why }) => [source, why])).toEqual(problems);
  });
});

describe('lead time', () => {
  const files = (...images: (typeof A)[]) =>
    new Map(images.map((image) => [image.tag, candidateFile(image, NOW - 10 * DAY)]));

  test('runs from found to earned, with the first result between', () => {
    const [promotion] = branchOf({ records: ledger(earned(A, 8 * DAY)), candidateFiles: files(A) }).promotions;
    expect(promotion).toMatchObject({
      found: rfc3339(NOW - 10 * DAY),
      'first-result': rfc3339(NOW - 8 * DAY - HOUR),
      'lead-time': 2 * DAY,
    });
  });

  test.each<[string, LedgerRecord[], ReturnType<typeof files>]>([
    ['without a candidate file', ledger(earned(A, DAY)), new Map()],
    ['of a candidate file with another digest', ledger(earned(A, DAY)), files(candidate(A.tag, 'other'))],
    ['of what was found after it was promoted', ledger(earned(A, 11 * DAY)), files(A)],
    ['of what was forced', ledger([A, DAY, { kind: 'forced', reason: 'must' }]), files(A)],
    ['of what was adopted', ledger([A, DAY]), files(A)],
  ])('there is none %s', (_, records, candidateFiles) => {
    const branch = branchOf({ records, candidateFiles });
    expect(branch.promotions.map((promotion) => promotion['lead-time'])).toEqual([null]);
    expect(branch.figures['lead-time']).toEqual({ promotions: 0, p50: null, p90: null });
  });

  test('counts once for an image that is promoted again', () => {
    const records = ledger(earned(A, 9 * DAY), earned(B, 8 * DAY), earned(A, DAY));
    const branch = branchOf({ records, candidateFiles: files(A, B) });
    expect(branch.promotions.map((promotion) => promotion['lead-time'])).toEqual([null, 2 * DAY, DAY]);
    expect(branch.figures['lead-time']).toEqual({ promotions: 2, p50: DAY, p90: 2 * DAY });
  });
});

describe('figures', () => {
  test('promotions a week are averaged over 12 weeks, or over the life of a younger ledger', () => {
    const week = 7 * DAY;
    const every = (age: number) => branchOf({ records: ledger(earned(A, age), earned(B, 2 * DAY), earned(C, DAY)) });
    expect(every(4 * week).figures['promotions-a-week']).toBe(0.8);
    expect(every(24 * week).figures['promotions-a-week']).toBe(0.2);
    expect(every(3 * DAY).figures['promotions-a-week']).toBeNull();
  });

  test('time to restore runs from a promotion to the rollback that ended it', () => {
    const records = ledger(earned(A, 9 * DAY), earned(B, 5 * DAY), [
      A,
      5 * DAY - 3 * HOUR,
      { kind: 'rollback', reason: 'bad' },
    ]);
    expect(branchOf({ records }).figures).toMatchObject({
      'time-to-restore': 3 * HOUR,
      'by-kind': { earned: 2, rollback: 1 },
    });
  });
});

describe('the last decision', () => {
  const red = decide(
    B,
    CRITERIA,
    [result('job-1', B, 'success', NOW - DAY), result('job-2', B, 'failure', NOW - DAY)],
    NOW - HOUR,
  );
  const about = (image: typeof A, changes: Partial<LastDecision> = {}) =>
    lastDecision({ reference: formatCandidate(image), 'decided-at': rfc3339(NOW - HOUR), ...changes });
  const records = ledger(earned(A, 3 * DAY));

  test.each<[string, boolean, LedgerRecord[], LastDecision]>([
    ['wait', true, records, about(B, { decision: 'wait' })],
    ['reject', true, records, about(B, { decision: 'reject' })],
    ['frozen', true, records, about(B, { decision: 'frozen' })],
    ['unchanged', false, records, about(A)],
    [
      'wait, and promoted since by hand',
      false,
      ledger(earned(A, 3 * DAY), [B, 60, { kind: 'forced', reason: 'must' }]),
      about(B, { decision: 'wait' }),
    ],
    ['wait, for a target that is new', true, records, about(A, { decision: 'wait' })],
  ])('%s: blocked is %s', (_, blocked, before, decision) => {
    expect(branchOf({ records: before, lastDecision: decision }).decision?.blocked).toBe(blocked);
  });

  test('names the jobs that block', () => {
    const branch = branchOf({ records, lastDecision: about(B, { decision: 'reject', report: red }) });
    expect(branch.decision?.jobs.map(({ job, state }) => [job, state])).toEqual([
      ['job-1', 'met'],
      ['job-2', 'unmet'],
    ]);
    expect(branch.decision?.['blocked-by'].map(({ jobs }) => jobs)).toEqual([[['job-2']]]);
    expect(branch.heartbeat).toBe(rfc3339(NOW - HOUR));
  });

  test.each([
    ['evaluated', B, { evaluated: true, promoted: false, banned: false }],
    ['new', C, { evaluated: false, promoted: false, banned: false }],
    ['promoted', A, { evaluated: false, promoted: true, banned: false }],
  ])('a candidate that is %s', (_, image, expected) => {
    const candidateFiles = new Map([[image.tag, candidateFile(image, NOW - DAY)]]);
    const branch = branchOf({ records, candidateTag: image.tag, candidateFiles, lastDecision: about(B) });
    expect(branch.candidate).toEqual({ tag: image.tag, digest: image.digest, found: rfc3339(NOW - DAY), ...expected });
  });

  test('a candidate that was rolled back is banned', () => {
    const held = ledger(earned(A, 3 * DAY), earned(B, 2 * DAY), [
      A,
      DAY,
      { kind: 'rollback', reason: 'bad', holds: [ban(B, NOW - DAY)] },
    ]);
    const candidateFiles = new Map([[B.tag, candidateFile(B, NOW - 4 * DAY)]]);
    expect(branchOf({ records: held, candidateTag: B.tag, candidateFiles }).candidate?.banned).toBe(true);
  });

  test('a candidate without a candidate file is known only by its tag', () => {
    const branch = branchOf({ records, candidateTag: A.tag });
    expect(branch.candidate).toMatchObject({ digest: null, found: null, promoted: true });
  });
});

describe('evaluations', () => {
  test('are newest first, one for each candidate, and mark what is promoted', () => {
    const report = decide(B, CRITERIA, [], NOW - HOUR);
    const decision = decide(A, CRITERIA, GREEN(A, NOW - 3 * DAY), NOW - 2 * DAY);
    const records = ledger(
      [A, 5 * DAY, { kind: 'forced', reason: 'must', decision: decide(A, CRITERIA, [], NOW - 5 * DAY) }],
      [A, 2 * DAY, { kind: 'earned', decision }],
    );
    const last = lastDecision({ reference: formatCandidate(B), decision: 'wait', report });
    const { jobs, evaluations } = branchOf({ records, lastDecision: last });
    expect(jobs).toEqual(JOBS);
    expect(
      evaluations.map(({ tag, outcome, current, cells }) => [tag, outcome, current, cells.map((cell) => cell?.state)]),
    ).toEqual([
      [B.tag, 'wait', false, ['unknown', 'unknown']],
      [A.tag, 'earned', true, ['met', 'met']],
    ]);
  });

  test('a job that was not in the criteria at that time has an empty cell', () => {
    const old = decide(A, criteriaOf(['job-0', 'job-2']), [], NOW - 3 * DAY);
    const records = ledger([A, 3 * DAY, { kind: 'forced', reason: 'must', decision: old }], earned(B, DAY));
    const { jobs, evaluations } = branchOf({ records });
    expect(jobs).toEqual(['job-1', 'job-2', 'job-0']);
    expect(evaluations.map(({ cells }) => cells.map((cell) => cell?.state ?? null))).toEqual([
      ['met', 'met', null],
      [null, 'unknown', 'unknown'],
    ]);
  });
});

describe('job figures', () => {
  const figures = (...results: ReturnType<typeof result>[]) => {
    const decision = decide(A, CRITERIA, results, NOW - DAY);
    const last = lastDecision({ reference: formatCandidate(A), report: decision });
    // The same evidence in the ledger and in the last decision.
    return branchOf({ records: ledger([A, DAY, { kind: 'forced', reason: 'must', decision }]), lastDecision: last })[
      'job-figures'
    ];
  };
  const at = (outcome: 'success' | 'failure' | 'running', age: number, image = A) =>
    result('job-1', image, outcome, NOW - age);

  test.each<[string, ReturnType<typeof result>[], object]>([
    ['a pass', [at('success', 2 * DAY)], { results: 1, passed: 1, tries: 1, flaky: 0 }],
    [
      'failed, then passed',
      [at('failure', 3 * DAY), at('success', 2 * DAY)],
      { results: 2, passed: 1, tries: 1, flaky: 1 },
    ],
    [
      'passed, then failed',
      [at('success', 3 * DAY), at('failure', 2 * DAY)],
      { results: 2, passed: 1, tries: 1, flaky: 0 },
    ],
    [
      'passed on other repositories',
      [at('failure', 3 * DAY), { ...at('success', 2 * DAY), 'aggregate-hash': 'other' }],
      { results: 2, passed: 1, tries: 2, flaky: 0 },
    ],
    ['still running', [at('failure', 3 * DAY), at('running', 2 * DAY)], { results: 1, passed: 0, tries: 1, flaky: 0 }],
    [
      'on another image of the tag',
      [at('success', 3 * DAY), at('failure', 2 * DAY, candidate(A.tag, 'other'))],
      { results: 1, passed: 1, tries: 1, flaky: 0 },
    ],
  ])('%s', (_, results, expected) => {
    expect(figures(...results)).toEqual([{ job: 'job-1', ...expected }]);
  });

  test('there are none without results', () => {
    expect(figures()).toEqual([]);
  });
});

test('waivers are those of the newest criteria, even if one has ended since', () => {
  const criteria = criteriaOf(JOBS, '  waivers: [{job: job-1, until: 2026-11-22, reason: flaky}]\n');
  const report = decide(A, criteria, [], NOW - 3 * DAY);
  const { waivers } = branchOf({ lastDecision: lastDecision({ reference: formatCandidate(A), report }) });
  expect(waivers).toEqual([{ job: 'job-1', until: '2026-11-22', reason: 'flaky', issue: null }]);
});

describe('health', () => {
  const failedSince = result('job-2', A, 'failure', NOW - HOUR);
  const waived = criteriaOf(JOBS, '  waivers: [{job: job-2, until: 2026-12-01, reason: flaky}]\n');
  const rolledBack = ledger(earned(A, 9 * DAY), earned(B, 5 * DAY), [A, DAY, { kind: 'rollback', reason: 'bad' }]);
  const evaluatedNow = (criteria: string, ...results: ReturnType<typeof result>[]) =>
    lastDecision({ reference: formatCandidate(A), report: decide(A, criteria, results, NOW - 60) });
  test.each<[BranchModel['health']['state'], string, Partial<BranchHistory>]>([
    ['nothing', 'no ledger', {}],
    ['unknown', 'a ledger that is not trusted', { ...failed('ledger'), records: ledger(earned(A, DAY)) }],
    ['passing', 'earned, and no vote since', { records: ledger(earned(A, DAY)) }],
    ['regressed', 'earned, and a vote against it since', { records: ledger(earned(A, DAY)), votes: [failedSince] }],
    [
      'passing',
      'a vote against another image',
      { records: ledger(earned(A, DAY)), votes: [result('job-2', B, 'failure', NOW - HOUR)] },
    ],
    [
      'passing',
      'failed, and passed again',
      { records: ledger(earned(A, DAY)), votes: [failedSince, result('job-2', A, 'success', NOW - 60)] },
    ],
    [
      'passing',
      'a job that runs again',
      { records: ledger(earned(A, DAY)), votes: [result('job-2', A, 'running', NOW - HOUR)] },
    ],
    [
      'regressed',
      'by the last run',
      {
        records: ledger(earned(A, DAY)),
        lastDecision: evaluatedNow(CRITERIA, ...GREEN(A, NOW - 30 * HOUR), failedSince),
      },
    ],
    [
      'passing',
      'a job that is waived now',
      {
        records: ledger(earned(A, DAY)),
        lastDecision: evaluatedNow(waived, ...GREEN(A, NOW - 30 * HOUR), failedSince),
      },
    ],
    ['unproven', 'adopted', { records: ledger([A, DAY]) }],
    [
      'unproven',
      'forced past a job',
      { records: ledger([A, DAY, { kind: 'forced', reason: 'must', decision: decide(A, CRITERIA, [], NOW - DAY) }]) },
    ],
    ['passing', 'rolled back to what was earned once', { records: rolledBack }],
    ['regressed', 'rolled back to what failed since it was earned', { records: rolledBack, votes: [failedSince] }],
    [
      'passing',
      'rolled back from what failed',
      { records: rolledBack, votes: [result('job-2', B, 'failure', NOW - HOUR)] },
    ],
  ])('%s: %s', (state, _, history) => {
    expect(branchOf(history).health.state).toBe(state);
  });

  test('names the jobs that failed, and makes the branch regressed, though it is on time', () => {
    const branch = branchOf({ records: ledger(earned(A, DAY)), votes: [failedSince] });
    expect(branch.health.jobs.map(({ job, since }) => [job, since])).toEqual([['job-2', rfc3339(NOW - HOUR)]]);
    expect([branch.state, branch.due]).toEqual(['regressed', rfc3339(NOW + 13 * DAY)]);
  });
});

describe('what to do next', () => {
  const [first] = ledger(earned(A, 9 * DAY));
  const records = ledger(earned(A, 9 * DAY), earned(B, 2 * DAY));
  const runs = 'gh workflow run promotion.yml -R forge.example/o/r -f branch=master';
  const blocked = decide(C, CRITERIA, [result('job-2', C, 'failure', NOW - DAY)], NOW - HOUR);
  test.each<[string, Partial<BranchHistory>, RegExp, string | null]>([
    ['nothing', { records, labelTag: B.tag, candidateTag: B.tag }, /^Nothing\.$/, null],
    [
      'a regression',
      { records, votes: [result('job-2', B, 'failure', NOW - HOUR)], labelTag: B.tag },
      /^Roll back to v6\.0\.1-a\.$/,
      `${runs} -f rollback-to=previous -f force-reason=WHY`,
    ],
    [
      'a regression of the first image',
      {
        records: first === undefined ? [] : [first],
        votes: [result('job-2', A, 'failure', NOW - HOUR)],
        labelTag: A.tag,
      },
      /^There is nothing to roll back to/,
      null,
    ],
    [
      'a failed job',
      {
        records,
        labelTag: B.tag,
        lastDecision: lastDecision({
          reference: formatCandidate(C),
          decision: 'reject',
          report: blocked,
          'decided-at': rfc3339(NOW - HOUR),
        }),
      },
      /^Read why job-2 failed/,
      null,
    ],
    ['a first run', {}, /^Run the first promotion/, 'gh workflow run promotion.yml -f branch=master'],
    ['a label without a ledger', { labelTag: A.tag }, /^Adopt v6\.0\.1-a/, null],
    [
      'a silent pipeline',
      {
        records,
        labelTag: B.tag,
        lastDecision: lastDecision({ reference: formatCandidate(B), 'decided-at': rfc3339(NOW - 60 * DAY) }),
      },
      /60 days/,
      `gh workflow enable promotion.yml -R forge.example/o/r && ${runs}`,
    ],
    ['a ledger that is not trusted', { ...failed('ledger'), records }, /^Find out who changed the ledger/, null],
    [
      'a label that is wrong',
      { records, labelTag: A.tag, candidateTag: B.tag },
      /^Run the promotion: it corrects the label/,
      runs,
    ],
  ])('%s', (_, history, what, command) => {
    const [step] = branchOf(history).next;
    expect(step?.what).toMatch(what);
    expect(step?.command).toBe(command);
  });

  test('names only inputs of the workflow and how-tos that exist', async () => {
    const { on } = v.parse(
      workflowSchema,
      parse(await readFile('.github/workflows/promotion.yml', 'utf8'), { merge: true }),
    );
    const branches = Object.keys(SCENES).flatMap((name) => sceneOf(name).model.branches);
    const steps = branches.flatMap(({ next }) => next);
    const fields = new Set(
      steps.flatMap(({ command }) => [...(command ?? '').matchAll(/ -f ([\w-]+)=/g)].map(([, name]) => name)),
    );
    expect(Object.keys(on.workflow_dispatch.inputs)).toEqual(expect.arrayContaining([...fields]));
    expect(fields.size).toBeGreaterThan(4);
    for (const step of steps) {
      const file = step['how-to']?.replace(/^.*\/blob\/v1\//, '');
      if (file !== undefined) await access(file);
    }
  });
});

test('the model of any history fits the schema of data.json', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 1, max: 400 }),
      fc.nat(),
      (promotions, hours, seed) => {
        const model = summarize([busyHistory('master', promotions, hours * HOUR, seed)], SETTINGS, NOW);
        expect(JSON.parse(JSON.stringify(v.parse(dashboardSchema, model)))).toEqual(model);
        expect(model.branches[0]?.promotions.length).toBeGreaterThanOrEqual(promotions);
      },
    ),
    { numRuns: 25 },
  );
});

describe('problems', () => {
  const zuulDown = { job: 'nightly', failure: 'no answer', builds: [] };
  const modelAt = (now: number, failures: Failure[], before?: DashboardModel) =>
    summarize([emptyHistory('master', { failures })], SETTINGS, now, [zuulDown], before);
  const problemsOf = (model: DashboardModel) => model.branches.flatMap(({ problems }) => problems);

  test('of one source are one problem with their number', () => {
    const failures: Failure[] = [
      { source: 'candidate files', why: 'a' },
      { source: 'DLRN', why: 'b' },
      { source: 'candidate files', why: 'c' },
    ];
    expect(problemsOf(modelAt(NOW, failures)).map(({ source, why }) => [source, why])).toEqual([
      ['candidate files', 'a; and 1 more'],
      ['DLRN', 'b'],
    ]);
  });

  test('keep the time of the first dashboard that had them without a break, even if their wording changes', () => {
    const first = modelAt(NOW - 2 * HOUR, [{ source: 'DLRN', why: 'no answer' }]);
    const second = modelAt(NOW - HOUR, [{ source: 'DLRN', why: 'answered 500' }], first);
    expect(problemsOf(second)).toEqual([{ source: 'DLRN', since: rfc3339(NOW - 2 * HOUR), why: 'answered 500' }]);
    expect(second.nightly[0]?.problem).toEqual({ since: rfc3339(NOW - 2 * HOUR), why: 'no answer' });
    const mended = modelAt(NOW - 60, [], second);
    expect(problemsOf(mended)).toEqual([]);
    expect(problemsOf(modelAt(NOW, [{ source: 'DLRN', why: 'no answer' }], mended))[0]?.since).toBe(rfc3339(NOW));
  });

  test('of an unreadable label are not reported as a wrong label', () => {
    const branch = branchOf({ records: ledger(earned(A, DAY)), ...failed('label') });
    expect(branch.problems.map(({ why }) => why)).toEqual(['no answer']);
  });
});

describe('votes', () => {
  const lastRun = (image: typeof A, results: ReturnType<typeof result>[], criteria = CRITERIA) => {
    const report = decide(image, criteria, results, NOW - 9 * HOUR);
    return { lastDecision: lastDecision({ reference: formatCandidate(image), decision: 'wait', report }) };
  };
  const rowsOf = (history: Partial<BranchHistory>) =>
    branchOf(history).evaluations.map(({ tag, outcome, cells }) => [tag, outcome, cells.map((cell) => cell?.state)]);

  test('show candidates without a decision, and count', () => {
    const votes = [
      result('job-1', B, 'success', NOW - 30 * HOUR),
      result('job-2', B, 'failure', NOW - 29 * HOUR),
      result('job-2', C, 'success', NOW - 2 * HOUR),
    ];
    const history = { ...lastRun(A, GREEN(A, NOW - 10 * HOUR)), votes };
    expect(rowsOf(history)).toEqual([
      [C.tag, 'undecided', ['unknown', 'met']],
      [A.tag, 'promote', ['met', 'met']],
      [B.tag, 'undecided', ['met', 'unmet']],
    ]);
    expect(branchOf(history)['job-figures']).toEqual([
      { job: 'job-1', results: 2, passed: 2, tries: 2, flaky: 0 },
      { job: 'job-2', results: 3, passed: 2, tries: 3, flaky: 0 },
    ]);
  });

  test('after the decision change the cells but not the decision, and are counted once', () => {
    const before = [result('job-1', A, 'success', NOW - 10 * HOUR), result('job-2', A, 'failure', NOW - 10 * HOUR)];
    const history = { ...lastRun(A, before), votes: [...before, result('job-2', A, 'success', NOW - HOUR)] };
    expect(rowsOf(history)).toEqual([[A.tag, 'reject', ['met', 'met']]]);
    const branch = branchOf(history);
    expect(branch.decision?.jobs.map(({ state }) => state)).toEqual(['met', 'unmet']);
    expect(branch['job-figures'].map(({ results, flaky }) => [results, flaky])).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });

  test('that the decision used change nothing, even if DLRN has lost some of them', () => {
    const green = GREEN(A, NOW - 10 * HOUR);
    const history = lastRun(A, green);
    expect(branchOf({ ...history, votes: green.slice(1) })).toEqual(branchOf(history));
  });

  test('against an earned image leave it earned', () => {
    const history = { records: ledger(earned(A, DAY)), votes: [result('job-2', A, 'failure', NOW - HOUR)] };
    expect(rowsOf(history)).toEqual([[A.tag, 'earned', ['unknown', 'unmet']]]);
  });

  test('count by the criteria: only of trusted users, and on bare tags if the candidate file has their digest', () => {
    const criteria = criteriaOf(JOBS, '  trusted-users: [ciuser]\n  bare-tags: true\n');
    const bare = { ...result('job-1', B, 'success', NOW - HOUR), candidate: { tag: B.tag } };
    const foreign = { ...result('job-2', B, 'success', NOW - HOUR), user: 'eve' };
    const known = { candidateFiles: new Map([[B.tag, candidateFile(B, NOW - DAY)]]) };
    const history = { ...lastRun(A, [], criteria), votes: [bare, foreign] };
    expect(rowsOf({ ...history, ...known })[0]).toEqual([B.tag, 'undecided', ['met', 'unknown']]);
    expect(rowsOf({ ...history, votes: [bare] })).toEqual([[A.tag, 'wait', ['unknown', 'unknown']]]);
  });

  test('with an impossible time are unknown', () => {
    const votes = [result('job-1', B, 'success', NOW + DAY), result('job-2', B, 'success', -5)];
    const [row] = branchOf({ ...lastRun(A, []), votes }).evaluations;
    expect(row?.['evaluated-at']).toBe(rfc3339(NOW));
    expect(row?.cells.map((cell) => cell?.state)).toEqual(['unknown', 'unknown']);
  });

  test('are a problem, not an error, if a waiver in their criteria has ended', () => {
    const waived = criteriaOf(JOBS, '  waivers: [{job: job-1, until: 2026-11-23, reason: flaky}]\n');
    const report = decide(A, waived, [], NOW - 2 * DAY);
    const last = lastDecision({ reference: formatCandidate(A), decision: 'wait', report });
    const branch = branchOf({ lastDecision: last, votes: [result('job-1', B, 'success', NOW - HOUR)] });
    expect(branch.problems).toMatchObject([{ source: 'criteria', why: expect.stringContaining('ended on') }]);
  });

  test('and waivers are left out if the criteria cannot be read, which is a problem', () => {
    const { lastDecision: last } = lastRun(A, []);
    const report = {
      ...decide(A, CRITERIA, [], NOW - HOUR),
      criteria: { ...decide(A, CRITERIA, [], NOW).criteria, content: '[' },
    };
    const branch = branchOf({ lastDecision: { ...last, report }, votes: GREEN(B, NOW - HOUR) });
    expect(branch.problems).toMatchObject([{ source: 'criteria' }]);
    expect(branch.evaluations.map(({ tag }) => tag)).toEqual([A.tag]);
  });

  test('are not evaluated before the first decision, which has the criteria', () => {
    expect(branchOf({ votes: GREEN(A, NOW - DAY) }).evaluations).toEqual([]);
  });
});
