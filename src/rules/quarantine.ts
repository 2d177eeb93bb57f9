import { withBan, withoutDigest } from '../ledger/bans.js';
import type { LedgerRecord } from '../ledger/record.js';
import { amend } from './amend.js';
import type { Facts, Setting } from './facts.js';
import { banOn } from './guards.js';
import { findImage } from './known-image.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';

/** Keeps an image from ever being promoted. A quarantine never ends, and even a force cannot override it. */
export async function quarantine(
  { image, reason }: Request & { readonly kind: 'quarantine' },
  setting: Setting,
  head: LedgerRecord,
  facts: Facts,
): Promise<Decided | Refused> {
  const candidate = typeof image === 'string' ? await findImage(image, setting, facts) : image;
  if (candidate === undefined) return refuse(`${image} is not known; name it as <image>:<tag>@<digest>`, 'quarantine');
  if ('refused' in candidate) return candidate;
  const { digest, tag } = candidate;
  if (digest === head.candidate.digest) {
    return refuse(`${tag} is what ${setting.label} points at; roll back first`);
  }
  const ban = await banOn(candidate, head.candidate, reason, setting, head, facts);
  return amend(
    head,
    {
      kind: 'quarantine',
      reason,
      summary: `${tag} (${digest}) is quarantined: ${reason}`,
      holds: withoutDigest(head.holds, digest),
      quarantine: withBan(head.quarantine, ban),
    },
    facts,
  );
}
