import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type FaultProxy, startFaultProxy } from '../sandbox/fault-proxy.js';
import { AMD64, buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { install } from '../sandbox/install.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { projectRoot, toolsHome } from '../sandbox/project.js';
import { type Registry, startRegistry } from '../sandbox/registry.js';

/**
 * Copying an image of 2 platforms and 26 blobs, within one registry and between two: this project's copy, as a bundle
 * that does only that, and other registry clients. Requests are counted at a proxy in front of each registry, which
 * adds 30 ms to each; times are of whole processes, and the clients take turns. Peak memory is of one copy with a layer
 * of 1 GB.
 */

const DELAY_MS = 30;
const TAG = 'v1';
/** 24 layers and 2 configurations, 420 MB. */
const BIG = { layers: Array(12).fill(17_500_000), seed: 'bench' };

/** Where an image is and where it goes, `host:port/repository`. */
interface Task {
  readonly from: string;
  readonly to: string;
  readonly digest: string;
}

interface Client {
  readonly name: string;
  readonly copy: (task: Task) => readonly string[];
  /** Sets a second tag, `moving`, on what `to` has. */
  readonly move: (task: Task) => readonly string[];
}

const plainHttp = (...names: readonly string[]) =>
  [...new Set(names.map((name) => name.split('/')[0]))].flatMap((host) => ['--host', `reg=${host},tls=disabled`]);

const PEERS: Readonly<Record<string, { readonly from: string; readonly client: (program: string) => Client }>> = {
  crane: {
    from: 'github.com/google/go-containerregistry/cmd/crane@v0.22.1',
    client: (crane) => ({
      name: 'crane -j16',
      copy: ({ from, to }) => [crane, 'copy', '--jobs', '16', `${from}:${TAG}`, `${to}:${TAG}`],
      move: ({ to }) => [crane, 'tag', `${to}:${TAG}`, 'moving'],
    }),
  },
  oras: {
    from: 'oras.land/oras/cmd/oras@v1.3.6',
    client: (oras) => ({
      name: 'oras -c16',
      copy: ({ from, to }) => {
        const plain = ['--from-plain-http', '--to-plain-http', '--no-tty'];
        return [oras, 'cp', ...plain, '--concurrency', '16', `${from}:${TAG}`, `${to}:${TAG}`];
      },
      move: ({ to }) => [oras, 'tag', '--plain-http', `${to}:${TAG}`, 'moving'],
    }),
  },
  regctl: {
    from: 'github.com/regclient/regclient/cmd/regctl@v0.11.7',
    client: (regctl) => ({
      name: 'regctl',
      copy: ({ from, to }) => [regctl, ...plainHttp(from, to), 'image', 'copy', `${from}:${TAG}`, `${to}:${TAG}`],
      move: ({ to }) => [regctl, ...plainHttp(to), 'image', 'copy', `${to}:${TAG}`, `${to}:moving`],
    }),
  },
};

interface Row {
  readonly client: Client;
  readonly requests: Set<number>;
  readonly seconds: number[];
}

const stops: Stoppable[] = [];
try {
  const clients = [ours(bundle()), ...findPeers()];
  const directory = keep(await runDirectory());
  const tools = await install(console.log);
  const start = async (name: string) => keep(await startRegistry({ tools, directory: join(directory.path, name) }));
  const [source, target] = [await start('source'), await start('target')];
  process.exitCode = (await compareCopies(clients, source, target)) ? 0 : 1;
} finally {
  for (const one of stops.reverse()) await one.stop();
}

/** The installed ones; says what is missing and how to get it. */
function findPeers(): readonly Client[] {
  const home = join(toolsHome, 'bench');
  const places = [home, ...(process.env.PATH ?? '').split(delimiter)];
  return Object.entries(PEERS).flatMap(([name, { from, client }]) => {
    const program = places.map((place) => join(place, name)).find(existsSync);
    if (program !== undefined) return [client(program)];
    console.log(`missing: ${name}; GOBIN=${home} go install ${from}`);
    return [];
  });
}

/** Bundles test/registry/copy-process.ts as the actions are bundled. */
function bundle(): string {
  const stage = join(projectRoot, 'build/bundle-copy');
  const out = join(stage, 'out');
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const part of ['src', 'test/registry']) {
    cpSync(join(projectRoot, 'build', part), join(stage, part), { recursive: true });
  }
  for (const place of [stage, out]) writeFileSync(join(place, 'package.json'), '{}\n');
  const ncc = join(projectRoot, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const entry = join(stage, 'entry.js');
  writeFileSync(entry, "import('./test/registry/copy-process.js');\n");
  execFileSync(process.execPath, [ncc, 'build', entry, '--out', out, '--minify', '--no-cache', '--quiet']);
  return join(out, 'index.js');
}

function ours(program: string): Client {
  return {
    name: 'this project',
    copy: ({ from, to, digest }) => [process.execPath, program, 'copy', from, digest, to, TAG],
    move: ({ to, digest }) => [process.execPath, program, 'move', to, digest, 'moving'],
  };
}

async function compareCopies(clients: readonly Client[], source: Registry, target: Registry): Promise<boolean> {
  const image = buildMultiPlatform(BIG);
  await pushImage({ url: source.url, repository: 'from' }, image, [TAG]);
  const front = keep(await startFaultProxy({ upstream: source.url, delayMs: DELAY_MS }));
  const back = keep(await startFaultProxy({ upstream: target.url, delayMs: DELAY_MS }));
  const { digest } = image;
  const task = (from: { readonly host: string }, to: { readonly host: string }) => ({
    from: `${from.host}/from`,
    to: `${to.host}/${randomUUID()}`,
    digest,
  });
  const last = new Map<Client, Task>();

  const mount = await byTurns(clients, 7, [front], (client) => {
    const one = task(front, front);
    last.set(client, one);
    return client.copy(one);
  });
  const within = (command: 'copy' | 'move') => (client: Client) => {
    const one = last.get(client);
    if (one === undefined) throw new Error('nothing was copied yet');
    return client[command](one);
  };
  const repeat = await byTurns(clients, 3, [front], within('copy'));
  const retag = await byTurns(clients, 3, [front], within('move'));
  const across = await byTurns(clients, 5, [front, back], (client) => client.copy(task(front, back)));
  const direct = await byTurns(clients, 5, [], (client) => client.copy(task(source, target)));

  console.log(`\nWith ${DELAY_MS} ms added to each request:`);
  const limits = [
    ...show('Copy by mount', mount, 33, ['best', 0.75]),
    ...show('Its repeat', repeat, 2),
    ...show('A second tag', retag, 2),
    ...show('Across registries, 420 MB', across, 85, ['oras -c16', 1]),
  ];
  console.log('\nWith nothing added and no proxy:');
  limits.push(...show('Across registries, 420 MB', direct, 0, ['oras -c16', 1.3]));
  return [...limits, ...(await memory(clients[0], source, target))].every((isMet) => isMet);
}

/** One run of each client after the other, several times. */
async function byTurns(
  clients: readonly Client[],
  runs: number,
  proxies: readonly FaultProxy[],
  command: (client: Client) => readonly string[],
): Promise<readonly Row[]> {
  const rows = clients.map((client): Row => ({ client, requests: new Set(), seconds: [] }));
  for (let run = 0; run < runs; run += 1) {
    for (const { client, requests, seconds } of rows) {
      for (const proxy of proxies) proxy.requests.length = 0;
      const words = command(client);
      const start = performance.now();
      await execute(words);
      seconds.push((performance.now() - start) / 1000);
      requests.add(proxies.reduce((sum, proxy) => sum + proxy.requests.length, 0));
    }
  }
  return rows;
}

async function execute([program = '', ...args]: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, args, { env: { PATH: process.env.PATH, HOME: toolsHome } })).stdout;
}

/** Prints a table. Returns whether our limits were kept. */
function show(title: string, rows: readonly Row[], most: number, limit?: readonly [string, number]): boolean[] {
  const [own, ...peers] = rows;
  if (own === undefined) return [];
  console.log(`\n${title}\n\n| client | requests | seconds | ours by theirs |\n| --- | ---: | ---: | ---: |`);
  for (const { client, requests, seconds } of rows) {
    const ratio = client === own.client ? '' : (median(own.seconds) / median(seconds)).toFixed(2);
    const counts = most === 0 ? '' : [...requests].join(' or ');
    console.log(`| ${client.name} | ${counts} | ${median(seconds).toFixed(3)} | ${ratio} |`);
  }
  console.log('');
  const met: boolean[] = [];
  const check = (isMet: boolean, what: string) => {
    console.log(`${isMet ? 'met' : 'MISSED'}: ${what}`);
    met.push(isMet);
  };
  if (most > 0) check(Math.max(...own.requests) <= most, `at most ${most} requests`);
  if (limit !== undefined) {
    const [name, ratio] = limit;
    const others = peers.filter(({ client }) => name === 'best' || client.name === name);
    if (others.length === 0) {
      console.log(`not compared: ${name} is not installed`);
      return met;
    }
    const best = Math.min(...others.map(({ seconds }) => median(seconds)));
    const measured = median(own.seconds) / best;
    check(measured <= ratio, `time at most ${ratio} of ${name === 'best' ? "the best of the others'" : name}`);
  }
  return met;
}

/** The peak of our process with one layer of 1 GB, and with one of 64 MB. */
async function memory(client: Client | undefined, source: Registry, target: Registry): Promise<boolean[]> {
  if (client === undefined) return [];
  console.log('\nPeak memory\n\n| largest layer | MB |\n| ---: | ---: |');
  const peaks: number[] = [];
  for (const size of [64_000_000, 1_000_000_000]) {
    const layers = [size, ...Array(11).fill(20_000_000)];
    const image = buildMultiPlatform({ platforms: [AMD64], layers, seed: `${size}` });
    await pushImage({ url: source.url, repository: `big-${size}` }, image, [TAG]);
    const names = { from: `${source.host}/big-${size}`, to: `${target.host}/${randomUUID()}` };
    const peak = Number(await execute(client.copy({ ...names, digest: image.digest }))) / 1e6;
    console.log(`| ${size / 1e6} MB | ${peak.toFixed(0)} |`);
    peaks.push(peak);
  }
  const isMet = Math.max(...peaks) < 120;
  console.log(`\n${isMet ? 'met' : 'MISSED'}: under 120 MB`);
  return [isMet];
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function keep<S extends Stoppable>(server: S): S {
  stops.push(server);
  return server;
}
