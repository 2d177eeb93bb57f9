import * as v from 'valibot';
import { ServiceError } from '../base/errors.js';
import { parseJson, runUrlSchema, timestampSchema } from '../base/schema.js';
import { type Candidate, candidateSchema, digestSchema, referenceSchema, type Tag } from '../candidate/reference.js';
import { artifactTagSchema } from '../ledger/names.js';

/** The file `<tag>.json` beside an artifact: the digest that the tag stood for when it was published. Never changed. */
export const candidateFileSchema = v.pipe(
  v.strictObject({
    reference: v.pipe(referenceSchema, v.description('repository:tag@digest')),
    tag: artifactTagSchema,
    digest: digestSchema,
    created: v.pipe(timestampSchema, v.description('When it was published; RFC 3339 in UTC')),
    'run-url': v.pipe(runUrlSchema, v.description('The run that published it; null outside a runner')),
    'tags-read': v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.description('How many tags the listing had that the candidate was chosen from; 0 where nobody knows'),
    ),
  }),
  v.check((file) => file.reference.endsWith(`:${file.tag}@${file.digest}`), 'its reference has another tag or digest'),
);
export type CandidateFile = v.InferOutput<typeof candidateFileSchema>;

/** The image that a candidate file names. */
export function imageOf({ reference }: CandidateFile): Candidate {
  return v.parse(candidateSchema, reference);
}

/** In bytes. A real candidate file has a tenth of this. */
export const MAX_CANDIDATE_FILE = 8192;

export function candidateFileName(tag: Tag): string {
  return `${tag}.json`;
}

/** Parses the text of `<tag>.json`, from any store. `where` is its address. It must be about that tag. */
export function parseCandidateFile(text: string, tag: Tag, where: string): CandidateFile {
  const refuse = (problem: string) => new ServiceError('bad-answer', `${where}: is no candidate file: ${problem}`);
  const file = parseJson(candidateFileSchema, text, refuse);
  if (file.tag !== tag) throw refuse(`it is of tag ${file.tag}, not of ${tag}`);
  return file;
}
