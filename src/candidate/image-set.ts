import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { UserError } from '../base/errors.js';
import {
  type Candidate,
  type Digest,
  digestSchema,
  formatCandidate,
  formatRepository,
  type Repository,
  repositorySchema,
  sameRepository,
  type Tag,
  tagSchema,
} from './reference.js';

/** A candidate with the companions that are tested and promoted with it. A candidate without companions is a set too. */
export interface ImageSet extends Candidate {
  /** Sorted by their references; absent is the same as empty. */
  readonly companions?: readonly Candidate[] | undefined;
}

/** A companion as people name it: `image:tag`, which is resolved once, or `image:tag@digest`, which is pinned. */
export interface CompanionName {
  readonly repository: Repository;
  readonly tag: Tag;
  readonly digest?: Digest | undefined;
}

/** Keeps candidate files small. */
export const MAX_COMPANIONS = 20;

/** Parses `image:tag` or `image:tag@digest`. A line of `targets` may be given whole: its `-> repository` is not read. */
export const companionNameSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): CompanionName => {
    const match = /^(?<name>[^@\s]+):(?<tag>[^:@/\s]+)(?:@(?<digest>\S+))?(?:\s+->\s+\S+)?$/.exec(dataset.value);
    const repository = v.safeParse(repositorySchema, match?.groups?.name);
    const tag = v.safeParse(tagSchema, match?.groups?.tag);
    const digest = v.safeParse(v.optional(digestSchema), match?.groups?.digest);
    if (repository.success && tag.success && digest.success) {
      return { repository: repository.output, tag: tag.output, digest: digest.output };
    }
    addIssue({
      message: `${JSON.stringify(dataset.value)} is not a companion such as quay.io/prometheus/prometheus:v2.51.0, with or without @sha256:<64 hex digits>`,
    });
    return NEVER;
  }),
);

/**
 * A candidate with its companions, in the one order that a set has. Throws a UserError if there are too many, or if two
 * images have the same repository and tag: nobody could tell them apart in `targets`.
 */
export function imageSet(candidate: Candidate, companions: readonly Candidate[]): ImageSet {
  if (companions.length > MAX_COMPANIONS) {
    throw new UserError(`${companions.length} companions; a set has at most ${MAX_COMPANIONS}`, {
      hint: 'companions',
    });
  }
  refuseDoubles([candidate, ...companions]);
  const { repository, tag, digest } = candidate;
  const sorted = companions.map((one) => ({ reference: formatCandidate(one), one })).sort(byReference);
  return { repository, tag, digest, companions: sorted.map(({ one }) => one) };
}

/** Throws a UserError if two names are of the same repository and tag. */
export function refuseDoubles(names: readonly Pick<CompanionName, 'repository' | 'tag'>[]): void {
  for (const [index, one] of names.entries()) {
    const isTwice = names.slice(0, index).some((other) => isNamed(other, one));
    if (isTwice) {
      throw new UserError(`${formatRepository(one.repository)}:${one.tag} is named twice in a set`, {
        hint: 'companions',
      });
    }
  }
}

export function isNamed(
  a: Pick<Candidate, 'repository' | 'tag'>,
  { repository, tag }: Pick<Candidate, 'repository' | 'tag'>,
): boolean {
  return a.tag === tag && sameRepository(a.repository, repository);
}

/** Makes a set of its references, of which the first is the candidate. Throws a UserError if they are not a set. */
export function parseSet([candidate, ...companions]: readonly Candidate[]): ImageSet {
  if (candidate === undefined) throw new UserError('is empty: the first line of a set is the candidate');
  return imageSet(candidate, companions);
}

export function companionsOf({ companions = [] }: Pick<ImageSet, 'companions'>): readonly Candidate[] {
  return companions;
}

/** The references of a set, joined by LF: the candidate first, then the companions, sorted. No final newline. */
export function formatSet(set: ImageSet): string {
  return [set, ...companionsOf(set)].map(formatCandidate).join('\n');
}

/** The SHA-256 of the set's text, by which evidence names the set; undefined without companions. */
export function setDigest(set: ImageSet): Digest | undefined {
  if (companionsOf(set).length === 0) return undefined;
  return v.parse(digestSchema, `sha256:${createHash('sha256').update(formatSet(set)).digest('hex')}`);
}

/** By code units, which for references are their bytes, so that a set has the same digest everywhere. */
function byReference(a: { readonly reference: string }, b: { readonly reference: string }): number {
  return a.reference < b.reference ? -1 : 1;
}
