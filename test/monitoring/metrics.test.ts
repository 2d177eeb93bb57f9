import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatCandidate } from '../../src/candidate/reference.js';
import { renderMetrics } from '../../src/monitoring/metrics.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { projectRoot } from '../sandbox/project.js';
import {
  busyHistory,
  candidate,
  criteriaOf,
  DAY,
  decide,
  downHistory,
  emptyHistory,
  HOUR,
  lastDecision,
  NOW,
  nightlyJobs,
  SETTINGS,
} from './fixture.js';
import { regressedHistory } from './scenes.js';

/** What docs/how-to/monitor.md asks InfluxDB, where telegraf has each metric as a field, and its labels as tags. */
function influxQueries(): { metric: string; tags: string[] }[] {
  const page = readFileSync(path.join(projectRoot, 'docs/how-to/monitor.md'), 'utf8');
  return [...page.matchAll(/^ +SELECT last\("(\w+)"\) FROM "prometheus" WHERE .* GROUP BY (.*)$/gm)].map(
    ([, metric = '', tags = '']) => ({ metric, tags: tags.split(', ').map((tag) => tag.slice(1, -1)) }),
  );
}

test("the queries of RDO's panels name metrics and labels that exist", () => {
  const metrics = parse(renderMetrics(summarize([regressedHistory('master')], SETTINGS, NOW)));
  const queries = influxQueries();
  expect(queries.map(({ metric }) => metric)).toEqual(['ceph_promotion_current', 'ceph_promotion_regressed']);
  for (const { metric, tags } of queries) {
    const [sample] = metrics.get(metric) ?? [];
    expect(Object.keys(sample?.labels ?? {})).toEqual(expect.arrayContaining(tags));
  }
});

/** Each family's samples; throws at a line that is not valid in both OpenMetrics and Prometheus' text format. */
function parse(text: string): Map<string, { labels: Record<string, string>; value: number }[]> {
  const families = new Map<string, { labels: Record<string, string>; value: number }[]>();
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('does not end with # EOF and a newline');
  let family = '';
  for (const line of lines) {
    const comment = /^# (HELP|TYPE|UNIT) ([a-z0-9_]+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') {
      family = comment[2] ?? '';
      if (families.has(family)) throw new Error(`${family} comes twice`);
      families.set(family, []);
      continue;
    }
    const said =
      comment?.[1] === 'TYPE' ? ['gauge'] : ['seconds', 'ratio'].filter((unit) => family.endsWith(`_${unit}`));
    if (comment?.[2] === family && said.includes(comment[3] ?? '')) continue;
    const sample = /^([a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?\d+(?:\.\d+)?)$/.exec(line);
    if (sample === null || sample[1] !== family) throw new Error(`not a sample of ${family}: ${line}`);
    const labels = [...(sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"/g)].map(([, name, value]) => [
      name,
      value?.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character)),
    ]);
    families.get(family)?.push({ labels: Object.fromEntries(labels), value: Number(sample[3]) });
  }
  return families;
}

function metricsOf(...histories: BranchHistory[]) {
  return parse(renderMetrics(summarize(histories, SETTINGS, NOW)));
}

test('have what the alerts on each branch need', () => {
  const metrics = metricsOf(busyHistory('master', 20), downHistory());
  const labels = { branch: 'master', label: 'current-ceph' };
  const zed = { ...labels, branch: 'zed' };
  const of = (name: string) => metrics.get(`ceph_promotion_${name}`);
  expect(of('dashboard_timestamp_seconds')).toEqual([{ labels: {}, value: NOW }]);
  expect(of('up')).toEqual([
    { labels, value: 1 },
    { labels: zed, value: 0 },
  ]);
  expect(of('problems')?.at(1)).toEqual({ labels: zed, value: 1 });
  expect(of('problem_since_timestamp_seconds')).toEqual([{ labels: { ...zed, source: 'ledger' }, value: NOW }]);
  expect(of('last_success_timestamp_seconds')).toEqual([{ labels, value: expect.any(Number) }]);
  expect(of('age_target_seconds')?.at(0)).toEqual({ labels, value: 14 * DAY });
  expect(of('last_run_timestamp_seconds')).toEqual([{ labels, value: NOW - 9 * HOUR }]);
  expect(of('run_age_target_seconds')?.at(0)).toEqual({ labels, value: 4 * DAY });
  expect(of('ledger_head')).toEqual([{ labels, value: 22 }]);
  expect(of('ledger_records')).toEqual(
    expect.arrayContaining([
      { labels: { ...labels, kind: 'earned' }, value: 18 },
      { labels: { ...labels, kind: 'forced' }, value: 2 },
      { labels: { ...labels, kind: 'rollback' }, value: 2 },
    ]),
  );
  expect(of('blocked')).toEqual([{ labels: { ...labels, decision: 'reject' }, value: 1 }]);
  expect(of('job_state')?.map((sample) => sample.labels.state)).toEqual(['waived', 'unmet']);
  expect(of('regressed')).toEqual([{ labels, value: 0 }]);
  expect(of('health')?.map((sample) => sample.labels.health)).toEqual(['passing', 'unknown']);
  // Nothing is known of zed.
  expect(of('holds')).toEqual([{ labels, value: 1 }]);
  expect(of('quarantined')).toEqual([{ labels, value: 0 }]);
  expect(of('waiver_end_timestamp_seconds')?.at(0)?.value).toBe(Date.parse('2026-11-30T00:00:00Z') / 1000);
});

test('say since when what is promoted has failed', () => {
  const metrics = metricsOf(regressedHistory('master'));
  expect(metrics.get('ceph_promotion_regressed')?.map(({ value }) => value)).toEqual([1]);
  expect(metrics.get('ceph_promotion_regressed_since_timestamp_seconds')).toEqual([
    { labels: expect.objectContaining({ job_name: expect.stringContaining('scenario004') }), value: NOW - 5 * HOUR },
  ]);
});

test('have what the alerts on each nightly job need', () => {
  const jobs = [...nightlyJobs(), { job: 'down', failure: 'no answer', builds: [] }];
  const metrics = parse(renderMetrics(summarize([emptyHistory()], SETTINGS, NOW, jobs)));
  const of = (name: string) =>
    metrics
      .get(`ceph_promotion_nightly_${name}`)
      ?.map(({ labels, value }) => [labels.job_name?.replace(/^.*(scenario\d+).*$/, '$1'), value]);
  expect(of('up')).toEqual([
    ['scenario001', 1],
    ['scenario004', 1],
    ['down', 0],
  ]);
  // The newest build of scenario001 is running, so it has no result yet.
  expect(of('last_build_timestamp_seconds')).toEqual([
    ['scenario001', NOW - 32 * HOUR],
    ['scenario004', NOW - 8 * HOUR],
  ]);
  expect(of('passed')).toEqual([
    ['scenario001', 1],
    ['scenario004', 1],
  ]);
});

describe('names from outside', () => {
  test('read back unchanged', () => {
    const name = fc.string({ unit: fc.constantFrom(...'\\"n{},= \u202eé', '# EOF'), minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(name, (job) => {
        const image = candidate('v6.0.8-new');
        const report = decide(image, criteriaOf([job]), [], NOW - HOUR);
        const last = lastDecision({ reference: formatCandidate(image), decision: 'wait', report });
        const states = metricsOf(emptyHistory('master', { lastDecision: last })).get('ceph_promotion_job_state');
        expect(states?.map(({ labels }) => labels.job_name)).toEqual([job]);
      }),
    );
  });
});
