import * as v from 'valibot';
import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import { parseWith } from '../base/schema.js';
import type { Http } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';

/**
 * DLRN's md5 over the repository files of all components. It must be lower-case: the server does not know upper-case
 * ones.
 */
export const aggregateHashSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{32,64}$/, (issue) => `${issue.received} is not an aggregate hash: 32 to 64 lower-case hex digits`),
);

const gitHashSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{40,64}$/, (issue) => `${issue.received} is not a git hash: 40 lower-case hex digits`),
);
export const commitHashSchema = gitHashSchema;
export const distroHashSchema = gitHashSchema;
/** One git hash, or two joined by `_`. */
export const extendedHashSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{40,64}(?:_[0-9a-f]{40,64})?$/, (issue) => `${issue.received} is not an extended hash`),
);

/** One build of one component. */
export interface Commit {
  readonly commit: string;
  readonly distro: string;
  readonly extended?: string;
}

/** The subject of a vote: all components at one moment, or one build of one component. */
export type Subject = { readonly kind: 'aggregate'; readonly hash: string } | ({ readonly kind: 'commit' } & Commit);

/** Reads the aggregate hash of a label from `delorean.repo.md5` in the label's directory. */
export async function readAggregateHash(http: Http, labelDirectory: URL): Promise<string> {
  const url = new URL(labelDirectory);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/delorean.repo.md5`;
  const fail = (kind: ServiceErrorKind, what: string) =>
    new ServiceError(kind, `${url.href} ${what}`, { hint: 'dlrn-repository' });
  const { status, text } = await http.sendForText(
    { method: 'GET', url },
    { idempotent: true, maxBytes: 4096, hint: 'dlrn-repository' },
  );
  if (status === 404) throw fail('not-found', "is not there; a label's directory has a path such as …/current-tripleo");
  if (status !== 200) throw fail(kindOfStatus(status), `answered ${status}`);
  return parseWith(aggregateHashSchema, text.trim(), () => fail('bad-answer', 'contains no md5 sum'));
}
