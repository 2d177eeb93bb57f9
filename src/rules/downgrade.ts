import type { Candidate, Tag } from '../candidate/reference.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { Setting } from './facts.js';
import { type Refused, refuse } from './outcome.js';

/** How a tag's version compares to what is promoted; `unknown` where the two cannot be compared. */
export function directionOf(setting: Setting, tag: Tag, head: LedgerRecord | undefined): 'up' | 'down' | 'unknown' {
  if (head === undefined) return 'up';
  const order = setting.compareTags(tag, head.candidate.tag);
  return order === undefined ? 'unknown' : order < 0 ? 'down' : 'up';
}

/** No run goes down in version by itself. */
export function refuseDowngrade(
  candidate: Candidate,
  setting: Setting,
  head: LedgerRecord | undefined,
): Refused | undefined {
  const direction = directionOf(setting, candidate.tag, head);
  if (head === undefined || direction === 'up') return undefined;
  const current = head.candidate.tag;
  return refuse(
    direction === 'down'
      ? `${candidate.tag} would take ${setting.label} down from ${current}`
      : `nothing says whether ${candidate.tag} is newer than ${current}, which ${setting.label} is on`,
    'force',
  );
}
