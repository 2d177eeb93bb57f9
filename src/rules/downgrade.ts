import type { Candidate, Tag } from '../candidate/reference.js';
import { compareTags } from '../candidate/schemes.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { Setting } from './facts.js';
import { type Refused, refuse } from './outcome.js';

/** Compares a tag's version to the promoted one; `unknown` if the two cannot be compared. */
export function directionOf(tag: Tag, head: LedgerRecord | undefined): 'up' | 'down' | 'unknown' {
  if (head === undefined) return 'up';
  const order = compareTags(tag, head.candidate.tag);
  return order === undefined ? 'unknown' : order < 0 ? 'down' : 'up';
}

/** Refuses to go to a lower version without a person's decision. */
export function refuseDowngrade(
  candidate: Candidate,
  { label }: Setting,
  head: LedgerRecord | undefined,
): Refused | undefined {
  const direction = directionOf(candidate.tag, head);
  if (head === undefined || direction === 'up') return undefined;
  const current = head.candidate.tag;
  return refuse(
    direction === 'down'
      ? `${candidate.tag} would take ${label} down from ${current}`
      : `nothing says whether ${candidate.tag} is newer than ${current}, which ${label} is on`,
    'force',
  );
}
