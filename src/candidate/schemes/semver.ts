import parse from 'semver/functions/parse.js';
import { type Grammar, readLookalike, type Scheme } from '../scheme.js';

/** Semantic Versioning 2.0.0 with or without `v`, such as `9.4.7` and `v2.43.0`, as companions of the daemon use it. */

const MOVING = /^(?:v?\d+(?:\.\d+)?|latest)$/;

const lookalikes: Grammar['lookalikes'] = [['is not semver', /^[a-z]{0,2}(?<version>\d+(?:\.\d+){2,})(?!\.?\d)/i]];

const UNNAMED = { flavor: undefined, distro: undefined, arch: undefined, build: undefined };

export const semver: Scheme = {
  name: 'semver',
  read(tag) {
    const parsed = parse(tag);
    if (parsed === null) return MOVING.test(tag) ? { kind: 'alias' } : readLookalike(lookalikes, tag);
    // In semver a suffix marks a prerelease, and in image tags often another build. Neither is the release.
    if (parsed.prerelease.length > 0) return { kind: 'prerelease' };
    const version = [parsed.major, parsed.minor, parsed.patch].map(BigInt);
    return { kind: 'stable', build: { version, ...UNNAMED } };
  },
};
