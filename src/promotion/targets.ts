import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import {
  type Candidate,
  type Digest,
  formatCandidate,
  formatRepository,
  type Repository,
  repositorySchema,
  sameRepository,
  type Tag,
  tagSchema,
} from '../candidate/reference.js';
import type { LedgerTarget } from '../image-server/ledger-record.js';

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
  for (const name of repositories.map(formatRepository)) {
    if (seen.has(name)) throw new UserError(`input targets: two lines end in the same repository ${name}`);
    seen.add(name);
  }
}

/** Nothing is copied onto itself: a target that is the candidate's own repository has no business in the list. */
export function refuseSource(targets: Targets, source: Repository): void {
  const own = targets.candidate.find((target) => sameRepository(target, source));
  if (own !== undefined) {
    throw new UserError(`input targets: ${formatRepository(own)} is the repository that the candidate comes from`);
  }
}

/** All repositories that the promotion owns, the candidate's first. */
export function ownedRepositories(targets: Targets): Repository[] {
  return [...targets.candidate, ...targets.companions.map((companion) => companion.repository)];
}

/** What a record says of each target; `companionDigests` are in the order of the companions. */
export function ledgerTargets(
  targets: Targets,
  candidate: Candidate,
  companionDigests: readonly Digest[],
): LedgerTarget[] {
  const copies = targets.candidate.map((repository) => ({ repository, image: candidate }));
  const companions = targets.companions.flatMap((companion, index) => {
    const digest = companionDigests[index];
    return digest === undefined ? [] : [{ repository: companion.repository, image: { ...companion.source, digest } }];
  });
  return [...copies, ...companions].map(({ repository, image }) => ({
    repository: formatRepository(repository),
    tag: image.tag,
    digest: image.digest,
    source: formatCandidate(image),
  }));
}
