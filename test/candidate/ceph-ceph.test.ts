import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Policy } from '../../src/candidate/policy.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { selectCandidate } from '../../src/candidate/selection.js';
import { projectRoot } from '../sandbox/project.js';
import { answer, choose, listed, policy } from './policies.js';

/** quay.io/ceph/ceph as far as it could be rebuilt from public files: releases and days of builds, no recording. */
const real = readFileSync(`${projectRoot}/test/data/ceph-ceph-tags.txt`, 'utf8').trim().split('\n');

const asked = (more: Partial<Policy> = {}) => ({ scheme: ceph, preferDated: true, ...more });

describe('quay.io/ceph/ceph', () => {
  test.each<[string, readonly string[], Partial<Policy>, string]>([
    ['the newest', real, {}, 'v20.2.0-20251104'],
    ['tentacle', real, { flavor: 'tentacle' }, 'v20.2.0-20251104'],
    ['squid', real, { flavor: 'squid' }, 'v19.2.3-20250717'],
    ['19', real, { flavor: '19' }, 'v19.2.3-20250717'],
    ['reef', real, { flavor: 'reef' }, 'v18.2.7-20250506'],
    ['quincy', real, { flavor: 'quincy' }, 'v17.2.9-20250715'],
    ['pacific', real, { flavor: 'pacific' }, 'v16.2.15-20240304'],
    ['octopus', real, { flavor: '15' }, 'v15.2.17-20220809'],
    ['undated', real, { flavor: 'squid', preferDated: false }, 'v19.2.3'],
    ['umbrella is not there', real, { flavor: 'umbrella' }, 'flavor'],
    ['21 is not there', real, { flavor: '21' }, 'flavor'],
    ['umbrella', [...real, 'v21.2.0', 'v21.2.0-20260901'], { flavor: 'umbrella' }, 'v21.2.0-20260901'],
    ['21', [...real, 'v21.2.0', 'v21.2.0-20260901'], { flavor: '21' }, 'v21.2.0-20260901'],
    ['21 in a release candidate', [...real, 'v21.1.0-20260901'], { flavor: '21' }, 'flavor'],
    ['without a version', real, { flavor: 'squid', exclude: ['v19.2.3'] }, 'v19.2.2-20250414'],
    ['without a version, without its v', real, { flavor: 'squid', exclude: ['19.2.3'] }, 'v19.2.2-20250414'],
    ['without a build', real, { flavor: 'reef', exclude: ['v18.2.7-20250506'] }, 'v18.2.7'],
    ['without a whole series', real, { exclude: ['v20.2.0'] }, 'v19.2.3-20250717'],
    ['the later of two builds', real.filter((tag) => tag < 'v17.2.8'), { flavor: 'quincy' }, 'v17.2.7-20240103'],
    ['the undated tag where there is nothing else', ['v19.2.3', 'v19.2', 'v19'], {}, 'v19.2.3'],
  ])('%s', (_, tags, more, expected) => expect(choose(tags, asked(more))).toBe(expected));

  test.each<[string, readonly string[], Partial<Policy>, string]>([
    [
      'a build was excluded, and its version comes in by another tag',
      real,
      { exclude: ['v20.2.0-20251104'] },
      'v20.2.0-20251104 is excluded, and v20.2.0 is of the same version',
    ],
    ['what is excluded is not there', real, { exclude: ['v99.2.0'] }, 'no stable tag is "v99.2.0"'],
    ['a version has no build with a date', [...real, 'v20.2.1'], {}, 'prefer-dated: 20.2.1 has no build with a date'],
  ])('warns if %s', (_, tags, more, warning) => {
    const selection = selectCandidate(listed(tags), policy(asked(more)));
    expect(selection.kind === 'chosen' && selection.warnings.join('\n')).toContain(warning);
  });

  test('for an unknown flavor the error lists the known ones', () => {
    const selection = selectCandidate(listed(real), policy(asked({ flavor: 'umbrela' })));
    expect(selection.kind === 'nothing' && selection.message).toMatch(
      /^no stable tag of flavor umbrela; there is: .* of flavor reef .* of flavor tentacle/,
    );
  });

  test('a year of rebuilds: each is found when it appears, and nothing else changes the choice', () => {
    const builds = [
      'v17.2.6-20230410',
      'v17.2.6-20231027',
      'v17.2.7-20231027',
      'v17.2.7-20231207',
      'v17.2.7-20240103',
      'v17.2.8-20241122',
    ];
    const there: string[] = [];
    for (const build of builds) {
      const [version = ''] = build.split('-');
      there.push(build, version, version.replace(/\.\d+$/, ''), version.replace(/\.\d+\.\d+$/, ''));
      expect(choose(there, asked({ flavor: 'quincy' }))).toBe(build);
      expect(choose([...there, 'v18.2.9-20250101', 'v18.1.0-20250101'], asked({ flavor: '17' }))).toBe(build);
    }
  });

  test('the order of the listing never matters, and neither do tags that are not stable', () => {
    const noise = fc.array(
      fc.constantFrom('v21.1.0', 'v21.0.4-20260101', 'v21', 'v21.2', 'latest', 'main', 'v21.2', 'x'),
    );
    const shuffled = fc.shuffledSubarray(real, { minLength: real.length });
    fc.assert(
      fc.property(shuffled, noise, fc.constantFrom(undefined, 'squid', '18', 'quincy'), (tags, more, flavor) => {
        expect(choose([...tags, ...more], asked({ flavor }))).toBe(choose(real, asked({ flavor })));
      }),
    );
  });

  test('of any set of builds the highest version wins, then the latest day', () => {
    const build = fc.record({
      major: fc.integer({ min: 14, max: 23 }),
      patch: fc.integer({ min: 0, max: 30 }),
      day: fc.option(fc.integer({ min: 20_210_101, max: 20_210_128 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(build, { minLength: 1, maxLength: 12 }), (builds) => {
        const nameOf = ({ major, patch, day }: (typeof builds)[number]) =>
          `v${major}.2.${patch}${day === undefined ? '' : `-${day}`}`;
        const rank = ({ major, patch, day = 0 }: (typeof builds)[number]) => (major * 100 + patch) * 1e9 + day;
        const best = builds.reduce((a, b) => (rank(b) > rank(a) ? b : a));
        expect(answer(selectCandidate(listed(builds.map(nameOf)), policy(asked())))).toBe(nameOf(best));
      }),
    );
  });
});
