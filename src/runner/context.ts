import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { parseUser, runUrlSchema } from '../base/schema.js';
import { lineSchema } from './inputs.js';

/**
 * The facts about the run: on a forge from variables that GitHub, Gitea, Forgejo and act all set, in Zuul from those
 * that the role ceph_promotion sets, on a command line from those that a person sets
 * (docs/how-to/decide-from-a-command-line.md).
 */
export interface RunContext {
  /** `schedule`, `workflow_dispatch`, `zuul/<pipeline>/<change>`, `command-line` …; empty if nobody says. */
  readonly event: string;
  readonly actor: string;
  /** The person who started this attempt; empty if the forge does not say. */
  readonly triggeringActor: string;
  /** The ref of the workflow that was called first; empty if a forge hides it, undefined outside a forge. */
  readonly ref: string | undefined;
  /** Without `refs/heads/`; undefined if the event does not name it. */
  readonly defaultBranch: string | undefined;
  /** The pipeline of the Zuul build; undefined outside Zuul. */
  readonly pipeline: string | undefined;
  /** `owner/name`. */
  readonly repository: string;
  readonly runId: string;
  /** GitHub, or act, which behaves like it; `gh` supports no other forge. */
  readonly isGitHub: boolean;
  /** 1 for the first attempt; 0 if it is not known, as for a change in Zuul, which anybody may enqueue again uncounted. */
  readonly attempt: number;
  /** The URL of the workflow file, with its ref; undefined if no forge names one. */
  readonly workflowUrl: string | undefined;
  /** The URL of this run and attempt; undefined outside a runner. */
  readonly runUrl: string | undefined;
  /** The directory that relative paths in inputs refer to. */
  readonly workspace: string;
}

/** The event of a person who runs a bundle with the keys at hand. */
const COMMAND_LINE = 'command-line';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the run from the environment; a variable that is not set is empty. On a forge the variables of Zuul and of the
 * command line are ignored. Throws a UserError if one of these is not a line of text, or not a URL.
 */
export function readRunContext(env: Environment): RunContext {
  const forge = readForge(env);
  return forge.event !== '' || env.GITHUB_ACTIONS ? forge : { ...forge, ...(readZuul(env) ?? readCommandLine(env)) };
}

type Elsewhere = Pick<RunContext, 'event' | 'actor' | 'runUrl'> & Partial<RunContext>;

/** A build in Zuul; undefined outside Zuul. */
function readZuul(env: Environment): Elsewhere | undefined {
  const [build, pipeline] = [readLine(env, 'ZUUL_BUILD'), readLine(env, 'ZUUL_PIPELINE')];
  if (build === '' && pipeline === '') return undefined;
  const change = readLine(env, 'ZUUL_CHANGE');
  return {
    event: ['zuul', pipeline, change].filter((part) => part !== '').join('/'),
    pipeline,
    actor: readLine(env, 'ZUUL_USER'),
    // A change is decided once, by whichever of its builds comes first.
    ...(change === '' ? { runId: asId(build) } : { runId: asId(change), attempt: 0 }),
    runUrl: readUrl(env, 'ZUUL_BUILD_URL'),
  };
}

/** Converts a Zuul id to the form of a run's id, which ids of records begin with. */
function asId(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 64);
}

/** A person at a command line; undefined if they do not give their name. */
function readCommandLine(env: Environment): Elsewhere | undefined {
  const actor = readLine(env, 'OPERATOR');
  if (actor === '') return undefined;
  return { event: COMMAND_LINE, actor, runUrl: readUrl(env, 'OPERATOR_URL') };
}

function readLine(env: Environment, name: string): string {
  return env[name] ? parseUser(lineSchema, env[name], name) : '';
}

function readUrl(env: Environment, name: string): string | undefined {
  return (env[name] && parseUser(runUrlSchema, env[name], name)) || undefined;
}

function readForge(env: Environment): RunContext {
  const attempt = Number(env.GITHUB_RUN_ATTEMPT || '1');
  return {
    event: env.GITHUB_EVENT_NAME ?? '',
    actor: env.GITHUB_ACTOR ?? '',
    triggeringActor: env.GITHUB_TRIGGERING_ACTOR ?? '',
    ref: env.GITHUB_REF,
    defaultBranch: defaultBranch(env),
    pipeline: undefined,
    repository: env.GITHUB_REPOSITORY ?? '',
    runId: env.GITHUB_RUN_ID ?? '',
    isGitHub: env.GITHUB_ACTIONS === 'true' && !isNumbered(env),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 0,
    workflowUrl: workflowUrl(env),
    runUrl: runUrl(env),
    workspace: env.GITHUB_WORKSPACE || process.cwd(),
  };
}

const eventSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ repository: v.object({ default_branch: v.pipe(v.string(), v.nonEmpty()) }) }),
);

/**
 * The default branch from the event's payload; undefined if the payload does not name it or cannot be read. act's
 * payload never does: act runs the branch that a person has checked out, with that person's secrets.
 */
function defaultBranch({ GITHUB_EVENT_PATH: file, GITHUB_REF: ref, ACT: act }: Environment): string | undefined {
  const named = file ? readDefaultBranch(file) : undefined;
  return named ?? (act === 'true' ? ref?.replace(/^refs\/heads\//, '') : undefined);
}

function readDefaultBranch(file: string): string | undefined {
  try {
    const event = v.safeParse(eventSchema, readFileSync(file, 'utf8'));
    return event.success ? event.output.repository.default_branch : undefined;
  } catch {
    return undefined;
  }
}

function isNumbered(env: Environment): boolean {
  return env.GITEA_ACTIONS === 'true' || env.FORGEJO_ACTIONS === 'true';
}

/** In the form of Fulcio's certificates: `https://github.com/owner/name/.github/workflows/file.yml@refs/heads/main`. */
function workflowUrl({ GITHUB_SERVER_URL: server, GITHUB_WORKFLOW_REF: workflow }: Environment): string | undefined {
  const url = server && workflow ? `${server}/${workflow}` : undefined;
  return url !== undefined && v.is(v.pipe(lineSchema, v.url()), url) ? url : undefined;
}

/**
 * GitHub has a page for each attempt, under the run's id. Gitea and Forgejo number the runs of a repository and have no
 * page for an attempt, so a fragment tells attempts apart. Undefined, too, if act makes something that is not a URL,
 * from a remote that is a path: no decision depends on it.
 */
function runUrl(env: Environment): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  if (!server || !repository || !id) return undefined;
  const attempt = env.GITHUB_RUN_ATTEMPT || '1';
  const runs = `${server}/${repository}/actions/runs`;
  const url = isNumbered(env)
    ? `${runs}/${env.GITHUB_RUN_NUMBER || id}#attempt-${attempt}`
    : `${runs}/${id}/attempts/${attempt}`;
  return v.is(runUrlSchema, url) ? url : undefined;
}
