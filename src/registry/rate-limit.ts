import type { Clock } from '../base/clock.js';
import { type AnswerHead, type Pace, retryAfterMs } from '../http/policy.js';
import { createSemaphore } from './semaphore.js';

/** Registries limit these kinds of requests separately. */
export type Kind = 'blob' | 'manifest' | 'tags';

/** The number of requests of a kind that run at once: few enough for Quay's own limits. */
export const WIDTH: Readonly<Record<Kind, number>> = { blob: 32, manifest: 10, tags: 2 };

const DEFAULT_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 120_000;
const FIRST_SPACING_MS = 100;
const WIDEST_SPACING_MS = 5000;

/**
 * Limits one kind of request to one registry. A 429 pauses all of these requests for as long as the server asks, not
 * only the one that got it. Then they are sent one at a time, further apart after each 429 and closer after any other
 * answer, to match the server's pace.
 */
export function createRateLimit(width: number, clock: Clock): Pace {
  const semaphore = createSemaphore(width);
  let closedUntil = 0;
  let nextStart = 0;
  let spacing = 0;

  async function waitForTurn(): Promise<void> {
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
    // If several requests hit one limit together, only the first widens the spacing.
    if (now >= closedUntil) spacing = Math.min(Math.max(FIRST_SPACING_MS, spacing * 2), WIDEST_SPACING_MS);
    const pause = Math.min(retryAfterMs(answer.headers, now) ?? DEFAULT_PAUSE_MS, LONGEST_PAUSE_MS);
    closedUntil = Math.max(closedUntil, now + pause);
  }

  return {
    async enter() {
      const leave = await semaphore.enter();
      await waitForTurn();
      return (answer) => {
        if (answer !== undefined) learn(answer);
        leave();
      };
    },
  };
}
