import type { Candidate, Digest, Tag } from '../candidate/reference.js';
import type { Facts, Setting } from './facts.js';

/**
 * Finds the image that a person means by a tag or digest. Looks in the ledger first, since only the promoter can write
 * it, then at the candidate, the store's candidate files, and the source.
 */
export async function findImage(
  named: Tag | Digest,
  { candidate, source }: Setting,
  facts: Facts,
): Promise<Candidate | undefined> {
  const isNamed = (image: Candidate) => image.digest === named || image.tag === named;
  const record = await facts.history((one) => isNamed(one.candidate));
  if (record !== undefined) return record.candidate;
  if (candidate !== undefined && isNamed(candidate)) return candidate;
  if (isDigest(named)) return undefined;
  const published = await facts.published(named);
  if (published !== undefined) return published;
  const digest = await facts.resolve(source, named);
  return digest && { repository: source, tag: named, digest };
}

function isDigest(named: Tag | Digest): named is Digest {
  return named.includes(':');
}
