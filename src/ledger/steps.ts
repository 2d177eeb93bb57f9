import { type Candidate, type Digest, formatCandidate, formatRepository, type Tag } from '../candidate/reference.js';
import { type Label, previousLabel } from './names.js';
import type { LedgerRecord, LedgerTarget } from './record.js';

/** What readers find in the store and at the targets, and the steps that make it what a record says. */

export interface VisibleImage {
  readonly versioned: Digest | undefined;
  readonly moving: Digest | undefined;
}

/** What readers currently find of one record. */
export interface Visible {
  readonly label: Tag | undefined;
  readonly previousLabel: Tag | undefined;
  /**
   * By tag, the image that the store records for it. A tag without a whole artifact or without a candidate file is
   * absent.
   */
  readonly published: ReadonlyMap<Tag, Candidate>;
  /** By repository. A repository that is not configured is absent, since it is neither read nor written. */
  readonly images: ReadonlyMap<string, VisibleImage>;
  /** The configured repositories that lack the record's proof and can keep one. */
  readonly withoutProof: ReadonlySet<string>;
}

export type Step =
  | { readonly kind: 'copy-image'; readonly target: LedgerTarget; readonly from: Digest | undefined }
  | { readonly kind: 'write-artifact'; readonly image: Candidate }
  | { readonly kind: 'repair-artifact'; readonly image: Candidate; readonly from: Candidate }
  | { readonly kind: 'attach-proof'; readonly target: LedgerTarget }
  | { readonly kind: 'move-tag'; readonly target: LedgerTarget; readonly from: Digest | undefined }
  | { readonly kind: 'move-label'; readonly tag: Tag; readonly from: Tag | undefined }
  | { readonly kind: 'move-previous'; readonly tag: Tag | undefined; readonly from: Tag | undefined };

/**
 * The steps, in order, that make readers find what `record` says. Images and artifacts come before the proofs and
 * labels that name them, and proofs come before tags move. Empty if there is nothing to do.
 */
export function stepsTo(record: LedgerRecord, visible: Visible): Step[] {
  const { candidate, previous } = record;
  const ours = record.targets.filter(({ repository }) => visible.images.has(formatRepository(repository)));
  const imageOf = ({ repository }: LedgerTarget) => visible.images.get(formatRepository(repository));
  const published = [candidate, previous].filter((image) => image !== undefined);
  return [
    ...ours.flatMap((target): Step[] => {
      const from = imageOf(target)?.versioned;
      return from === target.digest ? [] : [{ kind: 'copy-image', target, from }];
    }),
    ...published.flatMap((image) => publishSteps(image, visible.published.get(image.tag))),
    ...ours.flatMap((target): Step[] =>
      visible.withoutProof.has(formatRepository(target.repository)) ? [{ kind: 'attach-proof', target }] : [],
    ),
    ...ours.flatMap((target): Step[] => {
      const from = imageOf(target)?.moving;
      return from === target.digest ? [] : [{ kind: 'move-tag', target, from }];
    }),
    ...labelSteps(record, visible),
  ];
}

function publishSteps(image: Candidate, found: Candidate | undefined): Step[] {
  if (found === undefined) return [{ kind: 'write-artifact', image }];
  return formatCandidate(found) === formatCandidate(image) ? [] : [{ kind: 'repair-artifact', image, from: found }];
}

function labelSteps({ candidate, previous }: LedgerRecord, visible: Visible): Step[] {
  const steps: Step[] = [];
  if (visible.label !== candidate.tag) steps.push({ kind: 'move-label', tag: candidate.tag, from: visible.label });
  if (visible.previousLabel !== previous?.tag) {
    steps.push({ kind: 'move-previous', tag: previous?.tag, from: visible.previousLabel });
  }
  return steps;
}

/** Describes a step, as in `move label current-ceph to v7 (was v6)`. */
export function describeStep(step: Step, label: Label): string {
  switch (step.kind) {
    case 'copy-image':
      return `copy ${step.target.digest} to ${formatRepository(step.target.repository)}:${step.target.tag}${was(step.from)}`;
    case 'write-artifact':
      return `write the artifact ${step.image.tag}`;
    case 'repair-artifact':
      return `repair ${step.image.tag}.json, which says ${formatCandidate(step.from)} instead of ${formatCandidate(step.image)}`;
    case 'attach-proof':
      return `attach the proof to ${formatRepository(step.target.repository)}@${step.target.digest}`;
    case 'move-tag':
      return `move tag ${formatRepository(step.target.repository)}:${label} to ${step.target.digest}${was(step.from)}`;
    case 'move-label':
      return `move label ${label} to ${step.tag}${was(step.from)}`;
    case 'move-previous':
      return step.tag === undefined
        ? `remove label ${previousLabel(label)}${was(step.from)}`
        : `move label ${previousLabel(label)} to ${step.tag}${was(step.from)}`;
  }
}

function was(from: string | undefined): string {
  return from === undefined ? '' : ` (was ${from})`;
}
