import type { Hint } from '../base/errors.js';
import { formatRepository, type Repository, sameRepository } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import type { LedgerRecord } from '../ledger/record.js';
import { describeStep, stepsTo } from '../ledger/steps.js';
import { endOfVerified, verifyLedger } from '../ledger/verify.js';
import { look, targetError } from '../promotion/look.js';
import type { Authority } from '../proof/bundle.js';
import { verifySigned } from '../proof/signatures.js';
import type { Registry } from '../registry/registry.js';
import { ledgerOf, type StoreReader } from '../store/reader.js';
import { omitRefusedProofs } from './refused-proofs.js';

export interface VerifyOptions {
  readonly reader: StoreReader;
  readonly registry: Registry;
  readonly label: Label;
  /** The key that must have sealed every record. Without it, seals are not checked. */
  readonly ledgerKey: string | undefined;
  /** The only repositories that the head may name; any if empty. */
  readonly repositories: readonly Repository[];
  /** The authority that must have signed each target's image. Without it, signatures are not checked. */
  readonly authority?: Authority | undefined;
}

export interface Verified {
  /** All records before the first one that is wrong, oldest first. */
  readonly records: readonly LedgerRecord[];
  /** The first problem, in one line. */
  readonly problem: string | undefined;
  readonly hint?: Hint | undefined;
  /** The repositories whose registry cannot keep proofs. Nothing there would reveal a cut ledger. */
  readonly withoutReferrers: readonly string[];
  /** The signers of the head, one line for each target; empty if signatures were not checked. */
  readonly signedBy: readonly string[];
}

/**
 * Verifies a label's promotions by reading alone, as anyone can: each record and its decision, and that labels,
 * artifacts, images and proofs match the head. While a promotion runs, readers may lag behind the head.
 *
 * @throws ServiceError if something cannot be read.
 */
export async function verifyPromotion(options: VerifyOptions): Promise<Verified> {
  const { reader, registry, label, ledgerKey, repositories, authority } = options;
  const ledger = ledgerOf(reader, label);
  const verification = await verifyLedger(ledger, { label, key: ledgerKey });
  const { records, problem } = verification;
  const result = (
    wrong: string | undefined,
    withoutReferrers: readonly string[] = [],
    signedBy: readonly string[] = [],
  ): Verified => ({ records, problem: wrong, withoutReferrers, signedBy });
  if (problem !== undefined) return result(problem);
  const changed = await reader.findChangedRecord?.(label);
  if (changed !== undefined) return result(`a record was changed or removed after it was written: ${changed}`);
  const head = records.at(-1);
  // This message covers a wrong address too, which looks the same.
  const end = endOfVerified(verification);
  if (head === undefined || end === undefined) {
    return { ...result(`${reader.where}: there is no ledger of ${label}`), hint: 'url' };
  }
  const foreign = head.targets.find(
    ({ repository }) => repositories.length > 0 && !repositories.some((one) => sameRepository(one, repository)),
  );
  if (foreign !== undefined) {
    return result(
      `ledger record ${head.n}: its target ${formatRepository(foreign.repository)} is not a configured target`,
    );
  }
  const place = { reader, registry, label, repositories: head.targets.map(({ repository }) => repository) };
  const sight = await look(place, head, end);
  const failure = targetError(sight.failures);
  if (failure !== undefined) throw failure;
  const [contradiction] = sight.contradictions;
  if (contradiction !== undefined) return result(contradiction, sight.withoutReferrers);
  const { steps, refusedBy } = await omitRefusedProofs(stepsTo(head, sight.visible), reader, label);
  const keepNone = [...sight.withoutReferrers, ...refusedBy];
  const [step] = steps;
  const todo =
    step && `readers do not find what ledger record ${head.n} says; still to do: ${describeStep(step, label)}`;
  if (todo !== undefined) return result(todo, keepNone);
  const signedBy: string[] = [];
  for (const { repository, digest } of head.targets) {
    if (authority === undefined) break;
    const { moving } = sight.visible.images.get(formatRepository(repository)) ?? {};
    const said = await verifySigned(registry, { label, ledger, end, target: repository, digest, moving }, authority);
    if ('problem' in said) return result(said.problem, keepNone);
    signedBy.push(`${formatRepository(repository)}@${digest} by ${said.by}`);
  }
  return result(await lostWayBack(registry, records), keepNone, signedBy);
}

/** The image that a rollback would go to, if it is gone from a target. */
async function lostWayBack(registry: Registry, records: readonly LedgerRecord[]): Promise<string | undefined> {
  const head = records.at(-1);
  const back = records.findLast(({ candidate }) => candidate.digest === head?.previous?.digest);
  for (const { repository, tag, digest } of back?.targets ?? []) {
    if (!head?.targets.some((one) => sameRepository(one.repository, repository))) continue;
    if ((await registry.repository(repository).resolve(tag))?.digest === digest) continue;
    return `${tag}, which a rollback would go back to, is not at ${formatRepository(repository)}`;
  }
  return undefined;
}
