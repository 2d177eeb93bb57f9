import { type Hint, oneLine, type ServiceErrorKind } from '../../base/errors.js';

/** The reason why git failed, from its standard error. */
export interface GitFailure {
  readonly kind: ServiceErrorKind;
  /** One line. */
  readonly line: string;
  readonly hint?: Hint | undefined;
}

interface Symptom {
  readonly said: RegExp;
  readonly kind: ServiceErrorKind;
  readonly line?: string;
  readonly hint?: Hint;
}

/** The standard error that `run` writes for a git that it ended. */
export const TOOK_TOO_LONG = 'git was ended by the time limit';

/** The words of GitHub, GitLab, Gitea and git (`receive.deny…`) if the rules for a branch refuse a push. */
const RULES = /protected branch|\bGH0(?:06|13)\b|rule violations|denying (?:non-fast-forward|ref deletion)/i;

/** The first that fits counts. Servers differ in their words; git's own client writes most of these. */
const SYMPTOMS: readonly Symptom[] = [
  { said: new RegExp(TOOK_TOO_LONG), kind: 'timeout' },
  {
    said: /ssh-add cannot read the private key/,
    kind: 'unauthorized',
    line: 'the private key cannot be read (is it encrypted?)',
    hint: 'private-key',
  },
  {
    said: /Host key verification failed|No .* host key is known|host key .* has changed/i,
    kind: 'host-key',
    line: 'the host key is not a known one',
    hint: 'known-hosts',
  },
  { said: /Permission denied \(/, kind: 'unauthorized', line: 'the private key was refused', hint: 'private-key' },
  {
    said: /unable to update url base from redirection|error: 30[1-8]/i,
    kind: 'bad-answer',
    line: 'the server redirects, which is not followed: name the address that it redirects to',
  },
  {
    said: /terminal prompts disabled|could not read Username|Authentication failed|returned error: 401|invalid credentials/i,
    kind: 'unauthorized',
    line: 'the server wants a login, or refused the token',
    hint: 'git-token',
  },
  // What a server says about its own disk has `remote:` before it.
  { said: /^(?!remote: |error: remote ).*No space left/im, kind: 'full', line: 'no space left on the runner' },
  {
    said: /failed to write new configuration file/,
    kind: 'full',
    line: 'git cannot write on the runner: is its disk full?',
  },
  { said: RULES, kind: 'forbidden', hint: 'branch-rules' },
  {
    said: /returned error: 403|Permission to .* denied|not allowed to push|write access .* not granted|insufficient permission/i,
    kind: 'forbidden',
    hint: 'git-token',
  },
  {
    said: /repository .* not found|returned error: 404|Repository not found|does not appear to be a git repository|no such repository/i,
    kind: 'not-found',
    line: 'there is no such repository, or this login may not read it',
    hint: 'git-token',
  },
  { said: /No space left|disk quota exceeded|quota/i, kind: 'full' },
  { said: /returned error: 413|pack exceeds maximum/i, kind: 'too-large' },
  { said: /returned error: 5\d\d/i, kind: 'server-error' },
  { said: /certificate|SSL/i, kind: 'unreachable', hint: 'trust-certificate' },
  { said: /Operation too slow|timed out/i, kind: 'timeout' },
  {
    said: /resolve host|resolve hostname|connect to|Connection|early EOF|hung up|RPC failed|broken pipe|Empty reply|Recv failure|Send failure/i,
    kind: 'unreachable',
  },
];

/** Reads standard error of a git that failed. */
export function readFailure(stderr: string): GitFailure {
  const symptom = SYMPTOMS.find(({ said }) => said.test(stderr));
  const { kind = 'server-error', line, hint } = symptom ?? {};
  return { kind, line: line ?? `git failed: ${mainLine(stderr, symptom?.said)}`, hint };
}

/** The words of servers if a push collides with another one. Only another look shows which one won. */
const LOST_RACE =
  /^(?:cannot lock ref|failed to update ref|failed to lock|reference already exists|incorrect old value)/i;

/** Git's words if a branch `a` and a branch `a/b` would be needed at once. Another attempt does not help. */
const IN_THE_WAY = /'refs\/heads\/([^']+)' exists; cannot create/;

/**
 * Reads the output of a `git push --porcelain` of one ref that failed: `moved` if the ref has changed, and otherwise
 * the server's own words, which may name a hook, a protected branch or a full disk.
 */
export function readRefusedPush(stdout: string, stderr: string): 'moved' | GitFailure {
  const [, remotely, reason = ''] = /^!\t\S+\t\[(remote )?rejected\] ?(?:\((.*)\))?/m.exec(stdout) ?? [];
  if (reason === '') return readFailure(stderr);
  const [, inTheWay] = IN_THE_WAY.exec(stderr) ?? [];
  if (inTheWay !== undefined) {
    const line = `the branch ${oneLine(inTheWay, 200)} exists, and git cannot have a branch of this name beside it: name another branch`;
    return { kind: 'conflict', line };
  }
  if (remotely === undefined || LOST_RACE.test(reason)) return 'moved';
  const said = stderr.split('\n').flatMap((line) => /^remote: (?:error: )?(.*\S)/.exec(line)?.[1] ?? []);
  const words = [reason, ...said.slice(0, 3)].join(': ');
  const { kind, hint } = readFailure(words);
  const otherwise = /hook declined/.test(reason) ? 'branch-rules' : 'git-token';
  const known = kind === 'server-error' ? ({ kind: 'forbidden', hint: otherwise } as const) : { kind, hint };
  return { ...known, line: oneLine(`the push was refused: ${words}`, 400) };
}

/** The line that tells most: the one with the symptom, or the first that git or the server calls an error. */
function mainLine(stderr: string, said: RegExp | undefined): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const telling =
    lines.find((line) => said?.test(line)) ?? lines.find((line) => /^(?:fatal|error|remote): /.test(line)) ?? lines[0];
  return oneLine(telling ?? 'it said nothing', 300);
}
