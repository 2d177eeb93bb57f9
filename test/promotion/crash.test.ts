import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Candidate, formatCandidate, formatRepository } from '../../src/candidate/reference.js';
import { httpLedger } from '../../src/image-server/http-reader.js';
import { verifyLedger } from '../../src/image-server/ledger.js';
import { replayRecord } from '../../src/promotion/replay.js';
import { http } from '../image-server/fixture.js';
import { sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { startRegistry } from '../sandbox/registry.js';
import { type ActionProcess, bundleMortalPromotion, startBundle } from './process.js';
import { type StepProxy, startStepProxy } from './step-proxy.js';
import {
  CRITERIA,
  CURRENT,
  freshScene,
  JOB,
  ledger,
  type Open,
  open,
  publish,
  runOn,
  type Scene,
  tinyImage,
  verdict,
} from './support.js';

/**
 * A promotion of two images, killed at every step: at each piece that it sends to a registry, and after each answer of
 * the SFTP server. What readers find then must be right, a run that promotes nothing must make it whole, and a
 * promotion afterwards must find it done, or do it once.
 */

const [OLD, NEW, COMPANION] = ['v1.0.1', 'v1.0.2', 'v2.33.4'];
const LANES = 3;

type Start = 'nothing' | 'an earlier promotion';
type Kill = { readonly at: 'registry' | 'sftp'; readonly step: number };

/** Servers of its own, whose state can be put back. */
interface Lane extends Stoppable {
  readonly scene: Scene;
  /** Sessions for the runs that nobody kills. */
  readonly opened: Open;
  readonly old: Candidate;
  readonly candidate: Candidate;
  /** Counts what is sent to registries, and kills at one step. */
  readonly steps: { count: number; killAt: number; victim: ActionProcess | undefined };
  settled(): Promise<void>;
  reset(start: Start): void;
}

async function startLane(): Promise<Lane> {
  const { tools, source } = sandbox();
  const home = await runDirectory();
  const registry = await startRegistry({ tools, directory: join(home.path, 'registry') });
  const steps: Lane['steps'] = { count: 0, killAt: Number.NaN, victim: undefined };
  const onStep = async () => {
    steps.count += 1;
    if (steps.count !== steps.killAt) return;
    steps.victim?.child.kill('SIGKILL');
    await steps.victim?.ended;
  };
  const [front, back] = await Promise.all([startStepProxy(source.port, onStep), startStepProxy(registry.port, onStep)]);
  const place = ({ port }: StepProxy) => ({ url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}` });
  const bare = await freshScene({ source: place(front), target: place(back) });
  const companion = { url: bare.source.url, repository: bare.repository.replace('daemon', 'prometheus') };
  await pushImage(companion, tinyImage('companion'), [COMPANION]);
  const scene: Scene = {
    ...bare,
    targets: [
      ...bare.targets,
      `${bare.source.host}/${companion.repository}:${COMPANION} -> ${bare.target.host}/${bare.targetRepository}-companion`,
    ],
  };
  const [old, candidate] = [await publish(scene, OLD), await publish(scene, NEW)];

  const storage = join(home.path, 'registry/storage');
  const states = { nothing: join(home.path, 'nothing'), 'an earlier promotion': join(home.path, 'earlier') };
  const save = (state: string) => {
    mkdirSync(storage, { recursive: true });
    cpSync(storage, join(state, 'storage'), { recursive: true });
    cpSync(scene.directory.path, join(state, 'images'), { recursive: true, verbatimSymlinks: true });
  };
  save(states.nothing);
  const opened = await open(scene);
  await runOn(scene, opened, { candidate: old });
  save(states['an earlier promotion']);

  return {
    scene,
    opened,
    old,
    candidate,
    steps,
    settled: async () => {
      await Promise.all([front.settled(), back.settled()]);
    },
    reset: (start) => {
      for (const [now, saved] of [
        [storage, 'storage'],
        [scene.directory.path, 'images'],
      ] as const) {
        for (const name of readdirSync(now)) rmSync(join(now, name), { recursive: true });
        cpSync(join(states[start], saved), now, { recursive: true, verbatimSymlinks: true });
      }
    },
    stop: async () => {
      await opened.close();
      await Promise.all([front.stop(), back.stop(), registry.stop()]);
      await home.stop();
    },
  };
}

function startPromotion({ scene, candidate, steps }: Lane, kill?: Kill): ActionProcess {
  const { sshd } = sandbox().imageServer;
  const reference = formatCandidate(candidate);
  const inputs = {
    reference,
    evidence: 'needs',
    needs: JSON.stringify({ [JOB]: { result: 'success', outputs: { reference } } }),
    criteria: CRITERIA,
    targets: scene.targets.join('\n'),
    referrers: 'off',
    server: scene.directory.server,
    'ssh-private-key': sshd.privateKey,
    'ssh-known-hosts': sshd.knownHosts,
  };
  Object.assign(steps, { count: 0, killAt: kill?.at === 'registry' ? kill.step : Number.NaN });
  const env = kill?.at === 'sftp' ? { DIE_AFTER_SFTP_REQUEST: String(kill.step) } : {};
  const started = startBundle(bundle, inputs, env);
  steps.victim = started;
  return started;
}

/** What a consumer finds, step by step as it reads; throws where that is not an image. */
async function readAsConsumer({ scene, old, candidate }: Lane): Promise<string | undefined> {
  const { directory, target, targetRepository } = scene;
  const file = (name: string) => get(`${directory.url}/${name}`);
  const digest = async (repository: string, reference: string) =>
    (await get(`${target.url}/v2/${repository}/manifests/${reference}`, 'HEAD'))?.digest;
  const label = (await file(CURRENT))?.text;
  if (label === undefined) return undefined;
  const image = label === NEW ? candidate : old;
  const found = {
    label,
    artifact: (await file(label))?.text,
    candidateFile: JSON.parse((await file(`${label}.json`))?.text ?? 'null'),
    image: await digest(targetRepository, label),
    moving: await digest(targetRepository, CURRENT),
    companion: await digest(`${targetRepository}-companion`, CURRENT),
  };
  // The label moves after the tags, so that the tag may be ahead of it.
  const ahead = label === NEW ? [candidate.digest] : [old.digest, candidate.digest];
  expect(found).toEqual({
    label: image.tag,
    artifact: label,
    candidateFile: expect.objectContaining({ tag: label, digest: image.digest }),
    image: image.digest,
    moving: ahead.includes(found.moving as (typeof ahead)[0]) ? found.moving : ahead,
    companion: tinyImage('companion').digest,
  });
  return label;
}

const agent = new Agent({ keepAlive: true });

/** The answer to a GET or HEAD; undefined where there is no such thing. */
async function get(url: string, method = 'GET'): Promise<{ text: string; digest: unknown } | undefined> {
  const asking = request(url, { method, agent, headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });
  asking.end();
  const [response]: IncomingMessage[] = await once(asking, 'response');
  if (response === undefined) throw new Error('no response');
  let text = '';
  for await (const chunk of response) text += chunk;
  if (response.statusCode === 404) return undefined;
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
  return { text, digest: response.headers['docker-content-digest'] };
}

/** Reads until it is told to stop; throws what any of its readings found wrong. */
function keepReading(lane: Lane, start: Start): { stop(): Promise<void> } {
  let reading = true;
  let seen = start !== 'nothing';
  const done = (async () => {
    while (reading) {
      const label = await readAsConsumer(lane);
      if (label === undefined && seen) throw new Error('there was no label');
      seen = label !== undefined;
      await sleep(20);
    }
  })();
  done.catch(() => {});
  return {
    stop: async () => {
      reading = false;
      await done;
    },
  };
}

/** Everything that there is of the promotion, on both servers. */
async function stateOf(lane: Lane) {
  const label = await readAsConsumer(lane);
  const { directory } = lane.scene;
  const names = readdirSync(directory.path).filter((name) => !name.startsWith('.promotion-'));
  const records = names.includes('ledger') && readdirSync(join(directory.path, 'ledger')).includes(CURRENT);
  const previous = names.includes(`previous-${CURRENT}`);
  return { label, previous, records: records ? ledger(lane.scene).map(({ candidate }) => candidate) : [] };
}

async function crash(lane: Lane, start: Start, kill: Kill): Promise<void> {
  lane.reset(start);
  const reader = keepReading(lane, start);
  await startPromotion(lane, kill).ended;
  lane.steps.killAt = Number.NaN;
  await lane.settled();

  const { scene, opened, old, candidate } = lane;
  const isEarlier = start !== 'nothing';
  const [first, second] = [formatCandidate(old), formatCandidate(candidate)];
  const before = { label: isEarlier ? OLD : undefined, previous: false, records: isEarlier ? [first] : [] };
  const after = { label: NEW, previous: isEarlier, records: [...before.records, second] };
  // One that promotes nothing finishes what was begun, or leaves what was not.
  await runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } });
  expect([before, after]).toContainEqual(await stateOf(lane));
  await runOn(scene, opened, { candidate });
  expect(await stateOf(lane)).toEqual(after);
  await reader.stop();
  const reading = httpLedger(http, new URL(scene.directory.url), CURRENT);
  const repositories = scene.targets.map((line) => line.split(' -> ').at(-1) ?? '');
  const { problem } = await verifyLedger(reading, { label: CURRENT, repositories, replay: replayRecord });
  expect(problem).toBeUndefined();
  expect(formatRepository(candidate.repository)).toContain(scene.repository);
}

/** How many steps a promotion that nobody kills takes. */
async function count(lane: Lane, start: Start): Promise<Kill[]> {
  lane.reset(start);
  const { status, log } = await startPromotion(lane).ended;
  expect(log).not.toContain('::error::');
  expect(status).toBe(0);
  await lane.settled();
  const sftp = Number(/SFTP requests: (\d+)/.exec(log)?.[1]);
  const kills = (at: Kill['at'], steps: number) => Array.from({ length: steps }, (_, n): Kill => ({ at, step: n + 1 }));
  return [...kills('registry', lane.steps.count), ...kills('sftp', sftp)];
}

let home: Stoppable & { readonly path: string };
let bundle: string;
let lanes: Lane[] = [];

beforeAll(async () => {
  home = await runDirectory();
  bundle = await bundleMortalPromotion(home.path);
  lanes = await Promise.all(Array.from({ length: LANES }, startLane));
}, 60_000);

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
  await home.stop();
});

test.each<Start>(['nothing', 'an earlier promotion'])(
  'killed at any step, from %s on',
  async (start) => {
    const [first] = lanes;
    if (first === undefined) throw new Error('no lane');
    const kills = await count(first, start);
    expect(kills.length).toBeGreaterThan(100);
    const t0 = performance.now();
    console.log(kills.length, kills.filter((k) => k.at === 'sftp').length);
    const wrong: string[] = [];
    const rest = kills.values();
    await Promise.all(
      lanes.map(async (lane) => {
        for (const kill of rest) {
          try {
            await crash(lane, start, kill);
          } catch (error) {
            wrong.push(`killed at ${kill.at} ${kill.step} of ${kills.length}: ${error}`);
          }
        }
      }),
    );
    console.log(
      performance.now() - t0,
      process.resourceUsage(),
    );
    expect(wrong).toEqual([]);
  },
  300_000,
);
