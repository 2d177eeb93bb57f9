import * as v from 'valibot';
import { UserError } from '../../base/errors.js';
import { parseUser } from '../../base/schema.js';
import { candidateSchema, type Digest, digestSchema, type Tag, tagSchema } from '../../candidate/reference.js';
import type { Request, TagAndDigest } from '../../rules/request.js';
import { type Requester, refuseActor, refuseRef } from '../../rules/requester.js';
import { lineSchema, optional, type ParsedInputs, words } from '../../runner/inputs.js';

/** The inputs of a person's decision, and those that say who may make it. */
export const requestInputs = {
  'force-tag': optional('Promote this tag although the criteria are not met', lineSchema),
  'force-confirm': optional('The same tag once more', lineSchema),
  'force-reason': optional(
    'The reason for a force, rollback, hold, lifted hold, quarantine or adoption; it goes into the ledger',
    lineSchema,
  ),
  'skip-jobs': words('Every unmet job that a force skips, and no other; one per line, or separated by spaces'),
  'rollback-to': optional('`previous`, or a tag that was promoted before', lineSchema),
  hold: optional(
    'A tag or digest that must not be promoted until a newer version is promoted, or the hold is lifted',
    lineSchema,
  ),
  'lift-hold': optional('A tag or digest that is on hold', lineSchema),
  quarantine: optional('A tag, or `image:tag@digest`, that must never be promoted', lineSchema),
  adopt: optional(
    'Start a ledger for what is promoted already, as `<tag>@<digest>`: the digest of the moving tags, or, if there is none, of the tag at `image`',
    lineSchema,
  ),
  'allowed-actors': words('Logins that may force, roll back, hold, lift a hold, quarantine and adopt; empty: nobody'),
  'manual-pipelines': words(
    "In Zuul: the pipelines that only a person can enqueue to. Only their builds make a person's decision; empty: none does",
  ),
  'allowed-refs': words(
    'Branches, or full refs such as `refs/tags/v1`, that a run may promote from; empty: the default branch. A schedule counts as the default branch',
  ),
};

export type RequestSettings = ParsedInputs<typeof requestInputs>;

const DECISIONS = ['force-tag', 'rollback-to', 'hold', 'lift-hold', 'quarantine', 'adopt'] as const;
type Decision = (typeof DECISIONS)[number];

/**
 * Builds the request from all inputs together. Throws a UserError if one is missing or mistyped, or if the requester
 * may not make it.
 */
export function parseRequest(settings: RequestSettings, requester: Requester): Request {
  const asked = DECISIONS.filter((name) => settings[name] !== undefined);
  if (asked.length > 1) throw new UserError(`inputs ${asked.join(' and ')}: set only one at a time`);
  const [name] = asked;
  if (name !== 'force-tag') refuseStray(settings);
  if (name === undefined) {
    if (settings['force-reason'] === undefined) return { kind: 'evaluate' };
    throw new UserError(
      `input force-reason: set, but there is nothing to do; set ${DECISIONS.slice(0, -1).join(', ')} or ${DECISIONS.at(-1)} too`,
    );
  }
  const request = parseDecision(name, settings[name] ?? '', settings);
  authorise(name, settings, requester);
  checkRef(settings['allowed-refs'], requester);
  return request;
}

function parseDecision(name: Decision, value: string, settings: RequestSettings): Request {
  if (name === 'force-tag') checkConfirmation(parseTag(name, value), settings['force-confirm']);
  const reason = settings['force-reason'];
  if (reason === undefined) throw new UserError(`input force-reason: ${name} needs a reason; it goes into the ledger`);
  switch (name) {
    case 'force-tag':
      return { kind: 'force', tag: parseTag(name, value), reason, skipJobs: settings['skip-jobs'] };
    case 'rollback-to':
      return { kind: 'rollback', to: value === 'previous' ? value : parseTag(name, value), reason };
    case 'hold':
      return { kind: 'hold', image: parseTagOrDigest(name, value), reason };
    case 'lift-hold':
      return { kind: 'lift', image: parseTagOrDigest(name, value), reason };
    case 'quarantine': {
      const candidate = v.safeParse(candidateSchema, value);
      return { kind: 'quarantine', image: candidate.success ? candidate.output : parseTag(name, value), reason };
    }
    case 'adopt':
      return { kind: 'adopt', image: parseTagAndDigest(name, value), reason };
  }
}

function checkConfirmation(tag: Tag, confirmation = ''): void {
  if (confirmation === tag) return;
  throw new UserError(
    `input force-confirm: ${JSON.stringify(confirmation)} is not the tag in force-tag, ${tag}; type it once more`,
  );
}

function parseTag(name: string, value: string): Tag {
  return parseUser(tagSchema, value, `input ${name}`);
}

function parseTagOrDigest(name: string, value: string): Tag | Digest {
  // No tag has a colon.
  return value.includes(':') ? parseUser(digestSchema, value, `input ${name}`) : parseTag(name, value);
}

function parseTagAndDigest(name: string, value: string): TagAndDigest {
  const at = value.indexOf('@');
  if (at < 0) throw new UserError(`input ${name}: ${JSON.stringify(value)} is not <tag>@<digest>`);
  return {
    tag: parseTag(name, value.slice(0, at)),
    digest: parseUser(digestSchema, value.slice(at + 1), `input ${name}`),
  };
}

/** Refuses a confirmation or a list of jobs without the tag: a force was probably meant. */
function refuseStray(settings: RequestSettings): void {
  const stray =
    settings['force-confirm'] !== undefined
      ? 'force-confirm'
      : settings['skip-jobs'].length > 0
        ? 'skip-jobs'
        : undefined;
  if (stray !== undefined) throw new UserError(`input ${stray}: set, but nothing is forced; set force-tag too`);
}

/** Throws a UserError if this requester may not make the decision that the input `name` asks for. */
export function authorise(
  name: string,
  {
    'allowed-actors': allowed,
    'manual-pipelines': pipelines,
  }: Pick<RequestSettings, 'allowed-actors' | 'manual-pipelines'>,
  requester: Requester,
): void {
  const refusal = refuseActor(requester, allowed, pipelines);
  if (refusal?.kind === 'event') {
    const start =
      refusal.event === '' ? 'nothing says what started this run' : `this run was started by ${refusal.event}`;
    throw new UserError(`input ${name}: needs workflow_dispatch, but ${start} (GITHUB_EVENT_NAME)`);
  }
  if (refusal?.kind === 'pipeline') {
    const pipeline = refusal.pipeline === '' ? 'no pipeline' : refusal.pipeline;
    throw new UserError(
      `input ${name}: needs a build in one of manual-pipelines (${pipelines.join(', ') || 'empty: none is'}), but this build is in ${pipeline}`,
    );
  }
  if (refusal?.kind === 'actor') {
    const who = refusal.actor === '' ? 'nobody' : refusal.actor;
    throw new UserError(`input ${name}: ${who} is not in allowed-actors (${allowed.join(', ') || 'empty: nobody is'})`);
  }
}

/** Throws a UserError if nothing may be changed from the run's ref. */
export function checkRef(allowed: readonly string[], requester: Requester): void {
  const refusal = refuseRef(requester, allowed);
  switch (refusal?.kind) {
    case undefined:
      return;
    case 'ref':
      throw new UserError(
        `input allowed-refs: this run is on ${refusal.ref}; only runs on ${refusal.allowed.join(', ')} may change anything`,
      );
    case 'unknown-ref':
      throw new UserError('input allowed-refs: the forge does not say which ref this run is on (GITHUB_REF)');
    case 'unknown-default-branch':
      throw new UserError(
        'input allowed-refs: empty, and the forge does not say which branch is the default (GITHUB_EVENT_PATH); name the branch',
      );
  }
}
