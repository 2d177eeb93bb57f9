import * as v from 'valibot';
import { oneLine, ServiceError } from '../base/errors.js';
import { parseWith } from '../base/schema.js';
import type { Http } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';

/** DLRN's md5 over the repository files of all components, lower-case: an upper-case one is unknown to the server. */
export const aggregateHashSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{32,64}$/, (issue) => `${issue.received} is not an aggregate hash: 32 lower-case hex digits`),
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

/** What a vote is on: all components at one moment, or one build of one of them. */
export type Subject = { readonly kind: 'aggregate'; readonly hash: string } | ({ readonly kind: 'commit' } & Commit);

/** Reads the aggregate hash of a label: what `delorean.repo.md5` in the label's directory says. */
export async function readAggregateHash(http: Http, labelDirectory: URL): Promise<string> {
  const url = new URL(labelDirectory);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/delorean.repo.md5`;
  const what = `input repository-url: ${url.href}`;
  const { status, text } = await http.sendForText({ method: 'GET', url }, { idempotent: true, maxBytes: 4096 });
  if (status === 404) {
    throw new ServiceError('not-found', `${what} is not there; give the directory of a label, as …/current-tripleo`);
  }
  if (status !== 200) throw new ServiceError(kindOfStatus(status), `${what} answered ${status}`);
  return parseWith(
    aggregateHashSchema,
    text.trim(),
    () => new ServiceError('bad-answer', `${what} holds no md5 sum: ${JSON.stringify(oneLine(text, 80))}`),
  );
}
