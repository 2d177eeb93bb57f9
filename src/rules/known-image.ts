import { type Candidate, type Digest, formatCandidate, type Tag } from '../candidate/reference.js';
import type { Facts, Setting } from './facts.js';
import { type Refused, refuse } from './outcome.js';

/**
 * Finds the image that a person means by a tag or digest. Looks in the ledger first, since only the promoter can write
 * it, then at the candidate, the store's candidate files, and the source. Refuses a tag that is one image in the store
 * and another at the source: whoever publishes candidates must not choose what a person's decision is about.
 */
export async function findImage(
  named: Tag | Digest,
  { candidate, source }: Setting,
  facts: Facts,
): Promise<Candidate | Refused | undefined> {
  const isNamed = (image: Candidate) => image.digest === named || image.tag === named;
  const record = await facts.history((one) => isNamed(one.candidate));
  if (record !== undefined) return record.candidate;
  if (candidate !== undefined && isNamed(candidate)) return candidate;
  if (isDigest(named)) return undefined;
  const [published, digest] = [await facts.published(named), await facts.resolve(source, named)];
  const found = digest && { repository: source, tag: named, digest };
  if (published === undefined || found === undefined) return published ?? found;
  if (published.digest === found.digest) return published;
  return refuse(
    `${named} is published as ${formatCandidate(published)}, but is ${digest} at the source: name the one that you mean as <image>:<tag>@<digest>`,
    'reference',
  );
}

/** Why `findImage` finds nothing. Only a tag can be looked up in the store and at the source. */
export function whyUnknown(named: Tag | Digest): string {
  return isDigest(named)
    ? "a digest must be the candidate's, or in the ledger"
    : 'neither the ledger nor the store nor the source has it';
}

function isDigest(named: Tag | Digest): named is Digest {
  return named.includes(':');
}
