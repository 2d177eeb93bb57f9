import type { Log } from '../base/log.js';
import type { Change } from './decide.js';

/** The result of a proposal. */
export interface Proposing {
  /** The change; undefined if there is none, or its address is not known. */
  readonly change: Pick<Change, 'url' | 'state'> | undefined;
  readonly changed: boolean;
  /** The result and its reason, in one line. */
  readonly line: string;
}

/** Why a change stays as it is. */
export interface Leave {
  readonly why: string;
  readonly change: Proposing['change'];
  /** True if a person has to do something. */
  readonly isWarning: boolean;
}

/** The result of a proposal that changes nothing, after a warning if one is due. */
export function leave({ why, change, isWarning }: Leave, log: Log): Proposing {
  if (isWarning) log.warning(change === undefined ? why : `${change.url}: ${why}`);
  return { change, changed: false, line: why };
}
