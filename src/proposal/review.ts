import type { Log } from '../base/log.js';
import { formatCandidate } from '../candidate/reference.js';
import type { ChangeBranch } from './change-branch.js';
import type { Change, Proposing } from './decide.js';
import { decidePatchSet, decideReview, type SeenReview } from './decide-review.js';
import type { Gerrit } from './gerrit.js';
import { changeIdOf, commitMessage, type Proposed, type Replaced } from './text.js';

export interface Reviewing {
  readonly proposed: Proposed;
  /** Names the repository in the Change-Id. */
  readonly repository: string;
  readonly base: string;
  /** Our committer: `name <address>`. */
  readonly committer: string;
  readonly gerrit: Gerrit;
  readonly dryRun: boolean;
  readonly log: Log;
}

type Shown = Pick<Change, 'url' | 'state'> | undefined;

/**
 * Makes sure that there is one open change on Gerrit with these files. If Gerrit does not show its changes, the
 * Change-Id alone keeps it one change: all promotions until a merge have the same.
 */
export async function reviewChange(
  { proposed, repository, base, committer, gerrit, dryRun, log }: Reviewing,
  branch: ChangeBranch,
  files: ReadonlyMap<string, string>,
  replaced: readonly Replaced[],
): Promise<Proposing> {
  const { label, candidate, position } = proposed;
  const leave = (why: string, isWarning: boolean, change: Shown): Proposing => {
    if (isWarning) log.warning(change === undefined ? why : `${change.url}: ${why}`);
    return { change, changed: false, line: why };
  };
  const fresh = (taken: readonly string[]) => {
    for (let n = 0; ; n += 1) {
      const id = changeIdOf(repository, base, label, replaced, n);
      if (!taken.includes(id)) return id;
    }
  };
  const commitFor = (changeId: string, more: readonly string[] = []) =>
    branch.commit(files, commitMessage(proposed, [...more, `Change-Id: ${changeId}`]));

  const firstId = fresh([]);
  const first = await commitFor(firstId);
  const listed = await gerrit.list(firstId);
  if (listed === undefined && first === undefined) {
    return leave('the base branch has it already; if a change is open, a person must abandon it', false, undefined);
  }
  const reviews: SeenReview[] = [];
  for (const review of listed ?? []) {
    const isRight = review.state === 'open' && first !== undefined && (await branch.isRightAt(review.ref));
    reviews.push({ ...review, isOurs: review.committer === committer, isRight });
  }
  const decision = decideReview(
    { baseIsRight: first === undefined, reviews },
    { reference: formatCandidate(candidate), own: position, canAbandon: gerrit.canAbandon },
  );
  if (decision.kind === 'leave') return leave(decision.why, decision.isWarning, decision.change);
  const open = decision.change;
  const what =
    decision.kind === 'abandon'
      ? `abandon ${open?.url}: the base branch has it already`
      : open === undefined
        ? `push a change for review into ${base}`
        : `push a new patch set of ${open.url}`;
  if (dryRun) return { change: open, changed: false, line: `would ${what}` };
  if (decision.kind === 'abandon') {
    await gerrit.abandon(decision.change, position);
    return { change: { url: decision.change.url, state: 'closed' }, changed: true, line: what };
  }

  const changeId = open?.changeId ?? fresh(reviews.map((review) => review.changeId));
  const commit = changeId === firstId ? first : await commitFor(changeId);
  if (commit === undefined) throw new Error('no commit, although the files differ from those of the base');
  let answer = await branch.pushForReview(commit, gerrit.topic);
  if (answer.result === 'unchanged') {
    const newest = await branch.newestPatchSet(commit);
    const next = decidePatchSet(newest, position);
    if (next !== 'push') return leave(next.why, next.isWarning, open);
    // The same commit cannot become a patch set again. The name of the one that it replaces makes it a different commit.
    const again = await commitFor(changeId, [`Replaces-Patch-Set: ${newest?.commit}`]);
    answer = await branch.pushForReview(again ?? commit, gerrit.topic);
  }
  const url = answer.url ?? open?.url;
  switch (answer.result) {
    case 'pushed':
      return { change: url === undefined ? undefined : { url, state: 'open' }, changed: true, line: what };
    case 'unchanged':
      return leave('Gerrit has this commit already', false, open);
    case 'closed':
      return leave(
        'the change with this Change-Id was abandoned or merged; a person must restore it, or let this action see the changes on Gerrit',
        true,
        url === undefined ? undefined : { url, state: 'closed' },
      );
  }
}
