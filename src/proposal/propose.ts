import { ServiceError, UserError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ChangeBranch, ProposedCommit } from './change-branch.js';
import { type ChangeText, closedText, decideChange } from './decide.js';
import { type Edit, editText } from './edits.js';
import type { Forge } from './forge.js';
import type { Gerrit } from './gerrit.js';
import { readTrailer } from './position.js';
import { leave, type Proposing } from './proposing.js';
import { reviewChange } from './review.js';
import { commitMessage, describeChange, type Proposed, type Replaced } from './text.js';

export interface Proposal {
  readonly proposed: Proposed;
  readonly edits: readonly Edit[];
  /** Names the repository in messages and in Gerrit's Change-Id. */
  readonly repository: string;
  readonly base: string;
  /** Reads the repository's current state. */
  readonly openBranch: () => Promise<ChangeBranch>;
  /** The committer of our commits: `name <address>`. */
  readonly committer: string;
  /** The forge on which to open the change. Gerrit opens one for each push. */
  readonly forge: Forge | Gerrit;
  readonly dryRun: boolean;
  readonly log: Log;
}

/** We give up after this many attempts if somebody else keeps pushing to our branch first. */
const ATTEMPTS = 5;

/**
 * Makes sure that one open change proposes the promoted image. A run that was killed leaves a branch without a change,
 * or a change with an older text; the next run completes these.
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
  const { proposed, forge } = proposal;
  const { after, replaced } = await editFiles(proposal, branch);
  if ('topic' in forge) return reviewChange({ ...proposal, gerrit: forge }, branch, after, replaced);
  const commit = await branch.commit(after, commitMessage(proposed, []));
  return pullRequest(proposal, branch, commit, forge, describeChange(proposed, replaced));
}

async function editFiles({ edits, repository }: Proposal, branch: ChangeBranch) {
  const after = new Map<string, string>();
  const replaced: Replaced[] = [];
  for (const edit of edits) {
    const { file, value } = edit;
    const text = after.get(file) ?? (await branch.readBase(file));
    const edited = editText(text, [edit]);
    if ('problem' in edited) throw new UserError(`${repository}: ${file}: ${edited.problem}`, { hint: 'change-place' });
    after.set(file, edited.text);
    replaced.push({ file, before: edited.before, after: value });
  }
  return { after, replaced };
}

async function pullRequest(
  { proposed, dryRun, log }: Proposal,
  branch: ChangeBranch,
  commit: ProposedCommit | undefined,
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
  if (decision.kind === 'leave') return leave(decision, log);
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
