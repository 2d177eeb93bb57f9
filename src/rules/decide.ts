import type { LedgerRecord } from '../ledger/record.js';
import { adopt } from './adopt.js';
import { evaluate } from './evaluate.js';
import type { Facts, Setting } from './facts.js';
import { force } from './force.js';
import { refuseFrozen } from './freeze.js';
import { keepPromoted } from './guards.js';
import { hold } from './hold.js';
import { liftHold } from './lift-hold.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import { quarantine } from './quarantine.js';
import type { Request } from './request.js';
import { rollBack } from './roll-back.js';

const NOUNS = { rollback: 'to roll back to', hold: 'to hold', lift: 'on hold', quarantine: 'to quarantine' } as const;

/** Decides about one label from its ledger's head, which is undefined if it has no ledger. Changes nothing. */
export async function decide(
  request: Request,
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  if (request.kind === 'evaluate') return evaluate(setting, head, facts);
  if (setting.attempt !== 1) {
    const done = await finishOwn(setting, head, facts);
    if (done !== undefined) return done;
  }
  const frozen = refuseFrozen(request.kind, setting);
  if (frozen !== undefined) return frozen;
  if (request.kind === 'adopt') return adopt(request, setting, head, facts);
  if (request.kind === 'force') return force(request, setting, head, facts);
  if (head === undefined) {
    return refuse(`nothing was ever promoted to ${setting.label}: there is nothing ${NOUNS[request.kind]}`);
  }
  switch (request.kind) {
    case 'lift':
      return liftHold(request, head, facts);
    case 'rollback':
      return rollBack(request, setting, head, facts);
    case 'hold':
      return hold(request, setting, head, facts);
    case 'quarantine':
      return quarantine(request, setting, head, facts);
  }
}

/**
 * A person decided about the state that they saw, so a re-run only finishes that decision and never decides again.
 * Undefined if this may be the first attempt.
 */
async function finishOwn(
  { label, run, attempt }: Setting,
  head: LedgerRecord | undefined,
  { history }: Facts,
): Promise<Decided | Refused | undefined> {
  const own = head && (await history(({ id }) => id.split('/')[0] === run));
  if (head !== undefined && own !== undefined) {
    return keepPromoted(head, `this run wrote ledger record ${own.n}; nothing is left to do`);
  }
  if (attempt === 0) return undefined;
  return refuse(
    `a re-run does not decide for a person again, and the ledger of ${label} has no record of this run`,
    'dispatch-anew',
  );
}
