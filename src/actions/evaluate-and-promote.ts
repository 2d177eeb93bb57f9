import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { rfc3339, systemClock, unixSeconds } from '../base/clock.js';
import { errorLine, ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { durationSchema } from '../base/schema.js';
import {
  candidateSchema,
  formatCandidate,
  formatRepository,
  type Repository,
  repositorySchema,
} from '../candidate/reference.js';
import { compareTags } from '../candidate/schemes.js';
import { type Criteria, parseCriteria } from '../criteria/criteria-file.js';
import { evaluate } from '../criteria/evaluate.js';
import { explainMarkdown } from '../criteria/explain.js';
import type { Evidence } from '../criteria/job-result.js';
import { type EvidenceSource, readEvidence } from '../evidence/evidence.js';
import type { Http } from '../http/policy.js';
import { candidateLabelSchema, promotedLabelSchema } from '../ledger/names.js';
import { decisionNotice, errorNotice, notify, silenceNotice } from '../promotion/notify.js';
import { type Promoted, promote } from '../promotion/promote.js';
import type { Promotion } from '../promotion/promotion.js';
import { checkTargets, parseTargets } from '../promotion/targets.js';
import type { Outcome } from '../rules/outcome.js';
import { describeRegression } from '../rules/regression.js';
import type { Request } from '../rules/request.js';
import { targetRepositories } from '../rules/targets.js';
import { defineAction, type Runner } from '../runner/action.js';
import {
  choice,
  flag,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  requiredList,
  secret,
  textSchema,
  urlSchema,
  withDefault,
} from '../runner/inputs.js';
import type { LastDecision } from '../store/last-decision.js';
import { storeSchema } from '../store/server-url.js';
import type { Store } from '../store/store.js';
import { unseenStore } from '../store/unseen-store.js';
import { readCandidateInput, sourceRepository } from './shared/candidate-input.js';
import { readCriteriaText } from './shared/criteria-input.js';
import { dlrnFrom, dlrnInputs, subjectFrom } from './shared/dlrn-inputs.js';
import { smallApis } from './shared/http.js';
import { registryInputs, targetInputs, withRegistry } from './shared/registry-inputs.js';
import { checkRef, parseRequest, requestInputs } from './shared/request-inputs.js';
import { storeInputs, withStore } from './shared/store-inputs.js';

const inputs = {
  reference: optional('The candidate, as `image:tag@digest`; empty: what `label` at `url` names', candidateSchema),
  url: optional('The URL of the directory that `label` is in', urlSchema),
  label: withDefault('The label of the candidate', 'ceph-ci-testing', candidateLabelSchema),
  image: list(
    'The only repositories whose images are accepted, one a line; empty: any that `reference` names. Required with `url`, and to force or adopt a tag without `reference`: it is looked up in the first',
    repositorySchema,
  ),
  evidence: choice('Where results come from.', ['dlrn', 'needs', 'zuul'], 'dlrn'),
  criteria: optional(
    'The criteria: a file, or YAML; required, unless to roll back, lift a hold or quarantine',
    textSchema,
  ),
  'dlrn-url': optional('Evidence `dlrn`: the DLRN API', urlSchema),
  'dlrn-label': withDefault(
    'Evidence `dlrn` without a hash: the label whose newest 50 aggregate hashes are looked at',
    'current-tripleo',
    lineSchema,
  ),
  ...dlrnInputs,
  needs: optional('Evidence `needs`: `toJSON(needs)`', textSchema),
  'zuul-url': optional('Evidence `zuul`: what `/api/tenant/…` is below', urlSchema),
  'zuul-tenant': optional('Evidence `zuul`: the tenant', lineSchema),
  'zuul-pipelines': list('Evidence `zuul`: the pipelines whose builds count; required there', lineSchema),
  targets: requiredList(
    'Where the image is copied to, a repository a line; companions as `image:tag -> repository`',
    lineSchema,
  ),
  ...registryInputs,
  ...targetInputs,
  referrers: choice('Do signatures and other referrers follow?', ['on', 'off'], 'on'),
  'promoted-label': withDefault(
    'The label that is moved, and the moving tag at the targets',
    'current-ceph',
    promotedLabelSchema,
  ),
  ...storeInputs,
  server: optional(`${storeInputs.server.description}; may be empty in a dry run`, storeSchema),
  'ledger-key': secret("Key of the HMAC that seals the ledger's records; empty: they are not sealed"),
  'if-criteria-unmet': choice(
    'What to do where the decision is to wait or to reject, or where what is promoted fails.',
    ['warn', 'error', 'ignore'],
    'warn',
  ),
  'on-regression': choice(
    'What to do where a job that the promoted image had passed fails now.',
    ['warn', 'hold', 'rollback'],
    'warn',
  ),
  'report-file': optional('A file to write the decision record to, as JSON', lineSchema),
  ...requestInputs,
  freeze: optional('A reason; while it is set nothing is promoted, forced or rolled back', lineSchema),
  'webhook-url': {
    ...optional('Where each decision and error is posted, as JSON with `text`', urlSchema),
    secret: true,
  },
  'silence-after': optional(
    'How long nothing may be promoted until `webhook-url` is told so too, as in `14 days`',
    durationSchema,
  ),
  'dry-run': flag('Only show what would be done; always so on pull_request', 'false'),
};

type Settings = ParsedInputs<typeof inputs>;

export const action = defineAction({
  description: 'Evaluates the evidence about a candidate against the criteria, and promotes it if they are met',
  needs:
    'an SFTP user that may write into the directory of `server`, its `ledger/` and the promoted label; an account that may push to the ' +
    'targets; `ssh-keygen` on the runner; a concurrency group that never cancels. To force, roll back, lift a hold or quarantine: `workflow_dispatch`.',
  inputs,
  outputs: {
    decision: '`promote`, `wait`, `reject`, `force`, `rollback`, `unchanged` or `frozen`',
    promoted: '`true` where this run moved the label',
    reference: 'What the decision is about',
    previous: 'What was promoted before; empty where nothing was',
    regressed: '`true` where a job that the promoted image had passed has failed since',
    record: "The number of the ledger's newest record; empty where there is none",
    targets: 'What is promoted, as `repository:tag@digest`, a target a line',
    report: 'The decision record, as JSON; empty where nothing was evaluated',
    'managed-images':
      'What this pipeline owns in the target namespaces, a repository a line: other promoters skip these',
  },
  async run(settings, runner) {
    const http = await smallApis(runner.log, settings);
    const label = settings['promoted-label'];
    try {
      const promoted = await run(settings, runner, http);
      const { outcome } = promoted;
      const regressed = describeRegressed(promoted);
      if (regressed !== undefined) runner.log.warning(regressed);
      await tell(settings, runner, http, decisionNotice(outcome, label), regressed, silence(promoted, settings));
      await writeReport(outcome, settings, runner);
      return toResult(promoted, settings, runner);
    } catch (error) {
      await tell(settings, runner, http, errorNotice(error, label));
      throw error;
    }
  },
});

/** The decision is made, and perhaps carried out: a report that cannot be written is only a warning. */
async function writeReport({ report }: Outcome, settings: Settings, { log, context }: Runner): Promise<void> {
  const { 'report-file': file } = settings;
  if (file === undefined || report === undefined) return;
  try {
    await writeFile(path.resolve(context.workspace, file), `${JSON.stringify(report, undefined, 2)}\n`);
  } catch (error) {
    log.warning(`input report-file: ${errorLine(error)}`);
  }
}

/** Posts lines to the webhook, if there is one, without secrets: a server's error page may echo them. */
async function tell(
  settings: Settings,
  runner: Runner,
  http: Http,
  ...lines: readonly (string | undefined)[]
): Promise<void> {
  const { 'webhook-url': url } = settings;
  if (url === undefined) return;
  const told = [isDry(settings, runner) ? 'dry run:' : undefined, ...lines, runner.context.runUrl];
  await notify(http, url, told.filter((line) => line !== undefined).map(runner.redact), runner.log);
}

function silence({ outcome, lastPromotion }: Promoted, { 'silence-after': after }: Settings): string | undefined {
  return after === undefined ? undefined : silenceNotice(outcome, lastPromotion, after, unixSeconds(systemClock));
}

function lastDecision({ decision, reason, candidate, report }: Outcome, runUrl: string | undefined): LastDecision {
  return {
    version: 1,
    'decided-at': rfc3339(unixSeconds(systemClock)),
    decision,
    reason,
    reference: formatCandidate(candidate),
    'run-url': runUrl ?? null,
    report: report ?? null,
  };
}

/** Leaves the decision in the store for the dashboard. A failure is a warning: the promotion stands. */
async function leaveDecision(
  server: Store,
  settings: Settings,
  { log, context }: Runner,
  outcome: Outcome,
): Promise<void> {
  try {
    await server.writeLastDecision(settings['promoted-label'], lastDecision(outcome, context.runUrl));
  } catch (error) {
    log.warning(`the decision was not left for the dashboard: ${errorLine(error)}`);
  }
}

/** A pull request must not promote: it may run anybody's code. */
function isDry(settings: Settings, { context }: Runner): boolean {
  return settings['dry-run'] || context.event.startsWith('pull_request');
}

async function run(settings: Settings, runner: Runner, http: Http): Promise<Promoted> {
  const { log, context } = runner;
  const request = parseRequest(settings, context);
  if (!isDry(settings, runner)) checkRef(settings['allowed-refs'], context);
  const targets = parseTargets(settings.targets);
  const criteria = await readCriteria(settings, request, context.workspace);
  const source = criteria && (await heldBack(evidenceSource(settings, runner, http)));
  const dryRun = isDry(settings, runner);
  const candidate = await readCandidateInput(settings, { request, dryRun }, http, log);
  const image = sourceRepository(candidate, settings.image, request);
  checkTargets(targets, image, settings['promoted-label']);
  runner.checkOutputs({
    reference: candidate === undefined ? '' : formatCandidate(candidate),
    'managed-images': managedImages(settings),
  });
  return withRegistry(settings, log, { source: image, targets: targetRepositories(targets) }, (registry) =>
    withServer(settings, runner, async (server) => {
      const decided = await promote(
        {
          store: server,
          registry,
          label: settings['promoted-label'],
          // Only a force or an adoption looks up a tag, and these have an image.
          source: image ?? (targets.candidate[0] as Repository),
          targets,
          ledgerKey: settings['ledger-key'],
          referrers: settings.referrers === 'on',
          dryRun: isDry(settings, runner),
          author: {
            id: `${context.runId || 'local'}/${context.attempt}/${randomUUID()}`,
            who: context.triggeringActor || context.actor || 'nobody',
            runUrl: context.runUrl,
            event: context.event,
          },
          clock: systemClock,
          log,
          evaluate: evaluator(criteria, source, request, log),
          compareTags,
        },
        { request, candidate, freeze: settings.freeze, onRegression: settings['on-regression'] },
      );
      if (!isDry(settings, runner)) {
        await leaveDecision(server, settings, runner, decided.outcome);
        await server.flush();
      }
      return decided;
    }),
  );
}

/** Evaluates images from evidence that is read once; only `needs` speak of one image each. */
function evaluator(
  criteria: Criteria | undefined,
  source: (() => Promise<EvidenceSource>) | undefined,
  request: Request,
  log: Log,
): Promotion['evaluate'] {
  const known = new Map<string, ReturnType<typeof tolerant>>();
  return async (image) => {
    if (criteria === undefined || source === undefined) throw new UserError('input criteria: required and not set');
    const now = unixSeconds(systemClock);
    const from = await source();
    const key = from.kind === 'needs' ? formatCandidate(image) : from.kind;
    const reading =
      known.get(key) ?? tolerant(request, log, readEvidence(from, criteria.requirements.flat(), image, now, log));
    known.set(key, reading);
    const { results, ...rest } = await reading;
    return evaluate(criteria, results, image, { evaluatedAt: now, ...rest });
  };
}

function withServer<T>(settings: Settings, runner: Runner, work: (server: Store) => Promise<T>): Promise<T> {
  const { server } = settings;
  if (server === undefined) {
    if (!isDry(settings, runner))
      throw new UserError(`input server: required and not set: ${inputs.server.description}`);
    runner.log.warning('input server: not set, so this dry run does not know what is promoted');
    return work(unseenStore);
  }
  return withStore({ ...settings, server }, runner.log, work);
}

async function readCriteria(settings: Settings, request: Request, workspace: string): Promise<Criteria | undefined> {
  const { criteria } = settings;
  if (request.kind !== 'evaluate' && request.kind !== 'force') return undefined;
  if (criteria === undefined) throw new UserError('input criteria: required and not set: a file, or YAML');
  const text = await readCriteriaText(criteria, workspace);
  return parseCriteria(text, settings['promoted-label'], 'input criteria');
}

/**
 * Awaits evidence now, but throws a server's failure only when somebody asks for it: what an earlier run began must be
 * finished first. A user's mistake is thrown at once.
 */
async function heldBack<T>(work: Promise<T>): Promise<() => Promise<T>> {
  try {
    const value = await work;
    return async () => value;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return async () => {
      throw error;
    };
  }
}

async function evidenceSource(settings: Settings, { log, context }: Runner, http: Http): Promise<EvidenceSource> {
  switch (settings.evidence) {
    case 'dlrn': {
      const dlrn = dlrnFrom(settings, given(settings['dlrn-url'], 'dlrn-url', settings), http, log);
      const subject = await subjectFrom(settings, http);
      return { kind: 'dlrn', dlrn, scope: subject ?? { kind: 'label', label: settings['dlrn-label'] } };
    }
    case 'needs':
      return { kind: 'needs', needs: given(settings.needs, 'needs', settings), attempt: context.attempt };
    case 'zuul': {
      const url = given(settings['zuul-url'], 'zuul-url', settings);
      const tenant = given(settings['zuul-tenant'], 'zuul-tenant', settings);
      const pipelines = settings['zuul-pipelines'];
      given(pipelines[0], 'zuul-pipelines', settings);
      return { kind: 'zuul', http, url, tenant, pipelines };
    }
  }
}

function given<T>(value: T | undefined, name: string, { evidence }: Settings): T {
  if (value === undefined) throw new UserError(`input ${name}: not set, and evidence is ${evidence}`);
  return value;
}

/** Evidence that cannot be read is an error, except to a force: then all jobs are unknown, and each must be named. */
async function tolerant(
  request: Request,
  log: Log,
  evidence: Promise<Evidence>,
): Promise<Pick<Evidence, 'results'> & Partial<Evidence>> {
  try {
    return await evidence;
  } catch (error) {
    if (request.kind !== 'force' || !(error instanceof ServiceError)) throw error;
    log.warning(`no evidence, so all jobs count as unknown: ${errorLine(error)}`);
    return { results: [] };
  }
}

function toResult({ outcome, record, before }: Promoted, settings: Settings, runner: Runner) {
  const { decision, reason, candidate, previous, report } = outcome;
  const dry = isDry(settings, runner);
  const moves = ['promote', 'force', 'rollback', 'adopt'].includes(decision);
  const unmet = decision === 'wait' || decision === 'reject' || outcome.regression !== undefined;
  const line = `${settings['promoted-label']}: ${decision}${dry && moves ? ' (dry run: would)' : ''}: ${reason}`;
  if (unmet && settings['if-criteria-unmet'] === 'warn') runner.log.warning(line);
  return {
    outputs: {
      decision,
      promoted: String(moves && !dry),
      reference: formatCandidate(candidate),
      previous: previous === undefined ? '' : formatCandidate(previous),
      report: report === undefined ? '' : JSON.stringify(report),
      regressed: String(outcome.regression !== undefined),
      record: record === undefined || (dry && record !== before) ? '' : String(record.n),
      targets: (record?.targets ?? [])
        .map(({ repository, tag, digest }) => `${formatRepository(repository)}:${tag}@${digest}`)
        .join('\n'),
      'managed-images': managedImages(settings),
    },
    summary:
      report === undefined
        ? `### ${line}\n\n\`${formatCandidate(candidate)}\``
        : `## ${line}\n\n${explainOverridden(outcome)}${explainMarkdown(report)}`,
    ...(unmet && settings['if-criteria-unmet'] === 'error' && { failure: line }),
  };
}

function managedImages({ targets }: Settings): string {
  return targetRepositories(parseTargets(targets)).map(formatRepository).join('\n');
}

/** What is promoted and fails, and how to go back; undefined where it does not fail. */
function describeRegressed({ outcome: { regression }, before }: Promoted): string | undefined {
  if (regression === undefined || before === undefined) return undefined;
  const way =
    before.previous === undefined
      ? 'there is no earlier image to roll back to'
      : `to go back to ${before.previous.tag}, dispatch with rollback-to: previous`;
  return `${describeRegression(before, regression)}; ${way}`;
}

/** What a force skipped and overrode; the evaluation alone does not say it. */
function explainOverridden({ skippedJobs = [], overridden = [] }: Outcome): string {
  const jobs = skippedJobs.length === 0 ? '' : `Skipped: ${skippedJobs.map((job) => `\`${job}\``).join(', ')}.\n\n`;
  return overridden.length === 0 ? jobs : `${jobs}Overridden: ${overridden.join(', ')}.\n\n`;
}
