import { describe, expect, test } from '@jest/globals';
import { errorLine } from '../../src/base/errors.js';
import type { Policy } from '../../src/candidate/policy.js';
import { patternScheme } from '../../src/candidate/schemes/pattern.js';
import { selectCandidate } from '../../src/candidate/selection.js';
import { answer, choose, imageOf, listed, policy } from './policies.js';

const V3 = String.raw`(?<version>\d+\.\d+\.\d+)`;

/** Tags from practice; the one to choose comes first. */
const FIELD: readonly [string, string, readonly string[], Partial<Policy>][] = [
  [
    'rhceph',
    String.raw`(?<version>\d+)-(?<build>\d+(?:\.\d+)*)`,
    ['9-12', '9-9', '8-217.1741000000', '8-99', 'latest'],
    {},
  ],
  [
    'rhceph by its major version',
    String.raw`(?<version>\d+)-(?<build>[\d.]+)`,
    ['8-217.1741000000', '8-99', '9-12'],
    { flavor: '8' },
  ],
  [
    'rhceph-dev',
    String.raw`${V3}-(?<build>\d+)\.stable`,
    ['4.19.0-55.stable', '4.19.0-9.stable', '4.18.12-120.stable', '9-1'],
    {},
  ],
  [
    'cybozu',
    String.raw`(?<version>\d+\.\d+\.\d+)\.(?<build>\d+)`,
    ['18.2.4.10', '18.2.4.2', '18.2.1.12', '18.2.4'],
    {},
  ],
  [
    'openSUSE',
    String.raw`${V3}\.(?<build>\d+(?:\.\d+)+)`,
    ['18.2.4.1.2', '17.2.7.12.3.1', '17.2.7.9.3.1', 'latest'],
    {},
  ],
  [
    'openSUSE, one release',
    String.raw`${V3}\.(?<build>[\d.]+)`,
    ['17.2.7.12.3.1', '17.2.7.9.3.1', '18.2.4.1.2'],
    { flavor: '17' },
  ],
  ['a branch of ceph-ci', '(?<version>squid)', ['squid', 'main', 'tentacle', '0123456789abcdef'], {}],
  [
    'calendar versions',
    String.raw`(?<version>\d{4}\.\d{1,2}\.\d+)`,
    ['2026.11.1', '2026.9.30', '2025.12.1', '2026'],
    {},
  ],
  [
    'times',
    String.raw`RELEASE\.(?<version>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)`,
    ['RELEASE.2026-11-01T00-00-00Z', 'RELEASE.2026-10-31T23-59-59Z', 'RELEASE.2026-11-01T00-00-00Z.fips'],
    {},
  ],
  [
    'bitnami',
    String.raw`v${V3}-debian-\d+-r(?<build>\d+)`,
    ['v1.2.3-debian-12-r10', 'v1.2.3-debian-12-r4', 'v1.2.2-debian-12-r40'],
    {},
  ],
  ['days', String.raw`(?<version>\d{8})-(?<build>\d+)`, ['20260901-10', '20260901-9', '20260831-12', '20260901'], {}],
  [
    'a flavor and an architecture',
    `(?<flavor>[a-z]+)-${V3}(?:-(?<arch>amd64|arm64))?`,
    ['squid-19.2.3-arm64', 'squid-19.2.4-amd64', 'reef-20.0.0-arm64', 'squid-19.2.2-arm64'],
    { flavor: 'squid', arch: 'aarch64' },
  ],
];

test.each(FIELD)('%s', (_, pattern, tags, asked) => {
  const scheme = patternScheme(pattern);
  expect(choose(tags, { scheme, ...asked })).toBe(tags[0]);
  expect(choose(tags.toReversed(), { scheme, ...asked })).toBe(tags[0]);
});

/** Patterns that backtrack badly use all the time that they get. */
const SOON_MS = 50;

describe('a pattern is refused with one line', () => {
  test.each<[string, string, string]>([
    ['without a version', String.raw`\d+-(?<build>\d+)`, 'has no group (?<version>…): nothing says which tag is newer'],
    ['without any group', 'v.*', 'has no group (?<version>…)'],
    ['that is not a regular expression', '(?<version>', 'is not a regular expression: '],
    ['whose group is named twice', '(?<version>a)(?<version>b)', 'is not a regular expression: '],
    [
      'with a group that means nothing',
      '(?<version>.+)-(?<buidl>.+)',
      'has a group buidl; it may have version, build, flavor, arch',
    ],
    ['of two repetitions in each other', String.raw`v(?<version>(?:\d+)+)x`, 'backtracks badly'],
    ['of two words in each other', String.raw`(?<version>(?:\w+\.?)*)-x`, 'backtracks badly'],
    ['of choices that overlap', String.raw`v(?<version>(?:a|a0|\d|0|1)*)$x`, 'backtracks badly'],
  ])('%s', (_, pattern, message) => {
    const refusal = expect.objectContaining({ name: 'UserError', hint: 'pattern' });
    let thrown: unknown;
    try {
      patternScheme(pattern, SOON_MS);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toEqual(refusal);
    expect(errorLine(thrown)).toContain(message);
    expect(errorLine(thrown)).toMatch(/^[^\n]{1,400}$/);
  });

  test('even if tags are made to take it long', () => {
    // No probe has these letters.
    const scheme = patternScheme('(?<version>(?:q|qq)*)-1');
    expect(() => choose([`${'q'.repeat(120)}!`], { scheme })).toThrow('backtracks badly');
  });
});

describe('nothing is chosen', () => {
  const answerOf = (pattern: string, tags: readonly string[], asked: Partial<Policy> = {}) => {
    const selection = selectCandidate(listed(tags), policy({ scheme: patternScheme(pattern), ...asked }));
    return selection.kind === 'nothing' ? `${selection.reason}: ${selection.message}` : answer(selection);
  };

  test('where it matches nothing', () => {
    expect(answerOf('v(?<version>.+)', ['1.2.3', 'latest'])).toBe(
      'nothing-stable: no tag is stable under scheme pattern; there is: 2 other',
    );
  });

  test('where it matches a part of a tag only', () => {
    expect(answerOf(V3, ['1.2.3-rc1', 'v1.2.3'])).toContain('nothing-stable');
    expect(answerOf(`${V3}|x`, ['1.2.3-rc1', 'v1.2.3'])).toContain('nothing-stable');
  });

  test.each(['1.2.3rc1', '1.2.3-rc-1', 'a1', '1..2', '1.2.'])('where nobody can order %s', (tag) => {
    expect(answerOf('(?<version>.+)', [tag])).toContain(`such as "${tag}": its version "${tag}" cannot be ordered`);
  });

  test('where nothing says which of two is newer', () => {
    expect(answerOf('(?<version>main|squid)', ['main', 'squid'])).toBe(
      'no-order: nothing says which of main and squid is newer: their version and build are equal',
    );
    expect(answerOf(`${V3}.*`, ['1.2.3-a', '1.2.3-b', '1.2.2'])).toContain('no-order');
    expect(answerOf(`${V3}.*`, ['1.2.3-a', '1.2.2-a', '1.2.2-b'])).toBe('1.2.3-a');
  });
});

test('two names of one image need no decision', () => {
  const { digest } = imageOf([]) as { digest: NonNullable<ReturnType<typeof listed>[number]['digest']> };
  const listing = listed(['1.2.3-a', '1.2.3-b']).map((row) => ({ ...row, digest }));
  expect(answer(selectCandidate(listing, policy({ scheme: patternScheme(`${V3}.*`) })))).toBe('1.2.3-a');
});
