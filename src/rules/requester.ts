/** The person or schedule that started the run, and its ref, as the forge, Zuul or a person at a command line reports. */
export interface Requester {
  /** `schedule`, `workflow_dispatch`, `command-line` …; empty if nobody says. */
  readonly event: string;
  readonly actor: string;
  /** Empty if the forge does not say. */
  readonly triggeringActor: string;
  /** The pipeline of the Zuul build; undefined outside Zuul. */
  readonly pipeline: string | undefined;
  /** The ref of the workflow, such as `refs/heads/main`; empty if a forge hides it, undefined outside a forge. */
  readonly ref: string | undefined;
  /** The repository's default branch, without `refs/heads/`; undefined if the forge does not say. */
  readonly defaultBranch: string | undefined;
}

export type ActorRefusal =
  | { readonly kind: 'event'; readonly event: string }
  | { readonly kind: 'pipeline'; readonly pipeline: string }
  | { readonly kind: 'actor'; readonly actor: string };

/** Events that only a person can cause. */
const BY_HAND: readonly string[] = ['workflow_dispatch', 'command-line'];

/**
 * Returns the reason why this requester may not make a person's decision, or undefined if they may. Such a decision
 * needs a dispatch, a command line, or a build of a Zuul pipeline that only people enqueue to (`manualPipelines`). Both
 * the person who dispatched the run and the one who started this attempt must be allowed. This guards against mistakes
 * only: rights come from the secrets.
 */
export function refuseActor(
  { event, pipeline, actor, triggeringActor }: Requester,
  allowed: readonly string[],
  manualPipelines: readonly string[],
): ActorRefusal | undefined {
  if (pipeline !== undefined && !manualPipelines.includes(pipeline)) return { kind: 'pipeline', pipeline };
  if (pipeline === undefined && !BY_HAND.includes(event)) return { kind: 'event', event };
  const people = triggeringActor === '' ? [actor] : [actor, triggeringActor];
  const stranger = people.find((who) => !allowed.includes(who));
  return stranger === undefined ? undefined : { kind: 'actor', actor: stranger };
}

export type RefRefusal =
  | { readonly kind: 'ref'; readonly ref: string; readonly allowed: readonly string[] }
  | { readonly kind: 'unknown-ref' }
  | { readonly kind: 'unknown-default-branch' };

/**
 * Returns the reason why a run of this ref may change nothing, or undefined if it may. `allowed` lists branches
 * (`main`) or full refs (`refs/tags/v1`); an empty list means the default branch. Outside a forge there is no ref.
 */
export function refuseRef(
  { event, ref, defaultBranch }: Requester,
  allowed: readonly string[],
): RefRefusal | undefined {
  if (ref === undefined) return undefined;
  // A schedule runs on the default branch only, and its payload may not name that branch.
  const effective = event === 'schedule' && defaultBranch !== undefined ? fullRef(defaultBranch) : ref;
  if (effective === '') return { kind: 'unknown-ref' };
  if (allowed.length === 0) {
    if (event === 'schedule') return undefined;
    if (defaultBranch === undefined) return { kind: 'unknown-default-branch' };
    if (effective === fullRef(defaultBranch)) return undefined;
    return { kind: 'ref', ref: effective, allowed: [defaultBranch] };
  }
  return allowed.map(fullRef).includes(effective) ? undefined : { kind: 'ref', ref: effective, allowed };
}

function fullRef(name: string): string {
  return name.startsWith('refs/') ? name : `refs/heads/${name}`;
}
