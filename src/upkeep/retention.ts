import { canonicalRepository, type Repository, sameRepository, type Tag } from '../candidate/reference.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import type { CandidateFile } from '../store/candidate-file.js';

/** The artifacts and images that can be deleted without breaking a rollback. */
export interface Removable {
  /** Tags of artifacts in the store. */
  readonly artifacts: readonly Tag[];
  /** Versioned tags at targets. */
  readonly images: readonly LedgerTarget[];
}

export interface RetentionOptions {
  /** The number of images, counted from each ledger's newest, that must stay available for a rollback. */
  readonly keep: number;
  /** The repositories in which tags may be deleted. */
  readonly repositories: readonly Repository[];
  /** Tags that any kind of label points at. */
  readonly labelled: ReadonlySet<string>;
}

/**
 * Finds what none of the ledgers (each oldest first) needs. An artifact that was never promoted is a candidate, and
 * stays while it is younger than the oldest promotion that is kept. Without a ledger, everything stays.
 */
export function removable(
  ledgers: readonly (readonly LedgerRecord[])[],
  files: readonly CandidateFile[],
  { keep, repositories, labelled }: RetentionOptions,
): Removable {
  const records = ledgers.flat();
  const needed = ledgers.flatMap((ledger) => neededRecords(ledger, keep, labelled));
  const [oldest] = needed.map(({ when }) => when).sort();
  if (oldest === undefined) return { artifacts: [], images: [] };

  const kept = new Set<string>([...labelled, ...needed.map(tagOf)]);
  const promoted = new Set<string>(records.map(tagOf));
  const artifacts = files
    .filter(({ tag, created }) => !kept.has(tag) && (promoted.has(tag) || created < oldest))
    .map(({ tag }) => tag);

  const keptImages = new Set(needed.flatMap(({ targets }) => targets.map(nameOf)));
  const images = new Map(
    records
      .flatMap(({ targets }) => targets)
      .filter(
        (target) =>
          repositories.some((one) => sameRepository(one, target.repository)) && !keptImages.has(nameOf(target)),
      )
      .map((target) => [nameOf(target), target]),
  );
  return { artifacts, images: [...images.values()] };
}

/**
 * The records of the newest `keep` images that a rollback can go to, of the promoted and the previous image, of images
 * on hold, and of images that a label points at.
 */
function neededRecords(
  ledger: readonly LedgerRecord[],
  keep: number,
  labelled: RetentionOptions['labelled'],
): LedgerRecord[] {
  const head = ledger.at(-1);
  if (head === undefined) return [];
  const digestOf = (record: LedgerRecord) => record.candidate.digest;
  const quarantined = new Set(head.quarantine.map(({ digest }) => digest));
  const newest = [...new Set(ledger.toReversed().map(digestOf))].filter((digest) => !quarantined.has(digest));
  const digests = new Set([
    ...newest.slice(0, keep),
    digestOf(head),
    head.previous?.digest,
    ...head.holds.map(({ digest }) => digest),
  ]);
  return ledger.filter((record) => digests.has(digestOf(record)) || labelled.has(tagOf(record)));
}

function tagOf({ candidate }: LedgerRecord): Tag {
  return candidate.tag;
}

function nameOf({ repository, tag }: LedgerTarget): string {
  return `${canonicalRepository(repository)}:${tag}`;
}
