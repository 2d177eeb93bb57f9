import { type CompanionName, companionsOf, type ImageSet, isNamed } from '../candidate/image-set.js';
import { type Candidate, formatRepository, type Repository, sameRepository } from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';

/** The image of a companion, and the repository it goes to. */
export interface Companion {
  /** With a digest it is pinned: only that digest is promoted, wherever the tag points. */
  readonly source: CompanionName;
  readonly repository: Repository;
}

/** The repositories that a promotion writes to. */
export interface Targets {
  /** For the candidate. */
  readonly candidate: readonly Repository[];
  readonly companions: readonly Companion[];
}

/** All target repositories, the candidate's first. */
export function targetRepositories(targets: Targets): Repository[] {
  return [...targets.candidate, ...targets.companions.map(({ repository }) => repository)];
}

/** The targets of a record that are configured. No other repository is read or written. */
export function configuredTargets(targets: Targets, record: LedgerRecord): LedgerTarget[] {
  const repositories = targetRepositories(targets);
  return record.targets.filter(({ repository }) => repositories.some((one) => sameRepository(one, repository)));
}

/** A record's targets that are not configured, as `registry/path`. */
export function unconfiguredTargets(targets: Targets, record: LedgerRecord): string[] {
  const configured = configuredTargets(targets, record);
  return record.targets
    .filter((one) => !configured.includes(one))
    .map(({ repository }) => formatRepository(repository));
}

export function targetOf(repository: Repository, image: Candidate): LedgerTarget {
  return { repository, tag: image.tag, digest: image.digest, source: image };
}

export function candidateTargets(targets: Targets, candidate: Candidate): LedgerTarget[] {
  return targets.candidate.map((repository) => targetOf(repository, candidate));
}

/** Compares repository and tag only, not the digest. */
export function holdsImage({ source }: LedgerTarget, image: Pick<Candidate, 'repository' | 'tag'>): boolean {
  return isNamed(source, image);
}

/** True if the record promoted the images of the set to all configured targets, and to no other. */
export function isPromotedTo(record: LedgerRecord, { candidate, companions }: Targets, set: ImageSet): boolean {
  const { digest } = set;
  const wanted = ({ digest: pinned, ...name }: CompanionName) =>
    companionsOf(set).find((one) => isNamed(one, name))?.digest ?? pinned;
  const has = (repository: Repository, fits: (target: LedgerTarget) => boolean) =>
    record.targets.some((target) => sameRepository(target.repository, repository) && fits(target));
  return (
    record.candidate.digest === digest &&
    record.targets.length === candidate.length + companions.length &&
    candidate.every((repository) => has(repository, (target) => target.digest === digest)) &&
    companions.every(({ repository, source }) =>
      has(repository, (target) => holdsImage(target, source) && target.digest === (wanted(source) ?? target.digest)),
    )
  );
}
