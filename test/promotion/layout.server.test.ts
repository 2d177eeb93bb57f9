import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import type { Candidate } from '../../src/candidate/reference.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import type { Request } from '../../src/rules/request.js';
import { httpReader } from '../../src/store/http-reader.js';
import { publishCandidate } from '../../src/store/publish.js';
import { ledgerOf } from '../../src/store/reader.js';
import { http, TESTING } from '../store/fixture.js';
import {
  CURRENT,
  freshScene,
  JOB,
  ledger,
  type Open,
  open,
  publish,
  runOn,
  type Scene,
  seen,
  tag,
  verdict,
} from './support.js';

/**
 * A directory as RDO's artifact_promoter leaves it, and as its consumers read it: a file a tag whose content is its
 * name, labels that are symlinks to one beside them. After any operations ours is one, with our own files beside.
 */

const OPERATIONS = 100;
const TAGS = ['v1.0.1', 'v1.0.2', 'v1.0.3', 'v1.0.4', 'v1.0.5', 'v1.0.6'];

type Operation =
  | {
      readonly kind: 'publish' | 'promote' | 'wait' | 'force' | 'rollback' | 'lift' | 'quarantine';
      readonly tag: string;
    }
  | { readonly kind: 'rollback-to-previous' };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constantFrom('promote', 'force'), tag: fc.constantFrom(...TAGS) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('rollback', 'lift'), tag: fc.constantFrom(...TAGS) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'rollback-to-previous' } as const) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('publish', 'wait'), tag: fc.constantFrom(...TAGS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('quarantine'), tag: fc.constantFrom(...TAGS) }) },
);

async function operate(scene: Scene, opened: Open, candidates: readonly Candidate[], one: Operation): Promise<void> {
  const reason = 'chance';
  const ask = (request: Request) => runOn(scene, opened, { request });
  if (one.kind === 'rollback-to-previous') return void (await ask({ kind: 'rollback', to: 'previous', reason }));
  const name = tag(one.tag);
  const candidate = candidates.find((other) => other.tag === name);
  if (candidate === undefined) throw new Error('no such candidate');
  switch (one.kind) {
    case 'publish': {
      const options = { label: TESTING, tagsRead: 6, runUrl: undefined, createdAt: 0, dryRun: false };
      return void (await publishCandidate({ server: opened.server, candidate, ...options }));
    }
    case 'promote':
      return void (await runOn(scene, opened, { candidate }));
    case 'wait':
      return void (await runOn(scene, opened, { candidate, with: { evaluate: verdict('wait') } }));
    case 'force': {
      const request: Request = { kind: 'force', tag: name, reason, skipJobs: [JOB] };
      return void (await runOn(scene, opened, { request, with: { evaluate: verdict('wait') } }));
    }
    case 'rollback':
      return void (await ask({ kind: 'rollback', to: name, reason }));
    case 'lift':
      return void (await ask({ kind: 'lift', image: name, reason }));
    case 'quarantine':
      return void (await ask({ kind: 'quarantine', image: name, reason }));
  }
}

/** The reading rules of artifact_promoter: they know nothing of ours, which are the ledger and `<tag>.json`. */
function checkLayout(path: string): void {
  for (const name of readdirSync(path)) {
    const entry = lstatSync(join(path, name));
    if (entry.isSymbolicLink()) {
      const target = readlinkSync(join(path, name));
      expect(TAGS).toContain(target);
      expect(statSync(join(path, target)).isFile()).toBe(true);
      expect([CURRENT, `previous-${CURRENT}`, TESTING]).toContain(name);
    } else if (entry.isDirectory()) {
      expect(name).toBe('ledger');
    } else if (name.endsWith('.json')) {
      expect(TAGS).toContain(name.replace(/\.json$/, ''));
    } else {
      expect(readFileSync(join(path, name), 'utf8')).toBe(name);
      expect(readdirSync(path)).toContain(`${name}.json`);
    }
  }
}

test(`the layout of RDO's image server holds after ${OPERATIONS} operations of any kind`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: OPERATIONS, maxLength: OPERATIONS, size: 'max' }),
      async (operations) => {
        const scene = await freshScene();
        const { path, url } = scene.directory;
        const candidates = await Promise.all(TAGS.map((name) => publish(scene, name)));
        const opened = await open(scene);
        for (const one of operations) {
          try {
            await operate(scene, opened, candidates, one);
          } catch (error) {
            // Many are refused: a downgrade, nothing to go back to, not on hold.
            if (!(error instanceof UserError)) throw error;
          }
          checkLayout(path);
        }
        await opened.close();
        const head = ledger(scene).at(-1);
        const current = head?.candidate;
        expect(ledger(scene).length).toBeGreaterThan(5);
        expect(await seen(scene)).toMatchObject({ label: current?.tag, moving: current?.digest });
        expect(await (await fetch(`${url}/${CURRENT}`)).text()).toBe(current?.tag);
        const reader = ledgerOf(httpReader(http, new URL(url)), CURRENT);
        expect((await verifyLedger(reader, { label: CURRENT })).problem).toBeUndefined();
      },
    ),
    { numRuns: 1, endOnFailure: true },
  );
});
