import { rfc3339 } from '../base/clock.js';
import type { Head } from './head.js';
import type { Label } from './names.js';
import type { AdoptedRecord, EarnedRecord, ForcedRecord, LedgerRecord, PlainRecord } from './record.js';

/** The person or schedule that writes a record, and the run. */
export interface Author {
  /** `run/attempt/uuid`. */
  readonly id: string;
  readonly who: string;
  readonly runUrl: string | undefined;
  /** The event that started the run; empty outside a runner. */
  readonly event: string;
}

/** The fields of a record that follow from its author, its time and its place in the chain. */
type Circumstances = 'id' | 'n' | 'when' | 'who' | 'runUrl' | 'event' | 'label' | 'prevSha256';

/** The fields of a record that the decision supplies. */
export type Change =
  | Omit<EarnedRecord, Circumstances>
  | Omit<ForcedRecord, Circumstances>
  | Omit<AdoptedRecord, Circumstances>
  | Omit<PlainRecord, Circumstances>;

/** The record after `head`, or the first one if `head` is undefined. `when` in unix seconds. */
export function nextRecord(
  head: Pick<Head, 'n' | 'sha256'> | undefined,
  label: Label,
  change: Change,
  author: Author,
  when: number,
): LedgerRecord {
  return { ...change, ...author, label, n: (head?.n ?? 0) + 1, when: rfc3339(when), prevSha256: head?.sha256 };
}
