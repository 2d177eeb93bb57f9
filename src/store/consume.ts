import { ServiceError } from '../base/errors.js';
import { companionsOf } from '../candidate/image-set.js';
import {
  type Candidate,
  type Digest,
  formatRepository,
  type Repository,
  sameRepository,
  type Tag,
} from '../candidate/reference.js';
import { readHead } from '../ledger/head.js';
import { isPromotedLabel, type Label, type PromotedLabel } from '../ledger/names.js';
import { candidateFileName, imageOf } from './candidate-file.js';
import { ledgerOf, type StoreReader } from './reader.js';

/** The image that a label names. */
export interface ConsumedCandidate {
  readonly repository: Repository;
  readonly tag: Tag;
  /** Undefined if the tag has no candidate file, like RDO's tags. */
  readonly digest: Digest | undefined;
  /** The companions that are tested or promoted with it. */
  readonly companions: readonly Candidate[];
  /** 0 if unknown. */
  readonly tagsRead: number;
}

export interface ReadCandidateOptions {
  readonly store: StoreReader;
  readonly label: Label;
  /** The only repositories whose images are accepted; all if empty or absent. */
  readonly images?: readonly Repository[];
  /** The repository of a tag whose digest is not known; if undefined, such a tag is refused. */
  readonly unpinnedRepository: Repository | undefined;
}

/**
 * Reads the image that a label names. A promoted label is read from its ledger: anyone who publishes candidates can
 * write candidate files, and must not decide what consumers of a promoted label get. Undefined if there is no such
 * label.
 *
 * @throws ServiceError if the digest is not known, the image is from another repository, or the ledger is not trusted.
 */
export async function readCandidate(options: ReadCandidateOptions): Promise<ConsumedCandidate | undefined> {
  const { store, label, images = [] } = options;
  const found = isPromotedLabel(label)
    ? ((await readPromoted(store, label)) ?? (await readUnpinned(options, `${label} has no ledger`)))
    : await readPublished(options);
  if (found === undefined || images.length === 0) return found;
  if (images.some((one) => sameRepository(one, found.repository))) return found;
  throw new ServiceError(
    'forbidden',
    `${store.where}: label ${label} names an image of ${formatRepository(found.repository)}; ` +
      `only those of ${images.map(formatRepository).join(', ')} are accepted`,
    { hint: 'image' },
  );
}

/** The image that the ledger says is promoted; undefined if there is no ledger. */
async function readPromoted(store: StoreReader, label: PromotedLabel): Promise<ConsumedCandidate | undefined> {
  const head = await readHead(ledgerOf(store, label), { label });
  return head && { ...head.record.candidate, companions: companionsOf(head.record), tagsRead: 0 };
}

/** The image in the candidate file. The label may move between the two reads, but a tag's meaning never changes. */
async function readPublished(options: ReadCandidateOptions): Promise<ConsumedCandidate | undefined> {
  const { store, label } = options;
  const tag = await store.readLabel(label);
  if (tag === undefined) return undefined;
  const file = await store.readCandidateFile(tag);
  if (file !== undefined) {
    const image = imageOf(file);
    return { ...image, companions: companionsOf(image), tagsRead: file['tags-read'] };
  }
  return readUnpinned(options, `there is no ${candidateFileName(tag)}`);
}

/** Reads only the tag, if that is allowed. `why` is the reason why its digest is not known. */
async function readUnpinned(
  { store, label, unpinnedRepository: repository }: ReadCandidateOptions,
  why: string,
): Promise<ConsumedCandidate | undefined> {
  const tag = await store.readLabel(label);
  if (tag === undefined) return undefined;
  if (repository !== undefined) return { repository, tag, digest: undefined, companions: [], tagsRead: 0 };
  throw new ServiceError('not-found', `${store.where}: ${why}, so the digest of ${tag} is not known`, {
    hint: 'allow-unpinned',
  });
}

/** The error for a label that is not there. */
export function noLabel(store: StoreReader, label: Label): ServiceError {
  return new ServiceError('not-found', `${store.where}: there is no label ${label}`, { hint: 'url' });
}
