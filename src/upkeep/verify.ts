import {
  type Candidate,
  formatCandidate,
  formatRepository,
  type Repository,
  type Tag,
} from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import { verifyLedger } from '../ledger/chain.js';
import { type Label, previousLabel } from '../ledger/names.js';
import type { LedgerRecord, LedgerTarget } from '../ledger/record.js';
import { replayRecord } from '../ledger/replay.js';
import { candidateOf, movingTag, previousOf, repositoryOf } from '../promotion/plan.js';
import type { Registry } from '../registry/registry.js';
import { httpReader } from '../store/http-reader.js';
import { ledgerOf } from '../store/reader.js';

export interface VerifyOptions {
  readonly http: Http;
  readonly registry: Registry;
  /** The URL of the directory that the label and `ledger/` are in. */
  readonly url: URL;
  readonly label: Label;
  /** Every record must be sealed by it; undefined: seals are not checked. */
  readonly ledgerKey: string | undefined;
  /** The only repositories that the head may name; none: it may name any. */
  readonly repositories: readonly Repository[];
}

export interface Verified {
  /** All records up to the first that is wrong, oldest first. */
  readonly records: readonly LedgerRecord[];
  /** The first thing that is wrong, in one line; undefined where all is well. */
  readonly problem: string | undefined;
}

/**
 * Verifies what is promoted as anyone can, by reading alone: the whole ledger with its decisions, the labels, and the
 * images at the targets, each by its digest. While a promotion runs, readers may be behind the ledger's head.
 *
 * @throws ServiceError where something cannot be read.
 */
export async function verifyPromotion(options: VerifyOptions): Promise<Verified> {
  const { http, url, label, ledgerKey } = options;
  const rules = { label, key: ledgerKey, replay: replayRecord };
  const { records, problem } = await verifyLedger(ledgerOf(httpReader(http, url), label), rules);
  return { records, problem: problem ?? (await firstProblem(problemsOf(options, records))) };
}

async function firstProblem(problems: AsyncIterable<string>): Promise<string | undefined> {
  for await (const problem of problems) return problem;
  return undefined;
}

async function* problemsOf(options: VerifyOptions, records: readonly LedgerRecord[]): AsyncGenerator<string> {
  const { url, label } = options;
  const head = records.at(-1);
  // A wrong address looks like this too.
  if (head === undefined) return yield `${url.href}: there is no ledger of ${label}`;
  const candidate = candidateOf(head.candidate);
  const previous = previousOf(head);
  yield* foreignTargets(options, head);
  yield* labelProblems(options, label, candidate);
  yield* labelProblems(options, previousLabel(label), previous);
  for (const target of head.targets) {
    yield* imageProblems(options, target, target.tag);
    yield* imageProblems(options, target, movingTag(label));
  }
  const back = records.findLast((record) => record.candidate === head.previous);
  const owned = head.targets.map(({ repository }) => repository);
  for (const target of back?.targets.filter(({ repository }) => owned.includes(repository)) ?? []) {
    yield* imageProblems(options, target, target.tag);
  }
}

async function* foreignTargets({ repositories }: VerifyOptions, { n, targets }: LedgerRecord): AsyncGenerator<string> {
  if (repositories.length === 0) return;
  const names = repositories.map(formatRepository);
  for (const { repository } of targets) {
    if (!names.includes(repository)) yield `ledger record ${n}: its target ${repository} is not among input targets`;
  }
}

async function* labelProblems(
  { http, url }: VerifyOptions,
  label: Label,
  expected: Candidate | undefined,
): AsyncGenerator<string> {
  const store = httpReader(http, url);
  const tag = await store.readLabel(label);
  if (tag !== expected?.tag) {
    yield `label ${label} names ${tag ?? 'nothing'}, and the ledger says ${expected?.tag ?? 'nothing'}`;
  }
  if (expected === undefined) return;
  const file = await store.readCandidateFile(expected.tag);
  if (file?.digest !== expected.digest) {
    yield `${expected.tag}.json says ${file?.digest ?? 'nothing'}, and the ledger says ${formatCandidate(expected)}`;
  }
}

async function* imageProblems({ registry }: VerifyOptions, target: LedgerTarget, tag: Tag): AsyncGenerator<string> {
  const digest = (await registry.repository(repositoryOf(target)).resolve(tag))?.digest;
  if (digest === target.digest) return;
  yield `${target.repository}:${tag} is ${digest ?? 'not there'}, and the ledger says ${target.digest}`;
}
