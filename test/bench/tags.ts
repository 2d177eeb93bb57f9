import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { install } from '../sandbox/install.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { projectRoot, toolsHome } from '../sandbox/project.js';
import { startQuayLike } from '../sandbox/quay-like.js';
import { startRegistry } from '../sandbox/registry.js';
import { manyTags, tagsAPage, writeTags } from '../sandbox/tag-listings.js';

/**
 * Finding the newest stable tag and its digest among 12,000 tags of which 600 are stable, with 30 ms added to each
 * request: find-stable-tag, and other registry clients that list the tags and then ask for a digest. They leave the
 * choosing to their user. Requests are counted at a proxy in front of the server, times are of whole processes.
 */

const TAGS = manyTags(12_000, 600);
const NEWEST = 'v6.0.299-stable-6.0-pacific-centos-stream8';
const REPOSITORY = 'ceph/daemon';
const DELAY_MS = 30;
const RUNS = 3;

/** Runs one after the other; `where` is the image, `host:port/ceph/daemon`. */
type Commands = (where: string) => readonly (readonly string[])[];

interface Client {
  readonly name: string;
  readonly commands: Commands;
}

const BUNDLE = join(projectRoot, 'dist/find-stable-tag/index.js');
const OURS: Client = { name: 'find-stable-tag', commands: () => [[process.execPath, BUNDLE]] };

const PEERS: Readonly<Record<string, { readonly from: string; readonly commands: (program: string) => Commands }>> = {
  crane: {
    from: 'go install github.com/google/go-containerregistry/cmd/crane@v0.22.1',
    commands: (crane) => (where) => [
      [crane, 'ls', where],
      [crane, 'digest', `${where}:${NEWEST}`],
    ],
  },
  regctl: {
    from: 'go install github.com/regclient/regclient/cmd/regctl@v0.11.7',
    commands: (regctl) => (where) => {
      const plain = `reg=${where.split('/')[0]},tls=disabled`;
      return [
        [regctl, '--host', plain, 'tag', 'ls', where],
        [regctl, '--host', plain, 'image', 'digest', `${where}:${NEWEST}`],
      ];
    },
  },
  skopeo: {
    from: 'apt-get install skopeo',
    commands: (skopeo) => (where) => [
      [skopeo, 'list-tags', '--tls-verify=false', `docker://${where}`],
      [skopeo, 'inspect', '--tls-verify=false', '--no-tags', '--format', '{{.Digest}}', `docker://${where}:${NEWEST}`],
    ],
  },
};

interface Server {
  readonly name: string;
  readonly front: FaultProxy;
  /** What must be true of our figures and the others'. */
  readonly limits: Readonly<Record<string, (ours: Measured, others: readonly Measured[]) => boolean>>;
}

interface Measured {
  readonly requests: number;
  readonly seconds: number;
}

const ON_QUAY: Server['limits'] = {
  'at most 8 requests': ({ requests }) => requests <= 8,
  "at most half of each other's time": (ours, others) => others.every(({ seconds }) => ours.seconds <= seconds / 2),
};
const ELSEWHERE: Server['limits'] = {
  'no more requests than the leanest': (ours, others) => others.every(({ requests }) => ours.requests <= requests),
};

const stops: Stoppable[] = [];
try {
  const peers = findPeers();
  const servers = await startServers();
  let failures = 0;
  for (const server of servers) failures += await compare(server, peers);
  process.exitCode = failures === 0 ? 0 : 1;
} finally {
  for (const one of stops.reverse()) await one.stop();
}

/** The installed ones; says what is missing and how to get it. */
function findPeers(): readonly Client[] {
  const home = join(toolsHome, 'bench');
  const places = [home, ...(process.env.PATH ?? '').split(delimiter)];
  return Object.entries(PEERS).flatMap(([name, { from, commands }]) => {
    const program = places.map((place) => join(place, name)).find(existsSync);
    if (program !== undefined) return [{ name, commands: commands(program) }];
    console.log(`missing: ${name}; ${from.startsWith('go') ? `GOBIN=${home} ` : ''}${from}`);
    return [];
  });
}

async function startServers(): Promise<readonly Server[]> {
  const tools = await install(console.log);
  const directory = keep(await runDirectory());
  const home = join(directory.path, 'registry');
  await mkdir(home);
  const image = buildMultiPlatform();
  const plain = keep(await startRegistry({ tools, directory: home }));
  await pushImage({ url: plain.url, repository: REPOSITORY }, image, [NEWEST]);
  writeTags(home, REPOSITORY, image.digest, TAGS);
  const quay = keep(
    await startQuayLike({
      repository: REPOSITORY,
      rows: TAGS.map((name, n) => ({ name, image, start: 1_600_000_000 + n })),
    }),
  );
  const front = async (upstream: string, path?: (path: string) => string) =>
    keep(await startFaultProxy({ upstream, delayMs: DELAY_MS, ...(path !== undefined && { path }) }));
  return [
    { name: "a Quay-like server (a stand-in by Quay's source)", front: await front(quay.url), limits: ON_QUAY },
    {
      name: 'distribution v3, set to 100 tags a page',
      front: await front(plain.url, tagsAPage(100)),
      limits: ELSEWHERE,
    },
    { name: 'distribution v3 as it is', front: await front(plain.url), limits: ELSEWHERE },
  ];
}

/** Prints a server's table. Returns the number of limits that were missed. */
async function compare({ name, front, limits }: Server, peers: readonly Client[]): Promise<number> {
  const ours = await measure(OURS, front);
  const rows = [{ client: OURS.name, ...ours }];
  for (const peer of peers) rows.push({ client: peer.name, ...(await measure(peer, front)) });
  console.log(`\n${name}\n`);
  console.log('| client | requests | times the requests | times the time |');
  console.log('| --- | ---: | ---: | ---: |');
  for (const { client, requests, seconds } of rows) {
    const ratios = [requests / ours.requests, seconds / ours.seconds].map((ratio) => ratio.toFixed(1));
    console.log(`| ${client} | ${requests} | ${ratios.join(' | ')} |`);
  }
  const missed = Object.entries(limits).filter(([, holds]) => !holds(ours, rows.slice(1)));
  for (const limit of Object.keys(limits)) {
    console.log(`${missed.some(([name]) => name === limit) ? 'MISSED' : 'met'}: ${limit}`);
  }
  return missed.length;
}

/** The requests, which must be the same in all runs, and the median time. */
async function measure({ name, commands }: Client, front: FaultProxy): Promise<Measured> {
  const where = `${front.host}/${REPOSITORY}`;
  const counts = new Set<number>();
  const times: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    front.requests.length = 0;
    const start = performance.now();
    let said = '';
    for (const command of commands(where)) said += await output(command, where);
    times.push((performance.now() - start) / 1000);
    counts.add(front.requests.length);
    if (!said.includes(NEWEST)) throw new Error(`${name} did not name ${NEWEST}: ${said.slice(-500)}`);
  }
  const [requests = 0, ...others] = counts;
  if (others.length > 0) throw new Error(`${name}: ${[...counts].join(', ')} requests in equal runs`);
  return { requests, seconds: times.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? 0 };
}

async function output([program = '', ...args]: readonly string[], where: string): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: toolsHome, INPUT_IMAGE: where, INPUT_FLAVOR: 'pacific' };
  const { stdout } = await promisify(execFile)(program, args, { env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

function keep<S extends Stoppable>(server: S): S {
  stops.push(server);
  return server;
}
