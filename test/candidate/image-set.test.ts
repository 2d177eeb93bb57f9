import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import { companionNameSchema, formatSet, imageSet, parseSet, setDigest } from '../../src/candidate/image-set.js';
import { candidateSchema, formatCandidate } from '../../src/candidate/reference.js';

const reference = (name: string, digit = '0') => v.parse(candidateSchema, `${name}@sha256:${digit.repeat(64)}`);
const CEPH = reference('quay.io/ceph/ceph:v19.2.3-20250717', 'a');
const PROMETHEUS = reference('quay.io/prometheus/prometheus:v2.51.0', 'b');
const GRAFANA = reference('quay.io/ceph/grafana:10.4.8', 'c');

describe('a set', () => {
  test('is written as its references, the candidate first and the companions sorted, without a final newline', () => {
    const text = [CEPH, GRAFANA, PROMETHEUS].map(formatCandidate).join('\n');
    expect(formatSet(imageSet(CEPH, [PROMETHEUS, GRAFANA]))).toBe(text);
    expect(setDigest(imageSet(CEPH, [PROMETHEUS, GRAFANA]))).toBe(
      `sha256:${createHash('sha256').update(text).digest('hex')}`,
    );
  });

  test('without companions is the candidate, and has no digest', () => {
    expect(formatSet(imageSet(CEPH, []))).toBe(formatCandidate(CEPH));
    expect([setDigest(imageSet(CEPH, [])), setDigest(CEPH)]).toEqual([undefined, undefined]);
  });

  test('is the same in whatever order its companions are named', () => {
    const many = fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 12 });
    fc.assert(
      fc.property(many, fc.infiniteStream(fc.nat()), (numbers, order) => {
        const companions = numbers.map((n) => reference(`quay.io/x/y${n % 7}:v${n}`, String(n % 10)));
        const shuffled = companions
          .map((one) => ({ one, at: order.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one);
        const set = imageSet(CEPH, shuffled);
        expect(setDigest(set)).toBe(setDigest(imageSet(CEPH, companions)));
        expect(
          parseSet(
            formatSet(set)
              .split('\n')
              .map((line) => v.parse(candidateSchema, line)),
          ),
        ).toEqual(set);
      }),
    );
  });

  test.each([
    ['the candidate as its companion', [reference('quay.io/ceph/ceph:v19.2.3-20250717', 'b')]],
    ['one companion twice', [PROMETHEUS, reference('QUAY.io:443/prometheus/prometheus:v2.51.0', 'd')]],
  ])('is refused with %s', (_, companions) => {
    expect(() => imageSet(CEPH, companions)).toThrow('is named twice in a set');
  });

  test('has at most a certain size, and at least a candidate', () => {
    const companions = Array.from({ length: 21 }, (_, n) => reference(`quay.io/x/y:v${n}`));
    expect(() => imageSet(CEPH, companions)).toThrow('21 companions; a set has at most 20');
    expect(() => parseSet([])).toThrow('the first line of a set is the candidate');
  });
});

test.each([
  ['quay.io/prometheus/prometheus:v2.51.0', undefined],
  ['quay.io/prometheus/prometheus:v2.51.0 -> quay.example/x/prometheus', undefined],
  [`quay.io:443/prometheus/prometheus:v2.51.0@${PROMETHEUS.digest}`, PROMETHEUS.digest],
])('a companion is named by %s', (text, digest) => {
  expect(v.parse(companionNameSchema, text)).toMatchObject({ tag: 'v2.51.0', digest });
});

test.each([
  'prometheus:v2.51.0',
  'quay.io/prometheus/prometheus',
  `quay.io/prometheus/prometheus@${PROMETHEUS.digest}`,
  'quay.io/prometheus/prometheus:v2.51.0@sha256:12',
  'quay.io/prometheus/prometheus:v2.51.0 x',
  '',
])('%j does not name a companion', (text) => {
  expect(v.is(companionNameSchema, text)).toBe(false);
});
