import type { Digest } from '../candidate/reference.js';
import type { Ban, LedgerRecord } from './record.js';

/** Bans, which are holds and quarantines: they keep images from being promoted. */

export interface Banned {
  readonly kind: 'hold' | 'quarantine';
  readonly ban: Ban;
}

export function banByDigest(bans: readonly Ban[], digest: Digest): Ban | undefined {
  return bans.find((ban) => ban.digest === digest);
}

/** True if the ban covers this image, by its digest or by its contents (platform manifests and configs). */
export function isBannedBy(ban: Ban, digest: Digest, contents: readonly Digest[]): boolean {
  return ban.digest === digest || ban.contents.some((one) => contents.includes(one));
}

/** Finds the ban in `head` that covers an image. A quarantine takes precedence over a hold. */
export function findBan(
  head: Pick<LedgerRecord, 'holds' | 'quarantine'> | undefined,
  digest: Digest,
  contents: readonly Digest[],
): Banned | undefined {
  const quarantined = head?.quarantine.find((ban) => isBannedBy(ban, digest, contents));
  if (quarantined !== undefined) return { kind: 'quarantine', ban: quarantined };
  const held = head?.holds.find((ban) => isBannedBy(ban, digest, contents));
  return held === undefined ? undefined : { kind: 'hold', ban: held };
}

/** Adds a ban, and replaces an earlier one on the same digest. */
export function withBan(bans: readonly Ban[], ban: Ban): Ban[] {
  return [...withoutDigest(bans, ban.digest), ban];
}

export function withoutDigest(bans: readonly Ban[], digest: Digest): Ban[] {
  return bans.filter((ban) => ban.digest !== digest);
}
