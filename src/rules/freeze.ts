import type { Setting } from './facts.js';
import { type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';

/** Refuses a person's request during a freeze, which stops everything but lifting a hold. */
export function refuseFrozen(kind: Request['kind'], { freeze }: Setting): Refused | undefined {
  return freeze === undefined || kind === 'lift' ? undefined : refuse(`promotion is frozen: ${freeze}`, 'freeze');
}

/** Why a candidate that meets the criteria is not promoted during a freeze; undefined if there is none. */
export function frozenReason({ freeze }: Setting): string | undefined {
  return freeze === undefined ? undefined : `the criteria are met, but promotion is frozen: ${freeze}`;
}
