import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { Candidate } from '../../src/candidate/reference.js';
import type { Promotion } from '../../src/promotion/promotion.js';
import type { Request } from '../../src/rules/request.js';
import { failure } from '../store/fixture.js';
import { freshScene, open, publish, run, runOn, type Scene, seen, tag, verdict, type Wish } from './support.js';

/** Scenes in which images were promoted before, and what is asked there. */

export const [V1, V2, V3] = ['v1.0.1', 'v1.0.2', 'v1.0.3'];

/** A scene in which the candidates of these tags are there, and were promoted one after the other. */
export async function promoted(...tags: string[]): Promise<{ scene: Scene; candidates: Candidate[] }> {
  const scene = await freshScene();
  const candidates = [];
  for (const name of tags) candidates.push(await publish(scene, name));
  const opened = await open(scene);
  for (const candidate of candidates) await runOn(scene, opened, { candidate });
  await opened.close();
  return { scene, candidates };
}

export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}

export const force = (name: string, skipJobs: string[] = []): Request => ({
  kind: 'force',
  tag: tag(name),
  reason: 'because',
  skipJobs,
});
export const rollback = (to: string): Request => ({
  kind: 'rollback',
  to: to === 'previous' ? to : tag(to),
  reason: 'it leaks',
});
export const waiting: Partial<Promotion> = { evaluate: verdict('wait') };

export async function refused(scene: Scene, wish: Wish, message: string | RegExp, kind?: string): Promise<void> {
  const folder = join(scene.directory.path, 'ledger/current-ceph');
  const records = () => (existsSync(folder) ? readdirSync(folder).length : 0);
  const [before, n] = [await seen(scene), records()];
  const failed = await failure(run(scene, wish));
  expect(failed.message).toMatch(message);
  expect(failed.message).not.toContain('\n');
  if (kind !== undefined) expect(failed.kind).toBe(kind);
  expect(await seen(scene)).toEqual(before);
  expect(records()).toBe(n);
}
