import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as v from 'valibot';
import type { ListedTag } from '../../src/candidate/listing.js';
import type { Policy } from '../../src/candidate/policy.js';
import { digestSchema } from '../../src/candidate/reference.js';
import { compareVersions, formatVersion, readTag, seriesOf } from '../../src/candidate/scheme.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { cephDaemon } from '../../src/candidate/schemes/ceph-daemon.js';
import { semver } from '../../src/candidate/schemes/semver.js';
import { type Chosen, selectCandidate } from '../../src/candidate/selection.js';
import { DAY, listed, NOW, policy } from './policies.js';

/** Few values, so that they coincide: ties, several flavors in a series, the same tag twice. */
const flavor = fc.constantFrom('luminous', 'mimic', 'nautilus');
const number = fc.constantFrom('0', '1', '2', '9', '10', '11');
const base = fc.constantFrom('centos-7', 'centos-8', 'centos-stream8', 'centos-stream9', 'ubuntu-22.04');
const suffix = fc.constantFrom('', '-x86_64', '-aarch64');

function build(flavors: fc.Arbitrary<string>, series = fc.constantFrom('3.2', '4.0', '5.0', '10.0')) {
  return fc
    .tuple(series, number, flavors, base, suffix)
    .map(([two, patch, name, distro, arch]) => `v${two}.${patch}-stable-${two}-${name}-${distro}${arch}`);
}

const stable = build(flavor);
const unstable = fc.oneof(
  stable.map((tag) => tag.replace('-stable', 'rc1-stable')),
  build(fc.constantFrom('master', 'main')),
  fc.tuple(flavor, base, suffix).map(([name, distro, arch]) => `master-0a1b2c3-${name}-${distro}${arch}`),
  fc.constantFrom('latest', 'latest-luminous', 'latest-bis-nautilus', 'latest-mimic-devel'),
);
const garbage = fc.oneof(
  stable.map((tag) => `${tag}\n`),
  stable.map((tag) => `x${tag}`),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const names = fc.array(fc.oneof({ weight: 6, arbitrary: stable }, unstable, garbage), { maxLength: 40 });

const asked = fc.record({
  flavor: fc.option(flavor, { nil: undefined }),
  arch: fc.constantFrom(undefined, 'x86_64' as const, 'aarch64' as const),
  distro: fc.constantFrom(undefined, 'centos', 'centos-8', 'ubuntu'),
});
const pinned = fc.tuple(asked, flavor).map(([rest, name]) => ({ ...rest, flavor: name }));

const digests = ['a', 'b'].map((digit) => v.parse(digestSchema, `sha256:${digit.repeat(64)}`));

function chosenOf(tags: readonly string[], demands: Partial<Policy>): Chosen | undefined {
  const selection = selectCandidate(listed(tags), policy(demands));
  return selection.kind === 'chosen' ? selection : undefined;
}

function versionOf(tag: string) {
  const reading = readTag(cephDaemon, tag);
  if (reading.kind !== 'stable') throw new Error(`${tag} is ${reading.kind}`);
  return reading.build.version;
}

describe('selection', () => {
  test('neither input order nor duplicates matter', () => {
    const entry = fc
      .tuple(
        fc.oneof(stable, unstable, garbage),
        fc.option(fc.integer({ min: NOW - 20 * DAY, max: NOW }), { nil: undefined }),
        fc.constantFrom(...digests),
        fc.boolean(),
      )
      .map(([name, startedAt, digest, expired]): ListedTag => {
        return { name, digest, expired, ...(startedAt !== undefined && { startedAt }) };
      });
    const shuffled = fc
      .array(entry, { minLength: 1, maxLength: 30 })
      .chain((list) =>
        fc.tuple(
          fc.constant(list),
          fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2, maxLength: list.length * 2 }),
        ),
      );
    fc.assert(
      fc.property(shuffled, asked, fc.constantFrom(cephDaemon, ceph, semver), ([list, other], demands, scheme) => {
        const all = policy({ ...demands, scheme, minimumAge: 7 * DAY });
        expect(selectCandidate(other, all)).toEqual(selectCandidate(list, all));
      }),
    );
  });

  test('what is chosen is stable, fits, and comes from the listing', () => {
    fc.assert(
      fc.property(names, asked, (tags, demands) => {
        const selection = chosenOf(tags, demands);
        if (selection === undefined) return;
        const { tag, flavor: name, distro, arch } = selection.chosen;
        expect(tags).toContain(tag);
        expect(readTag(cephDaemon, tag).kind).toBe('stable');
        if (demands.flavor !== undefined) expect(name).toBe(demands.flavor);
        expect([distro?.family, `${distro?.family}-${distro?.base}`]).toContain(demands.distro ?? 'centos');
        if (arch !== undefined && demands.arch !== undefined) expect(arch).toBe(demands.arch);
        if (arch === undefined) expect(demands.arch).not.toBe('aarch64');
      }),
    );
  });

  test('every listed name is accounted for once', () => {
    fc.assert(
      fc.property(names, asked, (tags, demands) => {
        const { counts, nearMisses, passedOver, ...rest } = selectCandidate(listed(tags), policy(demands));
        if (rest.kind === 'unread') return;
        expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(new Set(tags).size);
        expect(nearMisses).toHaveLength(counts['near-miss']);
        const left = rest.kind === 'chosen' ? 1 + rest.runnersUp.length : 0;
        expect(passedOver.length + left).toBe(counts.stable);
      }),
    );
  });

  test('with a flavor pinned, neither prereleases nor devel tags nor garbage change the choice', () => {
    fc.assert(
      fc.property(names, pinned, fc.array(fc.oneof(unstable, garbage)), (tags, demands, more) => {
        expect(chosenOf([...tags, ...more], demands)?.chosen).toEqual(chosenOf(tags, demands)?.chosen);
      }),
    );
  });

  test('with a flavor pinned, tags of another flavor in another series do not change the choice', () => {
    fc.assert(
      fc.property(names, pinned, fc.array(stable), (tags, demands, more) => {
        const before = chosenOf(tags, demands)?.chosen;
        const others = more.filter((tag) => {
          const inSeries = before !== undefined && seriesOf(versionOf(tag)) === seriesOf(before.version);
          return !inSeries && !tag.includes(`-${demands.flavor}-`);
        });
        expect(chosenOf([...tags, ...others], demands)?.chosen).toEqual(before);
      }),
    );
  });

  test('with a flavor pinned, a higher stable tag of its series is chosen', () => {
    fc.assert(
      fc.property(names, pinned, fc.bigInt({ min: 1n, max: 10n ** 30n }), (tags, demands, step) => {
        const before = chosenOf(tags, demands)?.chosen;
        fc.pre(before !== undefined);
        const [major, minor, patch = 0n] = before.version;
        const higher = before.tag.replace(formatVersion(before.version), `${major}.${minor}.${patch + step}`);
        expect(chosenOf([...tags, higher], demands)?.chosen.tag).toBe(higher);
      }),
    );
  });

  test('taking a runner-up away changes nothing, taking the chosen away leaves a runner-up', () => {
    fc.assert(
      fc.property(names, fc.constantFrom(undefined, 'x86_64' as const), fc.nat(), (tags, arch, index) => {
        const all = chosenOf(tags, { arch });
        const [next, lost] = [all?.runnersUp[0], all?.runnersUp[index % (all.runnersUp.length || 1)]];
        fc.pre(all !== undefined && next !== undefined && lost !== undefined);
        const without = (tag: string) => chosenOf(tags, { arch, exclude: [tag] })?.chosen.tag;
        expect(without(lost.tag)).toBe(all.chosen.tag);
        expect(without(all.chosen.tag)).toBe(next.tag);
        // An image of another architecture comes last, whatever its version.
        if (arch === undefined && next.tag.endsWith('-aarch64')) return;
        expect(compareVersions(all.chosen.version, versionOf(next.tag))).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('20,000 tags', () => {
  const series = ['3.0', '3.1', '3.2', '4.0', '5.0', '6.0', '7.0', '8.0'];
  const flavors = ['jewel', 'luminous', 'mimic', 'nautilus', 'octopus', 'pacific', 'quincy', 'reef'];
  const tags = Array.from({ length: 20_000 }, (_, index) => {
    const two = series[index % 8];
    const rest = `${flavors[(index >> 3) % 8]}-centos-${['8', 'stream8'][(index >> 6) % 2]}${['', '-x86_64'][(index >> 7) % 2]}`;
    const sha = index.toString(16).padStart(7, '0');
    return index % 4 === 3
      ? `main-${sha}-${rest}`
      : `v${two}.${index >> 8}-stable-${two}-${rest}${index % 50 ? '' : '.x'}`;
  });

  test.each([{}, { flavor: 'pacific', arch: 'x86_64' } as const])('are read once each under %j', (demands) => {
    const { scheme, ...rest } = policy(demands);
    let read = 0;
    const counting = {
      ...scheme,
      read(tag: string) {
        read += 1;
        return scheme.read(tag);
      },
    };
    expect(selectCandidate(listed(tags), { ...rest, scheme: counting }).kind).toBe('chosen');
    expect(read).toBe(tags.length);
  });

  test('take little memory', () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const heap = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    const selection = selectCandidate(listed(tags), policy());
    const held = heap() - before;
    expect(selection.kind).toBe('chosen');
    expect(held).toBeLessThan(10e6);
  });
});
