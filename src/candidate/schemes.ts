import * as v from 'valibot';
import type { Tag } from './reference.js';
import { type Build, compareVersions, type Scheme } from './scheme.js';
import { ceph } from './schemes/ceph.js';
import { cephDaemon } from './schemes/ceph-daemon.js';
import { semver } from './schemes/semver.js';

/** Every scheme; where a tag is of two, the first is meant. */
export const schemes: readonly Scheme[] = [cephDaemon, ceph, semver];

export const schemeNames: readonly string[] = schemes.map(({ name }) => name);

/** A scheme by its name. */
export const schemeSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Scheme => {
    const scheme = schemes.find(({ name }) => name === dataset.value);
    if (scheme !== undefined) return scheme;
    addIssue({ message: `${JSON.stringify(dataset.value)} is none of ${schemeNames.join(', ')}` });
    return NEVER;
  }),
);

/**
 * Negative where a's version is lower, and of one version where its day's build is earlier; undefined where no scheme
 * reads both as stable, so that nothing says which is newer.
 */
export function compareTags(a: Tag, b: Tag): number | undefined {
  for (const scheme of schemes) {
    const [one, other] = [scheme.read(a), scheme.read(b)];
    if (one.kind !== 'stable' || other.kind !== 'stable') continue;
    const [{ date }, { date: otherDate }] = [one.build, other.build];
    const byDate = date === undefined || otherDate === undefined ? 0 : Number(date) - Number(otherDate);
    return compareVersions(one.build.version, other.build.version) || byDate;
  }
  return undefined;
}

/** What a stable tag says of its image, by the first scheme that reads it as one; undefined where none does. */
export function readStable(tag: Tag): Build | undefined {
  for (const scheme of schemes) {
    const reading = scheme.read(tag);
    if (reading.kind === 'stable') return reading.build;
  }
  return undefined;
}
