import type { Candidate, Digest, Tag } from '../candidate/reference.js';
import { isBannedBy } from '../ledger/bans.js';
import type { Ban } from '../ledger/record.js';

/** The holds that remain after a promotion. A hold ends when its own image or a newer version is promoted. */
export function holdsAfter(
  holds: readonly Ban[],
  promoted: Candidate,
  contents: readonly Digest[],
  isNewer: (a: Tag, b: Tag) => boolean,
): Ban[] {
  return holds.filter((hold) => !isBannedBy(hold, promoted.digest, contents) && !isNewer(promoted.tag, hold.tag));
}
