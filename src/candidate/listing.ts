import { UserError } from '../base/errors.js';
import type { Digest } from './reference.js';

/** A tag as a registry listed it. */
export interface ListedTag {
  /** As received: it may not be a valid tag. */
  readonly name: string;
  readonly digest?: Digest;
  /** Unix seconds at which the tag was set on this registry. Good for its age, but not for ordering versions. */
  readonly startedAt?: number;
  /** Listed, but deleted since. */
  readonly expired?: boolean;
}

/** Refuses a listing that lost more than a fifth of the tags known before. `knownTags` 0 means unknown. */
export function checkListing(count: number, knownTags: number): void {
  if ((knownTags - count) * 5 <= knownTags) return;
  throw new UserError(`${count} tags were listed, but ${knownTags} were known, so the listing seems to be incomplete`, {
    hint: 'known-tags',
  });
}

/**
 * Returns each name once. Offset paging and a tag's history can produce several rows for one name. A row that has not
 * expired wins, then the latest one. The order of the rows makes no difference.
 */
export function distinctTags(listing: Iterable<ListedTag>): readonly ListedTag[] {
  const byName = new Map<string, ListedTag>();
  for (const row of listing) {
    const other = byName.get(row.name);
    if (other === undefined || supersedes(row, other)) byName.set(row.name, row);
  }
  return [...byName.values()];
}

function supersedes(a: ListedTag, b: ListedTag): boolean {
  if ((a.expired ?? false) !== (b.expired ?? false)) return !a.expired;
  if (a.startedAt !== b.startedAt) return (a.startedAt ?? -1) > (b.startedAt ?? -1);
  return (a.digest ?? '') > (b.digest ?? '');
}

/** The other listed tags of this digest, sorted. */
export function aliasesOf(listing: Iterable<ListedTag>, digest: Digest, tag: string): readonly string[] {
  return distinctTags(listing)
    .filter((one) => one.digest === digest && one.name !== tag && !one.expired)
    .map(({ name }) => name)
    .sort();
}
