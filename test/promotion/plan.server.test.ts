import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { type Candidate, candidateSchema, type Digest, digestSchema } from '../../src/candidate/reference.js';
import { compareTags } from '../../src/candidate/schemes.js';
import { type Ban, type LedgerRecord, ledgerRecordSchema } from '../../src/ledger/record.js';
import {
  banOf,
  type Change,
  candidateOf,
  describeStep,
  foreignTarget,
  holdsAfter,
  isPromoted,
  isWayBack,
  nextRecord,
  type Step,
  stepsTo,
  type Visible,
} from '../../src/promotion/plan.js';
import { candidateTargets, parseTargets } from '../../src/promotion/targets.js';
import { directionOf } from '../../src/rules/guards.js';
import { label } from '../store/fixture.js';
import { CURRENT, tag } from './support.js';

const digest = (text: string): Digest =>
  v.parse(digestSchema, `sha256:${createHash('sha256').update(text).digest('hex')}`);
const image = (name: string, of = name): Candidate =>
  v.parse(candidateSchema, `quay.io/ceph/daemon:${name}@${digest(of)}`);
const TARGETS = parseTargets(['quay.example/a/daemon', 'quay.example/b/daemon']);
const AUTHOR = { id: '1/1/00000000-0000-0000-0000-000000000000', who: 'alice', runUrl: null, event: 'schedule' };

function record(candidate: Candidate, changes: Partial<Change> = {}): LedgerRecord {
  const change: Change = {
    kind: 'forced',
    reason: 'because',
    candidate,
    targets: candidateTargets(TARGETS, candidate),
    previous: undefined,
    holds: [],
    quarantine: [],
    decision: null,
    ...changes,
  };
  return nextRecord(undefined, CURRENT, change, AUTHOR, 1_651_802_400);
}

const ban = (candidate: Candidate): Ban => ({
  digest: candidate.digest,
  tag: candidate.tag,
  reason: 'it leaks',
  who: 'alice',
  since: '2022-05-06T02:00:00Z',
});

describe('a record', () => {
  test('goes behind the head, and fits its schema', () => {
    const first = record(image('v1'));
    expect(v.parse(ledgerRecordSchema, first)).toEqual(first);
    expect(first).toMatchObject({
      n: 1,
      when: '2022-05-06T02:00:00Z',
      'prev-sha256': null,
      label: CURRENT,
      previous: null,
    });
    const change: Change = {
      ...first,
      decision: null,
      candidate: image('v2'),
      previous: image('v1'),
      overridden: ['hold'],
    };
    const second = nextRecord({ n: 1, sha256: 'f'.repeat(64) }, CURRENT, change, AUTHOR, 0);
    expect(second).toMatchObject({ n: 2, 'prev-sha256': 'f'.repeat(64), overridden: ['hold'] });
    expect(second.previous).toBe(first.candidate);
  });
});

/** What readers find, when a step was made. */
function after(visible: Visible, step: Step): Visible {
  const images = new Map(visible.images);
  const imageAt = (repository: string) => images.get(repository) ?? { versioned: undefined, moving: undefined };
  switch (step.kind) {
    case 'copy-image':
      images.set(step.target.repository, { ...imageAt(step.target.repository), versioned: step.target.digest });
      return { ...visible, images };
    case 'move-tag':
      images.set(step.target.repository, { ...imageAt(step.target.repository), moving: step.target.digest });
      return { ...visible, images };
    case 'write-artifact':
      return { ...visible, artifacts: new Set([...visible.artifacts, step.tag]) };
    case 'move-label':
      return { ...visible, label: step.tag };
    case 'move-previous':
      return { ...visible, previousLabel: step.tag };
  }
}

const names = ['v1', 'v2', 'v3'].map(tag);
const someTag = fc.option(fc.constantFrom(...names), { nil: undefined });
const someDigest = fc.option(fc.constantFrom(...names.map(digest)), { nil: undefined });
const someVisible: fc.Arbitrary<Visible> = fc.record({
  label: someTag,
  previousLabel: someTag,
  artifacts: fc.subarray(names).map((tags) => new Set(tags)),
  images: fc
    .tuple(
      fc.record({ versioned: someDigest, moving: someDigest }),
      fc.record({ versioned: someDigest, moving: someDigest }),
    )
    .map(
      ([a, b]) =>
        new Map([
          ['quay.example/a/daemon', a],
          ['quay.example/b/daemon', b],
        ]),
    ),
});
const someRecord = fc
  .tuple(fc.constantFrom(...names), someTag)
  .map(([name, previous]) =>
    record(image(name), { previous: previous && previous !== name ? image(previous) : undefined }),
  );

const ORDER = ['copy-image', 'write-artifact', 'move-tag', 'move-label', 'move-previous'];

describe('the steps to what a record says', () => {
  test('end where nothing is left to do, and what a label needs comes before the label', () => {
    fc.assert(
      fc.property(someRecord, someVisible, (wanted, visible) => {
        const steps = stepsTo(wanted, visible);
        const places = steps.map(({ kind }) => ORDER.indexOf(kind));
        expect(places).toEqual([...places].sort((a, b) => a - b));
        const end = steps.reduce(after, visible);
        expect(stepsTo(wanted, end)).toEqual([]);
        expect(end.label).toBe(candidateOf(wanted.candidate).tag);
        // Stopped at any of them, whoever comes next goes on from there.
        for (const [index, step] of steps.entries()) {
          const before = steps.slice(0, index).reduce(after, visible);
          expect(stepsTo(wanted, before)).toEqual(steps.slice(index));
          expect(stepsTo(wanted, after(before, step))).toEqual(steps.slice(index + 1));
        }
      }),
    );
  });

  test('touch no repository that is not ours', () => {
    const visible = { label: undefined, previousLabel: undefined, artifacts: new Set(names), images: new Map() };
    expect(stepsTo(record(image('v1')), visible).map(({ kind }) => kind)).toEqual(['move-label']);
  });

  test.each<[Step, string]>([
    [
      { kind: 'copy-image', target: at0(image('v1')), from: undefined },
      `copy ${digest('v1')} to quay.example/a/daemon:v1`,
    ],
    [{ kind: 'write-artifact', tag: tag('v1') }, 'write the artifact v1'],
    [
      { kind: 'move-tag', target: at0(image('v1')), from: digest('v0') },
      `move tag quay.example/a/daemon:current-ceph to ${digest('v1')} (was ${digest('v0')})`,
    ],
    [{ kind: 'move-label', tag: tag('v1'), from: undefined }, 'move label current-ceph to v1'],
    [{ kind: 'move-previous', tag: tag('v1'), from: tag('v0') }, 'move label previous-current-ceph to v1 (was v0)'],
    [{ kind: 'move-previous', tag: undefined, from: tag('v0') }, 'remove label previous-current-ceph (was v0)'],
  ])('in words: %j', (step, words) => {
    expect(describeStep(step, CURRENT)).toBe(words);
  });
});

function at0(candidate: Candidate) {
  const [target] = candidateTargets(TARGETS, candidate);
  if (target === undefined) throw new Error('no target');
  return target;
}

describe('what is promoted', () => {
  const COMPANION = 'quay.io/x/y:2.3 -> quay.example/a/y';
  const lines = ['quay.example/a/daemon', 'quay.example/b/daemon'];
  const withCompanion = record(image('v1'), {
    targets: [
      ...candidateTargets(TARGETS, image('v1')),
      {
        repository: 'quay.example/a/y',
        tag: tag('2.3'),
        digest: digest('y'),
        source: `quay.io/x/y:2.3@${digest('y')}`,
      },
    ],
  });
  test.each<[string, LedgerRecord, string[], Candidate, boolean]>([
    ['the same', record(image('v1')), lines, image('v1'), true],
    ['under another tag', record(image('v1')), lines, image('v2', 'v1'), true],
    ['another image', record(image('v1')), lines, image('v2'), false],
    ['to one target more', record(image('v1')), [...lines, 'quay.example/c/daemon'], image('v1'), false],
    ['to one target less', record(image('v1')), lines.slice(1), image('v1'), false],
    ['to another target', record(image('v1')), [...lines.slice(1), 'quay.example/c/daemon'], image('v1'), false],
    ['without its companion', record(image('v1')), [...lines, COMPANION], image('v1'), false],
    ['with its companion', withCompanion, [...lines, COMPANION], image('v1'), true],
    ['with another version of it', withCompanion, [...lines, COMPANION.replace('2.3', '2.4')], image('v1'), false],
    ['with a companion that is dropped', withCompanion, lines, image('v1'), false],
  ])('%s', (_, head, configured, candidate, expected) => {
    expect(isPromoted(head, parseTargets(configured), candidate)).toBe(expected);
  });

  test('names a target that is configured no more', () => {
    expect(foreignTarget(record(image('v1')), TARGETS)).toBeUndefined();
    expect(foreignTarget(record(image('v1')), parseTargets(lines.slice(1)))).toBe('quay.example/a/daemon');
  });
});

describe('bans', () => {
  test('a quarantine outweighs a hold', () => {
    const [v1, v2, v3] = [image('v1'), image('v2'), image('v3')];
    const head = record(v3, { holds: [ban(v1), ban(v2)], quarantine: [ban(v1)] });
    expect(banOf(head, v1.digest)?.kind).toBe('quarantine');
    expect(banOf(head, v2.digest)?.kind).toBe('hold');
    expect(banOf(head, v3.digest)).toBeUndefined();
    expect(banOf(undefined, v1.digest)).toBeUndefined();
  });

  test.each<[string, string[]]>([
    ['v1.0.0', ['v1.0.1', 'v1.0.2', 'nightly']],
    ['v1.0.1', ['v1.0.2', 'nightly']],
    ['v1.0.2', ['nightly']],
    ['v1.0.3', ['nightly']],
  ])('%s is promoted: %j stay on hold', (promoted, left) => {
    const holds = ['v1.0.1', 'v1.0.2', 'nightly'].map((name) => ban(image(name)));
    const isNewer = (a: Candidate['tag'], b: Candidate['tag']) => (compareTags(a, b) ?? 0) > 0;
    expect(holdsAfter(holds, image(promoted), isNewer).map((hold) => hold.tag)).toEqual(left);
  });

  test('the way back is another image that is not banned', () => {
    expect(isWayBack(record(image('v1')), digest('v2'), [])).toBe(true);
    expect(isWayBack(record(image('v1')), digest('v1'), [])).toBe(false);
    expect(isWayBack(record(image('v1')), digest('v2'), [ban(image('v1'))])).toBe(false);
  });
});

test.each([
  ['v1.0.2', 'v1.0.1', 'up'],
  ['v1.0.1', 'v1.0.1', 'up'],
  ['v1.0.1', 'v1.0.2', 'down'],
  ['v1.0.9', 'v1.0.10', 'down'],
  ['nightly', 'v1.0.1', 'unknown'],
  ['v1.0.1', 'nightly', 'unknown'],
  ['v6.0.7-stable-6.0-pacific-centos-stream8', 'v6.0.6-stable-6.0-pacific-centos-8', 'up'],
])('%s after %s is %s', (candidate, promoted, direction) => {
  expect(directionOf({ compareTags }, image(candidate), record(image(promoted)))).toBe(direction);
});

test('the first is never a downgrade', () => {
  expect(directionOf({ compareTags }, image('nightly'), undefined)).toBe('up');
  expect(label('current-ceph')).toBe(CURRENT);
});
