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
  type Tag,
} from '../candidate/reference.js';
import type { Ban, LedgerRecord, LedgerTarget } from '../image-server/ledger-record.js';
import type { Copy } from '../registry/registry.js';
import type { Targets } from './targets.js';

/** What a run would change, and the words for it. Pure: a dry run is this and nothing else. */

/** What readers see now of one promotion's label and moving tags. */
export interface Visible {
  readonly label: Tag | undefined;
  readonly previousLabel: Tag | undefined;
  /** By repository: what the moving tag there points at. */
  readonly movingTags: ReadonlyMap<string, Digest | undefined>;
}

export type Move =
  | {
      readonly kind: 'moving-tag';
      readonly repository: string;
      readonly digest: Digest;
      readonly from: Digest | undefined;
    }
  | { readonly kind: 'label'; readonly tag: Tag; readonly from: Tag | undefined }
  | { readonly kind: 'previous-label'; readonly tag: Tag | undefined; readonly from: Tag | undefined };

/** The moves that make readers see what `record` says; none where they do. Moving tags first: a label names an image that is there. */
export function movesTo(record: LedgerRecord, visible: Visible): Move[] {
  const moves: Move[] = [];
  for (const { repository, digest } of record.targets) {
    const from = visible.movingTags.get(repository);
    if (from !== digest) moves.push({ kind: 'moving-tag', repository, digest, from });
  }
  const { tag } = candidateOf(record.candidate);
  if (visible.label !== tag) moves.push({ kind: 'label', tag, from: visible.label });
  const previous = record.previous === null ? undefined : candidateOf(record.previous).tag;
  if (visible.previousLabel !== previous) {
    moves.push({ kind: 'previous-label', tag: previous, from: visible.previousLabel });
  }
  return moves;
}

export function describeMove(move: Move, label: string): string {
  const from = move.from === undefined ? '' : ` (was ${move.from})`;
  switch (move.kind) {
    case 'moving-tag':
      return `moving tag ${move.repository}:${label} to ${move.digest}${from}`;
    case 'label':
      return `label ${label} to ${move.tag}${from}`;
    case 'previous-label':
      return move.tag === undefined
        ? `label previous-${label} removed${from}`
        : `label previous-${label} to ${move.tag}${from}`;
  }
}

/** Whether the record has promoted the candidate, and all that is configured to go with it. */
export function isPromoted(record: LedgerRecord, targets: Targets, candidate: Candidate): boolean {
  const holds = (repository: Repository, fits: (target: LedgerTarget) => boolean) =>
    record.targets.some((target) => target.repository === formatRepository(repository) && fits(target));
  return (
    candidateOf(record.candidate).digest === candidate.digest &&
    targets.candidate.every((repository) => holds(repository, (target) => target.digest === candidate.digest)) &&
    targets.companions.every(({ repository, source }) => holds(repository, (target) => target.tag === source.tag))
  );
}

/** Why a digest must not be promoted: quarantined for good, or on hold. */
export function banOf(
  record: LedgerRecord | undefined,
  digest: Digest,
): { kind: 'hold' | 'quarantine'; ban: Ban } | undefined {
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
  label: LedgerRecord['label'],
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

export function repositoryOf(target: LedgerTarget): Repository {
  return v.parse(repositorySchema, target.repository);
}

/** What has to be at the targets before anything names it. */
export function copiesOf(targets: readonly LedgerTarget[]): Copy[] {
  return targets.map((target) => {
    const { repository, digest } = candidateOf(target.source);
    return { source: { repository, digest }, target: { repository: repositoryOf(target), tag: target.tag } };
  });
}
