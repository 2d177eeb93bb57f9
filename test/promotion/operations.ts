import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import type { Candidate } from '../../src/candidate/reference.js';
import type { Request } from '../../src/rules/request.js';
import { publishCandidate } from '../../src/store/publish.js';
import { TESTING } from '../store/fixture.js';
import { CURRENT, JOB, type Open, runOn, type Scene, tag, verdict } from './support.js';

/**
 * A directory as RDO's artifact_promoter leaves it, and as its consumers read it: a file a tag whose content is its
 * name, labels that are symlinks to one beside them. After any operations ours is one, with our own files beside.
 */

export const TAGS = ['v1.0.1', 'v1.0.2', 'v1.0.3', 'v1.0.4', 'v1.0.5', 'v1.0.6'];

export type Operation =
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

export function operations(count: number): fc.Arbitrary<Operation[]> {
  return fc.array(operation, { minLength: count, maxLength: count, size: 'max' });
}

/** Many are refused, and change nothing: a downgrade, nothing to go back to, not on hold. */
export async function operate(
  scene: Scene,
  opened: Open,
  candidates: readonly Candidate[],
  one: Operation,
): Promise<void> {
  try {
    await perform(scene, opened, candidates, one);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}

async function perform(scene: Scene, opened: Open, candidates: readonly Candidate[], one: Operation): Promise<void> {
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
export function checkLayout(path: string): void {
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
