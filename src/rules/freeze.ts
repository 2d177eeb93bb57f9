import type { Setting } from './facts.js';
import { type Refused, refuse } from './outcome.js';

/** A freeze stops everything but lifting a hold. */
export function frozen({ freeze }: Setting): Refused | undefined {
  return freeze === undefined ? undefined : refuse(`promotion is frozen: ${freeze}`, 'freeze');
}
