import { rfc3339, unixSeconds } from '../base/clock.js';
import { errorLine, ServiceError, UserError } from '../base/errors.js';
import { similarNames } from '../base/similar-names.js';
import type { ImageSet } from '../candidate/image-set.js';
import { formatCandidate, formatRepository, type Tag } from '../candidate/reference.js';
import { explain } from '../criteria/explain.js';
import { checkRecord } from '../ledger/chain.js';
import { formatRecord } from '../ledger/codec.js';
import type { Head } from '../ledger/head.js';
import { findBack, type History, lastPromotion } from '../ledger/history.js';
import { nextRecord } from '../ledger/next-record.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { describeStep, stepsTo } from '../ledger/steps.js';
import type { PlannedCopy } from '../registry/registry.js';
import { decide } from '../rules/decide.js';
import type { Facts, Setting } from '../rules/facts.js';
import { refuseUnusableName } from '../rules/guards.js';
import type { Outcome } from '../rules/outcome.js';
import type { Request } from '../rules/request.js';
import { configuredTargets } from '../rules/targets.js';
import { imageOf } from '../store/candidate-file.js';
import { ledgerOf } from '../store/reader.js';
import type { Store } from '../store/store.js';
import { unseenStore } from '../store/unseen-store.js';
import { copiesOf, copyImages, copyLaterReferrers, readContents, writeArtifacts } from './images.js';
import { look, targetError } from './look.js';
import { ledgerRulesOf, type Promotion } from './promotion.js';
import { findRemains, isOutdatedFor, placeOf, type Remains, reconcile, refuseRemains } from './reconcile.js';

/** The request of a run, and the settings that apply to it. */
export interface Asked {
  readonly request: Request;
  /**
   * The candidate that the evidence is about; undefined if a person names another image. If it does not name its
   * companions, those that the store has for it are used.
   */
  readonly candidate: ImageSet | undefined;
  /** The reason for a freeze; undefined if there is none. */
  readonly freeze: string | undefined;
  readonly onRegression: Setting['onRegression'];
}

export interface Promoted {
  readonly outcome: Outcome;
  /** The head after the run, or the head that a dry run would have left; undefined if the label has no ledger. */
  readonly record: LedgerRecord | undefined;
  readonly before: LedgerRecord | undefined;
  /** The time at which another run last promoted an image. RFC 3339. */
  readonly lastPromotion: string | undefined;
  /** The repositories whose registry cannot keep the proof of `record`. */
  readonly withoutReferrers: readonly string[];
}

/** We give up after this many attempts if other runs keep appending first. */
const ATTEMPTS = 20;

/**
 * The commit protocol: reconcile, decide, copy, append, attach, move. Everything before the append can be repeated, and
 * the next run finishes everything after it. If another run appends first, this run decides again from the new head.
 *
 * @throws UserError if a guard refuses; ServiceError if a server fails. Neither loses anything.
 */
export async function promote(promotion: Promotion, wish: Asked): Promise<Promoted> {
  const { log, label, author, clock, dryRun } = promotion;
  await requireSafeRights(promotion);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { head, unfinished, withoutReferrers } = await log.group('Reconcile', () => reconcile(promotion));
    const asked = await withCompanions(promotion, wish);
    const facts = factsOf(promotion, asked, head);
    const remains = head === undefined ? await findRemainsFor(promotion, asked) : undefined;
    const setting = settingOf(promotion, asked, remains);
    const decided = await log.group('Decide', () => decide(asked.request, setting, head?.record, facts));
    if ('refused' in decided) throw new UserError(decided.refused, { hint: decided.hint });
    const { outcome, change } = decided;
    const before = head?.record;
    const replaces = change !== undefined && change.candidate.digest !== before?.candidate.digest;
    if (unfinished !== undefined && !replaces) throw unfinished;
    if (unfinished !== undefined)
      log.warning(`the promoted image is incomplete, and is replaced: ${errorLine(unfinished)}`);
    if (change === undefined) {
      if (outcome.decision === 'unchanged' && before !== undefined) await copyLaterReferrers(promotion, before);
      const last = before && (await lastPromotion(facts.history));
      return { outcome, record: before, before, lastPromotion: last, withoutReferrers };
    }
    if (head !== undefined && replaces && (await isOutdatedFor(promotion, head, change.candidate.digest))) continue;
    const record = nextRecord(head, label, change, author, unixSeconds(clock));
    const done = { outcome, record, before, lastPromotion: undefined, withoutReferrers };
    if (dryRun) {
      await log.group('Plan', () => showPlan(promotion, record));
      return done;
    }
    const copied = await log.group('Copy and commit', () => commit(promotion, head, record));
    if (copied === 'lost') continue;
    const after = await log.group('Attach and move', () => reconcile(promotion, { n: record.n, copied }));
    if (after.unfinished !== undefined) {
      await promotion.store.flush();
      throw after.unfinished;
    }
    return { ...done, withoutReferrers: after.withoutReferrers };
  }
  throw new ServiceError(
    'conflict',
    `other runs wrote the ledger of ${label} first, ${ATTEMPTS} times; try again later`,
  );
}

/** Fills in the companions of a candidate that is named by its reference alone. */
async function withCompanions({ store, label }: Promotion, asked: Asked): Promise<Asked> {
  const { candidate } = asked;
  if (candidate === undefined || candidate.companions !== undefined) return asked;
  // The rules refuse such a name with a clearer message than the store.
  if (refuseUnusableName(candidate, label) !== undefined) return asked;
  const published = await readPublished(store, candidate.tag);
  const isSame = published !== undefined && formatCandidate(published) === formatCandidate(candidate);
  return isSame ? { ...asked, candidate: published } : asked;
}

async function readPublished(store: Store, tag: Tag): Promise<ImageSet | undefined> {
  const file = await store.readArtifact(tag);
  return file === undefined || file === 'bare' ? undefined : imageOf(file);
}

/**
 * Refuses to promote into a store whose permissions let somebody else change what is promoted. A dry run only
 * reports it.
 */
async function requireSafeRights({ store, label, candidateLabel, dryRun, log }: Promotion): Promise<void> {
  const problems = await store.checkRights({ promotedLabel: label, candidateLabel }, { isWriter: !dryRun });
  const unsafe = problems.find(({ severity }) => severity === 'unsafe');
  if (unsafe !== undefined && !dryRun) throw new UserError(unsafe.message, { hint: 'server' });
  for (const { message } of problems) log.warning(message);
}

/** Looks for traces of a lost ledger, and refuses to go on if there are any, unless a person adopts the image. */
async function findRemainsFor(promotion: Promotion, { request, candidate }: Asked): Promise<Remains | undefined> {
  // A rehearsal without a store cannot know whether there is a ledger, and its target may not even exist.
  if (promotion.store === unseenStore) return undefined;
  const image = request.kind === 'adopt' ? request.image.digest : candidate?.digest;
  const remains = await findRemains(promotion, image);
  if (request.kind !== 'adopt') refuseRemains(promotion.label, remains);
  return remains;
}

function settingOf(promotion: Promotion, asked: Asked, remains: Remains | undefined): Setting {
  const { label, source, targets, author, clock } = promotion;
  const [run = '', attempt] = author.id.split('/');
  return {
    label,
    source,
    targets,
    candidate: asked.candidate,
    freeze: asked.freeze,
    onRegression: asked.onRegression,
    supersedes: remains?.lost ?? [],
    who: author.who,
    run,
    attempt: Number(attempt),
    now: rfc3339(unixSeconds(clock)),
  };
}

/** Answers the rules' questions by reading the servers. */
function factsOf(promotion: Promotion, { request, candidate }: Asked, head: Head | undefined): Facts {
  const { store, registry, label, log } = promotion;
  const told = new Set<string>();
  const history: History = async (isWanted) => head && (await findBack(ledgerOf(store, label), head.record, isWanted));
  return {
    history,
    async report(image) {
      // This run's jobs tested the candidate or, with a force, whatever a person says that they tested.
      const tested = request.kind === 'evaluate' ? (candidate ?? image) : image;
      const report = await promotion.evaluate(image, tested);
      // The promoted image is evaluated as well as the candidate, but only the deciding evaluation is logged.
      const isPromoted = image.digest === head?.record.candidate.digest && image.digest !== candidate?.digest;
      // A candidate that is promoted already is evaluated as both.
      if (!isPromoted && !told.has(report.candidate))
        for (const { text, tone } of explain(report)) log.info(text, tone);
      told.add(report.candidate);
      return report;
    },
    resolve: async (repository, tag) => (await registry.repository(repository).resolve(tag))?.digest,
    similarTags: async (repository, tag) => {
      try {
        return similarNames(
          tag,
          (await registry.repository(repository).listTags({ listing: 'auto' })).tags.map(({ name }) => name),
        );
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        return [];
      }
    },
    published: (tag) => readPublished(store, tag),
    contents: (repository, digest) => readContents(promotion, repository, digest),
  };
}

/**
 * Appends a record once everything that it names exists, and returns the targets that have its images. The append is
 * the commit point: before it nothing is promoted, and after it the next run finishes the promotion if this one stops.
 * Returns `lost` if another run wrote this record first.
 */
async function commit(
  promotion: Promotion,
  head: Head | undefined,
  record: LedgerRecord,
): Promise<readonly LedgerTarget[] | 'lost'> {
  const { store, label, log, ledgerKey } = promotion;
  const bytes = formatRecord(record, ledgerKey);
  const checked = checkRecord(record.n, bytes, head?.bytes, ledgerRulesOf(promotion));
  // A record that fails its own checks could never be removed, and would block every later run.
  if ('problem' in checked) throw new Error(`the ledger record is wrong and was not written: ${checked.problem}`);
  await store.sweep();
  const copied = await prepare(promotion, record);
  await promotion.signing?.signer.ready();
  const result = await store.appendRecord(label, record.n, bytes, record.id);
  const written = `ledger record ${record.n} of ${label}`;
  log.info(
    result === 'won'
      ? `${written} written: ${record.kind} ${formatCandidate(record.candidate)}`
      : `another run wrote ${written} first; looking again`,
  );
  return result === 'won' ? copied : result;
}

/** Copies a record's images, and returns the targets that have them. */
async function prepare(promotion: Promotion, record: LedgerRecord): Promise<readonly LedgerTarget[]> {
  const targets = configuredTargets(promotion.targets, record);
  let copied: readonly LedgerTarget[] = targets;
  if (record.kind === 'rollback') copied = await copyWherePossible(promotion, targets);
  else await copyImages(promotion, targets);
  await writeArtifacts(promotion, record);
  return copied;
}

/**
 * Copies the images of a rollback to every target that can be reached, and returns those: a target that is down must
 * not keep a bad image at the others.
 */
async function copyWherePossible(
  promotion: Promotion,
  targets: readonly LedgerTarget[],
): Promise<readonly LedgerTarget[]> {
  const failures: { target: LedgerTarget; error: ServiceError }[] = [];
  for (const target of targets) {
    try {
      await copyImages(promotion, [target]);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      failures.push({ target, error });
    }
  }
  const error = targetError(failures);
  if (error !== undefined && failures.length === targets.length) throw error;
  if (error !== undefined) promotion.log.warning(`${errorLine(error)}; the other targets are rolled back`);
  return targets.filter((target) => !failures.some((one) => one.target === target));
}

/** Shows, in order, what a run that is not dry would do. */
async function showPlan(promotion: Promotion, record: LedgerRecord): Promise<void> {
  const { registry, log, label, referrers } = promotion;
  const copies = copiesOf(promotion, configuredTargets(promotion.targets, record));
  for (const planned of await registry.planCopy(copies, { referrers })) log.info(describePlanned(planned));
  log.info(`would write ledger record ${record.n} of ${label}: ${record.kind} ${formatCandidate(record.candidate)}`);
  const { visible, failures } = await look(placeOf(promotion), record, undefined);
  const error = targetError(failures);
  if (error !== undefined) throw error;
  for (const step of stepsTo(record, visible)) {
    if (step.kind !== 'copy-image') log.info(`would ${describeStep(step, label)}`);
  }
}

function describePlanned(planned: PlannedCopy): string {
  const { source, target } = planned.copy;
  const where = `${formatRepository(target.repository)}:${target.tag}`;
  switch (planned.state) {
    case 'there':
      return (
        `${where} is there already, as ${source.digest}` +
        (planned.referrers === 0 ? '' : `; would copy ${planned.referrers} referrers`)
      );
    case 'conflict':
      return `would be refused: ${where} is ${planned.found}, not ${source.digest}`;
    case 'copy':
      return (
        `would ${planned.way} ${source.digest} to ${where}: ${planned.platforms.join(', ')}, ` +
        `${planned.manifests} manifests, ${planned.blobs} blobs, ${planned.bytes} bytes, ${planned.referrers} referrers`
      );
  }
}
