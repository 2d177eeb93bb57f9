import { UserError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { ImageSet } from '../../candidate/image-set.js';
import { type Candidate, formatRepository, type Repository, sameRepository } from '../../candidate/reference.js';
import type { Label } from '../../ledger/names.js';
import type { Request } from '../../rules/request.js';
import { noLabel, readCandidate } from '../../store/consume.js';
import type { StoreReader } from '../../store/reader.js';
import { givenSet } from './set-inputs.js';

export interface CandidateSettings {
  readonly reference: Candidate | undefined;
  readonly set: ImageSet | undefined;
  /** Opens the store at `url`, runs `work` and closes it; undefined if `url` is not set. */
  readonly withStoreAtUrl: (<T>(work: (store: StoreReader) => Promise<T>) => Promise<T>) | undefined;
  readonly label: Label;
  /** The only repositories whose images are accepted. With `url` it may be empty only in a dry run. */
  readonly image: readonly Repository[];
}

/**
 * The image that the evidence is about, named by `reference`, by `set` or by the label at `url`; undefined if a person
 * names another image. Throws a UserError if it is missing, or from a repository that is not accepted.
 */
export async function readCandidateInput(
  { reference, set, withStoreAtUrl, label, image }: CandidateSettings,
  { request, dryRun }: { readonly request: Request; readonly dryRun: boolean },
  log: Log,
): Promise<ImageSet | undefined> {
  const given = givenSet({ reference, set });
  if (given !== undefined) return accepted(set === undefined ? 'reference' : 'set', given, image);
  if (request.kind !== 'evaluate') return undefined;
  if (withStoreAtUrl === undefined)
    throw new UserError('input reference: required and not set; the input set or url can take its place');
  if (image.length === 0) {
    // The store at `url` is not trusted, since anyone who publishes candidates can write it.
    const why = 'not set, so candidates at url are accepted from any repository';
    if (!dryRun) throw new UserError(`input image: required with url; ${why}`);
    log.warning(`input image: ${why} in this dry run`);
  }
  const found = await withStoreAtUrl(async (store) => {
    const candidate = await readCandidate({ store, label, unpinnedRepository: undefined });
    if (candidate === undefined) throw noLabel(store, label);
    return candidate;
  });
  const { repository, tag, digest, companions } = found;
  if (digest === undefined) throw new UserError(`input url: ${tag} has no digest`, { hint: 'allow-unpinned' });
  return accepted('url', { repository, tag, digest, companions }, image);
}

function accepted(input: string, candidate: ImageSet, image: readonly Repository[]): ImageSet {
  const { repository } = candidate;
  if (image.length === 0 || image.some((one) => sameRepository(one, repository))) return candidate;
  throw new UserError(
    `input ${input}: an image of ${formatRepository(repository)}, but input image accepts only ${image.map(formatRepository).join(', ')}`,
  );
}

/** The repository of the candidate or, for a tag that a person names, the first accepted one. */
export function sourceRepository(
  candidate: Candidate | undefined,
  image: readonly Repository[],
  request: Request,
): Repository | undefined {
  const source = candidate?.repository ?? image[0];
  if (source !== undefined || (request.kind !== 'force' && request.kind !== 'adopt')) return source;
  throw new UserError(
    `input image: required with ${request.kind === 'force' ? 'force-tag' : 'adopt'} if reference is not set`,
  );
}
