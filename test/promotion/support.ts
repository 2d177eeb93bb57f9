import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import * as v from 'valibot';
import { systemClock, unixSeconds } from '../../src/base/clock.js';
import { setDigest } from '../../src/candidate/image-set.js';
import {
  type Candidate,
  candidateSchema,
  repositorySchema,
  type Tag,
  tagSchema,
} from '../../src/candidate/reference.js';
import { parseCriteria } from '../../src/criteria/criteria-file.js';
import type { Verdict } from '../../src/criteria/decision-record.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import { parseRecord } from '../../src/ledger/codec.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { type Asked, type Promoted, promote } from '../../src/promotion/promote.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import { parseTargets } from '../../src/promotion/targets.js';
import { createRegistry } from '../../src/registry/create-registry.js';
import type { Registry } from '../../src/registry/registry.js';
import type { Outcome } from '../../src/rules/outcome.js';
import { httpReader } from '../../src/store/http-reader.js';
import { openSftpStore, type SftpStoreOptions } from '../../src/store/sftp/sftp-store.js';
import type { Store } from '../../src/store/store.js';
import { verifyPromotion } from '../../src/upkeep/verify.js';
import { hastyClock } from '../registry/support.js';
import { freshImageDirectory, freshRepository, sandbox } from '../sandbox/current.js';
import { buildImage, buildLayer, type Image, pushImage } from '../sandbox/images.js';
import { basicAuthorization, type Login } from '../sandbox/registry.js';
import type { ImageDirectory } from '../sandbox/sandbox.js';
import { http, label, optionsFor, silent } from '../store/fixture.js';

/** One promotion of its own on the sandbox's servers, run in this process. */

export const CURRENT = label('current-ceph');
export const JOB = 'scenario001';
export const CRITERIA = `current-ceph: [${JOB}]`;

export interface Place {
  readonly url: string;
  readonly host: string;
  readonly login?: Login;
}

export interface Scene {
  readonly directory: ImageDirectory;
  readonly source: Place;
  readonly target: Place;
  /** Where candidates come from, below the source. */
  readonly repository: string;
  /** Where they go, below the target. */
  readonly targetRepository: string;
  /** The input `targets`. */
  readonly targets: readonly string[];
}

/** A small image that no other seed gives. */
export function tinyImage(seed: string): Image {
  return buildImage({ layers: [buildLayer(seed, 100)], labels: { seed } });
}

export async function freshScene(changes: Partial<Scene> = {}): Promise<Scene> {
  const { source, target } = sandbox();
  const place = { source, target, repository: freshRepository(), targetRepository: freshRepository(), ...changes };
  const directory = changes.directory ?? (await freshImageDirectory());
  const targets = changes.targets ?? [`${place.target.host}/${place.targetRepository}`];
  return { ...place, directory, targets };
}

export function tag(text: string): Tag {
  return v.parse(tagSchema, text);
}

/** Pushes the image of a tag to the source; another `seed` is another image. */
export async function publish(scene: Scene, name: string, seed = name): Promise<Candidate> {
  const image = tinyImage(seed);
  await pushImage({ url: scene.source.url, repository: scene.repository }, image, [name]);
  return v.parse(candidateSchema, `${scene.source.host}/${scene.repository}:${name}@${image.digest}`);
}

/** What verify-ledger says about an image server; undefined if nothing is wrong. */
export async function ledgerProblem({ directory }: Scene, registry: Registry): Promise<string | undefined> {
  const reader = httpReader(http, new URL(directory.url));
  const options = { label: CURRENT, ledgerKey: undefined, repositories: [] };
  return (await verifyPromotion({ reader, registry, ...options })).problem;
}

/** The verdict of the criteria for every image. */
export function verdict(says: Verdict): Promotion['evaluate'] {
  const criteria = parseCriteria(CRITERIA, 'current-ceph');
  return async (candidate) => {
    const now = unixSeconds(systemClock);
    const { tag, digest } = candidate;
    const outcome = says === 'promote' ? 'success' : 'failure';
    const set = setDigest(candidate);
    const tested = { candidate: { tag, digest }, ...(set !== undefined && { 'set-digest': set }) };
    const result = { job: JOB, outcome, ...tested, timestamp: now, source: 'needs' } as const;
    return evaluate(criteria, says === 'wait' ? [] : [result], candidate, { evaluatedAt: now });
  };
}

export interface Open {
  readonly server: Store;
  readonly registry: Registry;
  close(): Promise<void>;
}

/** A session on each server of a scene. Waits for registries are a fiftieth as long as they would be. */
export async function open(scene: Scene, changes: Partial<SftpStoreOptions> = {}): Promise<Open> {
  const registry = openRegistry(scene);
  const server = await openSftpStore(optionsFor(scene.directory.server, changes));
  const close = async () => {
    left.delete(close);
    server.close();
    await registry.close();
  };
  left.add(close);
  return { server, registry, close };
}

/** A client of its own for the registries of a scene. */
export function openRegistry({ target }: Scene): Registry {
  const { host, login } = target;
  return createRegistry({
    account: ({ registry }) => ({ hint: 'log-in-to-target', ...(registry === host && login && { login }) }),
    plainHttp: [],
    clock: hastyClock,
    log: silent,
  });
}

/** A test that fails must not leave sessions behind: jest would wait for them for ever. */
const left = new Set<() => Promise<void>>();
afterAll(async () => {
  await Promise.all([...left].map((close) => close()));
});

export function promotionIn(scene: Scene, { server, registry }: Open, changes: Partial<Promotion> = {}): Promotion {
  return {
    store: server,
    registry,
    label: CURRENT,
    candidateLabel: label('ceph-ci-testing'),
    source: v.parse(repositorySchema, `${scene.source.host}/${scene.repository}`),
    targets: parseTargets(scene.targets),
    ledgerKey: undefined,
    referrers: false,
    dryRun: false,
    author: { id: `${Date.now()}/1/${randomUUID()}`, who: 'alice', runUrl: undefined, event: 'workflow_dispatch' },
    clock: systemClock,
    log: silent,
    evaluate: verdict('promote'),
    ...changes,
  };
}

export type Wish = Partial<Asked> & { readonly with?: Partial<Promotion> };

/** One run, with sessions of its own; of a candidate whose criteria are met, unless it says otherwise. */
export async function run(scene: Scene, wish: Wish, changes: Partial<SftpStoreOptions> = {}): Promise<Outcome> {
  const opened = await open(scene, changes);
  try {
    return await runOn(scene, opened, wish);
  } finally {
    await opened.close();
  }
}

export async function runOn(scene: Scene, opened: Open, wish: Wish): Promise<Outcome> {
  return (await promoteOn(scene, opened, wish)).outcome;
}

/** The same, with the ledger's head before and after. */
export function promoteOn(scene: Scene, opened: Open, { with: changes = {}, ...asked }: Wish): Promise<Promoted> {
  const promotion = promotionIn(scene, opened, changes);
  return promote(promotion, {
    request: { kind: 'evaluate' },
    candidate: undefined,
    freeze: undefined,
    onRegression: 'warn',
    ...asked,
  });
}

/** A ledger's files on disk. */
export function ledger({ directory }: Pick<Scene, 'directory'>): LedgerRecord[] {
  const folder = join(directory.path, 'ledger/current-ceph');
  const count = readdirSync(folder).length;
  return Array.from({ length: count }, (_, index) => {
    const parsed = parseRecord(readFileSync(join(folder, `${index + 1}.json`)));
    if ('problem' in parsed) throw new Error(parsed.problem);
    return parsed.value.record;
  });
}

const MANIFEST = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join();

async function askRegistry({ url, login }: Place, method: string, path: string): Promise<Response> {
  const authorization = login === undefined ? {} : { authorization: basicAuthorization(login) };
  return fetch(`${url}/v2/${path}`, { method, headers: { accept: MANIFEST, ...authorization } });
}

/** The digest that a tag points at; undefined if there is no such tag. */
export async function digestAt(place: Place, repository: string, tag: string): Promise<string | undefined> {
  const response = await askRegistry(place, 'HEAD', `${repository}/manifests/${tag}`);
  return response.headers.get('docker-content-digest') ?? undefined;
}

/** Deletes an image with all its tags. */
export async function lose(place: Place, repository: string, digest: string): Promise<void> {
  const { status } = await askRegistry(place, 'DELETE', `${repository}/manifests/${digest}`);
  if (status !== 202) throw new Error(`DELETE ${repository}: answered ${status}`);
}

/** The annotations of what is attached to an image, by the referrers' tag of the spec: these registries have no API. */
export async function attachedAt(place: Place, repository: string, digest: string): Promise<Record<string, string>[]> {
  const response = await askRegistry(place, 'GET', `${repository}/manifests/${digest.replace(':', '-')}`);
  if (response.status !== 200) return [];
  const index: unknown = await response.json();
  return v.parse(referrersSchema, index).manifests.map(({ annotations }) => annotations);
}

const referrersSchema = v.object({
  manifests: v.array(v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) })),
});

/** Deletes the list of what is attached to an image. */
export async function loseProofs(place: Place, repository: string, digest: string): Promise<void> {
  const list = await digestAt(place, repository, digest.replace(':', '-'));
  if (list !== undefined) await lose(place, repository, list);
}

/** All that readers find of a promotion. */
export async function seen(scene: Scene) {
  const { directory, target, targetRepository } = scene;
  const names = readdirSync(directory.path);
  const link = (name: string) => (names.includes(name) ? readlinkSync(join(directory.path, name)) : undefined);
  return {
    label: link(CURRENT),
    previous: link(`previous-${CURRENT}`),
    moving: await digestAt(target, targetRepository, CURRENT),
  };
}

/** This many of all, as far apart as possible, with the first and the last. */
export function evenly<T>(all: readonly T[], count: number): T[] {
  const wanted = Array.from({ length: count }, (_, index) => Math.round((index * (all.length - 1)) / (count - 1)));
  return all.filter((_, index) => wanted.includes(index));
}
