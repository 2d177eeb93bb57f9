import type { Digest } from '../candidate/reference.js';
import type { LedgerEnd } from '../ledger/proofs.js';
import type { LedgerPosition } from '../ledger/record.js';
import { isNewer, type Named, readRecordComment, withRecord } from './position.js';

/** A change (pull request) that a forge has for our branch. */
export interface Change {
  readonly number: number;
  readonly url: string;
  readonly state: 'open' | 'merged' | 'closed';
  readonly title: string;
  readonly body: string;
}

/** The state of the repository and the forge before a change is proposed. */
export interface Situation {
  /** True if the base branch already has all values. */
  readonly baseIsRight: boolean;
  readonly branch:
    | 'absent'
    /** Made by us, with exactly the content and message that we would push. */
    | 'right'
    /** Made by us, with something else. */
    | 'ours'
    /** Somebody else has pushed to it. */
    | 'foreign';
  /** The record that the newest commit of the branch proposes, by its own message. */
  readonly record: Named;
  /** The changes of our branch into the base, newest first. */
  readonly changes: readonly Change[];
}

export type Decision =
  | { readonly kind: 'push-and-open' }
  | { readonly kind: 'push-and-update'; readonly change: Change }
  /** The branch is right, and only the change is missing. */
  | { readonly kind: 'open' }
  /** The branch is right, but the change's text is not. */
  | { readonly kind: 'update'; readonly change: Change }
  /** The change is no longer needed: the base has the promoted image. */
  | { readonly kind: 'close'; readonly change: Change }
  | { readonly kind: 'leave'; readonly why: string; readonly change: Change | undefined; readonly isWarning: boolean };

/** The change to propose. */
export interface Wanted {
  readonly digest: Digest;
  readonly text: ChangeText;
  /** The record that it comes from; undefined if only a reference was given. */
  readonly own: LedgerEnd | undefined;
}

/** The text of a change. */
export interface ChangeText {
  readonly title: string;
  readonly body: string;
}

/**
 * Decides what makes one open change propose the promoted image. A change that a person closed is not opened again for
 * the same image, a branch that a person pushed to is not overwritten, and a run that ends late does not replace the
 * proposal of a newer record.
 */
export function decideChange(situation: Situation, { digest, text, own }: Wanted): Decision {
  const { baseIsRight, branch, changes } = situation;
  const open = changes.find(({ state }) => state === 'open');
  const leave = (why: string, isWarning = false): Decision => ({ kind: 'leave', why, change: open, isWarning });
  if (branch === 'foreign') {
    return baseIsRight && open === undefined
      ? leave('the base branch has it already')
      : leave('somebody has pushed to the branch of the change, so it is left as it is', true);
  }
  const order = own === undefined ? undefined : compareRecords(situation, own);
  if (order !== undefined) return leave(order.why, order.isWarning);
  if (baseIsRight) {
    return open === undefined ? leave('the base branch has it already') : { kind: 'close', change: open };
  }
  if (open !== undefined) {
    if (branch !== 'right') return { kind: 'push-and-update', change: open };
    return open.title === text.title && sameText(open.body, text.body)
      ? leave('the open change proposes it already')
      : { kind: 'update', change: open };
  }
  const closed = changes.find(({ state, body }) => state === 'closed' && readMarker(body) === digest);
  if (closed !== undefined) {
    return {
      kind: 'leave',
      why: 'a person has closed the change for this image; it is not opened again',
      change: closed,
      isWarning: true,
    };
  }
  return branch === 'right' ? { kind: 'open' } : { kind: 'push-and-open' };
}

/** The reason why our own record must not replace the existing proposal; undefined if it may. */
function compareRecords(
  { branch, record, changes }: Situation,
  own: LedgerEnd,
): { readonly why: string; readonly isWarning: boolean } | undefined {
  const open = changes.find(({ state }) => state === 'open');
  const inTexts = changes.map(({ body }) => readRecordComment(body));
  for (const named of [record, ...inTexts]) {
    if (named === undefined || named === 'unclear' || isNewer(named, own) !== true) continue;
    return { why: newerThan(named, own), isWarning: false };
  }
  // Closed changes do not count here: a text that was damaged long ago would stop all proposals for ever.
  const inOpen = open === undefined ? undefined : readRecordComment(open.body);
  if (branch === 'ours' && record === 'unclear') {
    return { why: 'the record that the branch proposes cannot be parsed; delete the branch to go on', isWarning: true };
  }
  if (inOpen === 'unclear') {
    const why =
      'the record that the change proposes cannot be parsed; remove the comment ceph-promotion-record from its text';
    return { why, isWarning: true };
  }
  const isOfOther = [record, inOpen].some((named) => typeof named === 'object' && isNewer(named, own) === 'unclear');
  if (open === undefined || !isOfOther) return undefined;
  const why = 'the change is of another ledger; close it and delete its branch to go on, or name another branch';
  return { why, isWarning: true };
}

/** Says that a newer record was proposed. */
export function newerThan(there: LedgerPosition, own: LedgerPosition): string {
  return `record ${there.n} was proposed already, and is newer than record ${own.n}`;
}

/** Compares texts after a forge has changed their line ends and perhaps trimmed them. */
function sameText(one: string, other: string): boolean {
  const plain = (text: string) => text.replaceAll('\r\n', '\n').trim();
  return plain(one) === plain(other);
}

/** A comment in a change's text that names the proposed image. We remove it if we close the change ourselves. */
export function marker(digest: Digest): string {
  return `<!-- ceph-promotion: ${digest} -->`;
}

function readMarker(body: string): string | undefined {
  return /<!-- ceph-promotion: (\S+) -->/.exec(body)?.[1];
}

/** The text of a change that we close, without the marker that would make it look like a person's decision. */
export function closedText(body: string, own: LedgerEnd | undefined): string {
  const said = body.replaceAll(
    /<!-- ceph-promotion: \S+ -->/g,
    'Closed, since the base branch has the promoted image.',
  );
  return withRecord(said, own);
}
