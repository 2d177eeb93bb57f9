import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import { parseUser } from '../base/schema.js';
import {
  type Candidate,
  candidateSchema,
  type Digest,
  digestSchema,
  type Tag,
  tagSchema,
} from '../candidate/reference.js';

/** What a run is asked to do. Everything but `evaluate` is a person's decision. */
export type Request =
  | { readonly kind: 'evaluate' }
  | { readonly kind: 'force'; readonly tag: Tag; readonly reason: string; readonly skipJobs: readonly string[] }
  | { readonly kind: 'rollback'; readonly to: 'previous' | Tag; readonly reason: string }
  | { readonly kind: 'lift'; readonly image: Tag | Digest; readonly reason: string }
  | { readonly kind: 'quarantine'; readonly image: Tag | Candidate; readonly reason: string };

export interface RequestInputs {
  readonly 'force-tag': string | undefined;
  readonly 'force-confirm': string | undefined;
  readonly 'force-reason': string | undefined;
  readonly 'skip-jobs': readonly string[];
  readonly 'rollback-to': string | undefined;
  readonly 'lift-hold': string | undefined;
  readonly quarantine: string | undefined;
  readonly 'allowed-actors': readonly string[];
}

/** Who asks, and by what: as the forge says. */
export interface Requester {
  readonly event: string;
  readonly actor: string;
  /** Empty where the forge does not say. */
  readonly triggeringActor: string;
}

/** Takes the inputs for a person's decision together; throws a UserError where one is missing, mistyped or not allowed. */
export function parseRequest(inputs: RequestInputs, requester: Requester): Request {
  const asked = (['force-tag', 'rollback-to', 'lift-hold', 'quarantine'] as const).filter(
    (name) => inputs[name] !== undefined,
  );
  if (asked.length > 1) throw new UserError(`inputs ${asked.join(' and ')}: only one at a time`);
  const [name] = asked;
  if (name === undefined) {
    refuseStray(inputs);
    if (inputs['force-reason'] !== undefined) {
      throw new UserError(
        'input force-reason: set, but there is nothing to do for it; set force-tag, rollback-to, lift-hold or quarantine too',
      );
    }
    return { kind: 'evaluate' };
  }
  const request = name === 'force-tag' ? force(inputs) : byHand(name, inputs[name] ?? '', inputs);
  authorise(name, inputs['allowed-actors'], requester);
  return request;
}

function force(inputs: RequestInputs): Request {
  const tag = tagIn('force-tag', inputs['force-tag'] ?? '');
  if (inputs['force-confirm'] !== tag) {
    throw new UserError(
      `input force-confirm: ${JSON.stringify(inputs['force-confirm'] ?? '')} is not the tag in force-tag, ${tag}; type it once more`,
    );
  }
  return { kind: 'force', tag, reason: reasonFor('force-tag', inputs), skipJobs: inputs['skip-jobs'] };
}

function byHand(name: 'rollback-to' | 'lift-hold' | 'quarantine', value: string, inputs: RequestInputs): Request {
  refuseStray(inputs);
  const reason = reasonFor(name, inputs);
  switch (name) {
    case 'rollback-to':
      return { kind: 'rollback', to: value === 'previous' ? value : tagIn(name, value), reason };
    case 'lift-hold': {
      const digest = v.safeParse(digestSchema, value);
      return { kind: 'lift', image: digest.success ? digest.output : tagIn(name, value), reason };
    }
    case 'quarantine': {
      const candidate = v.safeParse(candidateSchema, value);
      return { kind: 'quarantine', image: candidate.success ? candidate.output : tagIn(name, value), reason };
    }
  }
}

function tagIn(name: string, value: string): Tag {
  return parseUser(tagSchema, value, `input ${name}`);
}

function reasonFor(name: string, inputs: RequestInputs): string {
  const reason = inputs['force-reason'];
  if (reason === undefined) throw new UserError(`input force-reason: ${name} needs a reason; it goes into the ledger`);
  return reason;
}

/** A confirmation or jobs without the tag are a mistake on the way to forcing something. */
function refuseStray(inputs: RequestInputs): void {
  const stray =
    inputs['force-confirm'] !== undefined ? 'force-confirm' : inputs['skip-jobs'].length > 0 ? 'skip-jobs' : undefined;
  if (stray !== undefined) throw new UserError(`input ${stray}: set, but nothing is forced; set force-tag too`);
}

/**
 * These values guard against mistakes; the rights come from the secrets. A dispatch of a workflow by an allowed actor,
 * and where the forge says who started the attempt, that one too.
 */
export function authorise(
  name: string,
  allowed: readonly string[],
  { event, actor, triggeringActor }: Requester,
): void {
  if (event !== 'workflow_dispatch') {
    throw new UserError(
      `input ${name}: only by workflow_dispatch, this run is by ${event === '' ? 'no event' : event} (GITHUB_EVENT_NAME)`,
    );
  }
  for (const who of triggeringActor === '' ? [actor] : [actor, triggeringActor]) {
    if (!allowed.includes(who)) {
      throw new UserError(
        `input ${name}: ${who === '' ? 'nobody' : who} is not in allowed-actors (${allowed.join(', ') || 'empty: nobody is'})`,
      );
    }
  }
}
