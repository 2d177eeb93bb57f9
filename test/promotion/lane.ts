import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Candidate, formatCandidate } from '../../src/candidate/reference.js';
import { sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { startRegistry } from '../sandbox/registry.js';
import { type ActionProcess, startBundle } from './process.js';
import { type StepProxy, startStepProxy } from './step-proxy.js';
import { CRITERIA, freshScene, JOB, type Open, open, publish, runOn, type Scene, tinyImage } from './support.js';

/** A promotion of two images in a process of its own, on servers of its own whose state can be put back. */

export const [OLD, NEW] = ['v1.0.1', 'v1.0.2'];
const COMPANION = 'v2.33.4';

export type Start = 'nothing' | 'an earlier promotion';

/** Where it is interrupted: at the n-th piece that it sends to a registry, or after the n-th answer of the SFTP server. */
export interface Interruption {
  readonly at: 'registry' | 'sftp';
  readonly step: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

export interface Lane extends Stoppable {
  readonly scene: Scene;
  /** Where consumers read images. */
  readonly registryUrl: string;
  /** Sessions for runs in this process. */
  readonly opened: Open;
  readonly old: Candidate;
  readonly candidate: Candidate;
  reset(start: Start): void;
  /** A promotion of the candidate; `settled` resolves when registries have acted on all that it sent before its end. */
  start(interruption?: Interruption): ActionProcess & { settled(): Promise<void> };
  /** How many pieces the newest promotion sent to registries. */
  sent(): number;
}

export async function startLane(bundle: string): Promise<Lane> {
  const { tools, source, imageServer } = sandbox();
  const home = await runDirectory();
  const registry = await startRegistry({ tools, directory: join(home.path, 'registry') });
  let sent = 0;
  let killAt = Number.NaN;
  let victim: ActionProcess | undefined;
  const onStep = async () => {
    sent += 1;
    if (sent !== killAt) return;
    victim?.child.kill('SIGKILL');
    await victim?.ended;
  };
  const [front, back] = await Promise.all([startStepProxy(source.port, onStep), startStepProxy(registry.port, onStep)]);
  const scene = await sceneOf(front, back);
  const [old, candidate] = [await publish(scene, OLD), await publish(scene, NEW)];

  const storage = join(home.path, 'registry/storage');
  mkdirSync(storage, { recursive: true });
  const folders = { storage, images: scene.directory.path };
  const save = (start: Start) => {
    for (const [name, folder] of Object.entries(folders)) copy(folder, join(home.path, start, name));
  };
  save('nothing');
  const opened = await open(scene);
  await runOn(scene, opened, { candidate: old });
  save('an earlier promotion');

  return {
    scene,
    registryUrl: registry.url,
    opened,
    old,
    candidate,
    reset: (start) => {
      for (const [name, folder] of Object.entries(folders)) {
        for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true });
        copy(join(home.path, start, name), folder);
      }
    },
    start: (interruption) => {
      const isOurs = interruption?.at === 'registry';
      [sent, killAt] = [0, isOurs ? interruption.step : Number.NaN];
      const settled = [front.watch(), back.watch()];
      const env = interruption?.at === 'sftp' ? { SIGNAL: interruption.signal, AFTER: String(interruption.step) } : {};
      const started = startBundle(bundle, inputsOf(scene, candidate, imageServer.sshd), env);
      victim = started;
      return { ...started, settled: async () => void (await Promise.all(settled.map((one) => one()))) };
    },
    sent: () => sent,
    stop: async () => {
      await opened.close();
      await Promise.all([front.stop(), back.stop(), registry.stop()]);
      await home.stop();
    },
  };
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

async function sceneOf(front: StepProxy, back: StepProxy): Promise<Scene> {
  const place = ({ port }: StepProxy) => ({ url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}` });
  const scene = await freshScene({ source: place(front), target: place(back) });
  const companion = `${scene.repository}-companion`;
  await pushImage({ url: scene.source.url, repository: companion }, tinyImage('companion'), [COMPANION]);
  const line = `${scene.source.host}/${companion}:${COMPANION} -> ${scene.target.host}/${scene.targetRepository}-companion`;
  return { ...scene, targets: [...scene.targets, line] };
}

function inputsOf(scene: Scene, candidate: Candidate, sshd: { privateKey: string; knownHosts: string }) {
  const reference = formatCandidate(candidate);
  return {
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
}
