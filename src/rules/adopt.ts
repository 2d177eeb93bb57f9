import { type Candidate, formatRepository, type Tag } from '../candidate/reference.js';
import { movingTag } from '../ledger/names.js';
import type { LedgerRecord } from '../ledger/record.js';
import type { Facts, Setting } from './facts.js';
import { refuseUnusableName } from './guards.js';
import { type Decided, type Refused, refuse } from './outcome.js';
import type { Request } from './request.js';
import { candidateTargets } from './targets.js';

/**
 * Starts a ledger for a label that was promoted without one, or whose ledger was lost. The digest must match every
 * moving tag that exists or, if none exists, the tag at the source. The store does not count as proof: anyone who
 * publishes candidates can write it.
 */
export async function adopt(
  { image: { tag, digest }, reason }: Request & { readonly kind: 'adopt' },
  setting: Setting,
  head: LedgerRecord | undefined,
  facts: Facts,
): Promise<Decided | Refused> {
  const { label, source: repository, targets, supersedes } = setting;
  if (head !== undefined)
    return refuse(`${label} already has a ledger, up to record ${head.n}: there is nothing to adopt`);
  const candidate: Candidate = { repository, tag, digest };
  const guard = refuseUnusableName(candidate, label) ?? (await refuseOtherDigest(candidate, setting, facts));
  if (guard !== undefined) return guard;
  return {
    outcome: { decision: 'adopt', reason, candidate, previous: undefined, report: undefined },
    change: {
      kind: 'adopted',
      reason,
      candidate,
      targets: candidateTargets(targets, candidate),
      previous: undefined,
      holds: [],
      quarantine: [],
      supersedes,
    },
  };
}

async function refuseOtherDigest(
  { repository, tag, digest }: Candidate,
  { label, targets }: Setting,
  facts: Facts,
): Promise<Refused | undefined> {
  const name: Tag = movingTag(label);
  let isPromoted = false;
  for (const target of targets.candidate) {
    const found = await facts.resolve(target, name);
    if (found === undefined) continue;
    if (found !== digest) return refuse(`${formatRepository(target)}:${name} is ${found}, not ${digest}`);
    isPromoted = true;
  }
  if (isPromoted) return undefined;
  const found = await facts.resolve(repository, tag);
  return found === digest
    ? undefined
    : refuse(
        `no target has the tag ${name}, and ${formatRepository(repository)}:${tag} ` +
          (found === undefined ? 'does not exist' : `is ${found}, not ${digest}`),
      );
}
