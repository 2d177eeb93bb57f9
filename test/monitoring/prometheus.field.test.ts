import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { rfc3339 } from '../../src/base/clock.js';
import { formatCandidate } from '../../src/candidate/reference.js';
import { renderMetrics } from '../../src/monitoring/metrics.js';
import type { NightlyHistory } from '../../src/monitoring/nightly.js';
import { type DashboardSettings, summarize } from '../../src/monitoring/summarize.js';
import { freshImageDirectory, sandbox } from '../sandbox/current.js';
import { runDirectory, type ServerProcess, type Stoppable, startServer } from '../sandbox/process.js';
import { projectRoot } from '../sandbox/project.js';
import {
  busyHistory,
  candidate,
  DAY,
  downHistory,
  emptyHistory,
  HOUR,
  lastDecision,
  NOW,
  nightlyJobs,
  record,
  SETTINGS,
} from './fixture.js';
import { regressedHistory } from './scenes.js';

/** Metrics, alerts and the Grafana dashboard, read by Prometheus. */

const EXAMPLES = path.join(projectRoot, 'examples/monitoring');
const ALERTS = path.join(EXAMPLES, 'alerts.yml');

/** Branches and jobs that make every alert fire. */
function ailing(): string {
  const settings: DashboardSettings = { ...SETTINGS, targetAge: HOUR, heartbeatAge: HOUR };
  const failing: NightlyHistory = { job: 'failing', failure: undefined, builds: [build('failure', NOW - 5 * DAY)] };
  const unreadable: NightlyHistory = { job: 'unreadable', failure: 'no answer', builds: [] };
  const branches = [
    busyHistory('master', 20),
    busyHistory('wallaby', 20, 7 * DAY, 2),
    downHistory(),
    downHistory('yoga', 'DLRN'),
    regressedHistory('xena'),
  ];
  return renderMetrics(summarize(branches, settings, NOW, [...nightlyJobs(), failing, unreadable]));
}

/** A branch and a job that make no alert fire. */
function healthy(): string {
  const image = candidate('v6.0.8');
  const branch = emptyHistory('good', {
    records: [record([], image, NOW - DAY)],
    labelTag: image.tag,
    candidateTag: image.tag,
    lastDecision: lastDecision({ reference: formatCandidate(image) }),
  });
  const passing: NightlyHistory = { job: 'passing', failure: undefined, builds: [build('success', NOW - 8 * HOUR)] };
  return renderMetrics(summarize([branch], SETTINGS, NOW, [passing]));
}

function build(outcome: 'success' | 'failure', when: number): NightlyHistory['builds'][number] {
  return { outcome, result: outcome.toUpperCase(), when: rfc3339(when), url: null };
}

let directory: (Stoppable & { readonly path: string }) | undefined;
let prometheus: ServerProcess;
let openMetrics: Server | undefined;
beforeAll(async () => {
  directory = await runDirectory();
  prometheus = await startPrometheus(directory.path, {
    ailing: await serve(ailing()),
    healthy: await serve(healthy()),
    openmetrics: await serveAsOpenMetrics(ailing()),
  });
  for (const job of ['ailing', 'healthy', 'openmetrics'])
    await until(async () => (await ask(`up{job="${job}"} == 1`)).length > 0);
});
afterAll(async () => {
  await prometheus?.stop();
  await directory?.stop();
  openMetrics?.closeAllConnections();
  openMetrics?.close();
});

/** Where a metrics.prom is served, as `host:port/path`. */
async function serve(metrics: string): Promise<URL> {
  const { path: there, url } = await freshImageDirectory();
  await writeFile(path.join(there, 'metrics.prom'), metrics);
  return new URL(`${url}/metrics.prom`);
}

/** Serves them with the type of OpenMetrics, which Prometheus parses more strictly. */
async function serveAsOpenMetrics(metrics: string): Promise<URL> {
  const type = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  openMetrics = createServer((_, response) => response.writeHead(200, { 'content-type': type }).end(metrics));
  await once(openMetrics.listen(0, '127.0.0.1'), 'listening');
  const address = v.parse(v.object({ port: v.number() }), openMetrics.address());
  return new URL(`http://127.0.0.1:${address.port}/metrics.prom`);
}

/**
 * A Prometheus with our alerts, which scrapes each address under its name. A scrape may take as long as the interval:
 * one that a busy machine ends makes all its series stale.
 */
function startPrometheus(home: string, addresses: Readonly<Record<string, URL>>): Promise<ServerProcess> {
  return startServer({
    name: 'prometheus',
    directory: home,
    command: async (port) => {
      const config = path.join(home, 'prometheus.yml');
      const jobs = Object.entries(addresses).map(([job_name, { host, pathname }]) => ({
        job_name,
        metrics_path: pathname,
        static_configs: [{ targets: [host] }],
      }));
      const intervals = { scrape_interval: '10s', scrape_timeout: '10s', evaluation_interval: '1s' };
      // JSON is YAML.
      await writeFile(config, JSON.stringify({ global: intervals, rule_files: [ALERTS], scrape_configs: jobs }));
      const data = path.join(home, 'data');
      await mkdir(data, { recursive: true });
      const listen = `--web.listen-address=127.0.0.1:${port}`;
      return [sandbox().tools.prometheus, `--config.file=${config}`, `--storage.tsdb.path=${data}`, listen];
    },
    ready: async (port) => {
      try {
        return (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
      } catch {
        return false;
      }
    },
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(200)) if (await condition()) return;
  throw new Error('did not happen within a minute');
}

async function get<T>(where: string, schema: v.GenericSchema<unknown, T>): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${prometheus.port}/api/v1/${where}`);
  return v.parse(v.object({ status: v.literal('success'), data: schema }), await response.json()).data;
}

const seriesSchema = v.object({ metric: v.record(v.string(), v.string()), value: v.tuple([v.number(), v.string()]) });

/** The series that a query returns at this moment, by their labels; throws where Prometheus refuses it. */
async function ask(expression: string): Promise<Record<string, string>[]> {
  const where = `query?${new URLSearchParams({ query: expression })}`;
  const { result } = await get(where, v.object({ resultType: v.literal('vector'), result: v.array(seriesSchema) }));
  return result.map(({ metric }) => metric);
}

test.each(['ailing', 'healthy'])('promtool accepts the metrics of %s branches', (name) => {
  const input = name === 'ailing' ? ailing() : healthy();
  const { status, stdout, stderr } = spawnSync(sandbox().tools.promtool, ['check', 'metrics'], { input });
  expect({ status, said: `${stdout}${stderr}` }).toEqual({ status: 0, said: '' });
});

test('Prometheus reads the same values in the OpenMetrics and in its own format', async () => {
  const of = async (job: string) =>
    (await ask(`{__name__=~"ceph_promotion_.*", job="${job}"}`)).map(({ instance: _, job: __, ...rest }) => rest);
  const series = await of('openmetrics');
  expect(series.length).toBeGreaterThan(50);
  expect(series).toEqual(expect.arrayContaining(await of('ailing')));
  const about = `metadata?${new URLSearchParams({ metric: 'ceph_promotion_age_target_seconds' })}`;
  const metadata = await get(about, v.record(v.string(), v.array(v.object({ type: v.string(), unit: v.string() }))));
  expect(metadata.ceph_promotion_age_target_seconds).toContainEqual({ type: 'gauge', unit: 'seconds' });
});

test("a job's name does not collide with the scrape job of Prometheus", async () => {
  const jobs = new Set((await ask('ceph_promotion_job_state')).map(({ job, job_name }) => `${job} ${job_name}`));
  expect([...jobs]).toContain('ailing tripleo-ci-centos-9-scenario001-standalone-ceph-updates-master');
});

const rulesSchema = v.object({
  groups: v.array(
    v.object({
      rules: v.array(
        v.object({ alert: v.string(), expr: v.string(), annotations: v.object({ runbook_url: v.string() }) }),
      ),
    }),
  ),
});

test('each alert has a runbook, which is in docs', async () => {
  const { groups } = v.parse(rulesSchema, parse(await readFile(ALERTS, 'utf8')));
  for (const { annotations } of groups.flatMap((group) => group.rules)) {
    const file = annotations.runbook_url.replace('https://github.com/rdo-infra/ceph-promotion-actions/blob/v1/', '');
    expect(await readFile(path.join(projectRoot, file), 'utf8')).toMatch(/^# /);
  }
});

test('promtool accepts the alerts', async () => {
  const { stdout } = await promisify(execFile)(sandbox().tools.promtool, ['check', 'rules', ALERTS]);
  expect(stdout).toContain('SUCCESS');
});

test('each alert fires at its time and not before, in the right words', async () => {
  const tests = path.join(EXAMPLES, 'alerts.test.yml');
  const { stdout } = await promisify(execFile)(sandbox().tools.promtool, ['test', 'rules', tests]);
  expect(stdout).toContain('SUCCESS');
  const text = await readFile(tests, 'utf8');
  const { groups } = v.parse(rulesSchema, parse(await readFile(ALERTS, 'utf8')));
  for (const { alert } of groups.flatMap((group) => group.rules)) {
    expect([alert, text.split(`alertname: ${alert}`).length - 1]).toEqual([alert, 2]);
  }
});

test('each alert fires for ailing branches, and none for healthy ones', async () => {
  const { groups } = v.parse(rulesSchema, parse(await readFile(ALERTS, 'utf8')));
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(5);
  for (const { alert, expr } of rules) {
    const at = async (time: number) =>
      (await ask(expr.replaceAll('time()', String(time)))).map(({ job, branch, job_name }) => ({
        job,
        branch,
        job_name,
      }));
    expect([alert, await at(NOW + 2 * DAY)]).toEqual([
      alert,
      expect.arrayContaining([expect.objectContaining({ job: 'ailing' })]),
    ]);
    expect([alert, (await at(NOW + HOUR)).filter(({ job }) => job === 'healthy')]).toEqual([alert, []]);
  }
});

const alertsSchema = v.object({
  alerts: v.array(
    v.object({ labels: v.record(v.string(), v.string()), annotations: v.record(v.string(), v.string()) }),
  ),
});

test('Prometheus fires them, with their texts', async () => {
  const raised = async () => (await get('alerts', alertsSchema)).alerts;
  await until(async () => (await raised()).some(({ labels }) => labels.alertname === 'CephPromotionLedgerBroken'));
  const alerts = await raised();
  const broken = alerts.find(({ labels }) => labels.alertname === 'CephPromotionLedgerBroken');
  expect(broken?.annotations.summary).toBe(
    'zed: the ledger or the last decision of current-ceph cannot be read or trusted',
  );
  for (const { annotations } of alerts) expect(JSON.stringify(annotations)).not.toMatch(/error expanding|<no value>/);
});

const grafanaSchema = v.object({
  panels: v.array(v.object({ title: v.string(), targets: v.array(v.object({ expr: v.string() })) })),
});

test('each query of the Grafana dashboard returns data', async () => {
  const text = await readFile(path.join(EXAMPLES, 'grafana-dashboard.json'), 'utf8');
  const { panels } = v.parse(grafanaSchema, JSON.parse(text));
  const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));
  expect(queries.length).toBeGreaterThan(10);
  for (const { title, expr } of queries) {
    const series = await ask(expr.replaceAll('$branch', '.*'));
    expect([title, series.some(({ job }) => job === 'ailing' || job === undefined)]).toEqual([title, true]);
  }
});
