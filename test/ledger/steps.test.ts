import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Candidate, formatRepository } from '../../src/candidate/reference.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import { describeStep, type Step, stepsTo, type Visible, type VisibleImage } from '../../src/ledger/steps.js';
import { parseTargets } from '../../src/promotion/targets.js';
import { candidateTargets, targetOf } from '../../src/rules/targets.js';
import { CURRENT, digestOf, image, recordOf, tag } from './fixture.js';

const REPOSITORIES = ['quay.example/a/daemon', 'quay.example/b/daemon'];
const TARGETS = parseTargets(REPOSITORIES);
const NAMES = ['v1', 'v2', 'v3'];

function record(name: string, previous?: Candidate): LedgerRecord {
  return recordOf(name, 2, Buffer.from('x'), { targets: candidateTargets(TARGETS, image(name)), previous });
}

/** What readers find after a step. */
function after(visible: Visible, step: Step): Visible {
  const images = new Map(visible.images);
  const change = (repository: string, to: Partial<VisibleImage>) => {
    images.set(repository, { versioned: undefined, moving: undefined, ...images.get(repository), ...to });
    return { ...visible, images };
  };
  switch (step.kind) {
    case 'copy-image':
      return change(formatRepository(step.target.repository), { versioned: step.target.digest });
    case 'move-tag':
      return change(formatRepository(step.target.repository), { moving: step.target.digest });
    case 'attach-proof': {
      const withoutProof = new Set(visible.withoutProof);
      withoutProof.delete(formatRepository(step.target.repository));
      return { ...visible, withoutProof };
    }
    case 'write-artifact':
    case 'repair-artifact':
      return { ...visible, published: new Map([...visible.published, [step.image.tag, step.image]]) };
    case 'move-label':
      return { ...visible, label: step.tag };
    case 'move-previous':
      return { ...visible, previousLabel: step.tag };
  }
}

const someTag = fc.option(fc.constantFrom(...NAMES.map(tag)), { nil: undefined });
const someImage = fc.record({
  versioned: fc.option(fc.constantFrom(...NAMES.map(digestOf)), { nil: undefined }),
  moving: fc.option(fc.constantFrom(...NAMES.map(digestOf)), { nil: undefined }),
});
const someVisible: fc.Arbitrary<Visible> = fc.record({
  label: someTag,
  previousLabel: someTag,
  published: fc
    .subarray(NAMES)
    .chain((names) =>
      fc.tuple(...names.map((name) => fc.constantFrom(image(name), { ...image('v9'), tag: tag(name) }))),
    )
    .map((images) => new Map(images.map((one) => [one.tag, one]))),
  images: fc.tuple(someImage, someImage).map((two) => new Map(two.map((one, n) => [REPOSITORIES[n] ?? '', one]))),
  withoutProof: fc.subarray(REPOSITORIES).map((names) => new Set(names)),
});
const someRecord = fc
  .tuple(fc.constantFrom(...NAMES), fc.option(fc.constantFrom(...NAMES)))
  .map(([name, previous]) => record(name, previous === null || previous === name ? undefined : image(previous)));

const ORDER = ['copy-image', 'artifact', 'attach-proof', 'move-tag', 'move-label', 'move-previous'];
const placeOf = ({ kind }: Step) => ORDER.indexOf(kind.endsWith('-artifact') ? 'artifact' : kind);

describe('the steps to what a record says', () => {
  test('come in order, and if a run stops at any of them, the next one continues there', () => {
    fc.assert(
      fc.property(someRecord, someVisible, (wanted, visible) => {
        const steps = stepsTo(wanted, visible);
        const places = steps.map(placeOf);
        expect(places).toEqual([...places].sort((a, b) => a - b));
        const end = steps.reduce(after, visible);
        expect(stepsTo(wanted, end)).toEqual([]);
        expect(end.label).toBe(wanted.candidate.tag);
        for (const [index, step] of steps.entries()) {
          const before = steps.slice(0, index).reduce(after, visible);
          expect(stepsTo(wanted, before)).toEqual(steps.slice(index));
          expect(stepsTo(wanted, after(before, step))).toEqual(steps.slice(index + 1));
        }
      }),
    );
  });

  // Whoever publishes candidates can write these files.
  test.each([
    ['the digest', { digest: digestOf('evil') }],
    ['the repository', { repository: TARGETS.candidate[0] ?? image('').repository }],
  ])('repair the candidate files of the promoted image and of the one before where %s is another', (_, other) => {
    const files = [image('v1'), image('v2')].map((one) => [one.tag, { ...one, ...other }] as const);
    const visible: Visible = {
      label: tag('v2'),
      previousLabel: tag('v1'),
      published: new Map(files),
      images: new Map(),
      withoutProof: new Set(),
    };
    expect(stepsTo(record('v2', image('v1')), visible)).toMatchObject([
      { kind: 'repair-artifact', image: image('v2'), from: other },
      { kind: 'repair-artifact', image: image('v1'), from: other },
    ]);
  });

  test('touch no repository that is not configured', () => {
    const visible: Visible = {
      label: undefined,
      previousLabel: undefined,
      published: new Map([[tag('v1'), image('v1')]]),
      images: new Map(),
      withoutProof: new Set(REPOSITORIES),
    };
    expect(stepsTo(record('v1'), visible).map(({ kind }) => kind)).toEqual(['move-label']);
  });

  const target = targetOf(TARGETS.candidate[0] ?? image('').repository, image('v1'));
  test.each<[Step, string]>([
    [{ kind: 'copy-image', target, from: undefined }, `copy ${digestOf('v1')} to quay.example/a/daemon:v1`],
    [{ kind: 'write-artifact', image: image('v1') }, 'write the artifact v1'],
    [
      { kind: 'repair-artifact', image: image('v1'), from: { ...image('v2'), tag: tag('v1') } },
      `repair v1.json, which says quay.io/ceph/daemon:v1@${digestOf('v2')} instead of quay.io/ceph/daemon:v1@${digestOf('v1')}`,
    ],
    [{ kind: 'attach-proof', target }, `attach the proof to quay.example/a/daemon@${digestOf('v1')}`],
    [
      { kind: 'move-tag', target, from: digestOf('v0') },
      `move tag quay.example/a/daemon:current-ceph to ${digestOf('v1')} (was ${digestOf('v0')})`,
    ],
    [{ kind: 'move-label', tag: tag('v1'), from: undefined }, 'move label current-ceph to v1'],
    [{ kind: 'move-previous', tag: tag('v1'), from: tag('v0') }, 'move label previous-current-ceph to v1 (was v0)'],
    [{ kind: 'move-previous', tag: undefined, from: tag('v0') }, 'remove label previous-current-ceph (was v0)'],
  ])('in words: %j', (step, words) => {
    expect(describeStep(step, CURRENT)).toBe(words);
  });
});
