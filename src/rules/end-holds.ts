import type { Candidate, Digest } from '../candidate/reference.js';
import { compareTags } from '../candidate/schemes.js';
import { isBannedBy } from '../ledger/bans.js';
import type { Ban } from '../ledger/record.js';

/** The holds that remain after a promotion. A hold ends when its own image or a newer version is promoted. */
export function holdsAfter(holds: readonly Ban[], promoted: Candidate, contents: readonly Digest[]): Ban[] {
  const ends = (hold: Ban) =>
    isBannedBy(hold, promoted.digest, contents) || (compareTags(promoted.tag, hold.tag) ?? 0) > 0;
  return holds.filter((hold) => !ends(hold));
}
