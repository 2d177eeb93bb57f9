import { systemClock } from '../../src/base/clock.js';
import { ServiceError } from '../../src/base/errors.js';
import type { Log } from '../../src/base/log.js';
import type { Candidate, Digest, Repository, Tag } from '../../src/candidate/reference.js';
import { canonicalRepository } from '../../src/candidate/reference.js';
import type { Label } from '../../src/ledger/names.js';
import { recordNumber, recordPath } from '../../src/ledger/paths.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import { parseTargets } from '../../src/promotion/targets.js';
import type { Manifest, Registry } from '../../src/registry/registry.js';
import { type CandidateFile, candidateFileName, parseCandidateFile } from '../../src/store/candidate-file.js';
import type { Store } from '../../src/store/store.js';
import { CURRENT, reportOn, SOURCE } from '../ledger/fixture.js';

/**
 * A store and registries in memory, for properties over thousands of runs: what real servers do is tested with real
 * servers. `between` runs before each request, as somebody would who can write the store and not the registries.
 */
export interface World {
  readonly store: Store;
  readonly registry: Registry;
  /** The store's files by path, and its labels as `-> tag`. */
  readonly files: Map<string, string>;
  /** By `repository:tag`. */
  readonly tags: Map<string, Digest>;
  /** What is attached to images, by `repository:digest`. */
  readonly attached: Map<string, readonly Attached[]>;
  /** Each move of a moving tag or label, as `what -> to`. */
  readonly moves: { what: string; to: string }[];
  /** The text of each record that was appended, in order. */
  readonly appended: string[];
  between: () => void;
}

interface Attached {
  digest: Digest;
  annotations: Readonly<Record<string, string>>;
  artifactType: string;
}

export function createWorld(images: readonly Candidate[], moving: string): World {
  const files = new Map<string, string>();
  const tags = new Map<string, Digest>();
  const attached = new Map<string, readonly Attached[]>();
  const key = (repository: Repository, reference: string) => `${canonicalRepository(repository)}:${reference}`;
  for (const { repository, tag, digest } of images) tags.set(key(repository, tag), digest);

  const world: World = {
    files,
    tags,
    attached,
    moves: [],
    appended: [],
    between: () => undefined,
    store: {
      where: 'memory:',
      readLabel: step(async (label: Label) => files.get(label)?.slice(3) as Tag | undefined),
      moveLabel: step(async (label: Label, tag: Tag, lastLook?: () => Promise<void>) => {
        if (!files.has(tag))
          throw new ServiceError('not-found', `label ${label} would name ${tag}, which is not there`);
        await lastLook?.();
        world.moves.push({ what: label, to: tag });
        files.set(label, `-> ${tag}`);
      }),
      removeLabel: step(async (label: Label, lastLook?: () => Promise<void>) => {
        await lastLook?.();
        files.delete(label);
      }),
      readCandidateFile: step(async (tag: Tag) => readFile(tag)),
      readArtifact: step(async (tag: Tag) => (files.has(tag) ? (readFile(tag) ?? 'bare') : undefined)),
      writeArtifact: step(async (file: CandidateFile) => {
        files.set(file.tag, file.tag);
        files.set(candidateFileName(file.tag), JSON.stringify(file));
      }),
      listRecords: step(async (label: Label) => {
        const folder = `ledger/${label}/`;
        return [...files.keys()].flatMap((name) =>
          name.startsWith(folder) ? (recordNumber(name.slice(folder.length)) ?? []) : [],
        );
      }),
      readRecord: step(async (label: Label, n: number) => {
        const text = files.get(recordPath(label, n));
        return text === undefined ? undefined : Buffer.from(text);
      }),
      appendRecord: step(async (label: Label, n: number, bytes: Uint8Array) => {
        const path = recordPath(label, n);
        if (files.has(path)) return 'lost' as const;
        files.set(path, Buffer.from(bytes).toString());
        world.appended.push(Buffer.from(bytes).toString());
        return 'won' as const;
      }),
      readLastDecision: async () => undefined,
      writeLastDecision: async () => undefined,
      listArtifacts: async () => [],
      listLinks: async () => new Map(),
      listLedgers: async () => [],
      removeArtifact: async () => undefined,
      readPage: async () => undefined,
      writePage: async () => undefined,
      checkRights: async () => [],
      sweep: async () => undefined,
      flush: async () => undefined,
      close() {},
    },
    registry: {
      repository: (repository) => ({
        resolve: step(async (tag: Tag) => {
          const digest = tags.get(key(repository, tag));
          return digest && { digest, mediaType: '', size: 0 };
        }),
        getManifest: step(async (reference: string) => manifestOf(reference as Digest)),
        findManifest: step(async (reference: string) => manifestOf(reference as Digest)),
        moveTag: step(async (tag: Tag, digest: Digest, lastLook?: () => Promise<void>) => {
          await lastLook?.();
          if (tag === moving) world.moves.push({ what: key(repository, tag), to: digest });
          tags.set(key(repository, tag), digest);
        }),
        listAttached: step(async (subject: Digest, artifactType: string) =>
          (attached.get(key(repository, subject)) ?? []).filter((one) => one.artifactType === artifactType),
        ),
        readAttached: () => unused(),
        attach: step(async (subject: Digest, { artifactType, annotations }) => {
          const there = attached.get(key(repository, subject)) ?? [];
          const same = there.some((one) => JSON.stringify(one.annotations) === JSON.stringify(annotations));
          if (!same) attached.set(key(repository, subject), [...there, { digest: subject, artifactType, annotations }]);
        }),
        listTags: () => unused(),
        getConfig: () => unused(),
        detach: () => unused(),
        deleteTag: () => unused(),
        checkPush: () => unused(),
      }),
      planCopy: () => unused(),
      copy: step(async (copies) => {
        for (const { source, target } of copies) tags.set(key(target.repository, target.tag), source.digest);
        return [];
      }),
      close: async () => undefined,
    },
  };
  return world;

  /** A request: somebody may act right before it. */
  function step<A extends unknown[], R>(work: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return (...args) => {
      world.between();
      return work(...args);
    };
  }

  function readFile(tag: Tag): CandidateFile | undefined {
    const text = files.get(candidateFileName(tag));
    return text === undefined ? undefined : parseCandidateFile(text, tag, 'memory:');
  }
}

const silent: Log = { debug() {}, info() {}, warning() {}, group: (_, phase) => phase() };

/** A promotion in this world by its `nth` run, to two targets unless `changes` say otherwise. */
export function promotionIn(world: World, nth: number, changes: Partial<Promotion> = {}): Promotion {
  return {
    store: world.store,
    registry: world.registry,
    label: CURRENT,
    candidateLabel: CURRENT,
    source: SOURCE,
    targets: parseTargets(TARGETS),
    ledgerKey: undefined,
    referrers: false,
    dryRun: false,
    author: {
      id: `${nth}/1/00000000-0000-4000-8000-${String(nth).padStart(12, '0')}`,
      who: 'alice',
      runUrl: undefined,
      event: '',
    },
    clock: systemClock,
    log: silent,
    evaluate: async (of) => reportOn(of),
    ...changes,
  };
}

export const TARGETS = ['quay.example/a/daemon', 'quay.example/b/daemon'];

/** A copy of this world. */
export function copyOf(world: World, moving: string): World {
  const copy = createWorld([], moving);
  for (const one of ['files', 'tags', 'attached'] as const) {
    for (const [name, value] of world[one]) (copy[one] as Map<string, unknown>).set(name, value);
  }
  copy.appended.push(...world.appended);
  return copy;
}

/** An image of one platform; its config is what its digest says. */
function manifestOf(digest: Digest): Manifest {
  const descriptor = { mediaType: '', digest, size: 0 };
  return {
    kind: 'image',
    ...descriptor,
    bytes: Buffer.alloc(0),
    config: descriptor,
    layers: [],
    leftBehind: [],
  };
}

function unused(): never {
  throw new Error('not part of this world');
}
