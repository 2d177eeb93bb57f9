import { rfc3339, unixSeconds } from '../base/clock.js';
import { errorLine, ServiceError, UserError } from '../base/errors.js';
import { type Candidate, formatCandidate, formatRepository } from '../candidate/reference.js';
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
import type { Outcome } from '../rules/outcome.js';
import type { Request } from '../rules/request.js';
import { configuredTargets } from '../rules/targets.js';
import { imageOf } from '../store/candidate-file.js';
import { ledgerOf } from '../store/reader.js';
import { unseenStore } from '../store/unseen-store.js';
import { copiesOf, copyImages, copyLaterReferrers, readContents, writeArtifacts } from './images.js';
import { look, targetError } from './look.js';
import { type Promotion, rulesOf } from './promotion.js';
import { findRemains, placeOf, reconcile, refuseRemains } from './reconcile.js';

/** What a run is asked, and by which settings. */
export interface Asked {
  readonly request: Request;
  /** The candidate that the evidence is about; undefined where a person names another image. */
  readonly candidate: Candidate | undefined;
  /** Why nothing must be promoted; undefined: promotion is not frozen. */
  readonly freeze: string | undefined;
  readonly onRegression: Setting['onRegression'];
}

/** What a run did. */
export interface Promoted {
  readonly outcome: Outcome;
  /** The head after the run; undefined where the label has no ledger. In a dry run, the head that would be. */
  readonly record: LedgerRecord | undefined;
  /** The head before the run. */
  readonly before: LedgerRecord | undefined;
  /** When an image was last promoted, other than by this run. RFC 3339. */
  readonly lastPromotion: string | undefined;
}

/** How many other runs may be first before we give up. */
const ATTEMPTS = 20;

/**
 * The commit protocol: reconcile, decide, copy, append, attach, move. Everything before the append can be repeated;
 * everything after it is finished by whichever run comes next. A run that was not the first to append decides again, on
 * what the other left.
 *
 * @throws UserError for a guard that refuses; ServiceError for a server that fails. Neither loses anything.
 */
export async function promote(promotion: Promotion, asked: Asked): Promise<Promoted> {
  const { log, label, author, clock, dryRun } = promotion;
  await requireSafeRights(promotion);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { head, unfinished } = await log.group('Reconcile', () => reconcile(promotion));
    const facts = factsOf(promotion, asked, head);
    const setting = await settingOf(promotion, asked, head);
    const decided = await log.group('Decide', () => decide(asked.request, setting, head?.record, facts));
    if ('refused' in decided) throw new UserError(decided.refused, { hint: decided.hint });
    const { outcome, change } = decided;
    const before = head?.record;
    const replaces = change !== undefined && change.candidate.digest !== before?.candidate.digest;
    if (unfinished !== undefined && !replaces) throw unfinished;
    if (unfinished !== undefined)
      log.warning(`what is promoted is incomplete, and is replaced: ${errorLine(unfinished)}`);
    if (change === undefined) {
      if (outcome.decision === 'unchanged' && before !== undefined) await copyLaterReferrers(promotion, before);
      return { outcome, record: before, before, lastPromotion: before && (await lastPromotion(facts.history)) };
    }
    const record = nextRecord(head, label, change, author, unixSeconds(clock));
    const done = { outcome, record, before, lastPromotion: undefined };
    if (dryRun) {
      await log.group('Plan', () => showPlan(promotion, record));
      return done;
    }
    if ((await log.group('Copy and commit', () => commit(promotion, head, record))) === 'lost') continue;
    const after = await log.group('Attach and move', () => reconcile(promotion, record.n));
    if (after.unfinished !== undefined) {
      await promotion.store.flush();
      throw after.unfinished;
    }
    return done;
  }
  throw new ServiceError(
    'conflict',
    `${ATTEMPTS} other runs were first to write the ledger of ${label}; try again later`,
  );
}

/**
 * Promotes nothing into a store whose file rights let somebody else change what is promoted. A dry run only says so.
 */
async function requireSafeRights({ store, label, candidateLabel, dryRun, log }: Promotion): Promise<void> {
  const problems = await store.checkRights(label, candidateLabel);
  const unsafe = problems.find(({ severity }) => severity === 'unsafe');
  if (unsafe !== undefined && !dryRun) throw new UserError(unsafe.message, { hint: 'server' });
  for (const { message } of problems) log.warning(message);
}

async function settingOf(promotion: Promotion, asked: Asked, head: Head | undefined): Promise<Setting> {
  const { label, source, targets, author, clock } = promotion;
  // A rehearsal without a store does not know whether there is a ledger, and its target may not even exist.
  const remains = head === undefined && promotion.store !== unseenStore ? await findRemains(promotion) : undefined;
  if (remains !== undefined && asked.request.kind !== 'adopt') refuseRemains(label, remains);
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
    compareTags: promotion.compareTags,
  };
}

/** Answers the rules' questions by reading. */
function factsOf(promotion: Promotion, { candidate }: Asked, head: Head | undefined): Facts {
  const { store, registry, label, log } = promotion;
  const history: History = async (isWanted) => head && (await findBack(ledgerOf(store, label), head.record, isWanted));
  return {
    history,
    async report(image) {
      const report = await promotion.evaluate(image);
      // The promoted image is evaluated beside the candidate; only what decides is told.
      const isPromoted = image.digest === head?.record.candidate.digest && image.digest !== candidate?.digest;
      if (!isPromoted) for (const line of explain(report)) log.info(line);
      return report;
    },
    resolve: async (repository, tag) => (await registry.repository(repository).resolve(tag))?.digest,
    published: async (tag) => {
      const published = await store.readArtifact(tag);
      return published === undefined || published === 'bare' ? undefined : imageOf(published);
    },
    contents: (repository, digest) => readContents(promotion, repository, digest),
  };
}

/**
 * Appends a record after everything that it names is there. The append is the commit point: before it nothing was
 * promoted, and after it whichever run comes next finishes the promotion. `lost`: another run wrote this record.
 */
async function commit(promotion: Promotion, head: Head | undefined, record: LedgerRecord): Promise<'won' | 'lost'> {
  const { store, label, log, ledgerKey } = promotion;
  const bytes = formatRecord(record, ledgerKey);
  const checked = checkRecord(record.n, bytes, head?.bytes, rulesOf(promotion));
  // A record that nobody trusts would be in everyone's way for good.
  if ('problem' in checked) throw new Error(`the ledger record is wrong, and was not written: ${checked.problem}`);
  await store.sweep();
  await prepare(promotion, record);
  const result = await store.appendRecord(label, record.n, bytes, record.id);
  const written = `ledger record ${record.n} of ${label}`;
  log.info(
    result === 'won'
      ? `${written} written: ${record.kind} ${formatCandidate(record.candidate)}`
      : `another run wrote ${written} first; looking again`,
  );
  return result;
}

/** A rollback goes to every target that can be reached: one that is down must not keep a bad image at the others. */
async function prepare(promotion: Promotion, record: LedgerRecord): Promise<void> {
  if (record.kind !== 'rollback') {
    await copyImages(promotion, record);
  } else {
    const targets = configuredTargets(promotion.targets, record);
    const failures: { target: LedgerTarget; error: ServiceError }[] = [];
    for (const target of targets) {
      try {
        await copyImages(promotion, record, [target]);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        failures.push({ target, error });
      }
    }
    const error = targetError(failures);
    if (error !== undefined && failures.length === targets.length) throw error;
    if (error !== undefined) promotion.log.warning(`${errorLine(error)}; the other targets are rolled back`);
  }
  await writeArtifacts(promotion, record);
}

/** Shows what a run that is not dry would do, in its order. */
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
