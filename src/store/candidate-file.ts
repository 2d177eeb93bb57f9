import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson, runUrlSchema, timestampSchema } from '../base/schema.js';
import { companionsOf, type ImageSet, MAX_COMPANIONS, parseSet, setDigest } from '../candidate/image-set.js';
import { candidateSchema, digestSchema, formatCandidate, referenceSchema, type Tag } from '../candidate/reference.js';
import { artifactTagSchema } from '../ledger/names.js';

/**
 * The file `<tag>.json` beside an artifact: the digest that the tag stood for when it was published, which never
 * changes, and the companions that it is tested with now.
 */
export const candidateFileSchema = v.pipe(
  v.strictObject({
    reference: v.pipe(referenceSchema, v.description('repository:tag@digest')),
    tag: artifactTagSchema,
    digest: digestSchema,
    companions: v.exactOptional(
      v.pipe(
        v.array(referenceSchema),
        v.minLength(1),
        v.maxLength(MAX_COMPANIONS),
        v.description('The companions of the set, sorted: repository:tag@digest; absent if it has none'),
      ),
    ),
    'set-digest': v.exactOptional(v.pipe(digestSchema, v.description('The digest by which evidence names the set'))),
    created: v.pipe(timestampSchema, v.description('When it was published; RFC 3339 in UTC')),
    'run-url': v.pipe(runUrlSchema, v.description('The run that published it; null outside a runner')),
    'tags-read': v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.description('How many tags the candidate was chosen from; 0 if that is not known'),
    ),
  }),
  v.check((file) => file.reference.endsWith(`:${file.tag}@${file.digest}`), 'its reference has another tag or digest'),
  v.check((file) => {
    try {
      return setDigest(imageOf(file)) === file['set-digest'];
    } catch {
      return false;
    }
  }, 'its set-digest is not that of its companions'),
);
export type CandidateFile = v.InferOutput<typeof candidateFileSchema>;

interface Named {
  readonly reference: string;
  readonly companions?: readonly string[];
}

/** The image that a candidate file names, with its companions. */
export function imageOf({ reference, companions = [] }: Named): ImageSet {
  return parseSet([reference, ...companions].map((text) => v.parse(candidateSchema, text)));
}

/** The keys of a candidate file that name the companions; none without companions. */
export function companionKeys(set: ImageSet): Pick<CandidateFile, 'companions' | 'set-digest'> {
  const digest = setDigest(set);
  return digest === undefined ? {} : { companions: companionsOf(set).map(formatCandidate), 'set-digest': digest };
}

/** In bytes. A real candidate file has a tenth of this. */
export const MAX_CANDIDATE_FILE = 16_384;

export function candidateFileName(tag: Tag): string {
  return `${tag}.json`;
}

/** Parses the text of `<tag>.json`, from any store. `where` is its address. Throws if it is about another tag. */
export function parseCandidateFile(text: string, tag: Tag, where: string): CandidateFile {
  const refuse = (problem: string) => new ServiceError('bad-answer', `${where}: is not a candidate file: ${problem}`);
  const file = parseJson(candidateFileSchema, text, refuse);
  if (file.tag !== tag) throw refuse(`its tag is ${file.tag}, not ${tag}`);
  return file;
}

/** Throws if a tag already stands for another image. */
export function refuseOtherImage(existing: CandidateFile, file: CandidateFile): void {
  if (existing.reference === file.reference) return;
  throw new ServiceError(
    'conflict',
    `tag ${file.tag} is published as ${existing.reference} and does not change to ${file.reference}`,
    { hint: 'exclude-tag' },
  );
}
