import type { Ban, LedgerRecord } from '../ledger/record.js';
import { amend } from './amend.js';
import type { Facts } from './facts.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';

/** Lifts a hold, so that the image can be promoted again. A freeze does not stop this, since it promotes nothing. */
export async function liftHold(
  { image, reason }: Request & { readonly kind: 'lift' },
  head: LedgerRecord,
  facts: Facts,
): Promise<Decided | Refused> {
  const isMeant = ({ digest, tag }: Ban) => digest === image || tag === image;
  if (!head.holds.some(isMeant)) {
    const held = head.holds.map(({ tag }) => tag).join(', ');
    return refuse(`${image} is not on hold; on hold: ${held || 'nothing'}`, 'lift-hold');
  }
  const holds = head.holds.filter((ban) => !isMeant(ban));
  const summary = `${image} is no longer on hold: ${reason}`;
  return amend(head, { kind: 'lift', reason, summary, holds, quarantine: head.quarantine }, facts);
}
