import * as v from 'valibot';
import { type Tag, tagSchema } from '../candidate/reference.js';

/**
 * The names in a store's directory: labels, artifacts (each named after its tag) with their candidate files, and
 * `ledger/`. No two kinds of name can be confused, and no name can point outside the directory.
 */

/** Refused as tags and labels: the words that a broken script passes for "nothing", and our own directory and file. */
const RESERVED = new Set(['null', 'undefined', 'none', 'ledger', 'managed-images.yaml']);
const DEFAULT_PROMOTED_LABEL = 'current-ceph';
const PREVIOUS = 'previous-';
/** The suffix of candidate labels. No other label has it. */
const TESTING = '-testing';

function collision(name: string): string | undefined {
  if (RESERVED.has(name.toLowerCase())) return 'is a reserved word';
  if (name.startsWith(PREVIOUS)) return `begins with ${PREVIOUS}, like the label of the image promoted before`;
  if (name.endsWith('.json')) return 'ends with .json, like a candidate file';
  return undefined;
}

/** A label must be a valid tag, since the moving tag in the registry has the same name. */
export const labelSchema = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,110}$/, (issue) => `${issue.received} is not a label such as current-ceph`),
  v.rawCheck(({ dataset, addIssue }) => {
    const problem = dataset.typed ? collision(dataset.value) : undefined;
    if (problem !== undefined) addIssue({ message: `${JSON.stringify(dataset.value)} ${problem}` });
  }),
  v.brand('Label'),
);
export type Label = v.InferOutput<typeof labelSchema>;

const quoted = (issue: { readonly input: string }) => JSON.stringify(issue.input);

export const candidateLabelSchema = v.pipe(
  labelSchema,
  v.check(
    (label) => label.endsWith(TESTING),
    (issue) => `${quoted(issue)} is the name of a promoted label: a candidate label ends in ${TESTING}`,
  ),
  v.brand('CandidateLabel'),
);
export type CandidateLabel = v.InferOutput<typeof candidateLabelSchema>;

export const promotedLabelSchema = v.pipe(
  labelSchema,
  v.check(
    (label) => !label.endsWith(TESTING),
    (issue) => `${quoted(issue)} is the name of a candidate label, since it ends in ${TESTING}`,
  ),
  v.brand('PromotedLabel'),
);
export type PromotedLabel = v.InferOutput<typeof promotedLabelSchema>;

export function isPromotedLabel(label: Label): label is PromotedLabel {
  return v.is(promotedLabelSchema, label);
}

/** `previous-<label>`, which names the image that was promoted before. */
export function previousLabel(label: Label): Label {
  return `${PREVIOUS}${label}` as Label;
}

/** Turns `previous-<label>` into the label; returns any other label unchanged. */
export function labelOfPrevious(label: Label): Label {
  return (label.startsWith(PREVIOUS) ? label.slice(PREVIOUS.length) : label) as Label;
}

/** The tag at the targets that moves with the label and has its name. */
export function movingTag(label: Label): Tag {
  return v.parse(tagSchema, label);
}

/** A tag that is safe as a file name beside labels, candidate files and the ledger. */
export const artifactTagSchema = v.pipe(
  tagSchema,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const isLabel = dataset.value === DEFAULT_PROMOTED_LABEL || dataset.value.endsWith(TESTING);
    const problem = isLabel ? 'is the name of a label' : collision(dataset.value);
    if (problem !== undefined) {
      addIssue({ message: `${JSON.stringify(dataset.value)} ${problem}: it cannot be published on the image server` });
    }
  }),
);
