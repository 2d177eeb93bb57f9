import type { Label } from './names.js';

/** The path of record n of a label's ledger, relative to the store's directory. */
export function recordPath(label: Label, n: number): string {
  return `ledger/${label}/${n}.json`;
}

/** Parses the number in a record's file name; undefined for any other file. */
export function recordNumber(fileName: string): number | undefined {
  const digits = /^([1-9]\d{0,8})\.json$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
