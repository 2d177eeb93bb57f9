import type { Log } from '../base/log.js';
import { formatCandidate } from '../candidate/reference.js';
import type { ChangeBranch, ProposedCommit } from './change-branch.js';
import { decidePatchSet, decideReview, type Review, type ReviewDecision, type SeenReview } from './decide-review.js';
import type { Gerrit } from './gerrit.js';
import type { GerritAnswer } from './gerrit-answer.js';
import { type Leave, leave, type Proposing } from './proposing.js';
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

/**
 * Makes sure that there is one open change on Gerrit with these files. If Gerrit does not show its changes, the
 * Change-Id alone keeps it one change: all promotions until a merge have the same.
 */
export async function reviewChange(
  reviewing: Reviewing,
  branch: ChangeBranch,
  files: ReadonlyMap<string, string>,
  replaced: readonly Replaced[],
): Promise<Proposing> {
  const { proposed, repository, base, gerrit, dryRun, log } = reviewing;
  const { label, candidate, position } = proposed;
  const changeIds = (taken: readonly string[]) =>
    freshId((n) => changeIdOf(repository, base, label, replaced, n), taken);
  const commitFor: CommitFor = (changeId, ...more) =>
    branch.commit(files, commitMessage(proposed, [...more, `Change-Id: ${changeId}`]));

  const firstId = changeIds([]);
  const first = await commitFor(firstId);
  const listed = await gerrit.list(firstId);
  if (listed === undefined && first === undefined) {
    const why = 'the base branch has it already; if a change is open, a person must abandon it';
    return leave({ why, isWarning: false, change: undefined }, log);
  }
  const reviews = await lookAt(listed ?? [], first, reviewing, branch);
  const decision = decideReview(
    { baseIsRight: first === undefined, reviews },
    { reference: formatCandidate(candidate), own: position, canAbandon: gerrit.canAbandon },
  );
  if (decision.kind === 'leave') return leave(decision, log);
  const what = describeDecision(decision, base);
  const open = decision.change;
  if (dryRun) return { change: open, changed: false, line: `would ${what}` };
  if (decision.kind === 'abandon') {
    await gerrit.abandon(decision.change, position);
    return { change: { url: decision.change.url, state: 'closed' }, changed: true, line: what };
  }
  const changeId = open?.changeId ?? changeIds(reviews.map((review) => review.changeId));
  const commit = changeId === firstId ? first : await commitFor(changeId);
  if (commit === undefined) throw new Error('no commit, although the files differ from those of the base');
  const pushed = await pushPatchSet(commit, reviewing, branch, (...more) => commitFor(changeId, ...more));
  if ('why' in pushed) return leave({ ...pushed, change: open }, log);
  const url = pushed.url ?? open?.url;
  const change =
    url === undefined ? undefined : ({ url, state: pushed.result === 'closed' ? 'closed' : 'open' } as const);
  switch (pushed.result) {
    case 'pushed':
      return { change, changed: true, line: what };
    case 'unchanged':
      return leave({ why: 'Gerrit has this commit already', isWarning: false, change: open }, log);
    case 'closed':
      return leave({ why: CLOSED, isWarning: true, change }, log);
  }
}

const CLOSED =
  'the change with this Change-Id was abandoned or merged; a person must restore it, or let this action see the changes on Gerrit';

/** Makes the commit with a Change-Id and perhaps more trailers; undefined if it changes nothing. */
type CommitFor = (changeId: string, ...more: readonly string[]) => Promise<ProposedCommit | undefined>;

/** The first Change-Id that is not taken. */
function freshId(nth: (n: number) => string, taken: readonly string[]): string {
  for (let n = 0; ; n += 1) {
    const id = nth(n);
    if (!taken.includes(id)) return id;
  }
}

/** Compares the changes on Gerrit with the commit that we would push. */
async function lookAt(
  reviews: readonly Review[],
  commit: ProposedCommit | undefined,
  { committer }: Reviewing,
  branch: ChangeBranch,
): Promise<SeenReview[]> {
  const seen: SeenReview[] = [];
  for (const review of reviews) {
    const isRight = review.state === 'open' && commit !== undefined && (await branch.isRightAt(review.ref, commit));
    seen.push({ ...review, isOurs: review.committer === committer, isRight });
  }
  return seen;
}

function describeDecision({ kind, change }: Exclude<ReviewDecision, { kind: 'leave' }>, base: string): string {
  if (kind === 'abandon') return `abandon ${change.url}: the base branch has it already`;
  return change === undefined ? `push a change for review into ${base}` : `push a new patch set of ${change.url}`;
}

/**
 * Pushes a commit as the newest patch set, even if an older patch set is the same commit. Returns the reason if
 * the change is to be left as it is.
 *
 * @param again - makes the same change with more trailers
 */
async function pushPatchSet(
  commit: ProposedCommit,
  { proposed: { position }, gerrit: { topic } }: Reviewing,
  branch: ChangeBranch,
  again: (...more: readonly string[]) => Promise<ProposedCommit | undefined>,
): Promise<GerritAnswer | Omit<Leave, 'change'>> {
  const answer = await branch.pushForReview(commit, topic);
  if (answer.result !== 'unchanged') return answer;
  const newest = await branch.newestPatchSet(commit);
  const next = decidePatchSet(newest, position);
  if (next !== 'push') return next;
  // The same commit cannot become a patch set again. The name of the one that it replaces makes it a different commit.
  return branch.pushForReview((await again(`Replaces-Patch-Set: ${newest?.commit}`)) ?? commit, topic);
}
