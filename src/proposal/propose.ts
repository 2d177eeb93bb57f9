import { ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ChangeBranch } from './change-branch.js';
import { type Change, type ChangeText, closedText, decideChange, decidePatchSet } from './decide.js';
import { type Edit, editText } from './edits.js';
import type { Forge } from './forge.js';
import { readTrailer } from './position.js';
import { changeIdOf, commitMessage, describeChange, type Proposed, type Replaced } from './text.js';

export interface Proposal {
  readonly proposed: Proposed;
  readonly edits: readonly Edit[];
  /** Names the repository in messages and in Gerrit's Change-Id. */
  readonly repository: string;
  readonly base: string;
  /** Opens the repository as it is now. */
  readonly openBranch: () => Promise<ChangeBranch>;
  /** Where the change is opened. Gerrit makes it from the push. */
  readonly forge: Forge | 'gerrit';
  readonly dryRun: boolean;
  readonly log: Log;
}

export interface Proposing {
  /** The change; undefined if there is none, or its address is not known. */
  readonly change: Pick<Change, 'url' | 'state'> | undefined;
  readonly changed: boolean;
  /** What was done and why, in one line. */
  readonly line: string;
}

/** How often somebody else may push to our branch first. */
const ATTEMPTS = 5;

/**
 * Makes sure that there is one open change with what is promoted. A run that was killed leaves a branch without a
 * change, or a change with an older text; the next run finds these and finishes.
 *
 * @throws UserError if an edit is not possible; ServiceError if the repository or the forge fails.
 */
export async function proposeChange(proposal: Proposal): Promise<Proposing> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const branch = await proposal.openBranch();
    try {
      const done = await propose(proposal, branch);
      if (done !== 'moved') return done;
      proposal.log.info('somebody else has pushed to the branch of the change; looking again');
    } finally {
      await branch.close();
    }
  }
  throw new ServiceError('conflict', `${proposal.repository}: the branch of the change moved ${ATTEMPTS} times`);
}

async function propose(proposal: Proposal, branch: ChangeBranch): Promise<Proposing | 'moved'> {
  const { proposed, repository, base, forge } = proposal;
  const { before, after, replaced } = await editFiles(proposal, branch);
  if (forge === 'gerrit') return review(proposal, branch, after, changeIdOf(repository, base, proposed.label, before));
  const commit = await branch.commit(after, commitMessage(proposed, []));
  return pullRequest(proposal, branch, commit, forge, describeChange(proposed, replaced));
}

async function editFiles({ edits, repository }: Proposal, branch: ChangeBranch) {
  const before = new Map<string, string>();
  const after = new Map<string, string>();
  const replaced: Replaced[] = [];
  for (const edit of edits) {
    const { file, value } = edit;
    const text = after.get(file) ?? (await branch.readBase(file));
    if (!before.has(file)) before.set(file, text);
    const edited = editText(text, [edit]);
    if ('problem' in edited) throw new UserError(`${repository}: ${file}: ${edited.problem}`, { hint: 'change-place' });
    after.set(file, edited.text);
    replaced.push({ file, before: edited.before, after: value });
  }
  return { before, after, replaced };
}

async function pullRequest(
  { proposed, dryRun, log }: Proposal,
  branch: ChangeBranch,
  commit: string | undefined,
  forge: Forge,
  text: ChangeText,
): Promise<Proposing | 'moved'> {
  const { candidate, position } = proposed;
  const decision = decideChange(
    {
      baseIsRight: commit === undefined,
      branch: await branch.compare(commit),
      record: branch.tipMessage === undefined ? undefined : readTrailer(branch.tipMessage),
      changes: await forge.list(),
    },
    { digest: candidate.digest, text, own: position },
  );
  if (decision.kind === 'leave') {
    const { why, change, isWarning } = decision;
    if (isWarning) log.warning(change === undefined ? why : `${change.url}: ${why}`);
    return { change, changed: false, line: why };
  }
  const existing = 'change' in decision ? decision.change : undefined;
  const verb = decision.kind.replace('push-and-', '');
  const what = `${verb} ${existing?.url ?? 'a change'}: ${text.title}`;
  if (dryRun) return { change: existing, changed: false, line: `would ${what}` };
  if (decision.kind === 'close') {
    await forge.close(decision.change, closedText(decision.change.body, position));
    return { change: { url: decision.change.url, state: 'closed' }, changed: true, line: what };
  }
  if (decision.kind.startsWith('push') && commit !== undefined && (await branch.push(commit)) === 'moved')
    return 'moved';
  const change = existing === undefined ? await forge.open(text) : await forge.update(existing, text);
  return { change, changed: true, line: what };
}

async function review(
  { proposed, dryRun, log, base }: Proposal,
  branch: ChangeBranch,
  files: ReadonlyMap<string, string>,
  changeId: string,
): Promise<Proposing> {
  const trailer = `Change-Id: ${changeId}`;
  const leave = (why: string, isWarning: boolean, url?: string): Proposing => {
    if (isWarning) log.warning(why);
    // It is not known which change it is, unless Gerrit refuses one that is closed.
    return { change: url === undefined ? undefined : { url, state: 'closed' }, changed: false, line: why };
  };
  const commit = await branch.commit(files, commitMessage(proposed, [trailer]));
  if (commit === undefined) {
    return leave(`the base branch has it already; if change ${changeId} is open, a person abandons it`, false);
  }
  if (dryRun) return leave(`would push a change for review into ${base}`, false);
  let answer = await branch.pushForReview(commit);
  if (answer.result === 'unchanged') {
    const newest = await branch.newestPatchSet(commit);
    const decision = decidePatchSet(newest, proposed.position);
    if (decision !== 'push') return leave(decision.why, decision.isWarning);
    // The same commit cannot become a patch set again; what it replaces makes it another one.
    const message = commitMessage(proposed, [`Replaces-Patch-Set: ${newest?.commit}`, trailer]);
    answer = await branch.pushForReview((await branch.commit(files, message)) ?? commit);
  }
  switch (answer.result) {
    case 'pushed':
      return {
        change: answer.url === undefined ? undefined : { url: answer.url, state: 'open' },
        changed: true,
        line: `pushed a change for review into ${base}`,
      };
    case 'unchanged':
      return leave('Gerrit has this commit already', false);
    case 'closed':
      return leave(
        'the change was abandoned; it is not opened again before the files change, unless a person restores it',
        true,
        answer.url,
      );
  }
}
