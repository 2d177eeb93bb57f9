import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '../../src/base/clock.js';
import { ServiceError, UserError } from '../../src/base/errors.js';
import type { Log } from '../../src/base/log.js';
import { compareTags } from '../../src/candidate/schemes.js';
import { parseRecord } from '../../src/ledger/codec.js';
import { movingTag } from '../../src/ledger/names.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { promote } from '../../src/promotion/promote.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import { parseTargets } from '../../src/promotion/targets.js';
import type { Request } from '../../src/rules/request.js';
import { CURRENT, image, reportOn, SOURCE, tag } from '../ledger/fixture.js';
import { createWorld, type World } from './memory-world.js';

/**
 * Whoever can write the store and has no right on the registries deletes, copies, swaps, truncates and restores its
 * files, between any two requests of any run. No run may then move a label or tag to an image that neither the newest
 * record that was proved at the targets nor its own decision stands for.
 */

const silent: Log = { debug() {}, info() {}, warning() {}, group: (_, phase) => phase() };
const VERSIONS = [1, 2, 3, 4].map((n) => `v1.0.${n}`);
const TARGETS = ['quay.example/a/daemon', 'quay.example/b/daemon'];

type Tampering =
  | { readonly kind: 'delete' | 'truncate'; readonly file: number }
  | { readonly kind: 'copy' | 'swap'; readonly file: number; readonly other: number }
  | { readonly kind: 'restore' }
  | { readonly kind: 'relink'; readonly version: number };

interface Run {
  readonly request: 'evaluate' | 'force' | 'rollback' | 'hold';
  readonly version: number;
  readonly red: boolean;
  /** What happens before which request of the run. */
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

function tamper(world: World, saved: ReadonlyMap<string, string>, what: Tampering): void {
  const { files } = world;
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
      for (const name of [...files.keys()]) if (name.startsWith('ledger/')) files.delete(name);
      for (const [name, content] of saved) files.set(name, content);
      break;
    case 'relink':
      files.set(CURRENT, `-> ${VERSIONS[what.version]}`);
  }
}

function requestOf({ request, version }: Run): Request {
  const name = tag(VERSIONS[version] ?? '');
  switch (request) {
    case 'evaluate':
      return { kind: 'evaluate' };
    case 'force':
      return { kind: 'force', tag: name, reason: 'must', skipJobs: ['check'] };
    case 'rollback':
      return { kind: 'rollback', to: 'previous', reason: 'it leaks' };
    case 'hold':
      return { kind: 'hold', image: name, reason: 'wait' };
  }
}

function recordIn(text: string): LedgerRecord {
  const parsed = parseRecord(Buffer.from(text));
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.value.record;
}

test('no tampering with the store makes a run move anything to an image that did not earn it', async () => {
  let moved = 0;
  let stopped = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(someRun, { minLength: 1, maxLength: 8 }), fc.boolean(), async (runs, isSealed) => {
      const world = createWorld(VERSIONS.map(image), movingTag(CURRENT));
      let saved = new Map<string, string>();
      /** The newest record whose run ended well: it is proved at both targets. */
      let proved: LedgerRecord | undefined;
      for (const [index, one] of runs.entries()) {
        const candidate = image(VERSIONS[one.version] ?? '');
        const promotion: Promotion = {
          store: world.store,
          registry: world.registry,
          label: CURRENT,
          candidateLabel: CURRENT,
          source: SOURCE,
          targets: parseTargets(TARGETS),
          ledgerKey: isSealed ? 'key' : undefined,
          referrers: false,
          dryRun: false,
          author: {
            id: `${index}/1/00000000-0000-4000-8000-00000000000${index}`,
            who: 'alice',
            runUrl: undefined,
            event: '',
          },
          clock: systemClock,
          log: silent,
          evaluate: async (of) => reportOn(of, one.red || one.request === 'force' ? ['check'] : []),
          compareTags,
        };
        let requests = 0;
        world.between = () => {
          for (const what of one.tampering) if (what.before === requests) tamper(world, saved, what);
          requests += 1;
        };
        const appended = world.appended.length;
        world.moves.length = 0;
        const isWhole = await promote(promotion, {
          request: requestOf(one),
          candidate: one.request === 'evaluate' ? candidate : undefined,
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
        const may = [...own, ...(proved === undefined ? [] : [proved])].map((record) => record.candidate);
        for (const { what, to } of world.moves) {
          moved += 1;
          const stands = may.some(({ tag: name, digest }) => to === name || to === digest);
          // previous-<label> names an image that was promoted before.
          if (what !== `previous-${CURRENT}`) expect({ what, to, stands }).toEqual({ what, to, stands: true });
        }
        if (isWhole && own.length > 0) proved = own.at(-1);
        if (index % 2 === 0) saved = new Map([...world.files].filter(([name]) => name.startsWith('ledger/')));
      }
    }),
    { numRuns: 300 },
  );
  expect(moved).toBeGreaterThan(200);
  expect(stopped).toBeGreaterThan(100);
});
