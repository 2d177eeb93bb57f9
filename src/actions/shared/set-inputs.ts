import * as v from 'valibot';
import { UserError } from '../../base/errors.js';
import { parseUser } from '../../base/schema.js';
import { type ImageSet, parseSet } from '../../candidate/image-set.js';
import { type Candidate, candidateSchema, formatCandidate } from '../../candidate/reference.js';
import { linesSchema, optional, parsing } from '../../runner/inputs.js';

const setSchema = v.pipe(
  linesSchema,
  parsing((lines: string[]) =>
    parseSet(lines.map((line, index) => parseUser(candidateSchema, line, `line ${index + 1}`))),
  ),
);

export const setInput = optional(
  'The candidate and its companions, as the output `set` of find-stable-tag; instead of `reference`, or in addition if both name the same candidate',
  setSchema,
);

interface SetSettings {
  readonly reference: Candidate | undefined;
  readonly set: ImageSet | undefined;
}

/** The set that `reference` or `set` names; undefined if neither is set. Throws a UserError if they disagree. */
export function givenSet({ reference, set }: SetSettings): ImageSet | undefined {
  if (reference !== undefined && set !== undefined && formatCandidate(reference) !== formatCandidate(set)) {
    throw new UserError(
      `input set: begins with ${formatCandidate(set)}, but reference is ${formatCandidate(reference)}`,
    );
  }
  return set ?? reference;
}
