import { ServiceError } from '../base/errors.js';
import {
  checkRecord,
  type Head,
  type LedgerRules,
  parseHead,
  readHead,
  sealRecord,
  verifyHead,
} from '../ledger/chain.js';
import { previousLabel } from '../ledger/names.js';
import type { LedgerRecord } from '../ledger/record.js';
import { ledgerOf } from '../store/reader.js';
import { adoptedRecord } from './adopt.js';
import { ensureImages } from './images.js';
import { look } from './look.js';
import { describeStep, foreignTarget, movingTag, repositoryOf, type Step, stepsTo } from './plan.js';
import type { Promotion } from './promotion.js';

/** How often the head may move on under us, or another undo what we do, before we give up. */
const ROUNDS = 20;

export interface Reconciled {
  /** Undefined where nothing was ever promoted. */
  readonly head: Head | undefined;
  /** Why what the head names cannot be made to be there; it stays, until another image takes its place. */
  readonly unfinished?: unknown;
}

/**
 * Makes readers find what the ledger's head says, whoever wrote it and wherever that run was stopped; adopts a label
 * that has no ledger yet. In a dry run it only looks. `known` is a record that was there.
 *
 * @throws ServiceError where the head must not be acted on, or a server fails.
 */
export async function reconcile(promotion: Promotion, known?: number): Promise<Reconciled> {
  const { server, label, log, dryRun } = promotion;
  const ledger = ledgerOf(server, label);
  let steps: Step[] = [];
  let trusted: Head | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    const head = await readHead(ledger, trusted?.n ?? known);
    if (head === undefined) {
      const record = await adoptedRecord(promotion);
      if (record === undefined) return { head };
      if (dryRun) return { head: parseHead(1, sealRecord(record, undefined)) };
      await commit(promotion, undefined, record);
      continue;
    }
    if (trusted === undefined || !trusted.bytes.equals(head.bytes)) {
      await verifyHead(ledger, head, rulesOf(promotion));
      trusted = head;
    }
    // Looked for anew in each round: so all that was made is read back.
    steps = await stepsFor(promotion, head);
    for (const step of steps) log.info(`${dryRun ? 'would' : 'to do:'} ${describeStep(step, label)}`);
    if (steps.length === 0 || dryRun) return { head };
    if (steps.some(({ kind }) => kind === 'copy-image' || kind === 'write-artifact')) {
      try {
        await ensureImages(promotion, head.record);
      } catch (unfinished) {
        return { head, unfinished };
      }
    }
    await move(promotion, head, steps);
  }
  const [undone] = steps;
  throw new ServiceError(
    'conflict',
    `${undone === undefined ? `ledger of ${label}` : describeStep(undone, label)}: made and undone ${ROUNDS} times; ` +
      'who else writes there?',
  );
}

/**
 * Writes a record after all that it names is there. The append is the commit point: before it nothing was promoted,
 * after it whoever comes next finishes the promotion. `lost`: another run wrote this record.
 */
export async function commit(
  promotion: Promotion,
  head: Head | undefined,
  record: LedgerRecord,
): Promise<'won' | 'lost'> {
  const { server, label, log, ledgerKey } = promotion;
  const bytes = sealRecord(record, ledgerKey);
  const checked = checkRecord(record.n, bytes, head?.bytes, rulesOf(promotion));
  // It would be in everyone's way for good.
  if ('problem' in checked) throw new Error(`would write a ledger record that nobody trusts: ${checked.problem}`);
  await server.sweep();
  await ensureImages(promotion, record);
  const result = await server.appendRecord(label, record.n, bytes, record.id);
  if (result === 'won') log.info(`ledger record ${record.n} of ${label} written: ${record.kind} ${record.candidate}`);
  else log.info(`another run wrote ledger record ${record.n} of ${label} first; looking again`);
  return result;
}

function rulesOf({ label, ledgerKey, replay }: Promotion): LedgerRules {
  return { label, key: ledgerKey, replay };
}

/** What is left to do of what a head says; throws where that is not ours to do. */
async function stepsFor(promotion: Promotion, head: Head): Promise<Step[]> {
  const steps = stepsTo(head.record, await look(promotion, head.record));
  // A target that is configured no more is no harm while there is nothing to do.
  const foreign = steps.length === 0 ? undefined : foreignTarget(head.record, promotion.targets);
  if (foreign === undefined) return steps;
  throw new ServiceError(
    'bad-answer',
    `ledger record ${head.n} not trusted: its target ${foreign} is none that is configured, and it is not finished; ` +
      'if the record is right, name that target until it is',
  );
}

class Superseded extends Error {}

/** Moves tags and labels, one after the other, and looks before each that the head is still this one. */
async function move(promotion: Promotion, head: Head, steps: readonly Step[]): Promise<void> {
  const { server, registry, label } = promotion;
  const lastLook = async () => {
    if ((await server.readRecord(label, head.n + 1)) !== undefined) throw new Superseded();
  };
  try {
    for (const step of steps) {
      switch (step.kind) {
        case 'move-tag':
          await registry.repository(repositoryOf(step.target)).moveTag(movingTag(label), step.target.digest, lastLook);
          break;
        case 'move-label':
          await server.moveLabel(label, step.tag, lastLook);
          break;
        case 'move-previous':
          if (step.tag === undefined) await server.removeLabel(previousLabel(label), lastLook);
          else await server.moveLabel(previousLabel(label), step.tag, lastLook);
      }
    }
  } catch (error) {
    if (!(error instanceof Superseded)) throw error;
    promotion.log.info(`another run wrote ledger record ${head.n + 1} of ${label}; finishing that`);
  }
}
