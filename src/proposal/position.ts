import type { LedgerEnd } from '../ledger/proofs.js';
import type { LedgerPosition } from '../ledger/record.js';

/** The record that a commit or a text names as proposed: undefined if none, `unclear` if it cannot be parsed. */
export type Named = LedgerPosition | 'unclear' | undefined;

const POSITION = /^([1-9]\d{0,8}) ([0-9a-f]{64})$/;
const TRAILER = /^Promotion-Record:(.*)$/gm;
const COMMENT = /<!-- ceph-promotion-record:(.*?)-->/gs;

/** The line of a commit message that names the record that it proposes: its number, and the ledger's id. */
export function formatTrailer({ n, ledger }: LedgerPosition): string {
  return `Promotion-Record: ${n} ${ledger}`;
}

export function readTrailer(message: string): Named {
  return readOne(message.matchAll(TRAILER));
}

/** The same for the text of a change, as a hidden comment. It remains when the branch is deleted. */
export function formatRecordComment({ n, ledger }: LedgerPosition): string {
  return `<!-- ceph-promotion-record: ${n} ${ledger} -->`;
}

export function readRecordComment(text: string): Named {
  return readOne(text.matchAll(COMMENT));
}

/** A change's text that names this record, and no other. */
export function withRecord(text: string, own: LedgerPosition | undefined): string {
  const plain = text.replaceAll(COMMENT, '').trimEnd();
  return own === undefined ? plain : `${plain}\n${formatRecordComment(own)}`;
}

function readOne(matches: Iterable<RegExpMatchArray>): Named {
  const [match, ...more] = matches;
  if (match === undefined) return undefined;
  const [, n, ledger] = POSITION.exec(match[1]?.trim() ?? '') ?? [];
  if (more.length > 0 || n === undefined || ledger === undefined) return 'unclear';
  return { n: Number(n), ledger };
}

/** True if a record is newer than our own; `unclear` if it is of a ledger that ours does not supersede. */
export function isNewer({ n, ledger }: LedgerPosition, own: LedgerEnd): boolean | 'unclear' {
  if (ledger === own.ledger) return n > own.n;
  return own.supersedes.some((lost) => lost.ledger === ledger && n <= lost.n) ? false : 'unclear';
}
