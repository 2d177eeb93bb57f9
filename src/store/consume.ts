import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { candidateSchema, type Digest, type Repository, type Tag } from '../candidate/reference.js';
import type { Label } from '../ledger/names.js';
import { candidateFileName } from './candidate-file.js';
import type { StoreReader } from './reader.js';

/** The image that a label names. */
export interface ConsumedCandidate {
  readonly repository: Repository;
  readonly tag: Tag;
  /** Undefined where the tag has no candidate file, as RDO's tags have none. */
  readonly digest: Digest | undefined;
  /** 0 where nobody knows. */
  readonly tagsRead: number;
}

export interface ReadCandidateOptions {
  readonly store: StoreReader;
  readonly label: Label;
  /** The repository of a tag that has no candidate file; undefined: such a tag is refused. */
  readonly unpinnedRepository: Repository | undefined;
}

/** Reads which image a label names. The label may move in between; the tag that was read keeps its meaning. */
export async function readCandidate(options: ReadCandidateOptions): Promise<ConsumedCandidate> {
  const { store, label, unpinnedRepository: repository } = options;
  const tag = await store.readLabel(label);
  if (tag === undefined) {
    throw new ServiceError('not-found', `${store.where}: there is no label ${label}`, { hint: 'url' });
  }
  const file = await store.readCandidateFile(tag);
  if (file !== undefined) return { ...v.parse(candidateSchema, file.reference), tagsRead: file['tags-read'] };
  if (repository === undefined) {
    throw new ServiceError(
      'not-found',
      `${store.where}: has no ${candidateFileName(tag)}, so the digest of ${tag} is not known`,
      { hint: 'allow-unpinned' },
    );
  }
  return { repository, tag, digest: undefined, tagsRead: 0 };
}
