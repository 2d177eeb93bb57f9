import { expect } from '@jest/globals';
import fc from 'fast-check';
import { ServiceError, UserError } from '../../src/base/errors.js';
import { type Candidate, formatRepository } from '../../src/candidate/reference.js';
import { parseRecord } from '../../src/ledger/codec.js';
import { movingTag } from '../../src/ledger/names.js';
import { recordPath } from '../../src/ledger/paths.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { promote } from '../../src/promotion/promote.js';
import { parseTargets } from '../../src/promotion/targets.js';
import type { Request } from '../../src/rules/request.js';
import { CURRENT, image, KEY_BY_01, reportOn, writtenBy01 } from '../ledger/fixture.js';
import { createWorld, promotionIn, TARGETS, type World } from './memory-world.js';

/**
 * Whoever can write the store and has no right on the registries deletes, copies, swaps, truncates and restores its
 * files, between any two requests of any run. No run may then move a label or tag to an image that neither the newest
 * record that was proved at the targets nor its own decision justifies.
 */

type Tampering =
  | { readonly kind: 'delete' | 'truncate'; readonly file: number }
  | { readonly kind: 'copy' | 'swap'; readonly file: number; readonly other: number }
  | { readonly kind: 'restore' }
  | { readonly kind: 'relink'; readonly version: number };

interface Run {
  readonly request: 'evaluate' | 'force' | 'rollback' | 'hold';
  readonly version: number;
  readonly red: boolean;
  /** What happens, and before which request of the run. */
  readonly tampering: readonly (Tampering & { readonly before: number })[];
}

const file = fc.nat(40);
const tampering: fc.Arbitrary<Tampering> = fc.oneof(
  fc.record({ kind: fc.constantFrom('delete', 'truncate'), file }),
  fc.record({ kind: fc.constantFrom('copy', 'swap'), file, other: file }),
  fc.record({ kind: fc.constant('restore' as const) }),
  fc.record({ kind: fc.constant('relink' as const), version: fc.nat(3) }),
);
const someRun: fc.Arbitrary<Run> = fc.record({
  request: fc.constantFrom('evaluate', 'evaluate', 'force', 'rollback', 'hold'),
  version: fc.nat(3),
  red: fc.boolean(),
  tampering: fc.array(
    fc.tuple(tampering, fc.nat(60)).map(([what, before]) => ({ ...what, before })),
    { maxLength: 2 },
  ),
});

/** What there is before the first run. */
interface Start {
  readonly world: World;
  readonly images: readonly Candidate[];
  readonly targets: readonly string[];
  readonly ledgerKey: string | undefined;
  /** Its proof is attached by the first run, which nobody disturbs. */
  readonly head: LedgerRecord | undefined;
}

function startFrom(ledger: 'none' | 'by 0.1', isSealed: boolean): Start {
  if (ledger === 'by 0.1') return startBy01(isSealed);
  const images = [1, 2, 3, 4].map((n) => image(`v1.0.${n}`));
  const world = createWorld(images, movingTag(CURRENT));
  return { world, images, targets: TARGETS, ledgerKey: isSealed ? 'key' : undefined, head: undefined };
}

/** A ledger that version 0.1 wrote, and all that it left: labels, artifacts and tags at its targets, and no proofs. */
function startBy01(isSealed: boolean): Start {
  const ledger = writtenBy01(isSealed ? 'sealed' : 'plain');
  const records = ledger.map((bytes) => recordIn(bytes.toString()));
  const sources = records.flatMap(({ targets }) => targets.map(({ source }) => source));
  const images = [...new Map(records.map(({ candidate }) => [candidate.tag, candidate])).values()];
  const world = createWorld(sources, movingTag(CURRENT));
  for (const { targets } of records) {
    for (const { repository, tag, digest } of targets) {
      world.tags.set(`${formatRepository(repository)}:${tag}`, digest);
      world.tags.set(`${formatRepository(repository)}:${CURRENT}`, digest);
    }
  }
  for (const [index, bytes] of ledger.entries()) world.files.set(recordPath(CURRENT, index + 1), bytes.toString());
  const head = records.at(-1);
  world.files.set(CURRENT, `-> ${head?.candidate.tag}`);
  world.files.set(`previous-${CURRENT}`, `-> ${head?.previous?.tag}`);
  const targets = [
    'quay.io/tripleomastercentos9/daemon',
    'quay.io/prometheus/prometheus:v2.33.4 -> quay.io/tripleomastercentos9/prometheus',
  ];
  return { world, images, targets, ledgerKey: isSealed ? KEY_BY_01 : undefined, head };
}

function tamper({ files }: World, images: readonly Candidate[], saved: ReadonlyMap<string, string>, what: Tampering) {
  const names = [...files.keys()].filter((name) => name.startsWith('ledger/') || name.endsWith('.json')).sort();
  const pick = (n: number) => names[n % Math.max(1, names.length)] ?? '';
  const text = (name: string) => files.get(name) ?? '';
  switch (what.kind) {
    case 'delete':
      files.delete(pick(what.file));
      break;
    case 'truncate':
      if (files.has(pick(what.file))) files.set(pick(what.file), text(pick(what.file)).slice(0, 40));
      break;
    case 'copy':
      if (names.length > 0) files.set(pick(what.other), text(pick(what.file)));
      break;
    case 'swap': {
      if (names.length === 0) break;
      const [a, b] = [pick(what.file), pick(what.other)];
      const [first, second] = [text(a), text(b)];
      files.set(a, second).set(b, first);
      break;
    }
    case 'restore':
      files.clear();
      for (const [name, content] of saved) files.set(name, content);
      break;
    case 'relink':
      files.set(CURRENT, `-> ${images[what.version]?.tag}`);
  }
}

function requestOf({ request, version }: Run, images: readonly Candidate[]): Request {
  const { tag } = images[version] ?? image('v1.0.1');
  switch (request) {
    case 'evaluate':
      return { kind: 'evaluate' };
    case 'force':
      return { kind: 'force', tag, reason: 'must', skipJobs: ['check'] };
    case 'rollback':
      return { kind: 'rollback', to: 'previous', reason: 'it leaks' };
    case 'hold':
      return { kind: 'hold', image: tag, reason: 'wait' };
  }
}

function recordIn(text: string): LedgerRecord {
  const parsed = parseRecord(Buffer.from(text));
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.value.record;
}

/** Checks the property in `numRuns` random histories. Returns how many moves and refusals there were. */
export async function checkTampering(numRuns: number): Promise<{ moved: number; stopped: number }> {
  let moved = 0;
  let stopped = 0;
  const histories = fc.asyncProperty(
    fc.array(someRun, { minLength: 1, maxLength: 8 }),
    fc.constantFrom('none' as const, 'none' as const, 'by 0.1' as const),
    fc.boolean(),
    async (runs, ledger, isSealed) => {
      const { world, images, targets, ledgerKey, head } = startFrom(ledger, isSealed);
      let saved = new Map<string, string>();
      /** The newest record whose run ended well, so that it is proved at all targets, and those appended since. */
      let standing: readonly LedgerRecord[] = head === undefined ? [] : [head];
      const undisturbed: Run = { request: 'evaluate', version: 0, red: true, tampering: [] };
      for (const [index, one] of [...(head === undefined ? [] : [undisturbed]), ...runs].entries()) {
        const isForced = one.request === 'force';
        const promotion = promotionIn(world, index, {
          targets: parseTargets(targets),
          ledgerKey,
          evaluate: async (of) => reportOn(of, one.red || isForced ? ['check'] : []),
        });
        let requests = 0;
        world.between = () => {
          for (const what of one.tampering) if (what.before === requests) tamper(world, images, saved, what);
          requests += 1;
        };
        const appended = world.appended.length;
        world.moves.length = 0;
        const isWhole = await promote(promotion, {
          request: requestOf(one, images),
          candidate: one.request === 'evaluate' ? images[one.version] : undefined,
          freeze: undefined,
          onRegression: 'warn',
        }).then(
          () => true,
          (error: unknown) => {
            if (!(error instanceof UserError || error instanceof ServiceError)) throw error;
            stopped += 1;
            return false;
          },
        );
        world.between = () => undefined;
        const own = world.appended.slice(appended).map(recordIn);
        standing = [...standing, ...own];
        for (const { what, to } of world.moves) {
          moved += 1;
          const stands = standing.some(
            ({ candidate, targets: all }) => to === candidate.tag || all.some(({ digest }) => digest === to),
          );
          // previous-<label> names an image that was promoted before.
          if (what !== `previous-${CURRENT}`) expect({ what, to, stands }).toEqual({ what, to, stands: true });
        }
        if (isWhole && own.length > 0) standing = own.slice(-1);
        if (index % 2 === 0) saved = new Map(world.files);
      }
    },
  );
  await fc.assert(histories, { numRuns });
  return { moved, stopped };
}
