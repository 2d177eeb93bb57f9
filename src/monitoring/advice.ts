import { dispatch, quote, repositoryOption, type Workflow } from './dispatch.js';
import type { BranchModel, Step } from './model.js';
import { candidateOf, seconds } from './words.js';

/** The address of the how-tos; examples/monitoring/alerts.yml names the same pages. */
export const HOW_TO = 'https://github.com/rdo-infra/ceph-promotion-actions/blob/v1/docs/how-to';

type Advised = Omit<BranchModel, 'next'>;

/**
 * The next steps for a branch at `now` (unix seconds), most urgent first. Commands are complete except for the reason,
 * which a person fills in.
 */
export function adviseOn(branch: Advised, workflow: Workflow, now: number): Step[] {
  const command = (fields: Fields = {}) => dispatch(workflow, { branch: branch.branch, ...fields });
  const problem = PROBLEMS.find(({ source }) => branch.problems.some((one) => one.source === source));
  const repair: Step[] =
    problem === undefined
      ? []
      : [step(problem.what, { command: problem.rerun ? command() : null, howTo: problem.howTo })];
  if (branch.state === 'broken') return repair;
  const urgent = [
    ...(branch.health.state === 'regressed' ? adviseOnRegression(branch, command) : []),
    ...adviseOnPipeline(branch, workflow, command, now),
    ...adviseOnCandidate(branch, command),
    ...repair,
  ];
  return [...(urgent.length > 0 ? urgent : [step('Nothing.')]), ...wayBack(branch, command)];
}

type Fields = Readonly<Record<string, string>>;
type Command = (fields?: Fields) => string;

function adviseOnRegression({ health, previous }: Advised, command: Command): Step[] {
  const [first] = health.jobs;
  const rerun = step(`If the image is not to blame, run ${first?.job} again.`, { link: first?.url ?? null });
  if (previous === null)
    return [step('There is nothing to roll back to: promote a newer image.', { howTo: 'force' }), rerun];
  const rollBack = command({ 'rollback-to': 'previous', 'force-reason': REASON });
  return [step(`Roll back to ${candidateOf(previous).tag}.`, { command: rollBack, howTo: 'roll-back' }), rerun];
}

function wayBack({ current, health, previous }: Advised, command: Command): Step[] {
  if (current === null || previous === null || health.state === 'regressed') return [];
  const rollBack = command({ 'rollback-to': 'previous', 'force-reason': REASON });
  const what = `If ${current.tag} turns out to be bad, roll back to ${candidateOf(previous).tag}.`;
  return [step(what, { command: rollBack, howTo: 'roll-back' })];
}

function adviseOnPipeline(branch: Advised, workflow: Workflow, command: Command, now: number): Step[] {
  if (branch.state === 'empty') return adviseOnEmpty(branch, command);
  const due = branch['heartbeat-due'];
  if (due === null || seconds(due) >= now) return [];
  const enable = `gh workflow enable ${quote(workflow.file)}${repositoryOption(workflow)}`;
  return [
    step(
      'No run came to a decision in time. Enable the workflow: GitHub disables a schedule after 60 days without a commit.',
      { command: `${enable} && ${command()}`, howTo: 'troubleshoot' },
    ),
  ];
}

function adviseOnEmpty(branch: Advised, command: Command): Step[] {
  if (branch['label-tag'] === null)
    return [step('Run the first promotion.', { command: command(), howTo: 'add-a-branch' })];
  return [
    step(`Adopt ${branch['label-tag']}: the label names it, but there is no ledger.`, { howTo: 'move-from-rdo' }),
  ];
}

function adviseOnCandidate(branch: Advised, command: Command): Step[] {
  const { candidate, decision } = branch;
  if (decision?.blocked) return adviseOnBlocked(decision, command);
  if (candidate?.banned) {
    const lift = command({ 'lift-hold': candidate.tag, 'force-reason': REASON });
    return [
      step(`Wait for a newer image. If ${candidate.tag} was not to blame, lift its hold.`, {
        command: lift,
        howTo: 'lift-a-hold',
      }),
    ];
  }
  if (candidate !== null && !candidate.promoted) return [step('Nothing: the next run decides on the candidate.')];
  return branch.state === 'late'
    ? [step('Look for a newer image upstream: the newest candidate is promoted already.', { howTo: 'monitor' })]
    : [];
}

function adviseOnBlocked(decision: NonNullable<Advised['decision']>, command: Command): Step[] {
  if (decision.decision === 'frozen') return [step('Wait for the end of the freeze, or end it.', { howTo: 'freeze' })];
  const failed = decision.jobs.find(({ state }) => state === 'unmet');
  const missing = decision.jobs.find(({ state }) => state === 'unknown');
  const { tag } = candidateOf(decision.reference);
  const unmet = decision.jobs.filter(({ state }) => state === 'unmet' || state === 'unknown').map(({ job }) => job);
  const force = command({
    'force-tag': tag,
    'force-confirm': tag,
    ...(unmet.length === 0 ? {} : { 'skip-jobs': unmet.join(' ') }),
    'force-reason': REASON,
  });
  const inNeed = step('Only if it cannot wait: force it.', { command: force, howTo: 'force' });
  if (failed !== undefined) {
    return [
      step(
        `Read why ${failed.job} failed. If the image is not to blame, run it again or waive it; otherwise wait for a newer image.`,
        { link: failed.url, howTo: 'waive-a-job' },
      ),
      inNeed,
    ];
  }
  if (missing !== undefined) return [step(`Wait for ${missing.job}, or start it.`, { link: missing.url }), inNeed];
  return [step('Read the reason for the last decision.', { link: decision['run-url'] }), inNeed];
}

/** A placeholder that a person replaces. */
const REASON = 'WHY';

/** The steps for a source that cannot be read or trusted, most urgent first. */
const PROBLEMS: readonly {
  source: BranchModel['problems'][number]['source'];
  what: string;
  howTo: string;
  rerun?: true;
}[] = [
  { source: 'image server', what: 'Repair the image server, or its address here.', howTo: 'troubleshoot' },
  {
    source: 'ledger',
    what: 'Find out who changed the ledger. No run promotes until it is restored.',
    howTo: 'troubleshoot',
  },
  {
    source: 'last decision',
    what: 'Run the promotion: it writes the last decision again.',
    howTo: 'monitor',
    rerun: true,
  },
  { source: 'label', what: 'Run the promotion: it corrects the label.', howTo: 'monitor', rerun: true },
  { source: 'candidate label', what: 'Run the promotion: it publishes a candidate.', howTo: 'monitor', rerun: true },
  { source: 'criteria', what: 'Correct the criteria file.', howTo: 'add-a-job' },
];

function step(
  what: string,
  { command = null, link = null, howTo }: { command?: string | null; link?: string | null; howTo?: string } = {},
): Step {
  return { what, command, link, 'how-to': howTo === undefined ? null : `${HOW_TO}/${howTo}.md` };
}
