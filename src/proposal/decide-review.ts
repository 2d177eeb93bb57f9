import type { LedgerEnd } from '../ledger/proofs.js';
import type { PatchSet } from './change-branch.js';
import { type Change, newerThan } from './decide.js';
import { isNewer, readTrailer } from './position.js';

/** A change on Gerrit, with its newest patch set. */
export interface Review extends Pick<Change, 'number' | 'url' | 'state'> {
  readonly changeId: string;
  /** The ref of the newest patch set, such as `refs/changes/01/1/2`. */
  readonly ref: string;
  /** The newest patch set's committer: `name <address>`. */
  readonly committer: string;
  /** Its commit message. */
  readonly message: string;
  /** Our message when we abandoned it; undefined if we did not. */
  readonly closing: string | undefined;
}

/** The state of Gerrit and the base branch before a change is pushed for review. */
export interface ReviewSituation {
  /** True if the base branch already has all values. */
  readonly baseIsRight: boolean;
  /** The changes of our topic into the base, newest first. */
  readonly reviews: readonly SeenReview[];
}

export interface SeenReview extends Review {
  /** True if we committed the newest patch set. */
  readonly isOurs: boolean;
  /** True if the files in the newest patch set have the wanted values. */
  readonly isRight: boolean;
}

/** The change to propose. */
export interface WantedReview {
  /** `image:tag@digest`, as the commit message has it in a line of its own. */
  readonly reference: string;
  /** The record that it comes from; undefined if only a reference was given. */
  readonly own: LedgerEnd | undefined;
  /** True if there is a login for Gerrit's REST API. A push cannot abandon a change. */
  readonly canAbandon: boolean;
}

export type ReviewDecision =
  /** A new patch set of this change, or without one a new change. */
  | { readonly kind: 'push'; readonly change: Review | undefined }
  /** The change is no longer needed: the base has the promoted image. */
  | { readonly kind: 'abandon'; readonly change: Review }
  | { readonly kind: 'leave'; readonly why: string; readonly change: Review | undefined; readonly isWarning: boolean };

/** The same rules as for pull requests (`decideChange`), for a server on which a push creates the change. */
export function decideReview(
  { baseIsRight, reviews }: ReviewSituation,
  { reference, own, canAbandon }: WantedReview,
): ReviewDecision {
  const allOpen = reviews.filter(({ state }) => state === 'open');
  const open = allOpen.find(({ isOurs }) => isOurs) ?? allOpen[0];
  const leave = (why: string, isWarning = false, change: Review | undefined = open): ReviewDecision => ({
    kind: 'leave',
    why,
    change,
    isWarning,
  });
  if (open === undefined && baseIsRight) return leave('the base branch has it already');
  if (open?.isRight) return leave('the open change proposes it already');
  if (open?.isOurs === false) {
    return leave('somebody has pushed the newest patch set of the change, so it is left as it is', true);
  }
  for (const { message, closing, state } of reviews) {
    const order = compareRecords(closing ?? message, own);
    if (order === undefined || (order.isWarning && state !== 'open')) continue;
    return leave(order.why, order.isWarning);
  }
  if (open !== undefined && baseIsRight) {
    return canAbandon
      ? { kind: 'abandon', change: open }
      : leave('the base branch has it already; a person must abandon the open change, since a push cannot', true);
  }
  const closed = reviews.find(
    ({ state, message, closing }) =>
      state === 'closed' && closing === undefined && message.split(/\r?\n/).includes(reference),
  );
  if (open === undefined && closed !== undefined) {
    return leave('a person has abandoned the change for this image; it is not opened again', true, closed);
  }
  return { kind: 'push', change: open };
}

/**
 * Decides whether Gerrit already has our commit: `push` if the change's newest patch set proposes something else that
 * may be replaced, and otherwise the reason to leave it.
 */
export function decidePatchSet(
  newest: PatchSet | undefined,
  own: LedgerEnd | undefined,
): 'push' | { readonly why: string; readonly isWarning: boolean } {
  if (newest === undefined) {
    const why = 'Gerrit has this commit already, and does not show whether it is the newest patch set';
    return { why, isWarning: false };
  }
  // Anybody may have made it: a rebase in the browser has another committer.
  if (newest.isRight)
    return { why: 'Gerrit has this commit already, and its newest patch set is right', isWarning: false };
  if (!newest.isOurs) {
    return { why: 'somebody has pushed the newest patch set of the change, so it is left as it is', isWarning: true };
  }
  return compareRecords(newest.message, own) ?? 'push';
}

/** The reason why our own record must not replace a patch set with this message; undefined if it may. */
function compareRecords(
  message: string,
  own: LedgerEnd | undefined,
): { readonly why: string; readonly isWarning: boolean } | undefined {
  const record = readTrailer(message);
  if (own === undefined || record === undefined) return undefined;
  const order = record === 'unclear' ? 'unclear' : isNewer(record, own);
  if (record === 'unclear' || order === 'unclear') {
    const why =
      'the newest patch set is of another ledger, or its record cannot be parsed; abandon the change to go on';
    return { why, isWarning: true };
  }
  return order ? { why: newerThan(record, own), isWarning: false } : undefined;
}
