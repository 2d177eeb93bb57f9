import parse from 'semver/functions/parse.js';
import { type Grammar, readLookalike, type Scheme } from '../scheme.js';

/** Semantic Versioning 2.0.0 with or without `v`: the images beside the daemon, such as `9.4.7` and `v2.43.0`. */

const MOVING = /^(?:v?\d+(?:\.\d+)?|latest)$/;

const lookalikes: Grammar['lookalikes'] = [['is not semver', /^[a-z]{0,2}(?<version>\d+(?:\.\d+){2,})(?!\.?\d)/i]];

const UNNAMED = { flavor: undefined, distro: undefined, arch: undefined, build: undefined };

export const semver: Scheme = {
  name: 'semver',
  read(tag) {
    const parsed = parse(tag);
    if (parsed === null) return MOVING.test(tag) ? { kind: 'alias' } : readLookalike(lookalikes, tag);
    // A suffix is a prerelease to semver, and in image tags often another build: neither is the release.
    if (parsed.prerelease.length > 0) return { kind: 'prerelease' };
    const version = [parsed.major, parsed.minor, parsed.patch].map(BigInt);
    return { kind: 'stable', build: { version, ...UNNAMED } };
  },
};
