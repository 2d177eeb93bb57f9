import { ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type Digest, formatRepository, sameRepository } from '../candidate/reference.js';
import { backoffMs } from '../http/policy.js';
import { parseRecord, sha256 } from '../ledger/codec.js';
import { type Head, readHead } from '../ledger/head.js';
import { movingTag, previousLabel } from '../ledger/names.js';
import type { LedgerEnd } from '../ledger/proofs.js';
import { distrust, LedgerError, type LedgerReader } from '../ledger/reader.js';
import type { LedgerPosition, LedgerTarget } from '../ledger/record.js';
import { describeStep, type Step, stepsTo } from '../ledger/steps.js';
import { attachProof, findProofs } from '../proof/record-proof.js';
import { attachStatements } from '../proof/signatures.js';
import { configuredTargets, targetRepositories, unconfiguredTargets } from '../rules/targets.js';
import { ledgerOf } from '../store/reader.js';
import type { Store } from '../store/store.js';
import { copyImages, writeArtifacts } from './images.js';
import { contradictionsOf, look, type Place, type Sight, targetError } from './look.js';
import { ledgerRulesOf, type Promotion } from './promotion.js';

/** We give up after this many rounds in which the head changed, or somebody undid our steps. */
const ROUNDS = 20;
/** How often we wait for a proof that we attached: some registries, such as Docker Hub, list it only seconds later. */
const WAITS = 7;

export interface Reconciled {
  /** Undefined if the label has no ledger. */
  readonly head: Head | undefined;
  /** Why readers do not yet find everything that the head says. The head counts all the same. */
  readonly unfinished?: ServiceError | undefined;
  /** The repositories whose registry cannot keep proofs. */
  readonly withoutReferrers: readonly string[];
}

/**
 * Makes labels and moving tags show what the ledger's head says, no matter which run wrote it or where that run
 * stopped. A dry run only looks. A failing target does not stop the others. `written` is the record that this run has
 * just written, and the targets that it copied the images to.
 *
 * @throws ServiceError if the head must not be acted on, or if the store fails.
 */
export async function reconcile(
  promotion: Promotion,
  written?: { readonly n: number; readonly copied: readonly LedgerTarget[] },
): Promise<Reconciled> {
  const { store, label, log, clock, dryRun } = promotion;
  const ledger = ledgerOf(store, label);
  const attached = new Set<string>();
  let waits = 0;
  /** Repositories whose registry refused referrers in this run. */
  const withoutReferrers = new Set<string>();
  let steps: Step[] = [];
  let trusted: Head | undefined;
  let changed: 'nothing was changed' | 'no tag or label was moved' | undefined =
    written === undefined ? 'nothing was changed' : 'no tag or label was moved';
  for (let n = 0; n < ROUNDS; n += 1) {
    const least = trusted?.n ?? written?.n;
    const head = await readHead(ledger, ledgerRulesOf(promotion), least);
    // An older record is not enough: a store that was reset right after the append would show that one.
    if (least !== undefined && (head === undefined || head.n < least))
      throw distrust(least, 'it was there, but is gone');
    if (head === undefined) return { head, withoutReferrers: [] };
    requireOwnTarget(promotion, head);
    const end = await endOf(ledger, head);
    // Only once: the look after the last step reads everything back.
    const sight = await look(placeOf(promotion), head.record, end, n === 0 ? written?.copied : undefined);
    if (trusted === undefined) warnOnce(promotion, head, sight);
    // If another run has appended and attached since the head was read, its proof is not a contradiction.
    if (sight.contradictions.length > 0 && (await ledger.read(head.n + 1)) !== undefined) continue;
    refuseContradiction(sight, changed);
    trusted = head;
    // Looks again in each round, so that everything that was written is read back.
    steps = stepsTo(head.record, sight.visible).filter(
      (step) => step.kind !== 'attach-proof' || !withoutReferrers.has(formatRepository(step.target.repository)),
    );
    for (const step of steps) log.info(`${dryRun ? 'would' : 'to do:'} ${describeStep(step, label)}`);
    const unfinished = targetError(sight.failures);
    const keepNone = [...new Set([...sight.withoutReferrers, ...withoutReferrers])];
    if (steps.length === 0 || dryRun) return { head, unfinished, withoutReferrers: keepNone };
    const proven = steps.flatMap((step) =>
      step.kind === 'attach-proof' ? [formatRepository(step.target.repository)] : [],
    );
    if (proven.some((repository) => attached.has(repository)) && waits < WAITS) {
      waits += 1;
      await clock.sleep(backoffMs(waits, clock.random()));
      continue;
    }
    for (const repository of proven) attached.add(repository);
    const round = { promotion, head, end, lastLook: lookAt(ledger, head), withoutReferrers };
    changed = undefined;
    const failure = await carryOut(round, steps, sight);
    if (failure === 'superseded') continue;
    if (failure !== undefined) return { head, unfinished: failure, withoutReferrers: keepNone };
  }
  const [undone] = steps;
  const what =
    undone === undefined
      ? `the ledger of ${label} changed ${ROUNDS} times`
      : `${describeStep(undone, label)}: made and undone ${ROUNDS} times`;
  throw new ServiceError('conflict', `${what}; find out who else writes there`);
}

export function placeOf({ store, registry, label, targets, signing }: Promotion): Place {
  return { reader: wholeArtifacts(store), registry, label, repositories: targetRepositories(targets), signing };
}

/** Hides candidate files without a whole artifact, so that a label never moves to an incomplete one. */
export function wholeArtifacts(store: Store): Place['reader'] {
  return {
    readLabel: (label) => store.readLabel(label),
    readRecord: (label, n) => store.readRecord(label, n),
    readCandidateFile: async (tag) => {
      const artifact = await store.readArtifact(tag);
      return artifact === 'bare' ? undefined : artifact;
    },
  };
}

/** The ledger's id and its head, which proofs are compared with. */
export async function endOf(ledger: LedgerReader, { n, bytes, sha256: hash }: Head): Promise<LedgerEnd> {
  const first = n === 1 ? bytes : await ledger.read(1);
  if (first === undefined) throw distrust(1, 'it is missing');
  const parsed = parseRecord(first);
  if ('problem' in parsed) throw distrust(1, parsed.problem);
  const { record } = parsed.value;
  return { ledger: sha256(first), n, sha256: hash, supersedes: record.kind === 'adopted' ? record.supersedes : [] };
}

/**
 * Refuses a head whose image went to no configured target: it belongs to another branch's ledger. Several branches may
 * share the target of a companion.
 */
function requireOwnTarget({ targets }: Promotion, { n, record }: Head): void {
  const isOwn = targets.candidate.some((one) =>
    record.targets.some(({ repository }) => sameRepository(repository, one)),
  );
  if (isOwn) return;
  const own = record.targets.filter(({ digest }) => digest === record.candidate.digest);
  const names = own.map(({ repository }) => formatRepository(repository)).join(', ');
  throw new ServiceError('bad-answer', `ledger record ${n} not trusted: none of its targets is configured: ${names}`, {
    hint: 'targets',
  });
}

function warnOnce({ log, targets }: Promotion, { n, record }: Head, { withoutReferrers }: Sight): void {
  const others = unconfiguredTargets(targets, record);
  if (others.length > 0) {
    log.warning(
      `ledger record ${n} also promoted to repositories that are not configured, and are left alone: ${others.join(', ')}`,
    );
  }
  warnOfReferrers(log, withoutReferrers);
}

function warnOfReferrers(log: Log, repositories: readonly string[]): void {
  if (repositories.length === 0) return;
  log.warning(
    `${repositories.join(', ')} cannot keep referrers, so nothing there would show if the ledger were cut or replaced`,
  );
}

/** `changed` says what this run has left alone so far. */
function refuseContradiction({ contradictions }: Pick<Sight, 'contradictions'>, changed: string | undefined): void {
  const [first, ...others] = contradictions;
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const rest = changed === undefined ? '' : `; ${changed}`;
  throw new ServiceError('bad-answer', `${first}${more}${rest}`, { hint: 'adopt' });
}

/**
 * Refuses to promote an image whose proofs contradict the ledger: somebody removed the record that promoted it, before
 * any tag moved. Returns true if another run has written a newer record since, because the proof may belong to that
 * one.
 */
export async function isOutdatedFor(promotion: Promotion, head: Head, digest: Digest): Promise<boolean> {
  const { store, registry, label, targets } = promotion;
  const ledger = ledgerOf(store, label);
  const end = await endOf(ledger, head);
  const found = await Promise.all(
    targets.candidate.map(async (repository) => {
      try {
        return { repository, found: [await findProofs(registry, repository, digest, label)] };
      } catch (error) {
        // The copy to this repository will report the failure. A rollback to the others does not depend on it.
        if (error instanceof ServiceError) return { repository, found: [] };
        throw error;
      }
    }),
  );
  const place = placeOf(promotion);
  const lines = await Promise.all(found.map((one) => contradictionsOf(place, one.found, end, one.repository)));
  const contradictions = lines.flat();
  if (contradictions.length > 0 && (await ledger.read(head.n + 1)) !== undefined) return true;
  refuseContradiction({ contradictions }, 'nothing was changed');
  return false;
}

class Superseded extends Error {}

/** The state that the steps of one round share. */
interface Round {
  readonly promotion: Promotion;
  readonly head: Head;
  readonly end: LedgerEnd;
  /** Called right before each move. Throws if the head has changed. */
  readonly lastLook: () => Promise<void>;
  /** Repositories whose registry refused referrers in this run. */
  readonly withoutReferrers: Set<string>;
}

/**
 * Carries out the steps in order. A target's steps end at its first failure, and the other targets continue. The labels
 * move only if some target has what they name.
 */
async function carryOut(
  round: Round,
  steps: readonly Step[],
  sight: Sight,
): Promise<ServiceError | 'superseded' | undefined> {
  const { promotion, head } = round;
  const failures = [...sight.failures];
  const configured = configuredTargets(promotion.targets, head.record).length;
  try {
    for (const step of steps) {
      if (!('target' in step)) {
        if (failures.length === configured) continue;
        await carryOutInStore(round, step);
        reportDone(promotion, step);
        continue;
      }
      if (failures.some(({ target }) => target === step.target)) continue;
      try {
        await carryOutAtTarget(round, step);
        reportDone(promotion, step);
      } catch (error) {
        if (error instanceof LedgerError || !(error instanceof ServiceError)) throw error;
        failures.push({ target: step.target, error });
      }
    }
  } catch (error) {
    if (!(error instanceof Superseded)) throw error;
    promotion.log.info(`another run wrote ledger record ${head.n + 1} of ${promotion.label}; finishing that`);
    return 'superseded';
  }
  return failures.length > sight.failures.length ? targetError(failures) : undefined;
}

function reportDone({ log, label }: Promotion, step: Step): void {
  log.info(`done: ${describeStep(step, label)}`);
}

function lookAt(ledger: LedgerReader, { n, bytes }: Head): () => Promise<void> {
  return async () => {
    const own = await ledger.read(n);
    if (own === undefined || !own.equals(bytes)) throw distrust(n, 'it was removed or changed during this run');
    // Last, so that nothing comes between it and the move.
    if ((await ledger.read(n + 1)) !== undefined) throw new Superseded();
  };
}

async function carryOutInStore(
  { promotion: { store, label, ...rest }, head, lastLook }: Round,
  step: Exclude<Step, { target: unknown }>,
): Promise<void> {
  switch (step.kind) {
    case 'write-artifact':
    case 'repair-artifact':
      return writeArtifacts({ store, label, ...rest }, head.record);
    case 'move-label':
      return store.moveLabel(label, step.tag, lastLook);
    case 'move-previous':
      return step.tag === undefined
        ? store.removeLabel(previousLabel(label), lastLook)
        : store.moveLabel(previousLabel(label), step.tag, lastLook);
  }
}

async function carryOutAtTarget(round: Round, step: Extract<Step, { target: unknown }>): Promise<void> {
  const { promotion, lastLook } = round;
  const { registry, label } = promotion;
  const { target } = step;
  switch (step.kind) {
    case 'copy-image':
      return copyImages(promotion, [target]);
    case 'attach-proof':
      return attachWhereKept(round, target);
    case 'move-tag':
      return registry.repository(target.repository).moveTag(movingTag(label), target.digest, lastLook);
  }
}

/**
 * Attaches a proof. If the registry definitely cannot keep referrers, this is only a warning; after any other failure
 * the target's tag does not move.
 */
async function attachWhereKept(
  { promotion: { registry, label, log, signing }, head, end, withoutReferrers }: Round,
  { repository, digest }: LedgerTarget,
): Promise<void> {
  try {
    await attachProof(registry, repository, digest, label, end, head.bytes);
    if (signing === undefined) return;
    const claim = { label, record: head.record, position: end, target: repository, digest };
    await attachStatements(registry, claim, head.bytes, signing);
  } catch (error) {
    if (!(error instanceof ServiceError && error.kind === 'unsupported')) throw error;
    withoutReferrers.add(formatRepository(repository));
    warnOfReferrers(log, [formatRepository(repository)]);
  }
}

/** Traces of promotions of a label that has no ledger. */
export interface Remains {
  /** One line each, such as `label current-ceph names v7`. */
  readonly signs: readonly string[];
  /** The lost ledgers that proofs name, each with its newest known record. */
  readonly lost: readonly LedgerPosition[];
}

/**
 * Looks for traces of promotions of a label that has no ledger: the label itself, its moving tags, and proofs on what
 * these point at and on `image`, the one that is to be promoted.
 */
export async function findRemains(promotion: Promotion, image: Digest | undefined): Promise<Remains> {
  const { store, registry, label, targets } = promotion;
  const signs: string[] = [];
  const lost = new Map<string, number>();
  const tag = await store.readLabel(label);
  if (tag !== undefined) signs.push(`label ${label} names ${tag}`);
  for (const repository of targetRepositories(targets)) {
    const moving = await registry.repository(repository).resolve(movingTag(label));
    if (moving !== undefined) signs.push(`${formatRepository(repository)}:${label} is ${moving.digest}`);
    for (const digest of new Set([moving?.digest, image])) {
      if (digest === undefined) continue;
      const { proofs } = await findProofs(registry, repository, digest, label);
      for (const { ledger, n } of proofs) lost.set(ledger, Math.max(n, lost.get(ledger) ?? 0));
      if (proofs.length > 0 && digest !== moving?.digest) {
        signs.push(`${formatRepository(repository)}@${digest} has a proof of a promotion`);
      }
    }
  }
  return { signs, lost: [...lost].map(([ledger, n]) => ({ ledger, n })) };
}

/** Refuses to promote over an image whose ledger is missing. A person must first decide what that image is. */
export function refuseRemains(label: string, { signs, lost }: Remains): void {
  if (signs.length === 0) return;
  const was = lost.length === 0 ? '' : `, and proofs name a ledger up to record ${Math.max(...lost.map(({ n }) => n))}`;
  throw new UserError(`${label} has no ledger, but it was promoted: ${signs.join('; ')}${was}`, { hint: 'adopt' });
}
