/** Who started the run and from where, as reported by the forge. */
export interface Requester {
  /** `schedule`, `workflow_dispatch` …; empty outside a forge. */
  readonly event: string;
  readonly actor: string;
  /** Empty if the forge does not say. */
  readonly triggeringActor: string;
  /** The ref of the workflow, such as `refs/heads/main`; empty if a forge hides it, undefined outside a forge. */
  readonly ref: string | undefined;
  /** The repository's default branch, without `refs/heads/`; undefined if the forge does not say. */
  readonly defaultBranch: string | undefined;
}

export type ActorRefusal =
  | { readonly kind: 'event'; readonly event: string }
  | { readonly kind: 'actor'; readonly actor: string };

/**
 * Why this requester may not make a person's decision; undefined if they may. Such a decision needs a dispatch, and
 * both the person who dispatched the run and the one who started this attempt must be allowed. This guards against
 * mistakes only: the secrets are what grants rights.
 */
export function refuseActor(
  { event, actor, triggeringActor }: Requester,
  allowed: readonly string[],
): ActorRefusal | undefined {
  if (event !== 'workflow_dispatch') return { kind: 'event', event };
  const people = triggeringActor === '' ? [actor] : [actor, triggeringActor];
  const stranger = people.find((who) => !allowed.includes(who));
  return stranger === undefined ? undefined : { kind: 'actor', actor: stranger };
}

export type RefRefusal =
  | { readonly kind: 'ref'; readonly ref: string; readonly allowed: readonly string[] }
  | { readonly kind: 'unknown-ref' }
  | { readonly kind: 'unknown-default-branch' };

/**
 * Why nothing may be changed from this ref; undefined if it may. `allowed` lists branches (`main`) or full refs
 * (`refs/tags/v1`); an empty list means the default branch. Outside a forge there is no ref to check.
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
