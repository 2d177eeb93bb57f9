import { systemClock } from '../../base/clock.js';
import { ServiceError, UserError } from '../../base/errors.js';
import { parseUser } from '../../base/schema.js';
import type { ImageSet } from '../../candidate/image-set.js';
import { type Criteria, type PromotedIn, parseCriteria } from '../../criteria/criteria-file.js';
import type { Evidence } from '../../criteria/job-result.js';
import { attestationEvidence, wantAttestations } from '../../evidence/attestations.js';
import { createEvaluator } from '../../evidence/evaluator.js';
import type { EvidenceSource } from '../../evidence/evidence.js';
import { promotedInEvidence } from '../../evidence/promoted-in.js';
import type { Http } from '../../http/policy.js';
import { type Label, promotedLabelSchema } from '../../ledger/names.js';
import type { Promotion } from '../../promotion/promotion.js';
import type { Registry } from '../../registry/registry.js';
import type { Request } from '../../rules/request.js';
import type { Runner } from '../../runner/action.js';
import {
  choice,
  lineSchema,
  list,
  optional,
  type ParsedInputs,
  textSchema,
  urlSchema,
  withDefault,
} from '../../runner/inputs.js';
import { ledgerOf, type StoreReader } from '../../store/reader.js';
import { readCriteriaText } from './criteria-input.js';
import { dlrnFrom, dlrnInputs, subjectFrom } from './dlrn-inputs.js';
import { readableSchema, type StoreSettings, withReader } from './store-inputs.js';
import { readTrustedRoot, verifyInputs } from './verify-inputs.js';

/** The inputs that name the criteria and the source of the evidence. */
export const evidenceInputs = {
  evidence: choice('Where results come from.', ['dlrn', 'needs', 'zuul'], 'dlrn'),
  criteria: optional('The criteria: a file, or YAML; required to evaluate and to force', textSchema),
  'dlrn-url': optional('Evidence `dlrn`: the DLRN API', urlSchema),
  'dlrn-label': withDefault(
    'Evidence `dlrn` without a hash: the label whose newest 50 aggregate hashes are read',
    'current-tripleo',
    lineSchema,
  ),
  ...dlrnInputs,
  needs: optional('Evidence `needs`: `toJSON(needs)`', textSchema),
  'zuul-url': optional('Evidence `zuul`: the URL before `/api/tenant/…`', urlSchema),
  'zuul-tenant': optional('Evidence `zuul`: the tenant', lineSchema),
  'zuul-pipelines': list('Evidence `zuul`, required: the pipelines whose builds count', lineSchema),
  'trusted-root': verifyInputs['trusted-root'],
};

type EvidenceSettings = ParsedInputs<typeof evidenceInputs>;

interface Asked {
  readonly request: Request;
  readonly label: Label;
  readonly http: Http;
}

/**
 * The evaluation of images by the inputs' criteria and evidence. A user's mistake in them is thrown at once. The
 * evidence is read once, when an evaluation needs it.
 */
export async function readEvaluation(
  settings: EvidenceSettings & Omit<StoreSettings, 'server'>,
  runner: Runner,
  { request, label, http }: Asked,
): Promise<(registry: Registry, store: StoreReader) => Promotion['evaluate']> {
  const criteria = await readCriteria(settings, request, label, runner.context.workspace);
  if (criteria === undefined) {
    return () => async () => {
      throw new UserError('input criteria: required and not set');
    };
  }
  const source = await whenNeeded(evidenceSource(settings, runner, http));
  const attestations = await wantAttestations(criteria.attestations, () =>
    readTrustedRoot(settings, runner.context.workspace),
  );
  const readPromotedIn = (store: StoreReader, goal: PromotedIn, set: ImageSet): Promise<Pick<Evidence, 'results'>> => {
    const from = parseUser(promotedLabelSchema, goal.label, 'input criteria: promoted-in.label');
    const read = (other: StoreReader) => promotedInEvidence(ledgerOf(other, from), from, goal, set);
    if (goal.url === undefined) return read(store);
    const url = parseUser(readableSchema, goal.url, 'input criteria: promoted-in.url');
    return withReader(url, settings, http, runner.log, read);
  };
  return (registry, store) =>
    createEvaluator({
      criteria,
      source,
      attestations: (image, now) => attestationEvidence(attestations, image, registry, now),
      promotedIn: (goal, set) => readPromotedIn(store, goal, set),
      isForce: request.kind === 'force',
      clock: systemClock,
      log: runner.log,
    });
}

async function readCriteria(
  { criteria }: EvidenceSettings,
  request: Request,
  label: Label,
  workspace: string,
): Promise<Criteria | undefined> {
  if (request.kind !== 'evaluate' && request.kind !== 'force') return undefined;
  if (criteria === undefined) throw new UserError('input criteria: required and not set: a file, or YAML');
  const text = await readCriteriaText(criteria, workspace);
  return parseCriteria(text, label, 'input criteria');
}

/**
 * Awaits evidence now, but throws a server's failure only when the evidence is needed, since an earlier run's promotion
 * must be finished first. A user's mistake is thrown at once.
 */
async function whenNeeded<T>(work: Promise<T>): Promise<() => Promise<T>> {
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

async function evidenceSource(
  settings: EvidenceSettings,
  { log, context }: Runner,
  http: Http,
): Promise<EvidenceSource> {
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

function given<T>(value: T | undefined, name: string, { evidence }: EvidenceSettings): T {
  if (value === undefined) throw new UserError(`input ${name}: not set, but evidence is ${evidence}`);
  return value;
}
