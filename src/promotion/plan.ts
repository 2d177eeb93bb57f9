import * as v from 'valibot';
import { rfc3339 } from '../base/clock.js';
import {
  type Candidate,
  candidateSchema,
  type Digest,
  formatCandidate,
  formatRepository,
  type Repository,
  repositorySchema,
  sameRepository,
  type Tag,
  tagSchema,
} from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { Ban, LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { ownedTargets, type Targets } from './targets.js';

/** What a run would change, and the words for it. Pure: a dry run is this and nothing else. */

/** What readers find now of one promotion. */
export interface Visible {
  readonly label: Tag | undefined;
  readonly previousLabel: Tag | undefined;
  /** The tags whose artifact is whole and has its candidate file. */
  readonly artifacts: ReadonlySet<Tag>;
  /** By repository. One that is not ours to touch is not among them. */
  readonly images: ReadonlyMap<string, { readonly versioned: Digest | undefined; readonly moving: Digest | undefined }>;
}

export type Step =
  | { readonly kind: 'copy-image'; readonly target: LedgerTarget; readonly from: Digest | undefined }
  | { readonly kind: 'write-artifact'; readonly tag: Tag }
  | { readonly kind: 'move-tag'; readonly target: LedgerTarget; readonly from: Digest | undefined }
  | { readonly kind: 'move-label'; readonly tag: Tag; readonly from: Tag | undefined }
  | { readonly kind: 'move-previous'; readonly tag: Tag | undefined; readonly from: Tag | undefined };

/**
 * The steps that make readers find what `record` says, in their order: what a label names is there before the label
 * names it. None where they find it already.
 */
export function stepsTo(record: LedgerRecord, visible: Visible): Step[] {
  const copies: Step[] = [];
  const moves: Step[] = [];
  for (const target of record.targets) {
    const image = visible.images.get(target.repository);
    if (image === undefined) continue;
    const { versioned, moving } = image;
    if (versioned !== target.digest) copies.push({ kind: 'copy-image', target, from: versioned });
    if (moving !== target.digest) moves.push({ kind: 'move-tag', target, from: moving });
  }
  const { tag } = candidateOf(record.candidate);
  const previous = previousOf(record)?.tag;
  for (const one of [tag, previous]) {
    if (one !== undefined && !visible.artifacts.has(one)) copies.push({ kind: 'write-artifact', tag: one });
  }
  if (visible.label !== tag) moves.push({ kind: 'move-label', tag, from: visible.label });
  if (visible.previousLabel !== previous) {
    moves.push({ kind: 'move-previous', tag: previous, from: visible.previousLabel });
  }
  return [...copies, ...moves];
}

/** A step in words, to be read after `would`. */
export function describeStep(step: Step, label: Label): string {
  switch (step.kind) {
    case 'copy-image':
      return `copy ${step.target.digest} to ${step.target.repository}:${step.target.tag}${was(step.from)}`;
    case 'write-artifact':
      return `write the artifact ${step.tag}`;
    case 'move-tag':
      return `move tag ${step.target.repository}:${label} to ${step.target.digest}${was(step.from)}`;
    case 'move-label':
      return `move label ${label} to ${step.tag}${was(step.from)}`;
    case 'move-previous':
      return step.tag === undefined
        ? `remove label previous-${label}${was(step.from)}`
        : `move label previous-${label} to ${step.tag}${was(step.from)}`;
  }
}

function was(from: string | undefined): string {
  return from === undefined ? '' : ` (was ${from})`;
}

/** Whether the record has promoted the candidate, and that to all targets that are configured, and no other. */
export function isPromoted(
  record: LedgerRecord,
  { candidate: own, companions }: Targets,
  candidate: Candidate,
): boolean {
  const promoted = (repository: Repository, fits: (target: LedgerTarget) => boolean) =>
    record.targets.some((target) => target.repository === formatRepository(repository) && fits(target));
  return (
    candidateOf(record.candidate).digest === candidate.digest &&
    record.targets.length === own.length + companions.length &&
    own.every((repository) => promoted(repository, ({ digest }) => digest === candidate.digest)) &&
    companions.every(({ repository, source }) => promoted(repository, (target) => isOf(target, source)))
  );
}

/** Whether a target has the image of this name, whatever its digest. */
export function isOf({ source }: LedgerTarget, image: Pick<Candidate, 'repository' | 'tag'>): boolean {
  const { repository, tag } = candidateOf(source);
  return tag === image.tag && sameRepository(repository, image.repository);
}

/** The first target of a record that is configured no more. */
export function foreignTarget(record: LedgerRecord, configured: Targets): string | undefined {
  const owned = ownedTargets(configured, record);
  return record.targets.find((target) => !owned.includes(target))?.repository;
}

/** Why a digest must not be promoted: quarantined for good, or on hold. */
export function banOf(
  record: LedgerRecord | undefined,
  digest: Digest,
): { readonly kind: 'hold' | 'quarantine'; readonly ban: Ban } | undefined {
  const quarantined = record?.quarantine.find((ban) => ban.digest === digest);
  if (quarantined !== undefined) return { kind: 'quarantine', ban: quarantined };
  const held = record?.holds.find((ban) => ban.digest === digest);
  return held === undefined ? undefined : { kind: 'hold', ban: held };
}

/** A hold ends where its own digest, or a newer version, is promoted; `isNewer` compares versions of tags. */
export function holdsAfter(holds: readonly Ban[], promoted: Candidate, isNewer: (a: Tag, b: Tag) => boolean): Ban[] {
  return holds.filter((hold) => hold.digest !== promoted.digest && !isNewer(promoted.tag, hold.tag));
}

/** Whether a record can be gone back to from `digest`: another image, neither held nor quarantined. */
export function isWayBack(record: LedgerRecord, digest: Digest, bans: readonly Ban[]): boolean {
  const candidate = candidateOf(record.candidate);
  return candidate.digest !== digest && !bans.some((ban) => ban.digest === candidate.digest);
}

export interface Author {
  /** `run/attempt/uuid`. */
  readonly id: string;
  readonly who: string;
  readonly runUrl: string | null;
  readonly event: string;
}

/** What a new record says of itself; the rest is carried over from the head. */
export type Change = Pick<LedgerRecord, 'kind' | 'reason' | 'targets' | 'decision' | 'holds' | 'quarantine'> & {
  readonly candidate: Candidate;
  readonly previous: Candidate | undefined;
  readonly skippedJobs?: readonly string[];
  readonly overridden?: LedgerRecord['overridden'];
};

/** The record after `head` (undefined: the first), unsealed. `when` in unix seconds. */
export function nextRecord(
  head: { readonly n: number; readonly sha256: string } | undefined,
  label: Label,
  change: Change,
  author: Author,
  when: number,
): LedgerRecord {
  return {
    version: 1,
    id: author.id,
    n: (head?.n ?? 0) + 1,
    kind: change.kind,
    when: rfc3339(when),
    who: author.who,
    'run-url': author.runUrl,
    event: author.event,
    reason: change.reason,
    label,
    candidate: formatCandidate(change.candidate),
    targets: change.targets,
    decision: change.decision,
    'skipped-jobs': [...(change.skippedJobs ?? [])],
    overridden: change.overridden ?? [],
    previous: change.previous === undefined ? null : formatCandidate(change.previous),
    holds: change.holds,
    quarantine: change.quarantine,
    'prev-sha256': head?.sha256 ?? null,
  };
}

/** The candidate that a record's reference names; the record's schema has checked its form. */
export function candidateOf(reference: string): Candidate {
  return v.parse(candidateSchema, reference);
}

export function previousOf({ previous }: LedgerRecord): Candidate | undefined {
  return previous === null ? undefined : candidateOf(previous);
}

export function repositoryOf(target: LedgerTarget): Repository {
  return v.parse(repositorySchema, target.repository);
}

/** The moving tag of a label has its name. */
export function movingTag(label: Label): Tag {
  return v.parse(tagSchema, label);
}
