import { tryParse } from '../base/schema.js';
import { type Candidate, type Digest, formatCandidate, formatRepository } from '../candidate/reference.js';
import type { DecisionRecord } from '../criteria/decision-record.js';
import type { Banned } from '../ledger/bans.js';
import { artifactTagSchema, type Label } from '../ledger/names.js';
import type { Ban, LedgerRecord } from '../ledger/record.js';
import type { Facts, Setting } from './facts.js';
import { type Decided, type Refused, refuse } from './outcome.js';

/**
 * A tag becomes the name of a file beside the label and of a tag beside the moving tag, so it must equal neither name.
 */
export function refuseUnusableName(candidate: Candidate, label: Label): Refused | undefined {
  const parsed = tryParse(artifactTagSchema, candidate.tag);
  if ('problem' in parsed) return refuse(`${formatCandidate(candidate)}: ${parsed.problem}`);
  return String(candidate.tag) === String(label)
    ? refuse(`${formatCandidate(candidate)}: its tag is the name of the promoted label`)
    : undefined;
}

/** Refuses a tag that moved or vanished: the promoted digest must be the tested one. */
export async function refuseMovedSource(candidate: Candidate, facts: Facts): Promise<Refused | undefined> {
  const image = `${formatRepository(candidate.repository)}:${candidate.tag}`;
  const now = await facts.resolve(candidate.repository, candidate.tag);
  if (now === undefined) return refuse(`${image} no longer exists; find a candidate again`);
  if (now !== candidate.digest) {
    return refuse(`${image} has moved from ${candidate.digest} to ${now}; find a candidate again`, 'exclude-tag');
  }
  const published = await facts.published(candidate.tag);
  if (published === undefined || formatCandidate(published) === formatCandidate(candidate)) return undefined;
  return refuse(
    `${formatCandidate(candidate)} was published as ${formatCandidate(published)}, and a published tag never changes its meaning`,
    'exclude-tag',
  );
}

export function describeBan({ kind, ban }: Banned): string {
  const state = kind === 'hold' ? 'on hold' : 'quarantined';
  return `${ban.tag} (${ban.digest}) is ${state} (since ${ban.since}, by ${ban.who}): ${ban.reason}`;
}

/** A decision that keeps what is promoted. */
export function keepPromoted(head: LedgerRecord, reason: string, report?: DecisionRecord): Decided {
  const { candidate, previous } = head;
  return { outcome: { decision: 'unchanged', reason, candidate, previous, report }, change: undefined };
}

export function describePromoted({ candidate, n }: LedgerRecord): string {
  return `${formatCandidate(candidate)} is promoted already, by ledger record ${n}`;
}

/**
 * Creates a ban on an image. It covers the image's contents, and what earlier bans on it cover, since the contents of a
 * deleted image can no longer be read. It leaves out what `kept`, the image that stays promoted, contains too.
 */
export async function banOn(
  image: Candidate,
  kept: Candidate,
  reason: string,
  { who, now }: Setting,
  head: Pick<LedgerRecord, 'holds' | 'quarantine'>,
  facts: Facts,
): Promise<Ban> {
  const earlier = [...head.holds, ...head.quarantine].filter(({ digest }) => digest === image.digest);
  const read = await contentsOf(image, facts);
  const own = [...new Set([...read, ...earlier.flatMap(({ contents }) => contents)])];
  const shared = new Set<Digest>(own.length === 0 ? [] : await contentsOf(kept, facts));
  const contents = image.digest === kept.digest ? own : own.filter((digest) => !shared.has(digest));
  return { digest: image.digest, tag: image.tag, reason, who, since: now, contents };
}

/** Reads the contents of an image only if a ban could cover them, since reading costs requests. */
export async function contentsIfBanned(
  image: Candidate,
  head: Pick<LedgerRecord, 'holds' | 'quarantine'> | undefined,
  facts: Facts,
): Promise<readonly Digest[]> {
  const bans = head === undefined ? [] : [...head.holds, ...head.quarantine];
  return bans.some(({ contents }) => contents.length > 0) ? contentsOf(image, facts) : [];
}

function contentsOf({ repository, digest }: Candidate, facts: Facts): Promise<readonly Digest[]> {
  return facts.contents(repository, digest);
}
