import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { companionNameSchema } from '../candidate/image-set.js';
import {
  canonicalRepository,
  formatRepository,
  type Repository,
  repositorySchema,
  sameRepository,
} from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import { type Companion, type Targets, targetRepositories } from '../rules/targets.js';

const ARROW = /\s+->\s+/;

/**
 * Parses lines of the form `repository` or, for a companion, `image:tag -> repository`; `image:tag@digest` pins the
 * companion. Throws a UserError about the first bad line.
 */
export function parseTargets(lines: readonly string[]): Targets {
  const candidate: Repository[] = [];
  const companions: Companion[] = [];
  for (const line of lines) {
    const [left = '', right, ...rest] = line.split(ARROW);
    if (rest.length > 0) throw wrong(line);
    if (right === undefined) candidate.push(repositoryIn(left, line));
    else companions.push({ source: companionIn(left, line), repository: repositoryIn(right, line) });
  }
  if (candidate.length === 0) {
    throw new UserError('there is no repository for the candidate, such as quay.io/tripleomastercentos9/daemon');
  }
  refuseCollisions([...candidate, ...companions.map((companion) => companion.repository)]);
  return { candidate, companions };
}

function wrong(line: string): UserError {
  return new UserError(
    `${JSON.stringify(line)} is neither a repository such as quay.io/tripleomastercentos9/daemon ` +
      'nor a companion such as quay.io/prometheus/prometheus:v2.33.4 -> quay.io/tripleomastercentos9/prometheus' +
      (line.includes(',') ? '; write one per line' : ''),
  );
}

function repositoryIn(text: string, line: string): Repository {
  const parsed = v.safeParse(repositorySchema, text);
  if (!parsed.success) throw wrong(line);
  return parsed.output;
}

function companionIn(text: string, line: string): Companion['source'] {
  const companion = v.safeParse(companionNameSchema, text);
  if (!companion.success) throw wrong(line);
  return companion.output;
}

function refuseCollisions(repositories: readonly Repository[]): void {
  const seen = new Set<string>();
  for (const repository of repositories) {
    const key = canonicalRepository(repository);
    if (seen.has(key)) {
      throw new UserError(`two lines have the same target ${formatRepository(repository)}`);
    }
    seen.add(key);
  }
}

/** Refuses a target that is also the source, and a versioned tag with the name of the moving tag. */
export function checkTargets(targets: Targets, source: Repository | undefined, label: Label): void {
  const own = source && targetRepositories(targets).find((target) => sameRepository(target, source));
  if (own !== undefined) {
    throw new UserError(`${formatRepository(own)} is the repository that the candidate comes from`, {
      hint: 'targets',
    });
  }
  const moving = targets.companions.find((companion) => String(companion.source.tag) === String(label));
  if (moving !== undefined) {
    throw new UserError(
      `companion ${formatRepository(moving.source.repository)}:${label} has the name of the moving tag; ` +
        'name it by its version',
      { hint: 'targets' },
    );
  }
}
