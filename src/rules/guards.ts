import { UserError } from '../base/errors.js';
import { parseWith } from '../base/schema.js';
import { type Candidate, formatCandidate, formatRepository } from '../candidate/reference.js';
import { artifactTagSchema, type Label } from '../ledger/names.js';
import type { Ban, LedgerRecord } from '../ledger/record.js';
import { candidateOf } from '../promotion/plan.js';
import type { Promotion } from '../promotion/promotion.js';

/** A tag becomes the name of a file beside the label and of a tag beside the moving one: it must not be either's. */
export function checkName(candidate: Candidate, label: Label): void {
  const refuse = (problem: string) => new UserError(`${formatCandidate(candidate)}: ${problem}`);
  parseWith(artifactTagSchema, candidate.tag, refuse);
  if (String(candidate.tag) === String(label)) throw refuse('its tag is the name of the promoted label');
}

/** The digest tested is the digest promoted: a tag that moved since, or that is gone, is refused. */
export async function checkSource({ registry, server }: Promotion, candidate: Candidate): Promise<void> {
  const image = `${formatRepository(candidate.repository)}:${candidate.tag}`;
  const now = await registry.repository(candidate.repository).resolve(candidate.tag);
  if (now === undefined) throw new UserError(`${image} does not exist any more; find a candidate again`);
  if (now.digest !== candidate.digest) {
    throw new UserError(
      `${image} has moved from ${candidate.digest} to ${now.digest}; find a candidate again, or exclude it`,
    );
  }
  const file = await server.readArtifact(candidate.tag);
  if (file !== undefined && file !== 'bare' && file.reference !== formatCandidate(candidate)) {
    throw new UserError(
      `${formatCandidate(candidate)} was published as ${file.reference}, and a tag does not change its meaning; ` +
        'exclude it in find-stable-tag',
    );
  }
}

/** How the candidate's version stands to what is promoted; `unknown` where the two tags cannot be compared. */
export function directionOf(
  { compareTags }: Pick<Promotion, 'compareTags'>,
  candidate: Candidate,
  head: LedgerRecord | undefined,
): 'up' | 'down' | 'unknown' {
  if (head === undefined) return 'up';
  const order = compareTags(candidate.tag, candidateOf(head.candidate).tag);
  return order === undefined ? 'unknown' : order < 0 ? 'down' : 'up';
}

/** That the head's image is promoted, and by what: in a dry run a label that is adopted has no ledger record yet. */
export function describePromoted({ dryRun, author }: Promotion, { candidate, id, n }: LedgerRecord): string {
  const planned = `the label as it is; without dry-run it would be adopted as ledger record ${n}`;
  return `${candidate} is promoted already, by ${dryRun && id === author.id ? planned : `ledger record ${n}`}`;
}

export function describeBan(kind: 'hold' | 'quarantine', ban: Ban): string {
  const way = kind === 'hold' ? '; a newer version, or lift-hold, ends it' : '';
  const state = kind === 'hold' ? 'on hold' : 'quarantined';
  return `${ban.tag} (${ban.digest}) is ${state} since ${ban.since} by ${ban.who}: ${ban.reason}${way}`;
}
