import { banByDigest, withBan } from '../ledger/bans.js';
import type { LedgerRecord } from '../ledger/record.js';
import { amend } from './amend.js';
import type { Facts, Setting } from './facts.js';
import { banOn, describeBan } from './guards.js';
import { findImage, whyUnknown } from './known-image.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';

/** Keeps an image from being promoted until a newer version is promoted or somebody lifts the hold. */
export async function hold(
  { image, reason }: Pick<Request & { readonly kind: 'hold' }, 'image' | 'reason'>,
  setting: Setting,
  head: LedgerRecord,
  facts: Facts,
): Promise<Decided | Refused> {
  const candidate = await findImage(image, setting, facts);
  if (candidate === undefined) return refuse(`${image} is not known: ${whyUnknown(image)}`, 'held-image');
  if ('refused' in candidate) return candidate;
  const { digest, tag } = candidate;
  const quarantined = banByDigest(head.quarantine, digest);
  if (quarantined !== undefined) return refuse(describeBan({ kind: 'quarantine', ban: quarantined }));
  const holds = withBan(head.holds, await banOn(candidate, head.candidate, reason, setting, head, facts));
  const summary = `${tag} (${digest}) is on hold: ${reason}`;
  return amend(head, { kind: 'hold', reason, summary, holds, quarantine: head.quarantine }, facts);
}
