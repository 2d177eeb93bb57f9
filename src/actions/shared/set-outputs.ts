import { formatSet, type ImageSet, setDigest } from '../../candidate/image-set.js';

/** The outputs that name a set. */
export const setOutputs = {
  set: 'The candidate and its companions, one reference per line: the candidate first, the companions sorted',
  'set-digest': 'The digest of `set`, by which evidence names the set; empty without companions',
};

export function formatSetOutputs(set: ImageSet): Record<keyof typeof setOutputs, string> {
  return { set: formatSet(set), 'set-digest': setDigest(set) ?? '' };
}
