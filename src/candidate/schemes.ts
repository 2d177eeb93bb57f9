import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { formatRepository, type Repository, type Tag } from './reference.js';
import { type Build, compareBuilds, compareVersions, type Scheme } from './scheme.js';
import { ceph } from './schemes/ceph.js';
import { cephDaemon } from './schemes/ceph-daemon.js';
import { patternScheme } from './schemes/pattern.js';
import { semver } from './schemes/semver.js';

/** If a tag fits two schemes, the first one counts. */
export const schemes: readonly Scheme[] = [cephDaemon, ceph, semver];

export const schemeNames: readonly string[] = [...schemes.map(({ name }) => name), 'pattern'];

export const schemeNameSchema = v.picklist(
  schemeNames,
  (issue) => `${issue.received} is not one of ${schemeNames.join(', ')}`,
);

/**
 * Chooses the scheme for a repository's tags: the named one, else the one that a pattern defines, else by the
 * repository's name. Throws a UserError if none of these decides.
 */
export function schemeFor(
  repository: Repository,
  { name, pattern }: { readonly name: string | undefined; readonly pattern: string | undefined },
): Scheme {
  if (name === 'pattern' || (name === undefined && pattern !== undefined)) {
    if (pattern === undefined) throw new UserError('the scheme pattern needs a pattern', { hint: 'pattern' });
    return patternScheme(pattern);
  }
  if (pattern !== undefined) throw new UserError(`the scheme ${name} takes no pattern`, { hint: 'pattern' });
  const scheme = name === undefined ? byRepository(repository) : schemes.find((one) => one.name === name);
  if (scheme !== undefined) return scheme;
  const what = `no scheme is known for the tags of ${formatRepository(repository)}; schemes are ${schemeNames.join(', ')}`;
  throw new UserError(what, { hint: 'scheme' });
}

function byRepository({ path }: Repository): Scheme | undefined {
  const [name = '', owner] = path.split('/').reverse();
  if (owner !== 'ceph') return undefined;
  if (name === 'ceph') return ceph;
  return name.startsWith('daemon') ? cephDaemon : undefined;
}

/**
 * Negative if a's version is lower or, for equal versions, if its day's build is earlier; undefined if no scheme reads
 * both tags as stable, so that nothing says which is newer.
 */
export function compareTags(a: Tag, b: Tag): number | undefined {
  for (const scheme of schemes) {
    const [one, other] = [scheme.read(a), scheme.read(b)];
    if (one.kind !== 'stable' || other.kind !== 'stable') continue;
    const [{ build }, { build: otherBuild }] = [one.build, other.build];
    const byBuild = build === undefined || otherBuild === undefined ? 0 : compareBuilds(build, otherBuild);
    return compareVersions(one.build.version, other.build.version) || byBuild;
  }
  return undefined;
}

/** Reads a stable tag by the first scheme in which it is stable; undefined if there is none. */
export function readStable(tag: Tag): Build | undefined {
  for (const scheme of schemes) {
    const reading = scheme.read(tag);
    if (reading.kind === 'stable') return reading.build;
  }
  return undefined;
}
