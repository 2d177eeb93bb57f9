import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import {
  type Candidate,
  canonicalRepository,
  formatCandidate,
  formatRepository,
  type Repository,
  repositorySchema,
  sameRepository,
  type Tag,
  tagSchema,
} from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';

/** An image that is promoted along with the candidate: which one, and where to. */
export interface Companion {
  readonly source: { readonly repository: Repository; readonly tag: Tag };
  readonly repository: Repository;
}

export interface Targets {
  /** Where the candidate goes. */
  readonly candidate: readonly Repository[];
  readonly companions: readonly Companion[];
}

const ARROW = /\s+->\s+/;

/** Takes the lines of the input `targets` apart: `repository`, or `image:tag -> repository` for a companion. */
export function parseTargets(lines: readonly string[]): Targets {
  const candidate: Repository[] = [];
  const companions: Companion[] = [];
  for (const line of lines) {
    const [left = '', right, ...rest] = line.split(ARROW);
    if (rest.length > 0) throw wrong(line);
    if (right === undefined) candidate.push(repositoryIn(left, line));
    else companions.push({ source: taggedIn(left, line), repository: repositoryIn(right, line) });
  }
  if (candidate.length === 0) {
    throw new UserError(
      'input targets: names no repository for the candidate, such as quay.io/tripleomastercentos9/daemon',
    );
  }
  refuseCollisions([...candidate, ...companions.map((companion) => companion.repository)]);
  return { candidate, companions };
}

function wrong(line: string): UserError {
  return new UserError(
    `input targets: ${JSON.stringify(line)} is neither a repository such as quay.io/tripleomastercentos9/daemon ` +
      'nor a companion such as quay.io/prometheus/prometheus:v2.33.4 -> quay.io/tripleomastercentos9/prometheus',
  );
}

function repositoryIn(text: string, line: string): Repository {
  const parsed = v.safeParse(repositorySchema, text);
  if (!parsed.success) throw wrong(line);
  return parsed.output;
}

function taggedIn(text: string, line: string): Companion['source'] {
  const colon = text.lastIndexOf(':');
  const tag = v.safeParse(tagSchema, text.slice(colon + 1));
  if (colon < 0 || !tag.success) throw wrong(line);
  return { repository: repositoryIn(text.slice(0, colon), line), tag: tag.output };
}

function refuseCollisions(repositories: readonly Repository[]): void {
  const seen = new Set<string>();
  for (const repository of repositories) {
    const key = canonicalRepository(repository);
    if (seen.has(key)) {
      throw new UserError(`input targets: two lines end in the same repository ${formatRepository(repository)}`);
    }
    seen.add(key);
  }
}

/** Nothing is pushed where candidates come from, and no versioned tag bears the name of the moving one. */
export function checkTargets(targets: Targets, source: Repository | undefined, label: Label): void {
  const own = source && ownedRepositories(targets).find((target) => sameRepository(target, source));
  if (own !== undefined) {
    throw new UserError(`input targets: ${formatRepository(own)} is the repository that the candidate comes from`);
  }
  const moving = targets.companions.find((companion) => String(companion.source.tag) === String(label));
  if (moving !== undefined) {
    throw new UserError(
      `input targets: companion ${formatRepository(moving.source.repository)}:${label} has the name of the moving tag; ` +
        'name it by its version',
    );
  }
}

/** All repositories that the promotion owns, the candidate's first. */
export function ownedRepositories(targets: Targets): Repository[] {
  return [...targets.candidate, ...targets.companions.map((companion) => companion.repository)];
}

/** What a record says of targets that are configured. */
export function ownedTargets(targets: Targets, record: LedgerRecord): LedgerTarget[] {
  const owned = ownedRepositories(targets).map(formatRepository);
  return record.targets.filter(({ repository }) => owned.includes(repository));
}

/** What a record says of one target. */
export function ledgerTarget(repository: Repository, image: Candidate): LedgerTarget {
  return {
    repository: formatRepository(repository),
    tag: image.tag,
    digest: image.digest,
    source: formatCandidate(image),
  };
}

/** What a record says of the candidate's targets. */
export function candidateTargets(targets: Targets, candidate: Candidate): LedgerTarget[] {
  return targets.candidate.map((repository) => ledgerTarget(repository, candidate));
}
