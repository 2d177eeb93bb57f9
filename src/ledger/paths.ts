import type { Label } from './names.js';

/** Where record n of a label's ledger lies, below the store's directory. */
export function recordPath(label: Label, n: number): string {
  return `ledger/${label}/${n}.json`;
}

/** The number in a record's file name; undefined for any other file. */
export function recordNumber(fileName: string): number | undefined {
  const digits = /^([1-9]\d{0,8})\.json$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
