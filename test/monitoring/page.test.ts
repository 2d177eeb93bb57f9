import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { rfc3339 } from '../../src/base/clock.js';
import { type Candidate, candidateSchema, formatCandidate } from '../../src/candidate/reference.js';
import { renderBranchPage } from '../../src/monitoring/branch-page.js';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { renderPage } from '../../src/monitoring/page.js';
import { recordPages } from '../../src/monitoring/page-parts.js';
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
import { SCENES, sceneOf } from './scenes.js';

const NEW = candidate('v6.0.8-new');
const OLD = candidate('v6.0.7-old');

function pageOf(...histories: BranchHistory[]): string {
  return renderPage(summarize(histories, SETTINGS, NOW));
}

function branchPageOf(history: BranchHistory): string {
  const model = summarize([history], SETTINGS, NOW);
  const [branch] = model.branches;
  return branch === undefined ? '' : renderBranchPage(branch, model);
}

function recordPageOf(history: BranchHistory): string {
  return renderFiles(summarize([history], SETTINGS, NOW), [history]).get('records-zed-1.html') ?? '';
}

/** The text of a page, in one line; the name of a link that is only an icon counts. */
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
    .replace(/<a href="[^"]*" title="([^"]*)">/g, '$1')
    .replace(/<br>|<div|<[ou]l|<(?:dt|dd|li)\b|<code class="command">|<\/(?:dt|dd|td|th|li|p|div|h\d|summary)>/g, ' $&')
    .replace(/<[^>]*>/g, '')
    .replace(/&[#\w]+;/g, (entity) => entities.get(entity) ?? entity)
    .replace(/\s+/g, ' ');
}

/** The names of all tags, in order: the structure of the document without its words. */
function skeleton(page: string): string {
  return [...page.matchAll(/<(\/?[a-z0-9]+|!DOCTYPE)/gi)].map(([, name]) => name).join(' ');
}

function promoted(image: Candidate, changes: Partial<BranchHistory> = {}, more = {}): BranchHistory {
  const records = [record([], image, NOW - 2 * DAY, more)];
  return emptyHistory('master', { records, labelTag: image.tag, ...changes });
}

describe('what is promoted', () => {
  test('nothing at all', () => {
    const page = words(pageOf(emptyHistory()));
    expect(page).toContain('Nothing has been promoted yet.');
    expect(page).toContain('Nothing: no candidate is under test.');
    expect(page).toContain('No run is recorded.');
    const details = words(branchPageOf(emptyHistory()));
    expect(details).toContain('No evaluation is recorded yet.');
    expect(details).toContain('None yet. The first one writes ledger/current-ceph/1.json.');
  });

  test('a label without a ledger, as RDO leaves it', () => {
    const page = words(pageOf(emptyHistory('master', { labelTag: tag('v5.0.12-rdo') })));
    expect(page).toContain('v5.0.12-rdo according to its label; without a ledger its digest is not known');
    expect(page).toContain('Next Adopt v5.0.12-rdo');
  });

  test('where to pull it, with its companions', () => {
    const target = (repository: string, image: Candidate) => ({
      repository,
      tag: image.tag,
      digest: image.digest,
      source: formatCandidate(image),
    });
    const targets = [target('quay.example/n/daemon', OLD), target('quay.example/n/grafana', candidate('grafana-9'))];
    const page = words(pageOf(promoted(OLD, {}, { targets })));
    expect(page).toContain(
      `adopted 2026-11-22 11:34 UTC by promotion, record 1, run podman pull quay.example/n/daemon@${OLD.digest}`,
    );
    expect(page).toContain(`1 more image in this promotion podman pull quay.example/n/grafana@sha256:`);
  });

  test.each([
    ['by whom it is signed', OLD, 'key <b>0123', 'record 1, run, signed by key <b>0123'],
    ['that the last run did not sign it', OLD, null, 'record 1, run, not signed by the last run'],
    ['nothing of the signature of another image', NEW, 'key 0123', 'record 1, run podman'],
  ])('%s', (_, image, by, said) => {
    const signed = { reference: formatCandidate(image), by };
    const last = lastDecision({ reference: formatCandidate(OLD), decision: 'unchanged', signed });
    const target = {
      repository: 'quay.example/n/daemon',
      tag: OLD.tag,
      digest: OLD.digest,
      source: formatCandidate(OLD),
    };
    expect(words(pageOf(promoted(OLD, { lastDecision: last }, { targets: [target] })))).toContain(said);
  });

  test('badges of other images are not shown next to it', () => {
    const changes = { holds: [ban(NEW, NOW - DAY)], quarantine: [ban(candidate('evil'), NOW - DAY, 'evil')] };
    const page = words(pageOf(promoted(OLD, {}, changes)));
    expect(page).not.toMatch(/on hold|quarantined(?! )/);
    expect(words(branchPageOf(promoted(OLD, {}, changes)))).toContain(
      'quarantined forever since 2026-11-23 11:34 UTC alice: evil',
    );
  });
});

describe('health and age are separate', () => {
  const earnedAt = (age: number): BranchHistory => {
    const decision = decide(OLD, criteriaOf(['job-1']), [result('job-1', OLD, 'success', NOW - age - HOUR)], NOW - age);
    return emptyHistory('master', {
      records: [record([], OLD, NOW - age, { kind: 'earned', reason: decision.reason, decision })],
      labelTag: OLD.tag,
    });
  };

  test('passing and on time', () => {
    const page = words(pageOf(earnedAt(2 * DAY)));
    expect(page).toContain('master passing on time');
    expect(page).toContain('Passing: 1 job passed (evaluated 2026-11-22 11:34 UTC), and none has failed since.');
    expect(page).toContain('The next promotion is due by 2026-12-06 11:34 UTC.');
  });

  test('passing and late', () => {
    const page = words(pageOf(earnedAt(20 * DAY)));
    expect(page).toContain('master passing late');
    expect(page).toContain('The next promotion was due by 2026-11-18 11:34 UTC.');
  });

  test('regressed and on time: which job, since when, and the way back', () => {
    const votes = [result('job-1', OLD, 'failure', NOW - 5 * HOUR)];
    const page = words(pageOf({ ...earnedAt(2 * DAY), votes }));
    expect(page).toContain('master regressed on time');
    expect(page).toContain(
      'Regressed: 1 job has failed since it was promoted. job-1 has failed since 2026-11-24 06:34 UTC, result',
    );
    expect(page).toContain('There is nothing to roll back to');
  });

  test('forced past a job: unproven', () => {
    const decision = decide(OLD, criteriaOf(['job-1', 'job-2']), [], NOW - 2 * DAY);
    const changes = {
      kind: 'forced',
      who: 'alice',
      reason: 'the lab is down',
      'skipped-jobs': ['job-1', 'job-2'],
      decision,
    };
    const page = words(pageOf(promoted(OLD, {}, changes)));
    expect(page).toContain('forced 2026-11-22 11:34 UTC by alice');
    expect(page).toContain('Unproven: promoted although its criteria were not met');
  });

  test('a pipeline that stopped', () => {
    const lastRun = lastDecision({ reference: formatCandidate(OLD), 'decided-at': rfc3339(NOW - 6 * DAY) });
    const page = words(pageOf({ ...earnedAt(2 * DAY), lastDecision: lastRun }));
    expect(page).toContain('master passing pipeline silent on time');
    expect(page).toContain('The last run was 2026-11-18 11:34 UTC, and the next was due by 2026-11-22 11:34 UTC.');
    expect(page).toContain('gh workflow enable promotion.yml -R forge.example/o/r && gh workflow run promotion.yml');
  });
});

describe('what cannot be read', () => {
  test('is shown once, with what it blocks and since when', () => {
    const page = words(pageOf(downHistory(), promoted(OLD)));
    const line =
      'ledger could not be read or trusted since 2026-11-24 11:34 UTC: GET https://images.example: no answer';
    expect(page.split(line).length - 1).toBe(1);
    expect(page).toContain('The problem above blocks every promotion since 2026-11-24 11:34 UTC.');
    expect(page).toContain('Unknown: what is promoted cannot be read or trusted.');
  });

  test('is one line if one outage affects several branches', () => {
    const page = words(pageOf(downHistory('zed', 'DLRN'), downHistory('yoga', 'DLRN')));
    expect(page.split('could not be read').length - 1).toBe(1);
    expect(page).toContain('DLRN could not be read or trusted since 2026-11-24 11:34 UTC: on zed, yoga: GET');
  });

  test('is not shown as absent', () => {
    for (const page of [pageOf, branchPageOf]) {
      const text = words(page({ ...downHistory('zed', 'image server'), owner: 'Ceph CI' }));
      for (const words of ['No ', 'None', 'Nothing']) expect(text).not.toContain(words);
    }
    const label = words(pageOf({ ...promoted(OLD), failures: downHistory('', 'candidate label').failures }));
    expect(label).not.toContain('o candidate is under test');
  });

  test('keeps the time of the first dashboard that had it', () => {
    const down = { ...promoted(OLD), failures: downHistory('master', 'DLRN').failures };
    const before = summarize([down], SETTINGS, NOW - 2 * DAY);
    const page = words(renderPage(summarize([down], SETTINGS, NOW, [], before)));
    expect(page).toContain('DLRN could not be read or trusted since 2026-11-22 11:34 UTC: GET https://images.example');
  });
});

test('branches that need somebody come first, the rest in their order', () => {
  const page = pageOf(
    promoted(OLD),
    emptyHistory('empty'),
    { ...downHistory('broken') },
    { ...promoted(OLD), branch: 'fine' },
  );
  expect([...page.matchAll(/<h2 id="[^"]*"><a [^>]*>([^<]*)/g)].map(([, name]) => name)).toEqual([
    'broken',
    'empty',
    'master',
    'fine',
  ]);
});

test('no time is relative, because the page is read later than it is written', () => {
  for (const name of Object.keys(SCENES)) {
    const { model, histories } = sceneOf(name);
    for (const [file, text] of renderFiles(model, histories)) {
      expect([
        file,
        /\bago\b|just now|\bin \d+ (?:day|hour|minute)/.exec(file.endsWith('.html') ? words(text) : ''),
      ]).toEqual([file, null]);
    }
  }
});

test('a rollback names what it went to and what it left', () => {
  const first = record([], OLD, NOW - 9 * DAY);
  const second = record([first], NEW, NOW - 5 * DAY, { kind: 'forced', reason: 'must' });
  const holds = [ban(NEW, NOW - DAY)];
  const back = record([second, first], OLD, NOW - DAY, { kind: 'rollback', who: 'bob', reason: 'OSDs crash', holds });
  const candidateFiles = new Map([[NEW.tag, candidateFile(NEW, NOW - 6 * DAY)]]);
  const history = emptyHistory('master', { records: [back, second, first], candidateTag: NEW.tag, candidateFiles });
  const page = words(pageOf(history));
  const names = [OLD, NEW].map(({ tag, digest }) => `${tag}@${digest.slice(7, 19)}`);
  expect(page).toContain(`master rolled back to ${names[0]} from ${names[1]}bob: OSDs crash`);
  expect(page).toContain(`${NEW.tag} is on hold or quarantined, and is not promoted.`);
  expect(page).toContain(`gh workflow run promotion.yml -R forge.example/o/r -f branch=master -f lift-hold=${NEW.tag}`);
});

describe('votes of DLRN', () => {
  const report = decide(NEW, criteriaOf(['job-1']), [result('job-1', NEW, 'failure', NOW - 5 * HOUR)], NOW - 4 * HOUR);
  const decidedAt = rfc3339(NOW - 4 * HOUR);
  const reference = formatCandidate(NEW);
  const last = lastDecision({ reference, decision: 'reject', report, 'decided-at': decidedAt });
  const history = promoted(OLD, { dlrn: 'https://dlrn.example/api-master', lastDecision: last });

  test('on an image without a decision', () => {
    const other = candidate('v6.0.9-superseded');
    const page = words(branchPageOf({ ...history, votes: [result('job-1', other, 'success', NOW - 2 * HOUR)] }));
    expect(page).toContain(`${other.tag}@${other.digest.slice(7, 19)} no decision 2026-11-24 09:34`);
    expect(page).toContain('and the votes on the newest aggregate hashes of DLRN.');
    expect(page).not.toContain('Votes arrived after this decision');
  });

  test('after the last decision', () => {
    const page = words(branchPageOf({ ...history, votes: [result('job-1', NEW, 'success', NOW - 2 * HOUR)] }));
    expect(page).toContain('job-1 unmet: failed');
    expect(page).toContain('Votes arrived after this decision, the newest 2026-11-24 09:34 UTC');
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
  expect(words(page)).toContain('no result (NODE_FAILURE), 2026-11-18');
  expect(page).toContain('href="https://logs.example/scenario001/2"');
  expect(words(page)).toContain(
    'nightly-down not readable since 2026-11-24 11:34 UTC: GET https://zuul.example: no answer nightly-none no build',
  );
  expect(words(pageOf(emptyHistory()))).not.toContain('Nightly builds');
});

describe('blocked by', () => {
  const criteria = `current-ceph:\n  required: [job-1]\n  any-of: [[job-2, job-3]]\n`;
  const blocked = (results: ReturnType<typeof result>[], changes = {}) => {
    const report = decide(NEW, criteria, results, NOW - HOUR);
    const reference = formatCandidate(NEW);
    const { verdict, reason } = report;
    const decision = verdict === 'promote' ? 'frozen' : verdict;
    return promoted(OLD, { lastDecision: lastDecision({ reference, decision, reason, report, ...changes }) });
  };

  test('jobs that failed or are missing, since when, and what would promote it', () => {
    const history = blocked([result('job-1', NEW, 'failure', NOW - 5 * HOUR)]);
    expect(words(pageOf(history))).toContain(
      `rejected ${NEW.tag} 2026-11-24 02:34 UTC, run 1 failed since 2026-11-24 06:34 UTC, result 2 no result 3 no result`,
    );
    const details = words(branchPageOf(history));
    expect(details).toContain('job-1 unmet: failed, since 2026-11-24 06:34 UTC, result');
    expect(details).toContain(
      'It would promote if job-1, and one of job-2, job-3 passed (with aggregate hash 5b1e2ff02f8f).',
    );
  });

  test('the force that it would take, with its tags and jobs', () => {
    const page = words(pageOf(blocked([result('job-1', NEW, 'failure', NOW - 5 * HOUR)])));
    expect(page).toContain(
      `gh workflow run promotion.yml -R forge.example/o/r -f branch=master -f force-tag=${NEW.tag} -f force-confirm=${NEW.tag} -f skip-jobs='job-1 job-2 job-3' -f force-reason=WHY`,
    );
  });

  test('a freeze, while all jobs passed', () => {
    const passed = ['job-1', 'job-2'].map((job) => result(job, NEW, 'success', NOW - 5 * HOUR));
    const reason = 'the criteria are met, but promotion is frozen: release week';
    const page = words(pageOf(blocked(passed, { reason })));
    expect(page).toContain(`frozen ${NEW.tag} 2026-11-24 02:34 UTC, run ${reason}`);
    expect(page).toContain('Next Wait for the end of the freeze');
  });

  test('a candidate that no run has decided on', () => {
    const candidateFiles = new Map([[NEW.tag, candidateFile(NEW, NOW - 3 * HOUR)]]);
    const history = promoted(OLD, { candidateTag: NEW.tag, candidateFiles });
    expect(words(pageOf(history))).toContain(
      `${NEW.tag} is under test, found 2026-11-24 08:34 UTC; no run has decided on it yet.`,
    );
    expect(words(branchPageOf(history))).toContain(
      'No run has decided on it yet (there is no ledger/current-ceph.json).',
    );
  });
});

test('the open changes that propose it, escaped', () => {
  const changes = ['https://forge.example/o/r/pull/1', 'https://forge.example/?a="><script>'];
  const page = pageOf(promoted(OLD, { changes }));
  expect(page).toContain('Proposed in <a href="https://forge.example/o/r/pull/1">');
  expect(page).toContain('<a href="https://forge.example/?a=&quot;&gt;&lt;script&gt;">');
  expect(branchPageOf(promoted(OLD, { changes }))).toContain('<a href="https://forge.example/o/r/pull/1">');
  expect(words(pageOf(promoted(OLD)))).not.toContain('Proposed in');
});

test('who to ask', () => {
  expect(words(pageOf(promoted(OLD, { owner: 'Ceph CI, #rdo' })))).toContain('Ask Ceph CI, #rdo');
  expect(pageOf(promoted(OLD, { owner: 'https://chat.example/ceph' }))).toContain(
    '<a href="https://chat.example/ceph">',
  );
});

describe('a page for each record', () => {
  const history = busyHistory('stable/zed', 60);
  const files = renderFiles(summarize([history], SETTINGS, NOW), [history]);

  test('at an address that its number alone decides', () => {
    for (const { n } of history.records) {
      const page = files.get(`records-stable-zed-${Math.ceil(n / 50)}.html`);
      expect(page?.split(` id="n${n}"`).length).toBe(2);
    }
    const longer = busyHistory('stable/zed', 61);
    expect(renderFiles(summarize([longer], SETTINGS, NOW), [longer]).get('records-stable-zed-1.html')).toContain(
      'id="n1"',
    );
  });

  test('says who, why, on what evidence, and what was before and after, and links to the record', () => {
    const rollback = history.records.find(({ kind }) => kind === 'rollback');
    const n = rollback?.n ?? 0;
    const page = files.get(`records-stable-zed-${Math.ceil(n / 50)}.html`) ?? '';
    const text = words(page.slice(page.indexOf(`id="n${n}"`), page.indexOf(`id="n${n - 1}"`)));
    expect(text).toMatch(
      /^id="n\d+">Record \d+ rolled back v6\.\S+@\w{12} 20.* Who bob, by schedule, run Why OSDs do not start after an update Before record \d+, v6\.\S+@\w{12} .*Pull from quay\.example\/tripleomastercentos9\/daemon@sha256:\w{64} Evidence none: nothing was evaluated On hold v6.* alice: OSDs do not start after an update/,
    );
    expect(page).toContain(`href="https://images.example/ceph/daemon/stable/zed/ledger/current-ceph/${n}.json"`);
    const earned = words(files.get('records-stable-zed-2.html') ?? '');
    expect(earned).toMatch(
      /Evidence promote, evaluated 20[-\d]+ [:\d]+ met: scenario001 since 20[-\d]+ [:\d]+, scenario004 since/,
    );
    expect(earned).toContain(
      'Jobs scenario001 is tripleo-ci-centos-9-scenario001-standalone-ceph-updates-stable/zed scenario004 is',
    );
  });
});

test('a record says which hash identifies its proof, and how to see which targets have it', () => {
  const first = record([], OLD, NOW - 9 * DAY);
  const second = record([first], NEW, NOW - DAY, { kind: 'forced', reason: 'must' });
  const history = emptyHistory('zed', { records: [second, first], headSha256: 'f'.repeat(64) });
  const page = recordPageOf(history);
  const [newest = '', oldest = ''] = page.split(' id="n1"').map(words);
  expect(newest).toContain(`Pull from quay.example/tripleomastercentos9/daemon@${NEW.digest}`);
  expect(newest).toContain(`Proof sha256:${'f'.repeat(64)} of the record as JSON`);
  expect(oldest).toContain(`Pull from quay.example/tripleomastercentos9/daemon@${OLD.digest}`);
  expect(oldest).toContain(`Proof sha256:${second.prevSha256} of the record as JSON`);
  expect(oldest).toContain(
    "To see whether a target has it, add its address from the record's Pull from to this command: oras discover --format json --artifact-type application/vnd.ceph-promotion.record.v1+json",
  );
  expect(words(recordPageOf({ ...history, headSha256: undefined }))).toContain('Proof the record as JSON');
});

describe('an older record of a long ledger is shown in brief', () => {
  const history = busyHistory('zed', 60);
  const files = renderFiles(summarize([history], SETTINGS, NOW), [history]);
  const page = files.get('records-zed-1.html') ?? '';
  const article = (n: number) => {
    const text = [...files.values()].join('').split(` id="n${n}">`)[1] ?? '';
    return text.slice(0, text.indexOf('</article>'));
  };
  const head = history.records[0]?.n ?? 0;
  const kindOf = (kind: string) => history.records.find((record) => record.kind === kind && record.n <= 50);

  test('from the twelfth on, and none of a ledger with one page', () => {
    expect([article(head - 11).includes('<dl>'), article(head - 12).includes('<dl>')]).toEqual([true, false]);
    expect(article(head - 12)).toContain(`/ledger/current-ceph/${head - 12}.json">v6.0.`);
    for (const [records, isBrief] of [
      [50, false],
      [51, true],
    ] as const) {
      const some = { ...history, records: history.records.slice(-records) };
      const first = renderFiles(summarize([some], SETTINGS, NOW), [some]).get('records-zed-1.html') ?? '';
      expect([records, first.includes('In brief')]).toEqual([records, isBrief]);
    }
  });

  test('with what is as usual said once', () => {
    expect(words(page)).toContain(
      'In brief Record 50 and those before it. Unless a record says otherwise, it is by promotion (schedule). Met: scenario001, scenario004. The record below it',
    );
    expect(words(page)).toContain(
      'curl -fsS https://images.example/ceph/daemon/zed/ledger/current-ceph/50.json | sha256sum',
    );
    expect(page.split('promotion (schedule)').length).toBe(2);
    expect(article(kindOf('earned')?.n ?? 0)).toMatch(/<\/h2>$/);
  });

  test('with what is not', () => {
    expect(words(article(kindOf('forced')?.n ?? 0))).toMatch(
      / By alice \(workflow_dispatch\)\. Met: scenario001\. Unknown: scenario004\. Why: scenario004 cannot run: the lab has no power\. Overrode: wait\. Skipped: scenario004\.$/,
    );
    expect(words(article(kindOf('rollback')?.n ?? 0))).toMatch(
      / By bob \(schedule\)\. Nothing was evaluated\. Why: OSDs do not start after an update\. On hold: v6\.\S+@\w{12}\.$/,
    );
  });

  test('with the image before it, which is the next one of its page, or named', () => {
    expect(words(article(51))).toMatch(/ Before: record 50, v6\.\S+@\w{12}\.$/);
    expect(article(50)).not.toContain('Before');
    expect(page.indexOf('id="n49"')).toBeGreaterThan(page.indexOf('id="n50"'));
    expect(words(article(1))).toMatch(/ Before: nothing\.$/);
  });

  test('with a link to its file only where the store has a web address', () => {
    const branch = { ...history, url: 'git+ssh://git@forge.example/o/r' };
    const text = renderFiles(summarize([branch], SETTINGS, NOW), [branch]).get('records-zed-1.html') ?? '';
    expect(words(page)).toContain('such as ledger/current-ceph/50.json, which its image links to. The file');
    expect(words(text)).toContain('such as ledger/current-ceph/50.json. The file');
    expect(text).not.toMatch(/git\+ssh|curl/);
  });

  test('with the holds that it lifted, and another repository', () => {
    const other = v.parse(candidateSchema, `quay.io/ceph/ceph:v19@sha256:${'1'.repeat(64)}`);
    const first = record([], other, NOW - 99 * DAY, { holds: [ban(NEW, NOW - 99 * DAY)] });
    let records = [record([first], OLD, NOW - 98 * DAY, { kind: 'lift', holds: [] }), first];
    while (records.length < 51) records = [record(records, OLD, NOW - 90 * DAY + records.length), ...records];
    const history = emptyHistory('zed', { records });
    const text = renderFiles(summarize([history], SETTINGS, NOW), [history]).get('records-zed-1.html') ?? '';
    expect(words(text)).toMatch(/Record 2 hold lifted v6\S+ [-\d]+ [:\d]+ Nothing is on hold any more\./);
    expect(words(text)).toMatch(/Record 1 adopted quay\.io\/ceph\/ceph:v19@111111111111 /);
  });
});

describe('a record says in full what others do not', () => {
  test('a companion whose tag is another, and a target that has another digest', () => {
    const target = (repository: string, image: Candidate) => ({
      repository,
      tag: image.tag,
      digest: image.digest,
      source: formatCandidate(image),
    });
    const other = candidate('grafana-9');
    const targets = [target('quay.example/n/daemon', NEW), target('quay.example/n/grafana', other)];
    const page = words(recordPageOf(promoted(NEW, { branch: 'zed' }, { targets })));
    expect(page).toContain(
      `Pull from quay.example/n/daemon@${NEW.digest} quay.example/n/grafana:grafana-9@${other.digest} Evidence`,
    );
    const changed = recordPageOf(
      promoted(NEW, { branch: 'zed' }, { targets: [target('quay.example/n/daemon', candidate('v6.0.8-new', 'x'))] }),
    );
    expect(words(changed)).toContain(`; the candidate was ${NEW.digest}`);
  });

  test('bans are listed when they change, and otherwise the record that last changed them', () => {
    const holds = [ban(NEW, NOW - 5 * DAY)];
    const first = record([], OLD, NOW - 9 * DAY);
    const second = record([first], OLD, NOW - 5 * DAY, { kind: 'hold', holds });
    const third = record([second, first], OLD, NOW - 4 * DAY, { kind: 'quarantine', quarantine: [ban(NEW, NOW)] });
    const fourth = record([third, second, first], OLD, NOW - 3 * DAY, { kind: 'lift', holds: [] });
    const records = [fourth, third, second, first];
    const parts = recordPageOf(emptyHistory('zed', { records }))
      .split('<article')
      .map((part) =>
        [...part.matchAll(/<dt>(On hold|Quarantined)<dd>([^\n]*)/g)].map(([, what, text]) => [what, words(text ?? '')]),
      );
    const said = `${NEW.tag}@${NEW.digest.slice(7, 19)} since`;
    expect(parts.slice(1)).toEqual([
      [['Quarantined', 'unchanged since record 3']],
      [
        ['On hold', 'unchanged since record 2'],
        ['Quarantined', expect.stringContaining(said)],
      ],
      [['On hold', expect.stringContaining(said)]],
      [],
    ]);
  });

  test('bans that began before the records that were read', () => {
    const first = record([], OLD, NOW - 9 * DAY, { kind: 'hold', holds: [ban(NEW, NOW - 9 * DAY)] });
    const second = record([first], OLD, NOW - 5 * DAY);
    expect(words(recordPageOf(emptyHistory('zed', { records: [second] })))).toContain(`On hold ${NEW.tag}@`);
  });

  test('names of jobs are not cut too short to recognize', () => {
    const jobs = ['ceph-1', 'ceph-2'];
    const decision = decide(
      NEW,
      criteriaOf(jobs),
      jobs.map((job) => result(job, NEW, 'success', NOW - DAY)),
      NOW,
    );
    const page = words(recordPageOf(promoted(NEW, { branch: 'zed' }, { kind: 'earned', decision })));
    expect(page).toContain('met: ceph-1 since 2026-11-23 11:34, ceph-2 since 2026-11-23 11:34 A rollback goes to');
    expect(page).not.toContain('Jobs');
  });
});

test.each([
  [0, 0, false, []],
  [1, 1, false, [1]],
  [50, 50, false, [1]],
  [120, 120, false, [3, 2, 1]],
  // Record 61 and those before it are not trusted.
  [120, 59, false, [3, 2]],
  [1000, 1000, true, Array.from({ length: 20 }, (_, index) => 20 - index)],
  // Of page 1 only record 50 was read.
  [1049, 1000, true, Array.from({ length: 20 }, (_, index) => 21 - index)],
])('of %i records %i were read (the rest left out: %s)', (head, read, isCut, pages) => {
  expect(recordPages(head, read, isCut)).toEqual(pages);
});

describe('what others wrote', () => {
  const page = (text: string) => {
    const history = hostileHistory(text);
    const model = summarize([history], { ...SETTINGS, title: `t${text}` }, NOW, hostileNightly(text));
    return [...renderFiles(model, [history])].flatMap(([name, html]) => (name.endsWith('.html') ? html : [])).join('');
  };
  const harmless = skeleton(page('harmless'));

  test.each(HOSTILE)('%j is text', (text) => {
    expect(skeleton(page(text))).toBe(harmless);
  });

  test('no text changes the structure of the page', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'<>"\'&/= -!`a\u202e\n', 'script', 'onload=', 'javascript:') }),
        (text) => {
          expect(skeleton(page(text))).toBe(harmless);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('only web addresses become links', () => {
    const hrefs = (text: string) => [...page(text).matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
    expect(
      hrefs('javascript:alert(1)').filter(
        (href) => !/^(https:\/\/|#|data:,$|style\.css\?v=[0-9a-f]{8}$|[\w-]+\.[a-z]+(?:#n\d+)?$)/.test(href ?? ''),
      ),
    ).toEqual([]);
  });

  test('tags and names of the greatest length', () => {
    const long = candidate(`v${'9'.repeat(127)}`);
    const text = words(pageOf(promoted(long)));
    expect(text).toContain(`${long.tag}@`);
  });
});

/** The elements that need no end tag: the end tags and the start tags that end them. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  dt: ['/dl', 'dt', 'dd'],
  dd: ['/dl', 'dt', 'dd'],
  li: ['/ul', 'li'],
  p: ['/article'],
};

/** Does this tag end an open element that has no end tag? */
function isEndOf(open: string, close: string | undefined, name: string): boolean {
  return ENDS[open]?.includes(`${close}${name}`) === true;
}

describe('the document', () => {
  const histories = [busyHistory('master', 20), busyHistory('wallaby', 20, 7 * DAY, 2), emptyHistory('zed')];
  const files = renderFiles(summarize(histories, SETTINGS, NOW, nightlyJobs()), histories);
  const pages = [...files].filter(([name]) => name.endsWith('.html'));

  test('has no link that leads nowhere', () => {
    for (const [name, page] of pages) {
      const links = [...page.matchAll(/href="([a-z][\w-]*\.[a-z]+)(?:#(\w+))?"/g)];
      const dead = links.filter(([, file = '', id]) => {
        const text = files.get(file);
        return text === undefined || (id !== undefined && !text.includes(` id="${id}"`));
      });
      expect([name, dead.map(([link]) => link)]).toEqual([name, []]);
    }
  });

  describe.each(pages)('%s', (_, page) => {
    test('runs nothing, and loads only the style beside it', () => {
      expect(page).toContain(`content="default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:;`);
      const others = page.replace(/<link rel="stylesheet" href="style\.css\?v=[0-9a-f]{8}">/, '');
      expect(others.length).toBeLessThan(page.length);
      expect(others).not.toMatch(/<script|<iframe|<object|<form|\son[a-z]+=|@import|url\(|stylesheet|src=/i);
    });

    test('closes what it opens, in order', () => {
      const open: string[] = [];
      for (const [, close, name = '', , self] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*?)?)(\/?)>/g)) {
        // HTML closes these by itself.
        while (isEndOf(open.at(-1) ?? '', close, name)) open.pop();
        if (close === '/') expect(open.pop()).toBe(name);
        else if (self !== '/' && !['meta', 'link', 'br', 'wbr', 'input'].includes(name)) open.push(name);
      }
      expect(open).toEqual([]);
    });

    test('has each id once, and a target for each link within the page', () => {
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
});

test('a thousand promotions of five branches take less than 1 MB', () => {
  const history = busyHistory('master', 200, DAY);
  const histories = ['master', 'zed', 'yoga', 'xena', 'wallaby'].map((branch) => ({ ...history, branch }));
  const files = renderFiles(summarize(histories, SETTINGS, NOW, nightlyJobs()), histories);
  const bytes = [...files].map(([name, text]) => [name, Buffer.byteLength(text)] as const);
  expect(bytes.length).toBeGreaterThan(30);
  expect(bytes.reduce((total, [, size]) => total + size, 0)).toBeLessThan(1_000_000);
  expect(bytes.filter(([name]) => name.startsWith('records')).length).toBe(25);
});
