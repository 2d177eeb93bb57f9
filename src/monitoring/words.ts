import * as v from 'valibot';
import { type Candidate, candidateSchema } from '../candidate/reference.js';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const WEEK = 7 * DAY;

/** An RFC 3339 time in unix seconds. */
export function seconds(time: string): number {
  return Date.parse(time) / 1000;
}

/** `2026-11-24 02:00`, in UTC. */
export function minuteOf(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

/** A duration in its two largest units, as in `1 d 4 h`. */
export function durationWords(duration: number): string {
  if (duration < MINUTE) return 'under 1 min';
  if (duration < HOUR) return `${Math.floor(duration / MINUTE)} min`;
  const [large, small] = duration < DAY ? (['h', 'min'] as const) : (['d', 'h'] as const);
  const unit = large === 'h' ? HOUR : DAY;
  const rest = Math.floor((duration % unit) / (small === 'min' ? MINUTE : HOUR));
  const whole = `${Math.floor(duration / unit)} ${large}`;
  return rest === 0 || duration >= 10 * DAY ? whole : `${whole} ${rest} ${small}`;
}

/** A time seen from `now` (both in unix seconds), as in `3 days ago`. Only for logs: a static page is read later. */
export function relativeWords(time: number, now: number): string {
  const distance = Math.abs(now - time);
  if (distance < MINUTE) return 'just now';
  const [unit, word] =
    distance < HOUR ? [MINUTE, 'minute'] : distance < 2 * DAY ? [HOUR, 'hour'] : ([DAY, 'day'] as const);
  const amount = plural(Math.floor(distance / Number(unit)), String(word));
  return time > now ? `in ${amount}` : `${amount} ago`;
}

export function plural(amount: number, word: string): string {
  return `${amount} ${word}${amount === 1 ? '' : 's'}`;
}

/** A share, as in `8 %`; `of` is above 0. */
export function percent(part: number, of: number): string {
  return `${Math.round((100 * part) / of)} %`;
}

/** The first 12 hex digits of a digest. */
export function shortDigest(digest: string): string {
  return digest.replace('sha256:', '').slice(0, 12);
}

/** A reference as a candidate; its schema has checked its form. */
export function candidateOf(reference: string): Candidate {
  return v.parse(candidateSchema, reference);
}

/**
 * Names of jobs without the words that all of them begin and end with, for headings. Each keeps at least one word, so
 * that names which differ stay different.
 */
export function shortNames(names: readonly string[]): ReadonlyMap<string, string> {
  const words = names.map((name) => name.split('-'));
  const [first = []] = words;
  const spare = Math.min(...words.map(({ length }) => length)) - 1;
  const common = (at: (own: readonly string[], index: number) => string | undefined) => {
    let count = 0;
    while (words.length > 1 && count < spare && words.every((own) => at(own, count) === at(first, count))) count += 1;
    return count;
  };
  const start = common((own, index) => own[index]);
  const end = Math.min(
    spare - start,
    common((own, index) => own.at(-1 - index)),
  );
  return new Map(
    names.map((name, index) => [name, words[index]?.slice(start, words[index].length - end).join('-') ?? name]),
  );
}
