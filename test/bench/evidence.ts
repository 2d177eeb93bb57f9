import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { insertVotes } from '../evidence/many-votes.js';
import { startDlrn } from '../sandbox/dlrn.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildImage, pushImage } from '../sandbox/images.js';
import { install } from '../sandbox/install.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { projectRoot, toolsHome } from '../sandbox/project.js';
import { startRegistry } from '../sandbox/registry.js';

/**
 * Evaluating 50 aggregate hashes with 2,000 votes of 40 jobs on the real DLRN: evaluate-and-promote, which reads all of
 * them and decides, and DLRN's own client `dlrnapi`, which prints the votes of one hash, twice. Times are of whole
 * processes, which take turns; requests are counted at a proxy in front of DLRN. To measure DLRN's part, a process that
 * is already running asks it the same again.
 */

const AGGREGATES = 50;
const JOBS = 40;
/** How many jobs the criteria require. The time limit is for two, as in this project's own criteria. */
const REQUIRED = [2, JOBS];
const TAG = 'v6.0.10-stable-6.0-pacific-centos-stream8';
const RUNS = 7;

const DLRNAPI = join(toolsHome, 'bench/dlrnapi/bin/dlrnapi');
const GET_DLRNAPI = `python3 -m venv ${toolsHome}/bench/dlrnapi && ${toolsHome}/bench/dlrnapi/bin/pip install dlrnapi_client==0.13.1 'setuptools<81'`;

const stops: Stoppable[] = [];
try {
  if (existsSync(DLRNAPI)) process.exitCode = (await compare()) ? 0 : 1;
  else console.log(`missing: dlrnapi; ${GET_DLRNAPI}`);
} finally {
  for (const one of stops.reverse()) await one.stop();
}

/** Whether all limits are met. */
async function compare(): Promise<boolean> {
  const tools = await install(console.log);
  const directory = keep(await runDirectory());
  const registry = keep(await startRegistry({ tools, directory: directory.path }));
  const image = buildImage();
  await pushImage({ url: registry.url, repository: 'ceph/daemon' }, image, [TAG]);
  const dlrn = keep(
    await startDlrn({
      tools,
      directory: directory.path,
      login: { username: 'ciuser', password: 'votes' },
      branches: { busy: { prefix: '/api-busy', repository: '/busy', hashes: AGGREGATES } },
    }),
  );
  const { url, hashes } = dlrn.branches.busy;
  insertVotes(tools.python, join(directory.path, 'api-busy/commits.sqlite'), {
    hashes,
    jobs: JOBS,
    notes: `${TAG}@${image.digest}`,
    now: Math.floor(Date.now() / 1000),
  });
  const front = keep(await startFaultProxy({ upstream: new URL(url).origin }));
  const api = new URL(new URL(url).pathname, front.url).href;

  let met = true;
  for (const jobs of REQUIRED) {
    for (const graphql of [true, false]) {
      front.rules.splice(0);
      if (!graphql) front.rules.push({ path: /graphql/, fault: { kind: 'answer', status: 501 } });
      const ours = () => dryRun(api, `${registry.host}/ceph/daemon:${TAG}@${image.digest}`, jobs);
      const theirs = async () => {
        for (const hash of hashes.slice(0, 2)) {
          const said = await output([DLRNAPI, '--url', api, 'agg-status', '--agg-hash', hash]);
          if (!said.includes('job-39')) throw new Error(`dlrnapi printed no votes: ${said.slice(-500)}`);
        }
      };
      const times: [number[], number[], number[]] = [[], [], []];
      let requests = 0;
      for (let run = 0; run < RUNS; run += 1) {
        front.requests.length = 0;
        times[0].push(await seconds(ours));
        requests = front.requests.length;
        const asked = front.requests.filter(({ status }) => status === 200).map(({ path }) => new URL(path, url));
        times[1].push(await seconds(theirs));
        times[2].push(await seconds(() => askAgain(asked)));
      }
      const [own, other, server] = [median(times[0]), median(times[1]), median(times[2])];
      const limits: [string, boolean][] = [[`at most ${AGGREGATES + 2} requests`, requests <= AGGREGATES + 2]];
      if (jobs === 2 && graphql) limits.push(['less time than theirs', own < other]);
      console.log(
        `${jobs} jobs required, ${graphql ? 'with' : 'without'} GraphQL: ${requests} requests, ` +
          `${(own / other).toFixed(2)} times the time of two dlrnapi agg-status; ` +
          `DLRN's part is ${(server / other).toFixed(2)}`,
      );
      for (const [limit, isMet] of limits) console.log(`  ${isMet ? 'met' : 'MISSED'}: ${limit}`);
      met &&= limits.every(([, isMet]) => isMet);
    }
  }
  return met;
}

/** The whole action, in a dry run. */
async function dryRun(dlrnUrl: string, reference: string, jobs: number): Promise<void> {
  const required = Array.from({ length: jobs }, (_, n) => `job-${n}`);
  const said = await output([process.execPath, join(projectRoot, 'dist/evaluate-and-promote/index.js')], {
    INPUT_REFERENCE: reference,
    'INPUT_DLRN-URL': dlrnUrl,
    INPUT_CRITERIA: JSON.stringify({ 'current-ceph': required }, undefined, 1),
    INPUT_TARGETS: `${reference.split('/')[0]}/promoted/daemon`,
    'INPUT_DRY-RUN': 'true',
  });
  if (!said.includes('job-0 failed on this image')) throw new Error(`another decision: ${said.slice(-500)}`);
}

async function askAgain(urls: readonly URL[]): Promise<void> {
  for (const url of urls) await (await fetch(url)).arrayBuffer();
}

async function output(
  [program = '', ...args]: readonly string[],
  inputs: Record<string, string> = {},
): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: toolsHome, ...inputs };
  return (await promisify(execFile)(program, args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

function keep<S extends Stoppable>(server: S): S {
  stops.push(server);
  return server;
}
