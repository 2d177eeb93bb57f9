import { describe, expect, test } from '@jest/globals';
import { summarizePromotion } from '../../src/actions/shared/promotion-summary.js';
import { decisionOf, type LedgerRecord } from '../../src/ledger/record.js';
import type { Promoted } from '../../src/promotion/promote.js';
import type { Outcome } from '../../src/rules/outcome.js';
import type { RunContext } from '../../src/runner/context.js';
import { banOn, CURRENT, image, recordOf, reportOn } from '../ledger/fixture.js';

const PLACES = {
  label: CURRENT,
  store: 'sftp://ci@images.example/ceph',
  url: new URL('https://images.example/ceph/'),
  dashboard: new URL('https://pages.example/#master'),
  workflow: 'promotion.yml',
  dispatchInputs: { branch: 'master' },
};
const CONTEXT = {
  isGitHub: true,
  runUrl: 'https://github.com/owner/name/actions/runs/7/attempts/1',
} as RunContext;

const OLD = recordOf('v1', 1);
const short = (name: string) => `\`${name}\` (\`${image(name).digest.slice(7, 19)}…\`)`;

/** The summary of a run that wrote `record` after `OLD`, or nothing. */
function summaryOf(
  record: LedgerRecord | undefined,
  outcome: Partial<Outcome> & Pick<Outcome, 'decision'>,
  { dryRun = false, context = CONTEXT, withoutReferrers = [] as string[] } = {},
): string {
  const head = record ?? OLD;
  const promoted: Promoted = {
    outcome: {
      reason: head.reason,
      candidate: head.candidate,
      previous: head.previous,
      report: decisionOf(head),
      ...outcome,
    },
    record: head,
    before: OLD,
    lastPromotion: undefined,
    withoutReferrers,
  };
  return summarizePromotion(promoted, dryRun, PLACES, context);
}

function rowsOf(summary: string): Record<string, string> {
  return Object.fromEntries(
    summary.split('\n').flatMap((line) => {
      const [, name, text] = /^\| (\w[\w ]*) \| (.*) \|$/.exec(line) ?? [];
      return name === undefined || text === undefined ? [] : [[name, text]];
    }),
  );
}

const PROMOTED = recordOf('v2', 2, undefined, { previous: image('v1') });

test('a promotion says what was promoted, where to, what was promoted before, and how to undo it', () => {
  const summary = summaryOf(PROMOTED, { decision: 'promote' });
  expect(summary.split('\n')[0]).toBe('## current-ceph: promoted v2');
  expect(rowsOf(summary)).toMatchObject({
    Image: `\`quay.io/ceph/daemon:v2@${image('v2').digest}\``,
    Before: short('v1'),
    Why: 'because',
    Who: 'alice, by schedule',
    Target: `\`quay.io/tripleomastercentos9/daemon:v2\` and \`:current-ceph\`, \`${image('v2').digest.slice(7, 19)}…\``,
    Label: '`current-ceph` names `v2` at `sftp://ci@images.example/ceph`',
    Previous: short('v1'),
    'On hold': 'nothing',
    Record: '[2](https://images.example/ceph/ledger/current-ceph/2.json), earned',
    Proof: 'attached at each target',
    Dashboard: 'https://pages.example/#master',
  });
  expect(summary).toContain(
    'gh workflow run promotion.yml -R owner/name -f branch=master -f rollback-to=previous -f force-reason=WHY',
  );
  expect(summary).toContain('| deploy | met | passed |');
  expect(summary).not.toContain('would promote if');
});

test('a dry run does not claim that a record or a proof was written or that a label moved', () => {
  const summary = summaryOf(PROMOTED, { decision: 'promote' }, { dryRun: true });
  const rows = rowsOf(summary);
  expect(summary.split('\n')[0]).toBe('## dry run: current-ceph: would promote v2');
  expect(rows).not.toHaveProperty('Record');
  expect(rows).not.toHaveProperty('Proof');
  expect(rows).toMatchObject({ Label: '`current-ceph` would name `v2` at `sftp://ci@images.example/ceph`' });
});

test('each digest is written in full at most once', () => {
  const holds = [{ ...banOn('v3'), reason: `${image('v3').digest} fails` }];
  const summary = summaryOf({ ...PROMOTED, holds } as LedgerRecord, { decision: 'promote' });
  const long = summary.match(/[0-9a-f]{64}/g) ?? [];
  expect(long).toEqual([image('v2').digest.slice(7)]);
});

test('there is exactly one main headline', () => {
  expect(summaryOf(PROMOTED, { decision: 'promote' }).match(/^##? /gm)).toHaveLength(1);
});

const report = reportOn(image('v2'), ['deploy']);
const held = (name: string) => ({ holds: [banOn(name)] });

describe('each decision', () => {
  const rolledBack = recordOf('v0', 2, undefined, { kind: 'rollback', ...held('v1') });
  const forced = recordOf('v2', 2, undefined, { kind: 'forced', previous: image('v1') });
  const hold = recordOf('v1', 2, undefined, { kind: 'hold', previous: image('v0'), ...held('v5') });
  const quarantine = recordOf('v1', 2, undefined, { kind: 'quarantine', quarantine: [banOn('v6')] });
  const adopted = recordOf('v2', 2, undefined, { kind: 'adopted' });
  const candidate = image('v2');

  test.each<
    [string, LedgerRecord | undefined, Pick<Outcome, 'decision'> & Partial<Outcome>, Record<string, string>, RegExp]
  >([
    [
      'current-ceph: rolled back from v1 to v0',
      rolledBack,
      { decision: 'rollback' },
      {
        Before: short('v1'),
        'On hold': `${short('v1')}: it is broken`,
        Previous: 'nothing: there is no image to roll back to',
      },
      /Undo:\*\* start `promotion.yml` by hand with .*`lift-hold: v1`.*Then the next run promotes v1 again if it meets the criteria; if not, force it\.\n[\s\S]* -f lift-hold=v1 /,
    ],
    [
      'current-ceph: forced v2',
      forced,
      { decision: 'force', skippedJobs: ['deploy'], overridden: ['reject'] },
      { Skipped: '`deploy`', Overridden: 'reject' },
      /-f rollback-to=previous/,
    ],
    [
      'current-ceph: put v5 on hold',
      hold,
      { decision: 'unchanged' },
      { Image: `\`v5@${banOn('v5').digest}\``, 'Promoted now': short('v1'), 'On hold': `${short('v5')}: it is broken` },
      new RegExp(`-f lift-hold=${banOn('v5').digest} `),
    ],
    [
      'current-ceph: quarantined v6',
      quarantine,
      { decision: 'unchanged' },
      { Image: `\`v6@${banOn('v6').digest}\``, 'Promoted now': short('v1') },
      /Undo:\*\* nothing ends a quarantine/,
    ],
    [
      'current-ceph: adopted v2',
      adopted,
      { decision: 'adopt' },
      { Record: expect.stringContaining('adopted') as never },
      /Undo/,
    ],
    [
      `current-ceph: v2 is rejected: ${report.reason}`,
      undefined,
      { decision: 'reject', reason: report.reason, candidate, report },
      { 'Promoted now': short('v1') },
      /-f force-tag=v2 -f force-confirm=v2 -f skip-jobs=deploy -f force-reason=WHY/,
    ],
    [
      'current-ceph: v2 waits: no result',
      undefined,
      { decision: 'wait', reason: 'no result', candidate },
      {},
      /Promoted now/,
    ],
    [
      'current-ceph: frozen: a release',
      undefined,
      { decision: 'frozen', reason: 'a release', candidate },
      {},
      /Promoted now/,
    ],
    ['current-ceph: nothing changed: v1 is promoted already', undefined, { decision: 'unchanged' }, {}, /Record/],
  ])('%s', (headline, record, outcome, rows, text) => {
    const summary = summaryOf(record, outcome);
    expect(summary.split('\n')[0]).toBe(`## ${headline}`);
    expect(rowsOf(summary)).toMatchObject(rows);
    expect(summary).toMatch(text);
  });

  test('a lifted hold names its image', () => {
    const before = recordOf('v1', 1, undefined, held('v5'));
    const lift = recordOf('v1', 2, undefined, { kind: 'lift' });
    const promoted: Promoted = {
      outcome: { decision: 'unchanged', reason: 'x', candidate: image('v1'), previous: undefined, report: undefined },
      record: lift,
      before,
      lastPromotion: undefined,
      withoutReferrers: [],
    };
    const summary = summarizePromotion(promoted, false, PLACES, CONTEXT);
    expect(summary.split('\n')[0]).toBe('## current-ceph: lifted the hold on v5');
    expect(summary).toContain(`-f hold=${banOn('v5').digest}`);
  });
});

test.each([
  ['the evidence', report.reason, true],
  ['a quarantine', 'v2 is quarantined', false],
])('if %s keeps a candidate back, a force is offered: %s', (_, reason, offered) => {
  const summary = summaryOf(undefined, { decision: 'reject', reason, candidate: image('v2'), report });
  expect(summary.includes('force-tag')).toBe(offered);
  expect(summary).toContain('would promote if deploy passed');
});

test('a dry run says what it would do, and shows no undo', () => {
  const summary = summaryOf(PROMOTED, { decision: 'promote' }, { dryRun: true });
  expect(summary.split('\n')[0]).toBe('## dry run: current-ceph: would promote v2');
  expect(summary).not.toContain('Undo');
});

test('if gh cannot start the workflow, only the inputs are named', () => {
  const summary = summaryOf(PROMOTED, { decision: 'promote' }, { context: { ...CONTEXT, isGitHub: false } });
  expect(summary).toContain(
    'start `promotion.yml` by hand with `branch: master`, `rollback-to: previous`, `force-reason: WHY`',
  );
  expect(summary).not.toContain('gh workflow');
});

test('a target that keeps no proof is named', () => {
  const summary = summaryOf(PROMOTED, { decision: 'promote' }, { withoutReferrers: ['quay.io/a/b'] });
  expect(rowsOf(summary).Proof).toBe('not kept by `quay.io/a/b`');
});

test('a regression names the jobs that failed', () => {
  const job = { job: 'deploy', since: '2026-11-24T01:00:00Z', url: 'https://ci.example/9' };
  const regression = { jobs: [job] } as unknown as NonNullable<Outcome['regression']>;
  const summary = summaryOf(undefined, { decision: 'unchanged', regression });
  expect(summary.split('\n')[0]).toBe('## current-ceph: v1 is promoted, and has regressed');
  expect(rowsOf(summary).Regressed).toMatch(
    /v1@[0-9a-f]{12}…, .*regressed: deploy has failed since 2026-11-24T01:00:00Z/,
  );
  const replaced = summaryOf(PROMOTED, { decision: 'promote', regression });
  expect(rowsOf(replaced).Regressed).toMatch(
    /v1@[0-9a-f]{12}…, which was promoted when this run began, had regressed: deploy /,
  );
});

test('an image that is promoted already is not told how it would be promoted', () => {
  const outcome = { decision: 'unchanged', candidate: image('v1'), report: reportOn(image('v1'), ['deploy']) } as const;
  expect(summaryOf(undefined, outcome)).not.toContain('would promote if');
});

test('a regression says how to go back', () => {
  const regression = { jobs: [{ job: 'deploy', since: null, url: null }] } as unknown as NonNullable<
    Outcome['regression']
  >;
  const before = { ...OLD, previous: image('v0') } as LedgerRecord;
  const outcome = {
    decision: 'unchanged',
    reason: 'x',
    candidate: image('v1'),
    previous: image('v0'),
    report: undefined,
    regression,
  } as const;
  const promoted = { outcome, record: before, before, lastPromotion: undefined, withoutReferrers: [] };
  expect(summarizePromotion(promoted, false, PLACES, CONTEXT)).toMatch(
    /Go back to v0:\*\* [\s\S]* -f rollback-to=previous /,
  );
});

test('text from outside never becomes markup', () => {
  const summary = summaryOf({ ...PROMOTED, reason: 'a | b <img> `c`' }, { decision: 'promote' });
  expect(rowsOf(summary).Why).toBe('a &#124; b &#60;img&#62; &#96;c&#96;');
});
