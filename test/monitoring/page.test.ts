import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rfc3339 } from '../../src/base/clock.js';
import { type Candidate, formatCandidate } from '../../src/candidate/reference.js';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { renderPage } from '../../src/monitoring/page.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
import { summarize } from '../../src/monitoring/summarize.js';
import {
  ban,
  busyHistory,
  candidate,
  candidateFile,
  criteriaOf,
  DAY,
  decide,
  downHistory,
  emptyHistory,
  HOSTILE,
  HOUR,
  hostileHistory,
  hostileNightly,
  lastDecision,
  NOW,
  nightlyJobs,
  record,
  result,
  SETTINGS,
  tag,
} from './fixture.js';

const NEW = candidate('v6.0.8-new');
const OLD = candidate('v6.0.7-old');

function pageOf(...histories: BranchHistory[]): string {
  return renderPage(summarize(histories, SETTINGS, NOW));
}

/** What a reader without eyes for markup gets: one line, blanks and entities resolved. */
function words(page: string): string {
  const entities = new Map([
    ['&lt;', '<'],
    ['&gt;', '>'],
    ['&quot;', '"'],
    ['&#39;', "'"],
    ['&amp;', '&'],
  ]);
  return page
    .replace(/<(style|title)>.*?<\/\1>/gs, '')
    .replace(/<br>|<\/(?:dt|dd|td|th|li|p|div|h\d)>/g, ' ')
    .replace(/<[^>]*>/g, '')
    .replace(/&[#\w]+;/g, (entity) => entities.get(entity) ?? entity)
    .replace(/\s+/g, ' ');
}

/** The names of all tags, in order: what the document is made of, whatever its words are. */
function skeleton(page: string): string {
  return [...page.matchAll(/<(\/?[a-z0-9]+|!DOCTYPE)/gi)].map(([, name]) => name).join(' ');
}

function promoted(image: Candidate, changes: Partial<BranchHistory> = {}, more = {}): BranchHistory {
  const records = [record([], image, NOW - 2 * DAY, more)];
  return emptyHistory('master', { records, labelTag: image.tag, ...changes });
}

describe('states', () => {
  test('nothing at all', () => {
    const page = words(pageOf(emptyHistory()));
    expect(page).toContain('Nothing has been promoted yet.');
    expect(page).toContain('Nothing: no candidate is under test.');
    expect(page).toContain('No evaluation is recorded yet.');
    expect(page).toContain('None yet. The first one writes ledger/current-ceph/1.json.');
    expect(page).toContain('When the pipeline last ran is not recorded.');
  });

  test('a label without a ledger, as RDO leaves it', () => {
    const page = words(pageOf(emptyHistory('master', { labelTag: tag('v5.0.12-rdo') })));
    expect(page).toContain('v5.0.12-rdo by its label; without a ledger nobody knows its digest');
  });

  test('a branch that cannot be read, among others that can', () => {
    const page = words(pageOf(downHistory(), promoted(OLD)));
    const since = 'could not be read or trusted since 2026-11-24 11:34 UTC (just now)';
    expect(page).toContain(`zed broken Not known. ledger ${since}: GET https://images.example: no answer`);
    expect(page).toContain('master on time');
  });

  test('what could not be read is not told as what is not there', () => {
    const page = words(pageOf(downHistory('zed', 'image server')));
    for (const words of ['No ', 'None', 'Nothing', 'not recorded']) expect(page).not.toContain(words);
    expect(page).toContain('Promoted Not known. Blocked by Not known. Candidates and jobs Not known.');
    const label = words(pageOf({ ...promoted(OLD), failures: downHistory('', 'candidate label').failures }));
    expect(label).not.toContain('o candidate is under test');
  });

  test('one promotion', () => {
    const page = words(pageOf(promoted(OLD, { candidateTag: OLD.tag })));
    expect(page).toContain(`master on time ${OLD.tag}@${OLD.digest.slice(7, 19)} adopted`);
    expect(page).toContain('Promoted 2026-11-22 11:34 UTC 2 days ago, target 14 d');
    expect(page).toContain(formatCandidate(OLD));
    expect(page).toContain('Nothing: the candidate under test is what is promoted.');
    expect(page).toContain('none: there is no way back');
  });

  test('forced: by whom, why, and past what', () => {
    const changes = {
      kind: 'forced',
      who: 'alice',
      reason: 'the lab is down',
      'skipped-jobs': ['job-2'],
      overridden: ['wait'],
      quarantine: [ban(NEW, NOW - DAY, 'evil')],
    };
    const page = words(pageOf(promoted(OLD, {}, changes)));
    expect(page).toContain('forced by alice, run Reason the lab is down Skipped job-2 Overridden wait Previous');
    expect(page).toContain('forced 1 quarantined');
    expect(page).toContain('quarantined for good since 2026-11-23 11:34 UTC (24 hours ago) alice: evil');
  });

  test('rolled back: what was left is on hold, and the last success is older', () => {
    const first = record([], OLD, NOW - 9 * DAY);
    const second = record([first], NEW, NOW - 5 * DAY, { kind: 'forced', reason: 'must' });
    const back = record([second, first], OLD, NOW - DAY, {
      kind: 'rollback',
      who: 'bob',
      reason: 'OSDs crash',
      holds: [ban(NEW, NOW - DAY)],
    });
    const files = new Map([[NEW.tag, candidateFile(NEW, NOW - 6 * DAY)]]);
    const history = emptyHistory('master', {
      records: [back, second, first],
      candidateTag: NEW.tag,
      candidateFiles: files,
    });
    const page = words(pageOf(history));
    expect(page).toContain('rolled back 1 on hold');
    expect(page).toContain('Rolled back 2026-11-23 11:34 UTC Last success 5 days ago, target 14 d');
    expect(page).toContain('It is on hold or quarantined, and is not promoted.');
    expect(page).toContain('on hold, until it is lifted or a newer version is promoted, since 2026-11-23 11:34 UTC');
  });

  test('a dead pipeline', () => {
    const lastRun = lastDecision({ reference: formatCandidate(OLD), 'decided-at': rfc3339(NOW - 6 * DAY) });
    const page = pageOf(promoted(OLD, { lastDecision: lastRun }));
    expect(words(page)).toContain('target 14 d Last run 6 days ago');
    expect(words(page)).toContain('master silent The pipeline last ran 2026-11-18 11:34 UTC (6 days ago).');
    expect(words(page)).toContain('Do not trust this page after 2026-11-28 11:34 UTC');
  });
});

describe('votes of DLRN', () => {
  const report = decide(NEW, criteriaOf(['job-1']), [result('job-1', NEW, 'failure', NOW - 5 * HOUR)], NOW - 4 * HOUR);
  const decidedAt = rfc3339(NOW - 4 * HOUR);
  const reference = formatCandidate(NEW);
  const last = lastDecision({ reference, decision: 'reject', report, 'decided-at': decidedAt });
  const history = promoted(OLD, { dlrn: 'https://dlrn.example/api-master', lastDecision: last });

  test('on an image that no run came to a decision on', () => {
    const other = candidate('v6.0.9-superseded');
    const page = words(pageOf({ ...history, votes: [result('job-1', other, 'success', NOW - 2 * HOUR)] }));
    expect(page).toContain(`${other.tag}@${other.digest.slice(7, 19)} no decision 2 hours ago`);
    expect(page).toContain('and of the votes on the newest aggregate hashes of DLRN.');
    expect(page).not.toContain('Votes have come since');
  });

  test('that came after the last decision', () => {
    const page = words(pageOf({ ...history, votes: [result('job-1', NEW, 'success', NOW - 2 * HOUR)] }));
    expect(page).toContain('job-1 unmet: failed');
    expect(page).toContain('Votes have come since, the newest 2026-11-24 09:34 UTC (2 hours ago)');
  });

  test('that cannot be read, since the dashboard before', () => {
    const down = { ...history, failures: downHistory('master', 'DLRN').failures };
    const before = summarize([down], SETTINGS, NOW - 2 * DAY);
    const page = words(renderPage(summarize([down], SETTINGS, NOW, [], before)));
    const line =
      'DLRN could not be read or trusted since 2026-11-22 11:34 UTC (2 days ago): GET https://images.example';
    // In the line of the branch and in its section.
    expect(page.split(line).length - 1).toBe(2);
    expect(page).toContain('master on time');
  });
});

test('nightly builds, and jobs whose builds cannot be read', () => {
  const [first, ...more] = nightlyJobs();
  const down = { job: 'nightly-down', failure: 'GET https://zuul.example: no answer', builds: [] };
  const none = { job: 'nightly-none', failure: undefined, builds: [] };
  const page = renderPage(
    summarize([emptyHistory()], SETTINGS, NOW, first === undefined ? [] : [first, down, none, ...more]),
  );
  expect(words(page)).toContain(
    'tripleo-ci-centos-9-scenario001-ceph-nightly-master running running passed, 2026-11-23 03:34 UTC failed, 2026-11-22 03:34 UTC',
  );
  expect(words(page)).toContain('nothing known (NODE_FAILURE), 2026-11-18');
  expect(page).toContain('href="https://logs.example/scenario001/2"');
  expect(words(page)).toContain(
    'nightly-down not readable since 2026-11-24 11:34 UTC (just now): GET https://zuul.example: no answer nightly-none no build',
  );
  expect(words(pageOf(emptyHistory()))).not.toContain('Nightly builds');
});

describe('blocked by', () => {
  const criteria = `current-ceph:\n  required: [job-1]\n  any-of: [[job-2, job-3]]\n`;
  const blocked = (results: ReturnType<typeof result>[], changes = {}) => {
    const report = decide(NEW, criteria, results, NOW - HOUR);
    const reference = formatCandidate(NEW);
    const { verdict: decision, reason } = report;
    return words(
      pageOf(
        promoted(OLD, {
          lastDecision: lastDecision({
            reference,
            decision: decision === 'promote' ? 'frozen' : decision,
            reason,
            report,
            ...changes,
          }),
        }),
      ),
    );
  };

  test('jobs that failed or are missing, and what would promote it', () => {
    const page = blocked([result('job-1', NEW, 'failure', NOW - 5 * HOUR)]);
    expect(page).toContain(`Rejected ${NEW.tag}: 1 failed (5 hours ago); 2 no result; 3 no result`);
    expect(page).toContain('job-1 unmet: failed, since 2026-11-24 06:34 UTC (5 hours ago), result');
    expect(page).toContain(
      'It would promote if job-1, and one of job-2, job-3 passed (with aggregate hash 5b1e2ff02f8f).',
    );
  });

  test('a freeze, while all jobs passed', () => {
    const passed = ['job-1', 'job-2'].map((job) => result(job, NEW, 'success', NOW - 5 * HOUR));
    const page = blocked(passed, { reason: 'the criteria are met, but promotion is frozen: release week' });
    expect(page).toContain(`Frozen ${NEW.tag}: the criteria are met, but promotion is frozen: release week`);
    expect(page).not.toContain('It would promote');
  });

  test('a candidate that no run has seen', () => {
    const candidateFiles = new Map([[NEW.tag, candidateFile(NEW, NOW - 3 * HOUR)]]);
    const page = words(pageOf(promoted(OLD, { candidateTag: NEW.tag, candidateFiles })));
    expect(page).toContain(`Under test: ${NEW.tag}, found 3 hours ago`);
    expect(page).toContain('No run has come to a decision about it yet (there is no ledger/current-ceph.json).');
  });
});

describe('what others wrote', () => {
  const page = (text: string) =>
    renderPage(summarize([hostileHistory(text)], { ...SETTINGS, title: `t${text}` }, NOW, hostileNightly(text)));
  const harmless = skeleton(page('harmless'));

  test.each(HOSTILE)('%j is text', (text) => {
    expect(skeleton(page(text))).toBe(harmless);
  });

  test('no text changes what the page is made of', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'<>"\'&/= -!`a\u202e\n', 'script', 'onload=', 'javascript:') }),
        (text) => {
          expect(skeleton(page(text))).toBe(harmless);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('only web addresses become links', () => {
    const hrefs = (text: string) => [...page(text).matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
    expect(
      hrefs('javascript:alert(1)').filter((href) => !/^(https:\/\/|#|data:,$|[a-z]+\.[a-z]+$)/.test(href ?? '')),
    ).toEqual([]);
  });

  test('tags and names as long as they may be', () => {
    const long = candidate(`v${'9'.repeat(127)}`);
    const text = words(pageOf(promoted(long)));
    expect(text).toContain(`${long.tag}@`);
  });
});

describe('the document', () => {
  const histories = [busyHistory('master', 20), busyHistory('wallaby', 20, 7 * DAY, 2), emptyHistory('zed')];
  const page = renderPage(summarize(histories, SETTINGS, NOW, nightlyJobs()));

  test('runs and loads nothing', () => {
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:;`);
    expect(page).not.toMatch(/<script|<iframe|<object|<form|\son[a-z]+=|@import|url\(|<link rel="stylesheet"|src=/i);
  });

  test('closes what it opens, in order', () => {
    const open: string[] = [];
    for (const [, close, name = '', , self] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*?)?)(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name);
      else if (self !== '/' && !['meta', 'link', 'br'].includes(name)) open.push(name);
    }
    expect(open).toEqual([]);
  });

  test('has each id once, and a target for each of its own links', () => {
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const targets = [...page.matchAll(/(?:href="#|aria-labelledby=")([^"]*)"/g)].map(([, target]) => target);
    expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
  });

  test('has headings without gaps, and a name for each table', () => {
    const levels = [...page.matchAll(/<h(\d)/g)].map(([, level]) => Number(level));
    expect(levels[0]).toBe(1);
    levels.slice(1).forEach((level, index) => {
      expect(level).toBeLessThanOrEqual((levels[index] ?? 0) + 1);
    });
    const tables = page.split('<table').length - 1;
    const named = page.split('<caption').length + page.split('role="region"').length - 2;
    expect(named).toBe(tables);
  });
});

test('five branches of a thousand promotions take less than 2 s and 1 MB', () => {
  const histories = ['master', 'zed', 'yoga', 'xena', 'wallaby'].map((branch, index) =>
    busyHistory(branch, 1000, DAY, index),
  );
  for (const { records = [] } of histories) expect(records.length).toBeGreaterThanOrEqual(1000);
  // By the processor's time: what else runs on the machine is not ours.
  const start = process.cpuUsage();
  const files = renderFiles(summarize(histories, SETTINGS, NOW));
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(2000);
  for (const text of files.values()) expect(Buffer.byteLength(text)).toBeLessThan(1_000_000);
});
