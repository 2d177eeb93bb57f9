import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { systemClock } from '../base/clock.js';
import { errorLine, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { companionsOf, isNamed } from '../candidate/image-set.js';
import { candidateSchema, formatCandidate, type Repository, repositorySchema } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import { candidateLabelSchema, type Label, promotedLabelSchema } from '../ledger/names.js';
import type { Author } from '../ledger/next-record.js';
import { keepsImage } from '../ledger/record.js';
import { decisionNotice, errorNotice } from '../promotion/notify.js';
import { type Promoted, promote } from '../promotion/promote.js';
import { checkTargets } from '../promotion/targets.js';
import type { Signing } from '../proof/signer.js';
import type { Outcome } from '../rules/outcome.js';
import { type Targets, targetRepositories } from '../rules/targets.js';
import { defineAction, type Runner } from '../runner/action.js';
import type { RunContext } from '../runner/context.js';
import {
  assignmentSchema,
  choice,
  flag,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  required,
  secret,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import { formatStore, storeSchema } from '../store/address.js';
import type { Store } from '../store/store.js';
import { unseenStore } from '../store/unseen-store.js';
import { type CandidateSettings, readCandidateInput, sourceRepository } from './shared/candidate-input.js';
import { evidenceInputs, readEvaluation } from './shared/evidence-inputs.js';
import { smallApis } from './shared/http.js';
import { excludeList, leaveManagedImages, releaseSchema } from './shared/managed-images.js';
import { noticeInputs, noticeSilence, sendNotice } from './shared/notice-inputs.js';
import {
  describeFailure,
  describeOutcome,
  describeRegressed,
  formatOutputs,
  lastDecision,
  managedImages,
  promotionOutputs,
} from './shared/promotion-result.js';
import { type SummaryPlaces, summarizePromotion } from './shared/promotion-summary.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { checkRef, parseRequest, requestInputs } from './shared/request-inputs.js';
import { setInput } from './shared/set-inputs.js';
import { readSigning, signingInputs } from './shared/signing-inputs.js';
import { readableSchema, storeInputs, withReader, withStore } from './shared/store-inputs.js';
import { targetsDescription, targetsSchema } from './shared/targets-input.js';

const inputs = {
  reference: optional(
    'The candidate, as `image:tag@digest`; empty: what `set`, or `label` at `url`, names. Its companions are read from the store',
    candidateSchema,
  ),
  set: setInput,
  url: optional(
    'The store that `label` is in: the `https://` URL of its directory, or an address as for `server`, such as `git`',
    readableSchema,
  ),
  label: withDefault('The label of the candidate', 'ceph-ci-testing', candidateLabelSchema),
  image: list(
    'The only repositories whose images are accepted, one per line; empty: any that `reference` names. Required with `url`, and to force or adopt a tag without `reference`: the tag is looked up in the first one',
    repositorySchema,
  ),
  ...evidenceInputs,
  targets: required(targetsDescription, targetsSchema),
  ...registryInputs,
  ...targetInputs,
  referrers: choice('Whether signatures and other referrers are copied too.', ['on', 'off'], 'on'),
  'promoted-label': withDefault(
    'The label that is moved, and the moving tag at the targets',
    'current-ceph',
    promotedLabelSchema,
  ),
  ...storeInputs,
  server: optional(`${storeInputs.server.description}; may be empty in a dry run`, storeSchema),
  'ledger-key': secret("HMAC key that seals the ledger's records; empty: they are not sealed"),
  ...signingInputs,
  'if-criteria-unmet': choice(
    'What to do if the decision is to wait or to reject, or if what is promoted has regressed.',
    ['warn', 'error', 'ignore'],
    'warn',
  ),
  'on-regression': choice(
    'What to do if a job that the promoted image had passed fails now.',
    ['warn', 'hold', 'rollback'],
    'warn',
  ),
  'report-file': optional('A file to write the decision record to, as JSON', lineSchema),
  ...requestInputs,
  'managed-images-for': optional(
    "RDO's names of this branch's release and distro, as in `master centos9`. If set, each run writes `managed-images.yaml` into the store, a list of the images that other promoters must leave alone",
    releaseSchema,
  ),
  freeze: optional(
    'The reason for a freeze; while it is set, nothing is promoted, and a person can only lift holds',
    v.pipe(
      lineSchema,
      v.check(
        (reason) => !/^(?:false|no|off|0)$/i.test(reason),
        ({ input }) => `"${input}" would freeze promotions: write the reason for a freeze, or leave it empty for none`,
      ),
    ),
  ),
  ...noticeInputs,
  'dashboard-url': optional('The page of this label on the dashboard, for the summary', urlSchema),
  workflow: optional(
    "The workflow file that takes a person's decisions, such as `promotion.yml`; the summary names it in the command that undoes a decision",
    lineSchema,
  ),
  'dispatch-inputs': list(
    'Inputs that a dispatch of `workflow` needs besides the decision, such as `branch=master`, one per line',
    assignmentSchema,
  ),
  'dry-run': flag('Only show what would be done; always on in a run for a pull request', 'false'),
};

type Settings = ParsedInputs<typeof inputs>;

export const action = defineAction({
  description: 'Evaluates the evidence about a candidate against the criteria, and promotes it if they are met',
  needs:
    'an account that may write to the store at `server`, with its `ledger/` and the promoted label; an account that may push to the targets; ' +
    '`ssh-keygen` (SFTP) or `git` on the runner; a concurrency group that never cancels. For a decision by a person (force, rollback, hold, ' +
    'lifted hold, quarantine, adoption): `workflow_dispatch`, a Zuul build in one of `manual-pipelines`, or a [command line](../../docs/how-to/decide-from-a-command-line.md).',
  inputs,
  outputs: promotionOutputs,
  async run(settings, runner) {
    const http = await smallApis(runner.log, settings);
    const label = settings['promoted-label'];
    const dryRun = isDry(settings, runner);
    const start = dryRun ? ['dry run:'] : [];
    try {
      const promoted = await run(settings, { ...runner, http, dryRun });
      const { outcome } = promoted;
      const line = describeOutcome(outcome, label, dryRun);
      const regressed = describeRegressed(promoted);
      if (regressed !== undefined) runner.log.warning(regressed);
      const saysAll = regressed !== undefined && outcome.decision === 'unchanged';
      if (line.isUnmet && !saysAll && settings['if-criteria-unmet'] === 'warn') runner.log.warning(line.text);
      const notices = [decisionNotice(outcome, label), regressed, noticeSilence(promoted, settings)];
      await sendNotice(settings, runner, http, [...start, ...notices]);
      await writeReport(outcome, settings, runner);
      return {
        outputs: formatOutputs(promoted, settings.targets, dryRun),
        summary: summarizePromotion(promoted, dryRun, placesOf(settings), runner.context),
        ...(line.isUnmet &&
          settings['if-criteria-unmet'] === 'error' && { failure: describeFailure(promoted, label, dryRun) }),
      };
    } catch (error) {
      await sendNotice(settings, runner, http, [...start, errorNotice(error, label)]);
      throw error;
    }
  },
});

/** A pull request must not promote, since it may run anybody's code. */
function isDry(settings: Settings, { context }: Runner): boolean {
  return settings['dry-run'] || context.event.startsWith('pull_request');
}

interface Run extends Runner {
  readonly http: Http;
  readonly dryRun: boolean;
}

/** Reads the request and everything it needs, promotes, and writes the decision to the store. */
async function run(settings: Settings, runner: Run): Promise<Promoted> {
  const { log, context, http, dryRun } = runner;
  const { targets, 'promoted-label': label } = settings;
  const request = parseRequest(settings, context);
  if (!dryRun) checkRef(settings['allowed-refs'], context);
  const signing = readSigning(settings, context);
  const evaluate = await readEvaluation(settings, runner, { request, label, http });
  const { url } = settings;
  const withStoreAtUrl: CandidateSettings['withStoreAtUrl'] =
    url && ((work) => withReader(url, settings, http, log, work));
  const candidate = await readCandidateInput({ ...settings, withStoreAtUrl }, { request, dryRun }, log);
  const source = sourceRepository(candidate, settings.image, request);
  checkTargets(targets, source, label);
  const release = settings['managed-images-for'];
  const list = release && excludeList(targets, release);
  runner.checkOutputs({
    reference: candidate === undefined ? '' : formatCandidate(candidate),
    'managed-images': managedImages(targets),
  });
  const asked = { request, candidate, freeze: settings.freeze, onRegression: settings['on-regression'] };
  return withRegistry(settings, log, { source, targets: targetRepositories(targets) }, (registry) =>
    withTheStore(settings, runner, async (store) => {
      const promotion = {
        store,
        registry,
        label,
        candidateLabel: settings.label,
        // Only a force or an adoption reads a tag at the source, and sourceRepository() requires a source for these.
        source: source ?? (targets.candidate[0] as Repository),
        targets,
        ledgerKey: settings['ledger-key'],
        signing,
        referrers: settings.referrers === 'on',
        dryRun,
        author: authorOf(context),
        clock: systemClock,
        log,
        evaluate: evaluate(registry, store),
      };
      const promoted = await promote(promotion, asked);
      for (const warning of companionWarnings(promoted, targets)) log.warning(warning);
      if (!dryRun) {
        if (list !== undefined) await leaveList(store, list, log);
        await leaveDecision(store, label, promoted, signing, runner);
      }
      return promoted;
    }),
  );
}

/** Warnings about companions in a new record that a person may not expect. */
function companionWarnings({ record, before }: Promoted, { companions: goals }: Targets): string[] {
  if (record === undefined || record === before || keepsImage(record) || record.kind === 'rollback') return [];
  const tested = companionsOf(record);
  const nowhere = tested.filter((one) => !goals.some(({ source }) => isNamed(one, source))).map(formatCandidate);
  return [
    ...(tested.length === 0 && goals.length > 0
      ? ['input targets: its companions were not tested with the candidate; name them in companions of find-stable-tag']
      : []),
    ...(nowhere.length > 0 ? [`input targets: no line says where these companions go: ${nowhere.join(', ')}`] : []),
  ];
}

function placesOf(settings: Settings): SummaryPlaces {
  return {
    label: settings['promoted-label'],
    store: settings.server && formatStore(settings.server),
    url: settings.url instanceof URL ? settings.url : undefined,
    dashboard: settings['dashboard-url'],
    workflow: settings.workflow,
    dispatchInputs: Object.fromEntries(settings['dispatch-inputs']),
  };
}

function authorOf({ runId, attempt, triggeringActor, actor, runUrl, event, pipeline }: RunContext): Author {
  return {
    id: `${runId || 'local'}/${attempt}/${randomUUID()}`,
    who: triggeringActor || actor || (pipeline === undefined ? 'nobody' : 'zuul'),
    runUrl,
    event,
  };
}

/** Only a dry run may do without a store. */
function withTheStore<T>(settings: Settings, { dryRun, log }: Run, work: (store: Store) => Promise<T>): Promise<T> {
  const { server } = settings;
  if (server !== undefined) return withStore({ ...settings, server }, log, work);
  if (!dryRun) throw new UserError(`input server: required and not set: ${inputs.server.description}`);
  log.warning('input server: not set, so this dry run does not know what is promoted');
  return work(unseenStore);
}

/** Writes the list of images that others leave alone; leaveDecision flushes it. A failure is only a warning. */
async function leaveList(store: Store, list: string, log: Log): Promise<void> {
  try {
    await leaveManagedImages(store, list);
  } catch (error) {
    log.warning(`managed-images.yaml was not written: ${errorLine(error)}`);
  }
}

/** Writes the decision to the store for the dashboard. A failure is a warning, since the promotion stands. */
async function leaveDecision(
  store: Store,
  label: Label,
  promoted: Promoted,
  signing: Signing | undefined,
  { context, log }: Runner,
): Promise<void> {
  try {
    await store.writeLastDecision(label, lastDecision(promoted, context.runUrl, signing?.signer.who));
    await store.flush();
  } catch (error) {
    log.warning(`the decision was not saved for the dashboard: ${errorLine(error)}`);
  }
}

/** Writes the decision record to a file, if one is named. A failure is a warning: the decision stands. */
async function writeReport({ report }: Outcome, settings: Settings, { log, context }: Runner): Promise<void> {
  const { 'report-file': file } = settings;
  if (file === undefined || report === undefined) return;
  try {
    await writeFile(path.resolve(context.workspace, file), `${JSON.stringify(report, undefined, 2)}\n`);
  } catch (error) {
    log.warning(`input report-file: ${errorLine(error)}`);
  }
}
