import type { Clock } from '../base/clock.js';
import { type AnswerHead, type Pace, retryAfterMs } from '../http/policy.js';
import { createSlots } from './slots.js';

/** Kinds of requests that registries limit apart. */
export type Kind = 'blob' | 'manifest' | 'tags';

/** Requests of a kind that are under way at once: what Quay's own limits take in their stride. */
export const WIDTH: Readonly<Record<Kind, number>> = { blob: 32, manifest: 10, tags: 2 };

const UNSAID_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 120_000;
const FIRST_SPACING_MS = 100;
const WIDEST_SPACING_MS = 5000;

/**
 * The way to one registry for one kind of request. A 429 stops the whole lane for as long as the server asks, not only
 * the request that met it; after that requests leave one by one, further apart with each 429 and closer with each
 * other answer, so that they arrive at the server's pace instead of bouncing off its limit.
 */
export function createLane(width: number, clock: Clock): Pace {
  const slots = createSlots(width);
  let closedUntil = 0;
  let nextStart = 0;
  let spacing = 0;

  async function turn(): Promise<void> {
    for (;;) {
      const wait = Math.max(closedUntil, nextStart) - clock.now();
      if (wait <= 0) break;
      await clock.sleep(wait);
    }
    nextStart = clock.now() + spacing;
  }

  function learn(answer: AnswerHead): void {
    const now = clock.now();
    if (answer.status !== 429) {
      spacing = spacing < FIRST_SPACING_MS / 4 ? 0 : spacing * 0.97;
      return;
    }
    // Of many that met one limit together, only the first widens the spacing.
    if (now >= closedUntil) spacing = Math.min(Math.max(FIRST_SPACING_MS, spacing * 2), WIDEST_SPACING_MS);
    const pause = Math.min(retryAfterMs(answer.headers, now) ?? UNSAID_PAUSE_MS, LONGEST_PAUSE_MS);
    closedUntil = Math.max(closedUntil, now + pause);
  }

  return {
    async enter() {
      const leave = await slots.enter();
      await turn();
      return (answer) => {
        if (answer !== undefined) learn(answer);
        leave();
      };
    },
  };
}
