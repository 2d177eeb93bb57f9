import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { lastDecision } from '../../src/actions/shared/promotion-result.js';
import { type Candidate, formatCandidate } from '../../src/candidate/reference.js';
import { sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { startRegistry } from '../sandbox/registry.js';
import { countSftp } from './sftp-steps.js';
import { type StepProxy, startStepProxy } from './step-proxy.js';
import {
  CRITERIA,
  CURRENT,
  freshScene,
  JOB,
  type Open,
  open,
  openRegistry,
  promoteOn,
  publish,
  runOn,
  type Scene,
  tinyImage,
  type Wish,
} from './support.js';
import { keepTree, type Tree } from './tree.js';

/** A promotion of two images, on servers of its own whose state can be reset. */

export const [OLD, NEW] = ['v1.0.1', 'v1.0.2'];
const COMPANION = 'v2.33.4';

export type Start = 'nothing' | 'an earlier promotion' | 'a lost ledger';

/**
 * Where a promotion is interrupted. `registry`: when it sends its n-th piece to a registry. `sftp`: after the n-th answer
 * of the SFTP server.
 */
export interface Interruption {
  readonly at: 'registry' | 'sftp';
  readonly step: number;
}

export interface Lane extends Stoppable {
  readonly scene: Scene;
  /** Where consumers read images. */
  readonly registryUrl: string;
  /** Sessions for runs that nobody interrupts. */
  readonly opened: Open;
  readonly old: Candidate;
  readonly candidate: Candidate;
  reset(start: Start): void;
  /** Starts to promote the candidate in this process, as the action does. `wish` can ask for something else. */
  promote(interruption?: Interruption, wish?: Wish): Promoting;
  /** Inputs for the action to promote the candidate in a process of its own. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Watches what a promotion sends to registries, in this process or in its own. */
  watch(interruption?: Interruption): Watched;
  /**
   * How many requests the newest promotion sent to registries, and in how many pieces. The head and the body of a
   * request can be one piece or two.
   */
  sent(): { readonly requests: number; readonly pieces: number };
  /** All that is on both servers, as one text. Ids, times and ports are left out, so that two runs can be compared. */
  state(): string;
}

/** A promotion in this process. */
export interface Promoting {
  /** Resolves at the interruption. If pieces were sent together, there may be none: then it resolves at the end. */
  readonly reached: Promise<void>;
  /** Ends the promotion, as if its process were killed. Resolves when the servers have done all that they were sent. */
  kill(): Promise<void>;
  goOn(): void;
  /** Resolves when the promotion ends by itself. Its value is the SFTP requests that were answered. */
  readonly ended: Promise<readonly string[]>;
}

export interface Watched {
  /** Resolves at the interruption. The proxy keeps the piece until `ended` is called, and drops all that come after it. */
  readonly reached: Promise<void>;
  /** Says that the promotion has ended. The piece is then passed on. */
  ended(): void;
  /** Resolves when registries have done all that they were sent. */
  settled(): Promise<void>;
}

/** So long that a run which the test stops for a while does not run into a time limit. */
const LIMITS = { connectMs: 60_000, answerMs: 900_000 };

export async function startLane(): Promise<Lane> {
  const { tools, source, imageServer } = sandbox();
  const home = await runDirectory();
  const registry = await startRegistry({ tools, directory: join(home.path, 'registry') });
  let sent = { requests: 0, pieces: 0 };
  const passAll = async (_piece: number) => true;
  let onPiece = passAll;
  const onStep = (piece: Buffer) => {
    const isHead = /^[A-Z]+ \/\S* HTTP\/1\.1\r\n/.test(piece.toString('latin1'));
    sent = { requests: sent.requests + (isHead ? 1 : 0), pieces: sent.pieces + 1 };
    return onPiece(sent.pieces);
  };
  const [front, back] = await Promise.all([startStepProxy(source.port, onStep), startStepProxy(registry.port, onStep)]);
  const scene = await sceneOf(front, back);
  const [old, candidate] = [await publish(scene, OLD), await publish(scene, NEW)];

  const storage = join(home.path, 'registry/storage');
  mkdirSync(storage, { recursive: true });
  const folders = [storage, scene.directory.path];
  const keep = () => folders.map(keepTree);
  const nothing = keep();
  const [opened, mortal] = await Promise.all([open(scene), open(scene, { limits: LIMITS })]);
  await runOn(scene, opened, { candidate: old });
  const earlier = keep();
  rmSync(join(scene.directory.path, 'ledger'), { recursive: true });
  const trees: Record<Start, Tree[]> = { nothing, 'an earlier promotion': earlier, 'a lost ledger': keep() };

  /** Promotions that were killed. Each fails, at the latest when it gives up asking a registry. */
  const dead: Promise<unknown>[] = [];

  const watch = (interruption?: Interruption): Watched => {
    const [here, there] = [signal(), signal()];
    sent = { requests: 0, pieces: 0 };
    onPiece = async (piece) => {
      if (interruption?.at !== 'registry' || piece < interruption.step) return true;
      if (piece > interruption.step) return false;
      here.send();
      await there.sent;
      return true;
    };
    const settled = [front.watch(), back.watch()];
    return {
      reached: here.sent,
      ended: () => {
        onPiece = passAll;
        there.send();
      },
      settled: async () => void (await Promise.all(settled.map((one) => one()))),
    };
  };

  return {
    scene,
    registryUrl: registry.url,
    opened,
    old,
    candidate,
    inputs: inputsOf(scene, candidate, imageServer.sshd),
    reset: (start) => {
      for (const tree of trees[start]) tree.restore();
    },
    watch,
    promote: (interruption, wish = { candidate }) => {
      const watched = watch(interruption);
      const sftp = countSftp(interruption?.at === 'sftp' ? interruption.step : undefined);
      const registry = openRegistry(scene);
      const ended = sftp.within(async () => {
        await promoteAsAction(scene, { ...mortal, registry }, wish);
        await registry.close();
        return sftp.answered;
      });
      return {
        reached: Promise.race([watched.reached, sftp.reached, ended.then(() => undefined)]),
        ended,
        goOn: sftp.goOn,
        kill: async () => {
          dead.push(ended);
          sftp.die();
          await registry.close();
          watched.ended();
          await watched.settled();
        },
      };
    },
    sent: () => sent,
    state: () => contentOf(folders),
    stop: async () => {
      await Promise.allSettled(dead);
      await Promise.all([opened.close(), mortal.close()]);
      await Promise.all([front.stop(), back.stop(), registry.stop()]);
      await home.stop();
    },
  };
}

/** What evaluate-and-promote does with its servers. */
async function promoteAsAction(scene: Scene, opened: Open, wish: Wish): Promise<void> {
  const author = { id: `${randomUUID()}/1/${randomUUID()}`, who: 'nobody', runUrl: undefined, event: '' };
  const promoted = await promoteOn(scene, opened, { ...wish, with: { ...wish.with, author } });
  await opened.server.writeLastDecision(CURRENT, lastDecision(promoted, undefined));
  await opened.server.flush();
}

function signal(): { readonly sent: Promise<void>; send(): void } {
  let send = () => {};
  const sent = new Promise<void>((resolve) => {
    send = resolve;
  });
  return { sent, send };
}

/** Ids, times (RFC 3339, and unix times in seconds or milliseconds), and the addresses of a lane's servers. */
const VARYING =
  /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{10}(\d{3})?\b|\b(127\.0\.0\.1|localhost):\d+/g;

/**
 * Names, links and contents below folders, without what differs from run to run and from lane to lane. If the content of
 * a file differs, so does its digest. So each digest is replaced by the digest of the content without the differences.
 */
function contentOf(folders: readonly string[]): string {
  const entries = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? readFileSync(path, 'latin1') : '';
      return { name: relative(folder, path), link: entry.isSymbolicLink() ? readlinkSync(path) : '', content };
    }),
  );
  const contents = new Map(entries.map(({ content }) => [sha256(content), content]));
  const known = new Map<string, string>();
  const stable = (digest: string): string => {
    const content = contents.get(digest);
    if (content === undefined) return digest;
    const found = known.get(digest) ?? sha256(withoutVarying(content));
    known.set(digest, found);
    return found;
  };
  const withoutVarying = (text: string) => text.replace(VARYING, '…').replace(/\b[0-9a-f]{64}\b/g, stable);
  const lines = entries.map(({ name, link, content }) => {
    // The state of a hash in the middle of an upload adds nothing to the upload's data.
    const shown = name.includes('/hashstates/') ? '' : content;
    // Blobs are in folders named after the first two digits of their digests.
    return withoutVarying(`${name} ${link} ${shown}`).replace(/^(\S*\/sha256)\/[0-9a-f]{2}(?=[/ ])/, '$1');
  });
  return [...new Set(lines)].sort().join('\n');
}

function sha256(latin1: string): string {
  return createHash('sha256').update(latin1, 'latin1').digest('hex');
}

async function sceneOf(front: StepProxy, back: StepProxy): Promise<Scene> {
  const place = ({ port }: StepProxy) => ({ url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}` });
  const scene = await freshScene({ source: place(front), target: place(back) });
  const companion = `${scene.repository}-companion`;
  const image = tinyImage('companion');
  await pushImage({ url: scene.source.url, repository: companion }, image, [COMPANION]);
  const line = `${scene.source.host}/${companion}:${COMPANION}@${image.digest} -> ${scene.target.host}/${scene.targetRepository}-companion`;
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
