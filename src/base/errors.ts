import { isNativeError } from 'node:util/types';

/**
 * The way out of an error, as data. Only src/actions knows the names of inputs, so the failing action puts the hint
 * into words with its own names (src/actions/shared/hints.ts). The set is closed: each hint has its wording.
 */
export type Hint =
  // The candidate and the registries
  | 'exclude-tag' // do not choose this tag
  | 'allow-unpinned' // accept a tag whose digest is not known
  | 'image' // the repositories that are accepted
  | 'known-tags' // the listing shrank
  | 'scheme' // what tags mean
  | 'pattern' // the regular expression that says what tags mean
  | 'companions' // the images that are tested and promoted with the candidate
  // What a candidate must be
  | 'flavor'
  | 'distro'
  | 'arch'
  | 'minimum-age'
  | 'platforms'
  | 'distribution-listing' // list tags without Quay's own API
  | 'reference' // the candidate itself
  | 'log-in-to-source' // credentials for the registry that is read
  | 'log-in-to-target' // credentials for the registry that is written
  | 'log-in-with-docker' // credentials for a registry that no input names
  | 'trust-token-host' // the login may be sent to this token server
  | 'trust-certificate' // the authority that signed the server's certificate
  | 'use-plain-http' // the registry may speak http
  | 'targets' // the repositories that are promoted to
  // The store
  | 'server' // the store that is written
  | 'url' // the store that is read
  | 'promoted-label' // the label that is promoted
  | 'private-key' // the SSH key
  | 'known-hosts' // the SSH host's key
  | 'git-token' // the token for a store in git
  | 'branch-rules' // what the forge requires of a push to the branch
  | 'ledger-key' // the key of the ledger's seals
  | 'signing-key' // the key that signs proofs
  | 'sign-off' // promote without a signature
  | 'trusted-root' // the authorities that vouch for the identity that signs
  | 'verify' // whose signature an image must have
  | 'restore-ledger' // a record was changed, or is missing
  // Evidence
  | 'criteria' // the criteria file
  | 'needs' // results of the workflow's own jobs
  | 'dlrn-url'
  | 'log-in-to-dlrn'
  | 'dlrn-hash' // the hash that the votes are on
  | 'dlrn-label' // the label whose hashes the votes are on
  | 'dlrn-repository' // the directory whose delorean.repo.md5 is read
  | 'zuul' // Zuul's URL and tenant
  // A report to DLRN
  | 'job-id'
  | 'job-url'
  | 'timestamp'
  // A person's decision
  | 'forced-tag' // the tag to promote although the criteria are not met
  | 'earlier-tag' // the tag to roll back to
  | 'held-image' // the image to hold
  | 'force' // promote although the criteria are not met
  | 'skip-jobs' // name the unmet jobs that a force skips
  | 'roll-back'
  | 'lift-hold' // the image whose hold is lifted
  | 'quarantine' // the image to quarantine
  | 'adopt' // start a ledger for an image that is promoted without one
  | 'dispatch-anew' // a re-run makes no decision for a person
  | 'freeze' // promotion is stopped
  // A change in another repository
  | 'change-repository' // the repository that is changed
  | 'change-api' // the API of its forge
  | 'change-base' // the branch that it goes into
  | 'change-file' // the files that it edits
  | 'change-place' // the places in these files
  // What is written
  | 'webhook';

/** The parts of an error besides its message. */
export interface ErrorDetails extends ErrorOptions {
  readonly hint?: Hint | undefined;
  /**
   * `host` or `host:port` that could not be reached. The action adds the name of the input that has it; the hint is
   * for a host that no input has.
   */
  readonly host?: string | undefined;
}

/**
 * A mistake that a person can correct: a bad input, a guard that refuses, a file that does not parse.
 * The message is one line that says what is wrong; the hint names the way out.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly hint: Hint | undefined;

  constructor(message: string, { hint, ...options }: ErrorDetails = {}) {
    super(message, options);
    this.hint = hint;
  }
}

/** The ways in which a service fails, so that callers and tests can tell them apart. */
export type ServiceErrorKind =
  | 'unreachable' // no connection, or a broken one
  | 'timeout' // one of our time limits ran out
  | 'unauthorized' // credentials missing or refused
  | 'forbidden' // the server knows who asks, and does not permit it
  | 'not-found'
  | 'conflict' // something else is already there
  | 'bad-answer' // an answer that breaks its contract: a wrong type, half a document, nothing
  | 'digest-mismatch' // bytes that do not have the expected digest
  | 'too-large' // over one of our limits
  | 'full' // no space left to write
  | 'read-only' // nobody may change the file system
  | 'host-key' // the SSH host's key is not the known one
  | 'unsupported' // a capability that we need is missing
  | 'server-error'; // 5xx, after all retries

/** A service that failed. The message names the service and the request; the hint names the way out. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly hint: Hint | undefined;
  readonly host: string | undefined;

  constructor(
    readonly kind: ServiceErrorKind,
    message: string,
    { hint, host, ...options }: ErrorDetails = {},
  ) {
    super(message, options);
    this.hint = hint;
    this.host = host;
  }
}

/** The message of anything thrown, with the messages of its causes, as one line. */
export function errorLine(error: unknown): string {
  // Not instanceof: errors of Node's own may come from another realm.
  if (!isNativeError(error)) return oneLine(String(error));
  const inner = error instanceof AggregateError ? error.errors[0] : undefined;
  const own = error.message || (inner === undefined ? error.name : errorLine(inner));
  const line = oneLine(own);
  if (error.cause === undefined) return line;
  const cause = errorLine(error.cause);
  return line.includes(cause) ? line : `${line}: ${cause}`;
}

/** Text from outside as one printable line of at most `limit` characters. */
export function oneLine(text: string, limit = 1000): string {
  const line = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}

/** The first hint among an error and its causes. */
export function hintOf(error: unknown): Hint | undefined {
  if (error instanceof UserError || error instanceof ServiceError) {
    if (error.hint !== undefined) return error.hint;
  }
  return isNativeError(error) && error.cause !== undefined ? hintOf(error.cause) : undefined;
}

/** The unreachable host that an error or one of its causes names; undefined for every other error. */
export function hostOf(error: unknown): string | undefined {
  if (error instanceof ServiceError && error.host !== undefined) return error.host;
  return isNativeError(error) && error.cause !== undefined ? hostOf(error.cause) : undefined;
}
