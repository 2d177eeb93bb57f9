import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import compare from 'semver/functions/compare.js';
import * as v from 'valibot';
import { repositorySchema, type Tag, tagSchema } from '../../src/candidate/reference.js';
import { compareVersions, formatVersion, parseVersion, type Reading, readTag } from '../../src/candidate/scheme.js';
import { ceph } from '../../src/candidate/schemes/ceph.js';
import { cephDaemon } from '../../src/candidate/schemes/ceph-daemon.js';
import { semver } from '../../src/candidate/schemes/semver.js';
import { compareTags, schemeFor } from '../../src/candidate/schemes.js';

/** A reading in one line: `stable 6.0.7 pacific centos-stream8 x86_64`, `near-miss 6.0.9`. */
function line(reading: Reading): string {
  if (reading.kind === 'near-miss') return `near-miss ${formatVersion(reading.version)}`;
  if (reading.kind !== 'stable') return reading.kind;
  const { version, flavor, distro, arch, build } = reading.build;
  const base = distro && `${distro.family}-${distro.base}`;
  return ['stable', formatVersion(version), flavor, base, arch, build].filter((word) => word !== undefined).join(' ');
}

const long = '9'.repeat(30);

describe('ceph-daemon', () => {
  test.each([
    ['v6.0.7-stable-6.0-pacific-centos-stream8-x86_64', 'stable 6.0.7 pacific centos-stream8 x86_64'],
    ['v6.0.7-stable-6.0-pacific-centos-stream8-aarch64', 'stable 6.0.7 pacific centos-stream8 aarch64'],
    ['v6.0.7-stable-6.0-pacific-centos-stream8', 'stable 6.0.7 pacific centos-stream8'],
    ['v3.0.7-stable-3.0-jewel-ubuntu-16.04-x86_64', 'stable 3.0.7 jewel ubuntu-16.04 x86_64'],
    ['v3.2.0-stable-3.2-luminous-opensuse-42.3-x86_64', 'stable 3.2.0 luminous opensuse-42.3 x86_64'],
    ['v10.0.0-stable-10.0-tentacle-centos-stream10', 'stable 10.0.0 tentacle centos-stream10'],
    ['v0.0.0-stable-0.0-reef-centos-9', 'stable 0.0.0 reef centos-9'],
    [`v6.0.${long}-stable-6.0-pacific-centos-8`, `stable 6.0.${long} pacific centos-8`],
    // flavors that begin like an unreleased one, or are unknown
    ['v6.0.7-stable-6.0-mainline-centos-8', 'stable 6.0.7 mainline centos-8'],
    ['v6.0.7-stable-6.0-pacific-rockylinux-9', 'stable 6.0.7 pacific rockylinux-9'],

    ['v6.0.0rc1-stable-6.0-pacific-centos-8-x86_64', 'prerelease'],
    ['v6.0.0beta12-stable-6.0-pacific-centos-8', 'prerelease'],
    ['v6.0.0alpha1-stable-6.0-master-centos-8', 'prerelease'],
    ['v3.2.3-stable-3.2-master-centos-7-x86_64', 'unreleased'],
    ['v9.0.0-stable-9.0-main-centos-stream9', 'unreleased'],
    ['master-13b097c-mimic-centos-7-x86_64', 'devel'],
    ['main-0276d4b-main-centos-stream8', 'devel'],
    ['latest', 'alias'],
    ['latest-devel', 'alias'],
    ['latest-bis', 'alias'],
    ['latest-bis-main', 'alias'],
    ['latest-pacific', 'alias'],
    ['latest-pacific-devel', 'alias'],
    ['tag-build-master-jewel-ubuntu-16.04', 'alias'],
    ['tag-stable-3.0-luminous-centos-7', 'alias'],

    ['v6.0.8-stable-6.1-pacific-centos-stream8', 'near-miss 6.0.8'],
    ['v6.10.8-stable-6.1-pacific-centos-stream8', 'near-miss 6.10.8'],
    ['v6.0.0rc123-stable-6.0-pacific-centos-8', 'near-miss 6.0.0'],
    ['v6.0.9-rc1-stable-6.0-pacific-centos-8', 'near-miss 6.0.9'],
    ['v6.0.07-stable-6.0-pacific-centos-8', 'near-miss 6.0.7'],
    ['v06.0.7-stable-06.0-pacific-centos-8', 'near-miss 6.0.7'],
    ['v6.0.8.1-stable-6.0-pacific-centos-8', 'near-miss 6.0.8.1'],
    ['v6.0-stable-6.0-pacific-centos-8', 'near-miss 6.0'],
    ['6.0.9-stable-6.0-pacific-centos-8', 'near-miss 6.0.9'],
    ['xv6.0.9-stable-6.0-pacific-centos-8', 'near-miss 6.0.9'],
    ['V6.0.9-STABLE-6.0-PACIFIC-CENTOS-8', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-Pacific-centos-8', 'near-miss 6.0.9'],
    ['v6.0.9_stable_6.0_pacific', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8-arm64', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8-x86_64-devel', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8-x86_64.sig', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-stream', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-08', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8\n', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8 ', 'near-miss 6.0.9'],
    ['\nv6.0.9-stable-6.0-pacific-centos-8', 'near-miss 6.0.9'],
    ['v6.0.9\n-stable-6.0-pacific-centos-8', 'near-miss 6.0.9'],
    ['v6.0.9-stable-6.0-pacific-centos-8\0', 'near-miss 6.0.9'],

    ['', 'other'],
    ['\n', 'other'],
    ['v', 'other'],
    ['v6.0.7', 'other'],
    ['stable', 'other'],
    ['v٦.٠.٩-stable-٦.٠-pacific-centos-٨', 'other'],
    ['ｖ６.０.９-stable-６.０-pacific-centos-８', 'other'],
    ['sha256-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sig', 'other'],
    ['master-13B097C-mimic-centos-7', 'other'],
    ['master-13b097-mimic-centos-7', 'other'],
    ['latest-', 'other'],
    ['latest-pacific-devel-bis', 'other'],
  ])('%j is %s', (tag, reading) => expect(line(readTag(cephDaemon, tag))).toBe(reading));

  test('a tag has at most 128 characters', () => {
    const rest = '-stable-6.0-pacific-centos-stream8-x86_64';
    const sized = (size: number) => `v6.0.${'1'.repeat(size - rest.length - 5)}${rest}`;
    expect(sized(128)).toHaveLength(128);
    expect(readTag(cephDaemon, sized(128)).kind).toBe('stable');
    expect(readTag(cephDaemon, sized(129)).kind).toBe('near-miss');
  });

  test('1000 digits, and a megabyte of them, are read to the end', () => {
    const digits = '7'.repeat(1000);
    const reading = readTag(cephDaemon, `v6.0.${digits}-stable-6.0-pacific-centos-8`);
    expect(line(reading)).toBe(`near-miss 6.0.${digits}`);
    for (const piece of ['7', '7.', '-stable', 'v6.0.7-', '-6.0', '\n']) {
      for (const scheme of [cephDaemon, ceph, semver]) {
        expect(readTag(scheme, `v6.0.${piece.repeat(200_000)}`).kind).not.toBe('stable');
      }
    }
  });
});

describe('ceph', () => {
  test.each([
    ['v17.2.6', 'stable 17.2.6 quincy'],
    ['v18.2.0-20230803', 'stable 18.2.0 reef 20230803'],
    ['v16.2.10', 'stable 16.2.10 pacific'],
    ['v99.2.0', 'stable 99.2.0 99'],
    ['v18.0.0', 'devel'],
    ['v18.0.0-20230101', 'devel'],
    ['v18.1.3', 'prerelease'],
    ['v18.1.3-20230606', 'prerelease'],
    ['v18', 'alias'],
    ['v18.2', 'alias'],
    ['latest', 'alias'],
    ['latest-reef-devel', 'alias'],
    ['18.2.0', 'near-miss 18.2.0'],
    ['V18.2.0', 'near-miss 18.2.0'],
    ['v18.2.0.1', 'near-miss 18.2.0.1'],
    ['v18.02.0', 'near-miss 18.2.0'],
    ['v18.3.0', 'near-miss 18.3.0'],
    ['v18.2.0-rc1', 'near-miss 18.2.0'],
    ['v18.2.0-20231301', 'near-miss 18.2.0'],
    ['v18.2.0-20230132', 'near-miss 18.2.0'],
    ['v18.2.0-2023080', 'near-miss 18.2.0'],
    ['v18.2.0-20230803-amd64', 'near-miss 18.2.0'],
    ['v18.2.0\n', 'near-miss 18.2.0'],
    ['reef', 'other'],
    ['v18-20230803', 'other'],
  ])('%j is %s', (tag, reading) => expect(line(readTag(ceph, tag))).toBe(reading));
});

describe('semver', () => {
  test.each([
    ['9.4.7', 'stable 9.4.7'],
    ['v2.43.0', 'stable 2.43.0'],
    ['0.0.0', 'stable 0.0.0'],
    ['v1.10.2-linux-amd64', 'prerelease'],
    ['2.43.0-rc.1', 'prerelease'],
    ['latest', 'alias'],
    ['v2', 'alias'],
    ['2.3', 'alias'],
    ['20230803', 'alias'],
    ['V1.2.3', 'near-miss 1.2.3'],
    ['v01.2.3', 'near-miss 1.2.3'],
    ['1.2.3.4', 'near-miss 1.2.3.4'],
    ['1.2.3_1', 'near-miss 1.2.3'],
    ['1.2.3-01', 'near-miss 1.2.3'],
    ['9007199254740992.0.0', 'near-miss 9007199254740992.0.0'],
    ['1.2.3+build', 'near-miss 1.2.3'],
    ['1.2.3\n', 'near-miss 1.2.3'],
    [' 1.2.3', 'near-miss 1.2.3'],
    ['main', 'other'],
    ['', 'other'],
  ])('%j is %s', (tag, reading) => expect(line(readTag(semver, tag))).toBe(reading));
});

describe('versions', () => {
  const version = fc.array(fc.bigInt({ min: 0n, max: 10n ** 40n }), { minLength: 1, maxLength: 4 });

  test('compare number by number, at any length', () => {
    const sorted = ['0', '0.9', '6', '6.0', '6.0.9', '6.0.10', `6.0.${long}`, `6.0.${long}0`, '6.1.0', '10.0.0'];
    const shuffled = [...sorted].reverse().map(parseVersion).sort(compareVersions);
    expect(shuffled.map(formatVersion)).toEqual(sorted);
  });

  test('the order is total', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        expect(compareVersions(a, [...a])).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test('semver versions compare as the semver library does', () => {
    const part = fc.nat({ max: 12 });
    fc.assert(
      fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (a, b) => {
        const [one, other] = [a.join('.'), b.join('.')];
        expect(compareVersions(parseVersion(one), parseVersion(other))).toBe(compare(one, other));
      }),
    );
  });
});

describe('tags compared', () => {
  const tagged = (text: string): Tag => v.parse(tagSchema, text);
  test.each([
    ['v6.0.9-stable-6.0-pacific-centos-8', 'v6.0.10-stable-6.0-pacific-centos-stream8-x86_64', -1],
    ['v7.0.0-stable-7.0-quincy-centos-8', 'v6.0.10-stable-6.0-pacific-centos-8', 1],
    ['v6.0.7-stable-6.0-pacific-centos-8', 'v6.0.7-stable-6.0-pacific-centos-stream8', 0],
    ['v17.2.6', 'v18.2.0', -1],
    ['v18.2.0-20230803', 'v18.2.0-20230901', -1],
    ['v18.2.0', 'v18.2.0-20230901', 0],
    ['9.4.10', '9.4.7', 1],
    ['v18.1.3', 'v17.2.6', 1],
    ['latest', 'v6.0.7-stable-6.0-pacific-centos-8', undefined],
    ['v6.0.0rc1-stable-6.0-pacific-centos-8', 'v6.0.7-stable-6.0-pacific-centos-8', undefined],
    ['v6.0.7-stable-6.0-pacific-centos-8', '9.4.7', undefined],
  ])('%s and %s: %s', (a, b, order) => {
    const result = compareTags(tagged(a), tagged(b));
    expect(result === undefined ? undefined : Math.sign(result)).toBe(order);
  });
});

describe('the scheme of a repository', () => {
  const repository = (text: string) => v.parse(repositorySchema, text);
  const none = { name: undefined, pattern: undefined };

  test.each([
    ['quay.io/ceph/ceph', 'ceph'],
    ['localhost:5000/mirror/ceph/ceph', 'ceph'],
    ['quay.io/ceph/daemon', 'ceph-daemon'],
    ['quay.io/ceph/daemon-base', 'ceph-daemon'],
  ])('%s is %s', (image, name) => expect(schemeFor(repository(image), none).name).toBe(name));

  test.each(['quay.io/prometheus/prometheus', 'quay.io/ceph/ceph-grafana', 'quay.io/other/daemon', 'quay.io/ceph'])(
    'no scheme is known for the tags of %s',
    (image) => {
      const find = () => schemeFor(repository(image), none);
      expect(find).toThrow(
        `no scheme is known for the tags of ${image}; schemes are ceph-daemon, ceph, semver, pattern`,
      );
      expect(find).toThrow(expect.objectContaining({ hint: 'scheme' }));
    },
  );

  test('an explicit name or pattern takes precedence', () => {
    const image = repository('quay.io/ceph/ceph');
    expect(schemeFor(image, { name: 'semver', pattern: undefined })).toBe(semver);
    expect(schemeFor(image, { name: undefined, pattern: 'v(?<version>.+)' }).name).toBe('pattern');
    expect(schemeFor(image, { name: 'pattern', pattern: 'v(?<version>.+)' }).name).toBe('pattern');
    expect(() => schemeFor(image, { name: 'pattern', pattern: undefined })).toThrow('needs a pattern');
    expect(() => schemeFor(image, { name: 'ceph', pattern: 'x' })).toThrow('the scheme ceph takes no pattern');
  });
});
